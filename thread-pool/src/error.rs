//! What can go wrong with a pool, as opposed to its tasks.

use std::error::Error;
use std::fmt;
use std::io;

use future_result::Rejection;

/// Why a pool could not be built.
///
/// # Examples
///
/// ```
/// use thread_pool::{BuildError, ThreadPoolExecutor};
///
/// let error = ThreadPoolExecutor::new(0).unwrap_err();
/// assert!(matches!(error, BuildError::NoWorkers));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The number of workers was 0.
    NoWorkers,
    /// More workers were asked for than a pool can have.
    TooManyWorkers {
        /// As many are possible.
        max: usize,
    },
    /// `min_workers` was more than `workers`.
    MoreThanMaximum {
        /// The threads to start with.
        min: usize,
        /// The threads there may be.
        max: usize,
    },
    /// The bound of the queue was 0, so that nothing could ever be submitted.
    NoQueue,
    /// The name of the threads contains a NUL byte.
    InvalidName,
    /// The system refused to start a thread. Workers that had started were stopped again.
    Spawn(io::Error),
    /// One of the first workers could not
    /// [make its state](crate::Builder::try_worker_state). Workers that had started were stopped again.
    State(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorkers => f.write_str(
                "a pool needs at least one worker; leave `workers` out to get one for each CPU",
            ),
            Self::TooManyWorkers { max } => write!(
                f,
                "a pool has at most {max} workers; to run more tasks at once, use several pools, or \
                 tasks that do not each block a thread"
            ),
            Self::MoreThanMaximum { min, max } => write!(
                f,
                "a pool cannot start with {min} threads if it may have {max}; lower `min_workers` or \
                 raise `workers`"
            ),
            Self::NoQueue => {
                f.write_str("a queue bound must be at least 1; leave it out for an unbounded queue")
            }
            Self::InvalidName => f.write_str("a thread's name must not contain a NUL byte"),
            Self::Spawn(error) => write!(
                f,
                "the system did not start a worker thread ({error}); \
                 ask for fewer workers or smaller stacks"
            ),
            Self::State(error) => write!(f, "a worker could not make its state: {error}"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // The message already contains the error itself.
            Self::Spawn(error) => error.source(),
            Self::State(error) => error.source(),
            _ => None,
        }
    }
}

/// A submission that was refused, with the job itself.
///
/// # Examples
///
/// ```
/// use thread_pool::{Rejection, ThreadPoolExecutor};
///
/// let pool = ThreadPoolExecutor::new(1)?;
/// pool.shutdown()?;
/// let refused = pool.try_submit(|| "still here").unwrap_err();
/// assert_eq!(refused.reason(), Rejection::ShutDown);
/// assert_eq!(refused.into_job()(), "still here");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SubmitError<F> {
    job: F,
    reason: Rejection,
}

impl<F> SubmitError<F> {
    pub(crate) const fn new(job: F, reason: Rejection) -> Self {
        Self { job, reason }
    }

    /// Why it was refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{Rejection, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// pool.shutdown()?;
    /// let refused = pool.execute(|| ()).unwrap_err();
    /// assert_eq!(refused.reason(), Rejection::ShutDown);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn reason(&self) -> Rejection {
        self.reason
    }

    /// The job, untouched.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// pool.shutdown()?;
    /// let refused = pool.try_submit(|| 6 * 7).unwrap_err();
    /// assert_eq!(refused.into_job()(), 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_job(self) -> F {
        self.job
    }
}

impl<F> fmt::Debug for SubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Display for SubmitError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the pool did not accept the job: {}", self.reason)
    }
}

impl<F> Error for SubmitError<F> {}

/// Why a shutdown did not complete.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use thread_pool::{FutureResult, ShutdownError, ThreadPoolExecutor};
///
/// let pool = Arc::new(ThreadPoolExecutor::new(1)?);
/// let same = Arc::clone(&pool);
/// let refused = pool.submit(move || same.shutdown());
/// assert_eq!(refused.result()?, Err(ShutdownError::FromWorker));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShutdownError {
    /// One of the pool's own workers called it, and would have waited for itself. Nothing was
    /// changed.
    FromWorker,
    /// Tasks were still running when the time was up. The pool goes on shutting down.
    TimedOut,
    /// This process is a fork, and the pool's threads exist only in its parent.
    /// There is nothing to shut down.
    Forked,
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FromWorker => {
                "a pool cannot be shut down from one of its own workers, which would wait for \
                 itself; do it from another thread, or detach the pool"
            }
            Self::TimedOut => {
                "tasks are still running; wait longer, cancel them by their handles, or detach \
                 the pool"
            }
            Self::Forked => {
                "this process was forked, and the pool's threads exist only in its parent; here it can \
                 only be dropped"
            }
        })
    }
}

impl Error for ShutdownError {}
