//! What can go wrong with a pool and its workers, as opposed to its tasks.

use std::error::Error;
use std::fmt;
use std::io;

use future_result::TaskError;

use crate::entry::DEPTH_MAX;
use crate::sys::Exit;

/// Why a pool could not be built.
///
/// # Examples
///
/// ```
/// use process_pool::{BuildError, ProcessPoolExecutor};
///
/// let error = ProcessPoolExecutor::new(0).unwrap_err();
/// assert!(matches!(error, BuildError::NoWorkers));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The number of workers was 0.
    NoWorkers,
    /// A worker was to leave after 0 tasks.
    NoTasks,
    /// The initializer's argument could not be turned into bytes, or the initializer is not in the
    /// program's executable.
    Initializer(String),
    /// This library is in a shared library, not in the program's executable, so that the executable cannot
    /// be started as a worker.
    NotInExecutable,
    /// This process was itself started as a worker, but has come to its `main`: its loader does not call
    /// constructors. Call [`init`](crate::init) at the beginning of `main`.
    NotInitialized,
    /// The executable has rights that whoever starts it has not (set-user-ID, capabilities), and its workers
    /// would have them, too. Give the rights up, and start the part that needs workers as a program of
    /// its own.
    Privileged,
    /// Workers of workers of workers: the pools are nested too deep, probably without end. Build the pool
    /// in the program's `main`, not in something that each worker runs too.
    TooDeep,
    /// The system refused to start a worker, or the thread that looks after them.
    Spawn(io::Error),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorkers => f.write_str(
                "a pool needs at least one worker; leave `workers` out to get one for each CPU",
            ),
            Self::NoTasks => {
                f.write_str("a worker must run at least one task; leave the limit out for any number")
            }
            Self::Initializer(text) => write!(f, "the initializer cannot be sent to a worker: {text}"),
            Self::NotInExecutable => f.write_str(
                "the pool is in a shared library, so the program's executable does not know how to be \
                 a worker; link the pool into the executable",
            ),
            Self::NotInitialized => f.write_str(
                "this process was started as a worker, but has come to its `main`; call \
                 `process_pool::init()` at the beginning of `main`",
            ),
            Self::Privileged => f.write_str(
                "the executable has rights that whoever starts it has not, and its workers would have \
                 them, too; build the pool in another program",
            ),
            Self::TooDeep => write!(
                f,
                "pools are nested in each other's workers more than {DEPTH_MAX} deep; build the pool \
                 where workers do not come by"
            ),
            Self::Spawn(error) => write!(
                f,
                "the system did not start a worker ({error}); are there enough processes, descriptors \
                 and memory?"
            ),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // The message already contains the error itself.
            Self::Spawn(error) => error.source(),
            _ => None,
        }
    }
}

/// Why a shutdown did not come to its end.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use process_pool::{ProcessPoolExecutor, ShutdownError};
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// let endless = pool.submit(|()| loop { std::thread::park() }, ());
/// assert_eq!(pool.shutdown_timeout(Duration::ZERO), Err(ShutdownError::TimedOut));
/// pool.kill()?;
/// # drop::<process_pool::JoinHandle<()>>(endless);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShutdownError {
    /// A callback on the pool's own thread called it, and would have waited for itself. Nothing was
    /// changed.
    FromCallback,
    /// Tasks were still running when the time was over. The pool goes on shutting down.
    TimedOut,
    /// The pool was made before this process was forked off its parent, and its workers are the parent's.
    /// There is nothing to shut down.
    Forked,
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FromCallback => {
                "a pool cannot be shut down from a callback on its own thread, which would wait for \
                 itself; do it from another thread"
            }
            Self::TimedOut => {
                "tasks are still running; wait longer, cancel them by their handles, or kill the pool"
            }
            Self::Forked => {
                "this process was forked off, and the pool's workers are its parent's; it can only be \
                 dropped here"
            }
        })
    }
}

impl Error for ShutdownError {}

/// What is known about the end of a worker that died while it ran a task.
///
/// The task failed with [`TaskError::Lost`]; this is the cause in it.
///
/// # Examples
///
/// ```
/// use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor, WorkerDied};
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// let lost: JoinHandle<()> = pool.submit(|code| std::process::exit(code), 3);
/// let error = lost.result().unwrap_err();
/// let died = WorkerDied::of(&error).ok_or("another error")?;
/// assert_eq!(died.exit_code(), Some(3));
/// assert!(error.to_string().contains("exited with status 3 while it ran the task"));
/// // The pool has another worker by now.
/// assert_eq!(pool.submit(|n: u32| n + 1, 1).result()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct WorkerDied {
    pub(crate) pid: u32,
    pub(crate) exit: Exit,
    pub(crate) finished: bool,
    pub(crate) argument_size: usize,
    /// What the pool had against it.
    pub(crate) complaint: Option<String>,
}

