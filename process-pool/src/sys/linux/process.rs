//! Processes: a handle that never means another process, how one ends, and killing it with what it
//! started.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpgrp, getpid, getppid,
    kill_current_process_group, kill_process, kill_process_group, pidfd_open, pidfd_send_signal,
    setpgid, waitid,
};
use rustix::stdio::{dup2_stderr, dup2_stdout};

use super::pass::private;
use super::{Descriptor, usage};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By a signal.
    Signal { signal: i32, core_dumped: bool },
    /// Nobody can tell: the program has the system forget its children (`SIGCHLD` is ignored), or
    /// something else in it waited for them all.
    Unknown,
}

/// A child process that leads a group of its own.
///
/// Its process id is not reused before [`reap`](Self::reap), unless the program reaps
/// children that it does not know; and even then the descriptor means no other process.
#[derive(Debug)]
pub(crate) struct ProcessHandle {
    pid: Pid,
    fd: Descriptor,
    /// This program's peak memory when the process was there. The system includes it in the process's
    /// own: between fork and exec, that had the program's memory.
    inherited_peak: u64,
}

impl ProcessHandle {
    /// The handle of a child that was not waited for.
    pub(crate) fn new(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
        let fd = pidfd_open(pid, PidfdFlags::empty())?;
        let inherited_peak = usage::own_peak();
        Ok(Self {
            pid,
            fd,
            inherited_peak,
        })
    }

    /// The handle of a child that another one, a zygote, forked and reported. From then on it leads a
    /// group of its own. `None` if the system, or this program, has
    /// already reaped it; then the process id may be another's.
    ///
    /// # Errors
    ///
    /// If there are no descriptors left. The child is then killed and reaped.
    pub(crate) fn adopt(pid: u32) -> io::Result<Option<Self>> {
        let mut this = match Self::new(pid) {
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {
                return Ok(None);
            }
            Err(error) => {
                // No descriptors left, for example. If it is this process's child, it must still be reaped.
                let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
                let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
                if let Some(pid) = pid
                    && waitid(WaitId::Pid(pid), look).is_ok()
                {
                    let _ = kill_process(pid, Signal::KILL);
                    let _ = retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED));
                }
                return Err(error);
            }
            Ok(this) => this,
        };
        // It never had this program's memory.
        this.inherited_peak = 0;
        let options = WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if this.wait(options).is_err() {
            return Ok(None);
        }
        // It does so itself, too, but the zygote's group may be killed before that.
        let _ = setpgid(Some(this.pid), None);
        Ok(Some(this))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Readable once the process has ended.
    pub(crate) const fn fd(&self) -> &Descriptor {
        &self.fd
    }

    fn wait(&self, more: WaitIdOptions) -> io::Result<Option<Exit>> {
        let options = WaitIdOptions::EXITED | more;
        let status = retry_on_intr(|| waitid(WaitId::PidFd(self.fd.as_fd()), options))?;
        Ok(status.map(|status| match status.terminating_signal() {
            Some(signal) => Exit::Signal {
                signal,
                core_dumped: status.dumped(),
            },
            None => status.exit_status().map_or(Exit::Unknown, Exit::Code),
        }))
    }

    /// Kills the process and its group, with a signal that cannot be ignored.
    pub(crate) fn kill(&self) {
        // Fails only if it has already ended.
        let _ = pidfd_send_signal(&self.fd, Signal::KILL);
        // As long as it can be waited for, no other process has its id.
        if self
            .wait(WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)
            .is_ok()
        {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&now)) == Ok(1)
    }

    /// Waits for its end.
    pub(crate) fn await_end(&self) {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        while poll(&mut fds, None) == Err(Errno::INTR) {}
    }

    /// After its end: kills what is left of its group, and has the system forget it. Returns how
    /// it ended, and its peak resident memory, in bytes, if that is known.
    pub(crate) fn reap(&self) -> (Exit, Option<u64>) {
        self.kill();
        // It may wait for a moment: the system reports the end a little before it can say how.
        let Ok(Some(exit)) = self.wait(WaitIdOptions::NOWAIT) else {
            return (Exit::Unknown, None);
        };
        let peak = usage::forget(self.fd.as_fd());
        (exit, (peak > self.inherited_peak).then_some(peak))
    }
}

impl ProcessHandle {
    /// After its end: kills what is left of its group, and has the system forget all in it that are
    /// children of this process. Returns how it ended.
    pub(crate) fn reap_group(&self) -> Exit {
        self.kill();
        let Ok(Some(exit)) = self.wait(WaitIdOptions::NOWAIT) else {
            // Whoever reaped it reaps them all.
            return Exit::Unknown;
        };
        let group = WaitId::Pgid(Some(self.pid));
        // Each of them was killed, so each ends.
        while let Ok(Some(_)) = retry_on_intr(|| waitid(group.clone(), WaitIdOptions::EXITED)) {}
        exit
    }
}

/// Makes this process the leader of a group of its own.
pub(crate) fn lead_group() -> io::Result<()> {
    Ok(setpgid(None, None)?)
}

/// From now on this process prints there.
pub(crate) fn print_to(printer: &Descriptor) -> io::Result<()> {
    dup2_stdout(printer)?;
    Ok(dup2_stderr(printer)?)
}

/// A command that starts this executable, or another one, as the leader of a group of its own. Its name in
/// lists of processes says what it is.
pub(crate) fn command(executable: Option<&Path>) -> Command {
    // This executable, even if its file was deleted or replaced.
    let own = Path::new("/proc/self/exe");
    let mut command = Command::new(executable.unwrap_or(own));
    command.arg0("process-pool worker").process_group(0);
    command
}

/// The id of this process's parent. It changes when the parent has ended.
pub(crate) fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

/// The pool's process, if it is this process's parent and still there. The descriptor is readable
/// once it has ended.
pub(crate) fn pool_of_this_worker(pool: u32) -> Option<Descriptor> {
    let parent = getppid()?;
    let fd = pidfd_open(parent, PidfdFlags::empty()).ok()?;
    // Asked again: before the descriptor was there, the id could have become another's.
    let is_pool = getppid() == Some(parent) && parent.as_raw_nonzero().get().unsigned_abs() == pool;
    is_pool.then(|| private(fd))
}

/// Waits until the pool is gone: on its process, if there is one, and on the task pipe, which then has
/// no writer. Returns whether it is; if not, the descriptors have become useless.
pub(crate) fn await_pool(process: Option<&Descriptor>, tasks: &Descriptor) -> bool {
    let before = parent();
    loop {
        let mut fds = vec![PollFd::new(tasks, PollFlags::empty())];
        fds.extend(process.map(|fd| PollFd::new(fd, PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return false,
        }
        let pipe = fds[0].revents();
        return parent() != before || pipe == PollFlags::HUP;
    }
}

/// Ends this process, and the group if it is its own.
pub(crate) fn kill_own_group() -> ! {
    if getpgrp() == getpid() {
        let _ = kill_current_process_group(Signal::KILL);
    }
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort();
}
