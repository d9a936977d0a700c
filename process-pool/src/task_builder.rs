//! Options for one task.

use std::fmt;
use std::time::Duration;

use future_result::JoinHandle;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::job::Terms;
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
    terms: Terms,
}

impl<'a> TaskBuilder<'a> {
    pub(crate) const fn new(pool: &'a ProcessPoolExecutor) -> Self {
        Self {
            pool,
            terms: pool.terms,
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
        self.terms.limit = Some(limit);
        self
    }

    /// How often the task is tried again if its worker [dies](crate::WorkerDied). By default not at all: a task
    /// that has begun may already have done something. Only for tasks that may safely run twice.
    ///
    /// It is queued again after a [pause](Self::retry_pause). Meanwhile it can be cancelled, and a pool that
    /// is shut down waits for it; [`shutdown_now`](ProcessPoolExecutor::shutdown_now) and
    /// [`kill`](ProcessPoolExecutor::kill) do not. The handle gets the outcome of the last attempt, and
    /// [`WorkerDied::attempts`](crate::WorkerDied::attempts) says how many there were. A task that panics is
    /// not tried again, nor is one that exceeds its [time limit](Self::time_limit), which applies to each
    /// attempt.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor, WorkerDied};
    ///
    /// /// Crashes whenever there is no file with this name, and makes it.
    /// fn crash_once(file: String) -> bool {
    ///     if std::fs::exists(&file).is_ok_and(|is_there| !is_there) {
    ///         let _ = std::fs::write(&file, "");
    ///         std::process::abort();
    ///     }
    ///     std::fs::remove_file(file).is_ok()
    /// }
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let task = pool.task().retries(2).retry_pause(Duration::from_millis(1));
    /// let name = format!("crash-once-{}", std::process::id());
    /// let file = std::env::temp_dir().join(name).display().to_string();
    /// assert!(task.submit(crash_once, file).result()?);
    ///
    /// let lost: JoinHandle<()> = task.submit(|()| std::process::exit(1), ());
    /// let error = lost.result().unwrap_err();
    /// assert_eq!(WorkerDied::of(&error).map(WorkerDied::attempts), Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn retries(mut self, times: u32) -> Self {
        self.terms.retries.left = times;
        self
    }

    /// How long to wait before the first of the [`retries`](Self::retries): 100 ms by default. Each later
    /// pause is twice as long, up to 10 seconds (or this one, if that is longer). Each is shortened
    /// at random, by up to a half, so that tasks that failed together are not retried together.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let stubborn = pool.task().retries(10).retry_pause(Duration::from_secs(1));
    /// assert_eq!(stubborn.submit(|n: u32| n + 1, 1).result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn retry_pause(mut self, first: Duration) -> Self {
        self.terms.retries.pause = first;
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
        let call = Call::one(function).map_err(|error| error.to_string());
        self.send(call, argument)
    }

    /// Sends the call with these options.
    pub(crate) fn send<A, R>(self, call: Result<Call, String>, argument: A) -> JoinHandle<R>
    where
        A: Serialize,
        R: DeserializeOwned + Send + 'static,
    {
        self.pool
            .send(call, argument, self.terms, codec::decode::<R>)
    }
}

impl fmt::Debug for TaskBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("time_limit", &self.terms.limit)
            .field("retries", &self.terms.retries)
            .finish_non_exhaustive()
    }
}
