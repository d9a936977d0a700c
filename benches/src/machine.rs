//! What the machine knows of this process: its CPU time, and which CPUs its threads may use.

use std::time::Duration;

/// Where the threads of a measured process may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Anywhere: what a user sees.
    Free,
    /// All on CPU 0: the cost of the software alone, with little noise.
    One,
    /// The main thread on CPU 0, the others on CPU 1: every wake-up crosses.
    Spread,
}

impl Pin {
    /// The pin with this name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Free, Self::One, Self::Spread]
            .into_iter()
            .find(|pin| pin.name() == name)
    }

    /// As the command line has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::One => "one",
            Self::Spread => "spread",
        }
    }

    /// Pins every thread that this process has now; later ones inherit from whoever starts them.
    ///
    /// # Errors
    ///
    /// What the system says, for example if there is no CPU 1, or that it cannot do this at all.
    pub fn apply(self) -> Result<(), String> {
        let (main, others) = match self {
            Self::Free => return Ok(()),
            Self::One => (0, 0),
            Self::Spread => (0, 1),
        };
        system::pin(main, others)
    }
}

/// The CPU time of all threads of this process so far, those that have ended included; `None` if the
/// system does not tell.
#[must_use]
pub fn cpu_time() -> Option<Duration> {
    system::cpu_time()
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs;
    use std::time::Duration;

    use nix::errno::Errno;
    use nix::sched::{CpuSet, sched_setaffinity};
    use nix::time::{ClockId, clock_gettime};
    use nix::unistd::Pid;

    pub(super) fn cpu_time() -> Option<Duration> {
        let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).ok()?;
        Some(time.into())
    }

    pub(super) fn pin(main: usize, others: usize) -> Result<(), String> {
        let main_thread = Pid::this();
        for entry in fs::read_dir("/proc/self/task").map_err(|error| error.to_string())? {
            let name = entry.map_err(|error| error.to_string())?.file_name();
            let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let thread = Pid::from_raw(thread);
            let cpu = if thread == main_thread { main } else { others };
            match pin_thread(thread, cpu) {
                // It has ended meanwhile.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(format!("cannot pin a thread to CPU {cpu}: {error}")),
            }
        }
        Ok(())
    }

    fn pin_thread(thread: Pid, cpu: usize) -> Result<(), Errno> {
        let mut set = CpuSet::new();
        set.set(cpu)?;
        sched_setaffinity(thread, &set)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::time::Duration;

    pub(super) fn cpu_time() -> Option<Duration> {
        None
    }

    pub(super) fn pin(_main: usize, _others: usize) -> Result<(), String> {
        Err("threads can be pinned on Linux only".to_owned())
    }
}
