//! What the system controls of this process and its workers: their CPU time, and which CPUs they may use.

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

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::One => "one",
            Self::Spread => "spread",
        }
    }

    /// Pins every thread that this process and its children have now; later ones inherit the pin of the thread
    /// that starts them.
    ///
    /// # Errors
    ///
    /// The system's error, for example if there is no CPU 1; outside Linux, always.
    pub fn apply(self) -> Result<(), String> {
        let (main, others) = match self {
            Self::Free => return Ok(()),
            Self::One => (0, 0),
            Self::Spread => (0, 1),
        };
        system::pin(main, others)
    }
}

/// The CPU time of all threads of this process so far, including those that have ended, and of the threads
/// that its children have now; `None` if the system does not report it.
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
        let mut all: Duration = time.into();
        for task in children().into_iter().flat_map(threads_of) {
            // The first number is the time on a CPU, in nanoseconds.
            let times = fs::read_to_string(format!("/proc/{task}/schedstat")).unwrap_or_default();
            let time = times.split(' ').next().and_then(|time| time.parse().ok());
            all += Duration::from_nanos(time.unwrap_or(0));
        }
        Some(all)
    }

    /// Worker processes; none if the system does not list them.
    fn children() -> Vec<i32> {
        let threads = threads_of(Pid::this().as_raw());
        let lists = threads.into_iter().filter_map(|thread| {
            fs::read_to_string(format!("/proc/self/task/{thread}/children")).ok()
        });
        lists
            .flat_map(|list| {
                let pids = list.split_whitespace().filter_map(|pid| pid.parse().ok());
                pids.collect::<Vec<i32>>()
            })
            .collect()
    }

    fn threads_of(process: i32) -> Vec<i32> {
        let names = fs::read_dir(format!("/proc/{process}/task"));
        let names = names.into_iter().flatten().flatten();
        names
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }

    pub(super) fn pin(main: usize, others: usize) -> Result<(), String> {
        let main_thread = Pid::this();
        let processes = std::iter::once(main_thread.as_raw()).chain(children());
        for thread in processes.flat_map(threads_of).map(Pid::from_raw) {
            let cpu = if thread == main_thread { main } else { others };
            match pin_thread(thread, cpu) {
                // The thread has ended meanwhile.
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
        Err("threads can be pinned only on Linux".to_owned())
    }
}
