//! What a task's error says about the death of its worker.

use std::error::Error;
use std::fmt;

use future_result::TaskError;

use crate::state::End;
use crate::sys::{self, Exit};

/// What is known about the end of a worker that died while it ran a task.
///
/// The task failed with [`TaskError::Lost`], and this is its cause. It means that the task had
/// begun: what a worker had not begun is run by another, without any error.
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
    pub(crate) end: End,
    pub(crate) finished: bool,
    pub(crate) argument_size: usize,
    pub(crate) attempts: u32,
    pub(crate) memory_limit: Option<u64>,
    /// Why the pool killed it, if that matters to the task.
    pub(crate) complaint: Option<String>,
}

impl WorkerDied {
    /// The death that cost this task its result, if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor, WorkerDied};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let crash: JoinHandle<()> = pool.submit(|()| std::process::abort(), ());
    /// let panic: JoinHandle<()> = pool.submit(|()| panic!("it lives on"), ());
    /// assert!(crash.result().is_err_and(|error| WorkerDied::of(&error).is_some()));
    /// assert!(panic.result().is_err_and(|error| WorkerDied::of(&error).is_none()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of(error: &TaskError) -> Option<&Self> {
        match error {
            TaskError::Lost(cause) => cause.get_ref().downcast_ref(),
            _ => None,
        }
    }

    /// The worker's process id, which may belong to another process by now.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor, WorkerDied};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let pid = pool.pids()[0];
    /// let lost: JoinHandle<()> = pool.submit(|()| std::process::abort(), ());
    /// let error = lost.result().unwrap_err();
    /// let died = WorkerDied::of(&error).ok_or("another error")?;
    /// assert_eq!(died.pid(), pid);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// The status with which it exited, if it did.
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
    /// assert_eq!((died.exit_code(), died.signal()), (Some(3), None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn exit_code(&self) -> Option<i32> {
        match self.end.exit {
            Exit::Code(code) => Some(code),
            _ => None,
        }
    }

    /// The signal that ended it, if one did: 9 is `SIGKILL`, which the system also sends when memory runs out;
    /// 6 is `SIGABRT`, 11 `SIGSEGV`.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor, WorkerDied};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let lost: JoinHandle<()> = pool.submit(|()| std::process::abort(), ());
    /// let error = lost.result().unwrap_err();
    /// let died = WorkerDied::of(&error).ok_or("another error")?;
    /// assert_eq!((died.exit_code(), died.signal()), (None, Some(6)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn signal(&self) -> Option<i32> {
        match self.end.exit {
            Exit::Signal { signal, .. } => Some(signal),
            _ => None,
        }
    }

    /// Whether the system wrote a core dump.
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
    /// assert!(!died.core_dumped());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn core_dumped(&self) -> bool {
        matches!(
            self.end.exit,
            Exit::Signal {
                core_dumped: true,
                ..
            }
        )
    }

    /// Whether the function had returned, so that only its result was lost.
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
    /// assert!(!died.finished());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn finished(&self) -> bool {
        self.finished
    }

    /// The last lines that the worker and its children printed, on standard error or output:
    /// at most 128 lines and 16 KiB. They may include lines of the worker's earlier tasks. What is not
    /// UTF-8 is replaced by U+FFFD.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor, WorkerDied};
    ///
    /// fn crash(file: String) {
    ///     eprintln!("cannot parse {file}");
    ///     std::process::abort();
    /// }
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let error = pool.submit(crash, "broken.png".to_owned()).result().unwrap_err();
    /// let died = WorkerDied::of(&error).ok_or("another error")?;
    /// assert_eq!(died.stderr(), "cannot parse broken.png");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stderr(&self) -> &str {
        &self.end.stderr
    }

    /// The peak of its resident memory, in bytes, if that is known.
    ///
    /// The system includes the peak that this program had when it started the worker. So it is known only for
    /// a worker that had more. If the worker itself started programs and waited for them, it may be
    /// the peak of one of those.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor, WorkerDied};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// fn crash(bytes: usize) {
    ///     let used = vec![1_u8; bytes];
    ///     std::process::exit(used[bytes / 2].into());
    /// }
    ///
    /// let error = pool.submit(crash, 300_000_000).result().unwrap_err();
    /// let died = WorkerDied::of(&error).ok_or("another error")?;
    /// assert!(died.peak_rss().is_some_and(|peak| (300_000_000..400_000_000).contains(&peak)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn peak_rss(&self) -> Option<u64> {
        self.end.peak_rss
    }

    /// How often the task was tried: once, and again for each of its
    /// [`retries`](crate::TaskBuilder::retries).
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor, WorkerDied};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let lost: JoinHandle<()> = pool.submit(|()| std::process::abort(), ());
    /// let error = lost.result().unwrap_err();
    /// let died = WorkerDied::of(&error).ok_or("another error")?;
    /// assert_eq!(died.attempts(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Where to look for the reason.
    const fn advice(&self) -> &'static str {
        match self.end.exit {
            Exit::Code(_) => "a task must return instead of exiting",
            Exit::Signal {
                signal: sys::KILL, ..
            } => {
                "if nobody killed it, memory was probably short: look into the system's log, and give \
                 the pool fewer workers or smaller tasks"
            }
            Exit::Signal { .. } => "a debugger tells more than a pool can",
            Exit::Unknown => {
                "the program must neither ignore SIGCHLD nor wait for children that it did not start"
            }
        }
    }

    /// The size of the task's argument as it was sent, in bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor, WorkerDied};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let lost: JoinHandle<()> = pool.submit(|_: String| std::process::abort(), "four".to_owned());
    /// let error = lost.result().unwrap_err();
    /// let died = WorkerDied::of(&error).ok_or("another error")?;
    /// assert_eq!(died.argument_size(), 5); // And one byte for the length.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn argument_size(&self) -> usize {
        self.argument_size
    }
}

