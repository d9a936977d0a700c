//! What can go wrong with a pool, as opposed to its tasks.

use std::error::Error;
use std::fmt;
use std::io;

use crate::entry::DEPTH_MAX;

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
    /// The number of tasks that a worker may run was 0.
    NoTasks,
    /// The initializer's argument could not be turned into bytes, or the initializer is not in the
    /// program's executable.
    Initializer(String),
    /// The function to [preload](crate::Builder::preload) could not be sent, panicked, ended its
    /// process, or left something behind that cannot be forked: the text says what, and what to do.
    Preload(String),
    /// This library is in a shared library, not in the program's executable, so that the executable cannot
    /// be started as a worker.
    NotInExecutable,
    /// This process was itself started as a worker, but has reached `main`: its loader does not call
    /// constructors. Call [`init`](crate::init) at the beginning of `main`.
    NotInitialized,
    /// The executable has more rights than whoever starts it (set-user-ID, capabilities), and so would its
    /// workers. Give the rights up, or move the part that needs workers to a program of its own.
    Privileged,
    /// Workers of workers of workers: the pools are nested too deep, probably endlessly. Build the pool
    /// in the program's `main`, not in code that each worker runs too.
    TooDeep,
    /// A worker cannot run on the CPUs that [`affinity`](crate::Builder::affinity) gives it, or is given
    /// none.
    Affinity(String),
    /// Two functions of this program have the same name. (Only with the feature `named`.)
    Names(String),
    /// The executable for the workers cannot serve this pool: it does not start, ends
    /// or stays silent instead of being a worker, or refuses to be one of this pool's. (Only with the
    /// feature `named`.)
    Worker(String),
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
            Self::Preload(text) => write!(f, "the preload function cannot be used: {text}"),
            Self::NotInExecutable => f.write_str(
                "the pool is in a shared library, so the program's executable does not know how to be \
                 a worker; link the pool into the executable",
            ),
            Self::NotInitialized => f.write_str(
                "this process was started as a worker, but has reached `main`; call \
                 `process_pool::init()` at the beginning of `main`",
            ),
            Self::Privileged => f.write_str(
                "the executable has more rights than whoever starts it, and so would its workers; build \
                 the pool in another program",
            ),
            Self::TooDeep => write!(
                f,
                "pools are nested in each other's workers more than {DEPTH_MAX} deep; build the pool \
                 in code that workers do not run"
            ),
            Self::Affinity(text) => write!(f, "the affinity of the workers: {text}"),
            Self::Names(text) => f.write_str(text),
            Self::Worker(text) => write!(f, "the worker executable cannot serve this pool: {text}"),
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

/// Why a shutdown did not complete.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use process_pool::{JoinHandle, ProcessPoolExecutor, ShutdownError};
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// let endless: JoinHandle<()> = pool.submit(|()| loop { std::thread::park() }, ());
/// assert_eq!(pool.shutdown_timeout(Duration::ZERO), Err(ShutdownError::TimedOut));
/// pool.kill()?;
/// # drop(endless);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShutdownError {
    /// A callback on the pool's own thread called it, and would have waited for itself. Nothing was
    /// changed.
    FromCallback,
    /// Tasks were still running when the time was up. The pool goes on shutting down.
    TimedOut,
    /// This process is a fork, and the pool's workers belong to its parent.
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
                "this process was forked, and the pool's workers belong to its parent; here it can only \
                 be dropped"
            }
        })
    }
}

impl Error for ShutdownError {}