impl WorkerDied {
    /// The death that has cost this task its result, if one has.
    #[must_use]
    pub fn of(error: &TaskError) -> Option<&Self> {
        match error {
            TaskError::Lost(cause) => cause.get_ref().downcast_ref(),
            _ => None,
        }
    }

    /// The worker's process id, which may be another process's by now.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// The status with which it has exited, if it has.
    #[must_use]
    pub const fn exit_code(&self) -> Option<i32> {
        match self.exit {
            Exit::Code(code) => Some(code),
            _ => None,
        }
    }

    /// The signal that has ended it, if one has: 9 is `SIGKILL`, also from the system when memory runs out;
    /// 6 is `SIGABRT`, 11 `SIGSEGV`.
    #[must_use]
    pub const fn signal(&self) -> Option<i32> {
        match self.exit {
            Exit::Signal { signal, .. } => Some(signal),
            _ => None,
        }
    }

    /// Whether the system has written a memory dump.
    #[must_use]
    pub const fn core_dumped(&self) -> bool {
        matches!(
            self.exit,
            Exit::Signal {
                core_dumped: true,
                ..
            }
        )
    }

    /// Whether the function had returned, so that only its result was lost with the worker.
    #[must_use]
    pub const fn finished(&self) -> bool {
        self.finished
    }

    /// Where to look for the reason.
    const fn advice(&self) -> &'static str {
        match self.exit {
            Exit::Code(_) => {
                "a task returns instead of exiting, and what it has printed is on standard error"
            }
            Exit::Signal {
                signal: libc::SIGKILL,
                ..
            } => {
                "if nobody has killed it, memory was probably short: look into the system's log, and give \
                 the pool fewer workers or smaller tasks"
            }
            Exit::Signal { .. } => "what it has printed is on standard error",
            Exit::Unknown => {
                "let the program neither ignore SIGCHLD nor wait for children that it does not know"
            }
        }
    }

    /// The size of the task's argument, in bytes as it was sent.
    #[must_use]
    pub const fn argument_size(&self) -> usize {
        self.argument_size
    }
}

impl fmt::Display for WorkerDied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker process {} ", self.pid)?;
        match self.exit {
            Exit::Code(code) => write!(f, "exited with status {code}")?,
            Exit::Signal {
                signal,
                core_dumped,
            } => {
                write!(f, "was ended by signal {signal}")?;
                if let Some(name) = signal_name(signal) {
                    write!(f, " ({name})")?;
                }
                if core_dumped {
                    f.write_str(" and dumped its memory")?;
                }
            }
            Exit::Unknown => f.write_str("ended, and nobody can tell how")?,
        }
        f.write_str(if self.finished {
            " before it had sent the result of the task"
        } else {
            " while it ran the task"
        })?;
        let plural = if self.argument_size == 1 { "" } else { "s" };
        let size = self.argument_size;
        write!(f, ", whose argument has {size} byte{plural}; ")?;
        f.write_str(match &self.complaint {
            Some(complaint) => complaint,
            None => self.advice(),
        })?;
        f.write_str("; submit the task again only if it may run twice")
    }
}

impl Error for WorkerDied {}

/// The names of the signals that end processes, where every kind of processor has the same numbers.
const fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use future_result::Cause;

    use super::*;

    #[test]
    fn a_death_is_told_as_a_sentence_with_what_to_do_next() {
        let mut died = WorkerDied {
            pid: 4711,
            exit: Exit::Signal {
                signal: libc::SIGKILL,
                core_dumped: false,
            },
            finished: false,
            argument_size: 1,
            complaint: None,
        };
        let text = |died: &WorkerDied| TaskError::Lost(Cause::new(died.clone())).to_string();
        assert_eq!(
            text(&died),
            "the task was lost: worker process 4711 was ended by signal 9 (SIGKILL) while it ran the task, \
             whose argument has 1 byte; if nobody has killed it, memory was probably short: look into the \
             system's log, and give the pool fewer workers or smaller tasks; submit the task again only if \
             it may run twice"
        );
        died.exit = Exit::Code(3);
        died.finished = true;
        died.argument_size = 20;
        assert_eq!(
            text(&died),
            "the task was lost: worker process 4711 exited with status 3 before it had sent the result of \
             the task, whose argument has 20 bytes; a task returns instead of exiting, and what it has \
             printed is on standard error; submit the task again only if it may run twice"
        );
    }
}
