//! The pool as its owner sees it: submitting, mapping, shutting down.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use future_result::{JoinHandle, Shared};

use crate::core::Core;
use crate::{BuildError, Builder};

/// Threads that run what is submitted to them. What comes from outside starts in the order of submission,
/// and so does what one task submits; a worker takes what its own tasks submitted first, 60 times out
/// of 61.
///
/// Every submission returns a [`JoinHandle`]: a future for async code, with every other way to wait if
/// [`FutureResult`](crate::FutureResult) is in scope. A task that panics affects only those who wait
/// for it.
///
/// A task may wait for the handles of tasks that it submitted to its own pool: a worker that waits
/// for a queued task runs it in place, so even the smallest pool does not deadlock. That holds for
/// the calls that wait ([`result`](crate::FutureResult::result),
/// [`as_completed`](crate::as_completed), …), not for an async executor that a task runs, which may
/// starve if it awaits its own pool's last worker.
///
/// Dropping the pool drains it: what was submitted is finished first. See
/// [`shutdown`](Self::shutdown) for other ways. Dropped by one of its own workers, it drains
/// without being waited for.
///
/// # Forks
///
/// A forked process has none of its parent's threads but the one that called `fork`. So
/// a pool that was made before refuses everything there with [`Rejection::Forked`](crate::Rejection),
/// a wait for one of its tasks ends with [`TaskError::Lost`](crate::TaskError), shutting it down is an
/// error, and dropping it does nothing. Pools that the child makes work as usual.
///
/// That works for the C library's `fork` on Unix. It does not solve the other problems of forking a
/// program with threads: what they had locked stays locked.
/// A task that forks must not return in the child, where its worker would go on; let the child
/// reach `exec` or `_exit`.
///
/// # Examples
///
/// ```
/// use thread_pool::{as_completed, FutureResult, ThreadPoolExecutor};
///
/// let pool = ThreadPoolExecutor::new(4)?;
///
/// let handle = pool.submit(|| 6 * 7);
/// assert_eq!(handle.result()?, 42);
///
/// let handles = (1..=3).map(|n| pool.submit(move || n * n));
/// for (index, square) in as_completed(handles) {
///     println!("number {index} is {}", square?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ThreadPoolExecutor {
    pub(crate) core: Arc<Core>,
    pub(crate) workers: usize,
    /// Done when the last worker has left.
    pub(crate) terminated: Shared<JoinHandle<()>>,
}

impl ThreadPoolExecutor {
    /// Starts a pool with this many workers.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if `workers` is 0, or a thread cannot be started.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// assert_eq!(pool.workers(), 2);
    /// # Ok::<(), thread_pool::BuildError>(())
    /// ```
    pub fn new(workers: usize) -> Result<Self, BuildError> {
        Self::builder().workers(workers).build()
    }

    /// For more settings than the number of workers.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The number of workers, or for a pool that grows, the most that there may be.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// assert_eq!(ThreadPoolExecutor::new(3)?.workers(), 3);
    /// # Ok::<(), thread_pool::BuildError>(())
    /// ```
    #[must_use]
    pub const fn workers(&self) -> usize {
        self.workers
    }
}

// No user code runs while the pool's own data is half-changed.
impl UnwindSafe for ThreadPoolExecutor {}
impl RefUnwindSafe for ThreadPoolExecutor {}

impl fmt::Debug for ThreadPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queued = if self.core.is_forked() {
            0
        } else {
            self.core.queued()
        };
        f.debug_struct("ThreadPoolExecutor")
            .field("workers", &self.workers)
            .field("queued", &queued)
            .finish_non_exhaustive()
    }
}
