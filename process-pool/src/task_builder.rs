//! Options for one task.

use std::fmt;
use std::time::Duration;

use future_result::JoinHandle;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::{ProcessPoolExecutor, codec};

/// Options for one task, from [`ProcessPoolExecutor::task`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use process_pool::{FutureResult, ProcessPoolExecutor};
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// let patient = pool.task().time_limit(Duration::from_secs(60));
/// let handles = [1, 2].map(|n: u32| patient.submit(|n| n * n, n));
/// assert_eq!(handles.map(|it| it.result().ok()), [Some(1), Some(4)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
#[must_use = "nothing is submitted before `submit`"]
pub struct TaskBuilder<'a> {
    pool: &'a ProcessPoolExecutor,
    limit: Option<Duration>,
}

impl<'a> TaskBuilder<'a> {
    pub(crate) const fn new(pool: &'a ProcessPoolExecutor) -> Self {
        Self {
            pool,
            limit: pool.time_limit,
        }
    }

    /// How long the task may run, from the moment at which a worker has it. If it takes longer it ends with
    /// [`TaskError::TimedOut`](crate::TaskError::TimedOut), and its worker is killed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use process_pool::{FutureResult, ProcessPoolExecutor, TaskError};
    ///
    /// fn collatz(mut n: u64) -> u64 {
    ///     let mut steps = 0;
    ///     while n != 1 {
    ///         n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
    ///         steps += 1;
    ///     }
    ///     steps
    /// }
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let task = pool.task().time_limit(Duration::from_millis(50));
    /// let endless = task.submit(collatz, 0);
    /// assert!(matches!(endless.result(), Err(TaskError::TimedOut)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Submits the task; see [`ProcessPoolExecutor::submit`].
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// assert_eq!(pool.task().submit(|n: u32| n + 1, 1).result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submit<A, R>(self, function: fn(A) -> R, argument: A) -> JoinHandle<R>
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        let call = Call::one(function);
        self.pool
            .send(call, argument, self.limit, codec::decode::<R>)
    }
}

impl fmt::Debug for TaskBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("time_limit", &self.limit)
            .finish_non_exhaustive()
    }
}