impl fmt::Display for WorkerDied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker process {} ", self.pid)?;
        match self.end.exit {
            Exit::Code(code) => write!(f, "exited with status {code}")?,
            Exit::Signal {
                signal,
                core_dumped,
            } => {
                write!(f, "was ended by signal {signal}")?;
                if let Some(name) = sys::signal_name(signal) {
                    write!(f, " ({name})")?;
                }
                if core_dumped {
                    f.write_str(" and dumped core")?;
                }
            }
            Exit::Unknown => f.write_str("ended in an unknown way")?,
        }
        f.write_str(if self.finished {
            " before it sent the result of the task"
        } else {
            " while it ran the task"
        })?;
        let plural = if self.argument_size == 1 { "" } else { "s" };
        let size = self.argument_size;
        write!(f, ", whose argument has {size} byte{plural}; ")?;
        if let Some(peak) = self.end.peak_rss {
            write!(f, "its memory peaked at {} MiB; ", peak >> 20)?;
        }
        f.write_str(match &self.complaint {
            Some(complaint) => complaint,
            None => self.advice(),
        })?;
        if let Some(limit) = self.memory_limit {
            write!(
                f,
                "; the pool limits its workers to {limit} bytes of memory"
            )?;
        }
        match self.attempts {
            1 => f.write_str("; submit the task again only if it may run twice")?,
            times => write!(f, "; it was tried {times} times")?,
        }
        if !self.end.stderr.is_empty() {
            write!(f, "; its last output was:\n{}", self.end.stderr)?;
        }
        Ok(())
    }
}

impl Error for WorkerDied {}

#[cfg(test)]
mod tests {
    use future_result::Cause;

    use super::*;

    #[test]
    fn a_death_is_told_as_a_sentence_with_what_to_do_next() {
        let mut died = WorkerDied {
            pid: 4711,
            end: End {
                exit: Exit::Signal {
                    signal: sys::KILL,
                    core_dumped: false,
                },
                peak_rss: Some(3 << 30),
                stderr: String::new(),
            },
            finished: false,
            argument_size: 1,
            attempts: 1,
            memory_limit: Some(1 << 20),
            complaint: None,
        };
        let text = |died: &WorkerDied| TaskError::Lost(Cause::new(died.clone())).to_string();
        assert_eq!(
            text(&died),
            "the task was lost: worker process 4711 was ended by signal 9 (SIGKILL) while it ran the task, \
             whose argument has 1 byte; its memory peaked at 3072 MiB; if nobody killed it, memory was \
             probably short: look into the system's log, and give the pool fewer workers or smaller \
             tasks; the pool limits its workers to 1048576 bytes of memory; submit the task again only if it \
             may run twice"
        );
        died.end = End {
            exit: Exit::Code(3),
            peak_rss: None,
            stderr: "one\ntwo".to_owned(),
        };
        died.finished = true;
        died.argument_size = 20;
        died.attempts = 3;
        died.memory_limit = None;
        assert_eq!(
            text(&died),
            "the task was lost: worker process 4711 exited with status 3 before it sent the result of \
             the task, whose argument has 20 bytes; a task must return instead of exiting; it was tried 3 \
             times; its last output was:\none\ntwo"
        );
    }
}
