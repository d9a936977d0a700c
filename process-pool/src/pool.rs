//! The pool as its owner sees it: how to submit.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use future_result::sync::{Mutex, thread};
use future_result::{Cause, JoinHandle, Shared, TaskError, contain, pair_with_hook};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::{Call, NOT_BY_NAME};
use crate::core::Core;
use crate::job::{Job, Terms, message, panicked};
use crate::system::System;
use crate::{BuildError, Builder, TaskBuilder, codec, report};

/// Worker processes that run what is submitted to them, in the order of submission.
///
/// Every submission returns a [`JoinHandle`]: a future for async code, with every other way to wait if
/// [`FutureResult`](crate::FutureResult) is in scope. A task that panics affects only those who wait for it;
/// one that crashes its process also costs that worker, which is replaced.
///
/// # What a task is
///
/// A plain function, or a closure that captures nothing, and one argument (a tuple for more). The
/// argument and the value travel as bytes, by [serde](https://serde.rs) and
/// postcard. The function itself does not travel: workers are the same executable, started again, and
/// share nothing with this process. Global variables have their first values there, unless an
/// [`initializer`](Builder::initializer) sets them.
///
/// # How tasks end
///
/// | what happens | the handle gets |
/// |---|---|
/// | the function returns | its value |
/// | it panics | [`TaskError::Panicked`], with message and place |
/// | its process exits, aborts, or is killed | [`TaskError::Lost`] with a [`WorkerDied`](crate::WorkerDied) |
/// | argument or value cannot be encoded or decoded | [`TaskError::Codec`] |
/// | it is cancelled, even while it runs | [`TaskError::Cancelled`] |
/// | it takes longer than its time limit | [`TaskError::TimedOut`] |
///
/// A cancelled or late task is really stopped: its worker is killed, and replaced when there is work.
///
/// # Forks
///
/// In a fork of this process the pool refuses everything with
/// [`Rejection::Forked`](crate::Rejection): its workers belong to the parent.
///
/// # Examples
///
/// ```
/// use process_pool::{as_completed, FutureResult, ProcessPoolExecutor};
///
/// let pool = ProcessPoolExecutor::new(2)?;
///
/// let handle = pool.submit(|n: u64| n * 7, 6);
/// assert_eq!(handle.result()?, 42);
///
/// let handles = (1..=3).map(|n: u32| pool.submit(|n| n * n, n));
/// for (index, square) in as_completed(handles) {
///     assert_eq!(square? as usize, (index + 1) * (index + 1));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A closure that captures something cannot travel:
///
/// ```compile_fail,E0308
/// # let pool = process_pool::ProcessPoolExecutor::new(1)?;
/// let factor = 7;
/// pool.submit(|n: u64| n * factor, 6);
/// # Ok::<(), process_pool::BuildError>(())
/// ```
pub struct ProcessPoolExecutor {
    pub(crate) core: Arc<Core>,
    pub(crate) workers: usize,
    /// Its workers run another executable.
    pub(crate) is_elsewhere: bool,
    /// The options of tasks without their own.
    pub(crate) terms: Terms,
    /// Completes when the last worker is gone.
    pub(crate) terminated: Shared<JoinHandle<()>>,
    pub(crate) thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl ProcessPoolExecutor {
    /// A pool with at most this many workers.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if `workers` is 0, or a worker cannot be started.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::new(2)?;
    /// assert_eq!(pool.workers(), 2);
    /// # Ok::<(), process_pool::BuildError>(())
    /// ```
    pub fn new(workers: usize) -> Result<Self, BuildError> {
        Self::builder().workers(workers).build()
    }

    /// For more settings than the number of workers.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// let pool = ProcessPoolExecutor::builder().workers(1).directory("/").build()?;
    /// assert_eq!(pool.submit(|n: u32| n + 1, 1).result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The most workers that there may be.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::new(3)?;
    /// assert_eq!(pool.workers(), 3);
    /// assert_eq!(pool.pids().len(), 1); // The others come when there is work for them.
    /// # Ok::<(), process_pool::BuildError>(())
    /// ```
    #[must_use]
    pub const fn workers(&self) -> usize {
        self.workers
    }

    /// The process ids of the current workers, for monitoring: any of them may be gone
    /// by the time you look.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let own = pool.submit(|()| std::process::id(), ()).result()?;
    /// assert_eq!(pool.pids(), [own]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        if self.core.id.is_inherited() {
            return Vec::new();
        }
        self.core.with(|state, _| state.pids())
    }

    /// Calls `function` with `argument` on a worker, and returns the handle of its result.
    ///
    /// If the pool does not accept the task, or the argument cannot be turned into bytes, the handle says
    /// so. The argument is encoded here and dropped; the function gets the worker's copy.
    ///
    /// Types of your own derive serde's `Serialize` and `Deserialize`. If a function never returns, the compiler
    /// has to be told its type: `let handle: JoinHandle<()> = pool.submit(|()| std::process::abort(), ())`.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor, TaskError};
    ///
    /// fn divide((a, b): (i32, i32)) -> i32 {
    ///     a / b
    /// }
    ///
    /// let pool = ProcessPoolExecutor::new(2)?;
    /// assert_eq!(pool.submit(divide, (6, 2)).result()?, 3);
    /// match pool.submit(divide, (1, 0)).result() {
    ///     Err(TaskError::Panicked(panic)) => assert!(panic.message().contains("divide by zero")),
    ///     other => unreachable!("{other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submit<A, R>(&self, function: fn(A) -> R, argument: A) -> JoinHandle<R>
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.task().submit(function, argument)
    }

    /// Options for one task, which then submit it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let task = pool.task().time_limit(Duration::from_secs(60));
    /// assert_eq!(task.submit(|n: u32| n + 1, 1).result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn task(&self) -> TaskBuilder<'_> {
        TaskBuilder::new(self)
    }

    /// Sends a call with an argument; `decode` reads its result.
    pub(crate) fn send<A, T>(
        &self,
        call: Result<Call, String>,
        argument: A,
        terms: Terms,
        decode: fn(&[u8]) -> Result<T, String>,
    ) -> JoinHandle<T>
    where
        A: Serialize,
        T: Send + 'static,
    {
        let notifier = Arc::clone(&self.core.notifier);
        let (completer, handle) = pair_with_hook(self.core.id, move || notifier.notify_cancel());
        let mut parts = Vec::new();
        let mut encode = |bytes: &mut Vec<u8>| {
            // In a fork, the store is also the parent's.
            if self.core.id.is_inherited() {
                return codec::encode(&argument, bytes);
            }
            parts = codec::encode_with(&argument, bytes, self.core.system.arguments())?;
            Ok(())
        };
        let encoded = match call.and_then(|call| self.admit(call)) {
            Err(text) => Err(TaskError::Codec(Cause::new(text))),
            Ok(call) => match report::catch(|| message(call, &mut encode)) {
                Ok(Ok(message)) => Ok(message),
                Ok(Err(text)) => Err(TaskError::Codec(Cause::new(format!(
                    "the argument could not be written: {text}"
                )))),
                Err(report) => Err(panicked(&report)),
            },
        };
        contain(|| drop(argument));
        match encoded {
            Ok(message) => self
                .core
                .submit(Job::new(message, terms, completer, decode).with_parts(parts)),
            Err(error) => completer.fail(error),
        }
        handle
    }

    /// Rejects a call that the workers could not understand.
    fn admit(&self, call: Call) -> Result<Call, String> {
        if self.is_elsewhere && !call.is_named() {
            return Err(NOT_BY_NAME.to_owned());
        }
        Ok(call)
    }
}

// No user code runs while the pool's own data is half-changed.
impl UnwindSafe for ProcessPoolExecutor {}
impl RefUnwindSafe for ProcessPoolExecutor {}

impl fmt::Debug for ProcessPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ProcessPoolExecutor");
        debug.field("workers", &self.workers);
        if !self.core.id.is_inherited() {
            debug.field("queued", &self.core.with(|state, _| state.queued()));
        }
        debug.finish_non_exhaustive()
    }
}
