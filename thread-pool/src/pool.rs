//! The pool as its owner sees it: submitting, mapping, shutting down.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use future_result::sync::{Mutex, thread};
use future_result::{
    FutureResult, JoinHandle, Map, PoolId, Rejection, Shared, TaskError, contain, pair, run_chunk,
    task_in,
};

use crate::injector::Place;
use crate::job::Job;
use crate::worker::Core;
use crate::{BuildError, Builder, ShutdownError, SubmitError};

/// A fixed number of threads that run what is submitted to them, in the order of submission.
///
/// Every submission gives a [`JoinHandle`]: a future for async code, and with
/// [`FutureResult`] in scope every other way to wait. A task that panics costs nobody but its
/// waiter.
///
/// A task may wait for the handles of tasks that it has submitted to its own pool: a worker that waits
/// for a queued task runs it in place, so that the smallest pool does not deadlock. That holds for
/// the calls that wait ([`FutureResult::result`], [`as_completed`](crate::as_completed), …), not for
/// an async executor that a task runs, which may starve if it awaits its own pool's last worker.
///
/// Dropping the pool drains it: what was submitted is run to its end first. See
/// [`shutdown`](Self::shutdown) for the other ways. Dropped by one of its own workers, it drains
/// without being waited for.
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
    core: Arc<Core>,
    /// Emptied by whoever joins them.
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    workers: usize,
    /// Done when the last worker has left.
    terminated: Shared<JoinHandle<()>>,
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

    /// More settings than the number of workers.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn start(
        core: Arc<Core>,
        threads: Vec<thread::JoinHandle<()>>,
        terminated: Shared<JoinHandle<()>>,
    ) -> Self {
        Self {
            core,
            workers: threads.len(),
            threads: Mutex::new(threads),
            terminated,
        }
    }

    /// Runs `job` on a worker, and gives the handle of its result.
    ///
    /// Waits for room if the queue has a bound and is full. If the pool does not accept the job,
    /// the handle says so with [`TaskError::Rejected`].
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{FutureResult, TaskError, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let divided = pool.submit(|| 1 / "0".parse::<i32>().unwrap());
    /// match divided.result() {
    ///     Err(TaskError::Panicked(panic)) => assert!(panic.message().contains("divide by zero")),
    ///     other => unreachable!("{other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submit<F, T>(&self, job: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.core.injector.is_bounded() {
            return match self.core.injector.reserve() {
                Ok(place) => self.fill(place, job),
                Err(reason) => {
                    contain(|| drop(job));
                    let (completer, handle) = pair();
                    completer.fail(TaskError::Rejected(reason));
                    handle
                }
            };
        }
        let (task, handle) = task_in(self.core.id, job);
        if let Err((job, reason)) = self.core.injector.push(Job::Task(task)) {
            job.fail(TaskError::Rejected(reason));
        }
        handle
    }

    /// Makes a task of `job`, and puts it into its place.
    fn fill<F, T>(&self, place: Place<'_>, job: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        place.fill(&self.core, |permit| {
            let (task, handle) = task_in(self.core.id, move || {
                drop(permit);
                job()
            });
            (Job::Task(task), handle)
        })
    }

    /// As [`submit`](Self::submit), but never waits: gives the job back instead.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] with the job, if the queue is full or the pool is shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use thread_pool::{FutureResult, Rejection, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::builder().workers(1).queue_bound(1).build()?;
    /// let (started, wait_for_start) = mpsc::channel();
    /// let (go, wait_for_go) = mpsc::channel::<()>();
    /// let running = pool.submit(move || {
    ///     started.send(()).unwrap();
    ///     wait_for_go.recv().is_err()
    /// });
    /// wait_for_start.recv()?;
    /// let queued = pool.try_submit(|| 1)?;
    /// let refused = pool.try_submit(|| 2).unwrap_err();
    /// assert_eq!(refused.reason(), Rejection::Full);
    /// drop(go);
    /// assert_eq!(queued.result()? + refused.into_job()(), 3);
    /// # drop(running);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_submit<F, T>(&self, job: F) -> Result<JoinHandle<T>, SubmitError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.core.injector.try_reserve() {
            Ok(place) => Ok(self.fill(place, job)),
            Err(reason) => Err(SubmitError::new(job, reason)),
        }
    }

    /// Runs `job` on a worker, and tells nobody of its end: cheaper than a submission whose handle
    /// is dropped. A panic is reported by the panic hook and otherwise ignored; a cancelling shutdown
    /// drops what has not started.
    ///
    /// Waits for room if the queue has a bound and is full.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] with the job, if the pool is shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let (sender, receiver) = mpsc::channel();
    /// pool.execute(move || sender.send("done").unwrap())?;
    /// assert_eq!(receiver.recv()?, "done");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn execute<F>(&self, job: F) -> Result<(), SubmitError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        match self.core.injector.reserve() {
            Ok(place) => {
                place.fill(&self.core, |permit| {
                    let closure = move || {
                        drop(permit);
                        job();
                    };
                    (Job::Closure(Box::new(closure)), ())
                });
                Ok(())
            }
            Err(reason) => Err(SubmitError::new(job, reason)),
        }
    }

    /// Applies `function` to every item of `input` on the workers, lazily, and yields the results
    /// in the order of the input.
    ///
    /// Pulls the input only [`buffer_size`](Map::buffer_size) tasks ahead, 8 for each worker unless
    /// set otherwise. See [`Map`] for chunks, for results in the order of completion, and for
    /// time-outs.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let lengths = pool.map(|word: &str| word.len(), ["one", "three"]);
    /// assert_eq!(lengths.collect::<Result<Vec<_>, _>>()?, [3, 5]);
    ///
    /// // An endless input is no problem, and tiny items can share a task.
    /// let evens = pool.map(|n| n * 2, 0_u64..).chunk_size(64).take(1000);
    /// assert_eq!(evens.last().unwrap()?, 1998);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(
        clippy::type_complexity,
        reason = "an alias cannot hold the closure's opaque type"
    )]
    pub fn map<F, I, R>(
        &self,
        function: F,
        input: I,
    ) -> Map<
        I::IntoIter,
        impl FnMut(Vec<I::Item>) -> JoinHandle<Vec<Result<R, TaskError>>>,
        JoinHandle<Vec<Result<R, TaskError>>>,
        R,
    >
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        R: Send + 'static,
    {
        let function = Arc::new(function);
        let submit = move |items| {
            let function = Arc::clone(&function);
            self.submit(move || run_chunk(&*function, items))
        };
        Map::new(input, submit, 8 * self.workers)
    }

    /// How many workers there are.
    #[must_use]
    pub const fn workers(&self) -> usize {
        self.workers
    }

    /// Accepts nothing more, and waits until everything that was submitted has run.
    ///
    /// Calling it again, or from several threads, does no harm.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::FromWorker`] if one of the pool's own workers calls it.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{FutureResult, TaskError, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let last = pool.submit(|| "still runs");
    /// pool.shutdown()?;
    /// assert!(last.is_done());
    /// assert!(matches!(pool.submit(|| ()).result(), Err(TaskError::Rejected(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(&self) -> Result<(), ShutdownError> {
        self.close()?;
        self.terminated.clone().wait();
        self.join_threads();
        Ok(())
    }

    /// As [`shutdown`](Self::shutdown), but cancels what has not started. What is running runs to
    /// its end.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::FromWorker`] if one of the pool's own workers calls it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use thread_pool::{FutureResult, TaskError, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let (started, wait_for_start) = mpsc::channel();
    /// let (go, wait_for_go) = mpsc::channel::<()>();
    /// let running = pool.submit(move || {
    ///     started.send(()).unwrap();
    ///     wait_for_go.recv().is_err()
    /// });
    /// wait_for_start.recv()?;
    /// let mut queued = pool.submit(|| unreachable!());
    /// queued.on_done(move |_| drop(go));
    /// pool.shutdown_now()?;
    /// assert!(running.result()?);
    /// assert!(matches!(queued.result(), Err(TaskError::Cancelled)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown_now(&self) -> Result<(), ShutdownError> {
        self.close()?;
        self.core.injector.fail_queued(&TaskError::Cancelled);
        self.shutdown()
    }

    /// As [`shutdown`](Self::shutdown), but waits at most `limit`.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::TimedOut`] if work is left then; it goes on, and the pool may be waited for
    /// again, or [detached](Self::detach). [`ShutdownError::FromWorker`] if one of the pool's own
    /// workers calls it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    /// use thread_pool::{ShutdownError, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let (go, wait_for_go) = mpsc::channel::<()>();
    /// let running = pool.submit(move || wait_for_go.recv().is_err());
    /// assert_eq!(pool.shutdown_timeout(Duration::ZERO), Err(ShutdownError::TimedOut));
    /// drop(go);
    /// assert_eq!(pool.shutdown_timeout(Duration::MAX), Ok(()));
    /// # drop(running);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown_timeout(&self, limit: Duration) -> Result<(), ShutdownError> {
        self.close()?;
        if !self.terminated.clone().wait_timeout(limit) {
            return Err(ShutdownError::TimedOut);
        }
        self.join_threads();
        Ok(())
    }

    /// Accepts nothing more, and lets the workers finish without waiting for them.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{FutureResult, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let handle = pool.submit(|| "runs all the same");
    /// pool.detach();
    /// assert_eq!(handle.result()?, "runs all the same");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn detach(self) {
        self.core.injector.close(Rejection::ShutDown);
        self.threads.lock().clear();
        // What is left for `drop` to do is what was done here.
    }

    fn close(&self) -> Result<(), ShutdownError> {
        if PoolId::current() == Some(self.core.id) {
            return Err(ShutdownError::FromWorker);
        }
        self.core.injector.close(Rejection::ShutDown);
        Ok(())
    }

    fn join_threads(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // The last owner may be a thread-local of a worker that has already left the pool.
            if !thread::is_current(&thread) {
                // A worker catches every panic; there is nothing to report.
                let _ = thread.join();
            }
        }
    }
}

impl Drop for ThreadPoolExecutor {
    fn drop(&mut self) {
        self.core.injector.close(Rejection::ShutDown);
        // Detached or already shut down if there are no threads; from one of its own workers the
        // wait would never end.
        let detached = self.threads.lock().is_empty();
        if !detached && self.shutdown().is_err() {
            self.threads.lock().clear();
        }
    }
}

impl fmt::Debug for ThreadPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolExecutor")
            .field("workers", &self.workers)
            .field("queued", &self.core.injector.len())
            .finish_non_exhaustive()
    }
}
