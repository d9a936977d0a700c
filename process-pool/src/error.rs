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
    /// A worker was to leave after 0 tasks.
    NoTasks,
    /// The initializer's argument could not be turned into bytes, or the initializer is not in the
    /// program's executable.
    Initializer(String),
    /// The function that was to [preload](crate::Builder::preload) could not be sent, has panicked, has ended its
    /// process, or has left something behind that cannot be forked: the text says what, and what to do.
    Preload(String),
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
    /// A worker cannot run on the CPUs that it is given by [`affinity`](crate::Builder::affinity), or is given
    /// none.
    Affinity(String),
    /// Two functions of this program have one name. (With the feature `named` alone.)
    Names(String),
    /// The executable that workers are to be started from is none for this pool: it cannot be started, ends
    /// or is silent instead of being a worker, or refuses to be one of this pool's. (With the
    /// feature `named` alone.)
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
            Self::Affinity(text) => write!(f, "the affinity of the workers: {text}"),
            Self::Names(text) => f.write_str(text),
            Self::Worker(text) => write!(f, "the worker executable is none for this pool: {text}"),
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
