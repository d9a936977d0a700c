//! The settings of a pool.

pub(crate) mod start;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::affinity::Affinity;
use crate::call::Call;
use crate::child::Plan;
use crate::protocol::Conduct;
use crate::{codec, report};

/// How long a worker that need not stay is idle before it leaves, by default.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Settings for a [`ProcessPoolExecutor`](crate::ProcessPoolExecutor), from
/// [`ProcessPoolExecutor::builder`](crate::ProcessPoolExecutor::builder).
///
/// # Examples
///
/// ```
/// use process_pool::{FutureResult, ProcessPoolExecutor};
///
/// let pool = ProcessPoolExecutor::builder()
///     .workers(2)
///     .environment("LANG", "C")
///     .max_tasks_per_worker(1000)
///     .build()?;
/// let language = pool.submit(|()| std::env::var("LANG").ok(), ());
/// assert_eq!(language.result()?.as_deref(), Some("C"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    workers: Option<usize>,
    min_workers: Option<usize>,
    keep_alive: Duration,
    conduct: Conduct,
    initializer: Option<Result<Vec<u8>, String>>,
    preload: Option<Result<Vec<u8>, String>>,
    max_tasks: Option<u64>,
    time_limit: Option<Duration>,
    prefetch: Option<usize>,
    pub(crate) affinity: Affinity,
    pub(crate) plan: Plan,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            workers: None,
            min_workers: None,
            keep_alive: KEEP_ALIVE,
            conduct: Conduct::default(),
            initializer: None,
            preload: None,
            max_tasks: None,
            time_limit: None,
            prefetch: None,
            affinity: Affinity::default(),
            plan: Plan::default(),
        }
    }

    /// The most worker processes that there may be. By default one for each CPU that this process may
    /// use, as [`num_cpus::get`] counts them (cgroup limits included).
    ///
    /// The first starts when the pool is built, the others when there is work for them.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::builder().workers(3).build()?;
    /// assert_eq!(pool.workers(), 3);
    /// # Ok::<(), process_pool::BuildError>(())
    /// ```
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How many workers stay even if there is nothing to do. The others leave when they have been idle for
    /// the time of [`keep_alive`](Self::keep_alive), and are started again when there is work. By default
    /// every worker stays once it has started; with 0 all may leave.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// let builder = ProcessPoolExecutor::builder().workers(2).min_workers(0);
    /// let pool = builder.keep_alive(Duration::from_millis(10)).build()?;
    /// assert_eq!(pool.submit(|n: u32| n + 1, 1).result()?, 2);
    /// while !pool.pids().is_empty() {
    ///     std::thread::yield_now();
    /// }
    /// assert_eq!(pool.submit(|n: u32| n + 1, 2).result()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn min_workers(mut self, workers: usize) -> Self {
        self.min_workers = Some(workers);
        self
    }

    /// How long a worker beyond [`min_workers`](Self::min_workers) is idle before it leaves. By
    /// default 10 seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use process_pool::ProcessPoolExecutor;
    ///
    /// let builder = ProcessPoolExecutor::builder().workers(8).min_workers(1);
    /// let pool = builder.keep_alive(Duration::from_secs(60)).build()?;
    /// assert_eq!(pool.workers(), 8);
    /// # Ok::<(), process_pool::BuildError>(())
    /// ```
    pub fn keep_alive(mut self, limit: Duration) -> Self {
        self.keep_alive = limit;
        self
    }

    /// Calls this function with this argument in each worker, before its first task.
    ///
    /// If it panics, or the worker dies in it, another worker is tried after a pause. If several in a row
    /// fail and no other worker is up, the pool is broken: what is queued fails with
    /// [`Rejection::Broken`](crate::Rejection::Broken), and so does every later submission. The death of a worker
    /// that has begun a task never counts as such a failure; nor does that of an idle one.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::OnceLock;
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// static GREETING: OnceLock<String> = OnceLock::new();
    ///
    /// fn set_up(greeting: String) {
    ///     let _ = GREETING.set(greeting);
    /// }
    ///
    /// fn greet(name: String) -> Option<String> {
    ///     Some(format!("{}, {name}!", GREETING.get()?))
    /// }
    ///
    /// let builder = ProcessPoolExecutor::builder().workers(1);
    /// let pool = builder.initializer(set_up, "Hello".to_owned()).build()?;
    /// let greeting = pool.submit(greet, "world".to_owned());
    /// assert_eq!(greeting.result()?.as_deref(), Some("Hello, world!"));
    /// assert_eq!(GREETING.get(), None); // Here it was never called.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn initializer<A>(self, function: fn(A), argument: A) -> Self
    where
        A: Serialize + DeserializeOwned + 'static,
    {
        let call = Call::one(function).map_err(|error| error.to_string());
        self.initialize_by(call, argument)
    }

    /// Sets this call as the initializer.
    pub(crate) fn initialize_by<A: Serialize>(
        mut self,
        call: Result<Call, String>,
        argument: A,
    ) -> Self {
        self.initializer = Some(call.and_then(|call| with_argument(call, &argument)));
        self
    }

    /// Calls this function with this argument once, in a process from which all workers are then forked. What it
    /// has set up is there in each of them, and starting one costs little: for large tables, parsed files,
    /// warm caches.
    ///
    /// [`build`](Self::build) waits until it returns. It must leave no thread behind, and no writable shared
    /// memory; otherwise `build` fails with [`BuildError::Preload`](crate::BuildError::Preload). Start threads in the
    /// [`initializer`](Self::initializer) instead, which still runs in each worker. If the process dies later, workers
    /// live on, and for the next one to be forked the function is called again, in a new process.
    ///
    /// Whatever the function leaves is the same in all workers: open files share one position, random
    /// generators yield the same numbers. Handlers for forks (`pthread_atfork`) are not called. So set up what must
    /// differ, such as seeds, in the initializer. The function's memory is shared until it is written
    /// to, but counts as every worker's own for [`max_rss`](Self::max_rss) and [`memory_limit`](Self::memory_limit),
    /// which do not apply to the process itself. Memory addresses are the same in all workers, since they were
    /// randomised only once, for that process.
    ///
    /// A spare worker is forked ahead of time, and takes the place of the next one that ends. Until then it runs
    /// nothing, not even the initializer, and is not among the [`pids`](crate::ProcessPoolExecutor::pids).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::sync::OnceLock;
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// static SQUARES: OnceLock<HashMap<u64, u64>> = OnceLock::new();
    ///
    /// fn load(count: u64) {
    ///     SQUARES.get_or_init(|| (0..count).map(|n| (n, n * n)).collect());
    /// }
    ///
    /// let pool = ProcessPoolExecutor::builder().workers(2).preload(load, 100_000).build()?;
    /// let square = pool.submit(|n: u64| SQUARES.get()?.get(&n).copied(), 300);
    /// assert_eq!(square.result()?, Some(90_000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn preload<A>(self, function: fn(A), argument: A) -> Self
    where
        A: Serialize + DeserializeOwned + 'static,
    {
        let call = Call::one(function).map_err(|error| error.to_string());
        self.preload_by(call, argument)
    }

    /// Sets this call as the function to preload.
    pub(crate) fn preload_by<A: Serialize>(
        mut self,
        call: Result<Call, String>,
        argument: A,
    ) -> Self {
        self.preload = Some(call.and_then(|call| with_argument(call, &argument)));
        self
    }

    /// Replaces a worker after it has run this many tasks: against leaks in code that you cannot fix. By
    /// default a worker runs any number.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// let builder = ProcessPoolExecutor::builder().workers(1);
    /// let pool = builder.max_tasks_per_worker(1).build()?;
    /// let pid = |()| std::process::id();
    /// assert_ne!(pool.submit(pid, ()).result()?, pool.submit(pid, ()).result()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_tasks_per_worker(mut self, tasks: u64) -> Self {
        self.max_tasks = Some(tasks);
        self
    }

    /// Replaces a worker that has more than this many bytes of resident memory after a task: against leaks that
    /// do not depend on the number of [tasks](Self::max_tasks_per_worker). By default there is no limit.
    ///
    /// Workers check at most every two milliseconds, and may have been sent more tasks by then, so one may run a few
    /// more. No task is lost, and what a task frees before it returns does not count: see
    /// [`memory_limit`](Self::memory_limit) for that.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// fn leak(bytes: usize) -> u32 {
    ///     std::mem::forget(vec![1_u8; bytes]);
    ///     std::process::id()
    /// }
    ///
    /// let pool = ProcessPoolExecutor::builder().workers(1).max_rss(200 << 20).build()?;
    /// let leaky = pool.submit(leak, 300 << 20).result()?;
    /// assert_ne!(pool.submit(leak, 0).result()?, leaky);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_rss(mut self, bytes: u64) -> Self {
        self.conduct.max_rss = Some(bytes);
        self
    }

    /// Limits each worker to this many bytes of memory. In a task that needs more, an allocation
    /// fails, which ends the worker, and the task with a [`WorkerDied`](crate::WorkerDied). By default there is
    /// no limit but the system's.
    ///
    /// All allocated memory counts, whether it was ever touched or not: heap, stacks of threads, private
    /// mappings (`RLIMIT_DATA`). The limit also holds in the [initializer](Self::initializer), and separately for
    /// each program that a task starts. A worker needs a few MiB before it has a task: with too
    /// low a limit none ever starts, and the pool is [broken](crate::Rejection::Broken).
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor, WorkerDied};
    ///
    /// let allocate = |bytes: usize| vec![1_u8; bytes].len();
    ///
    /// let pool = ProcessPoolExecutor::builder().workers(1).memory_limit(256 << 20).build()?;
    /// let error = pool.submit(allocate, 512 << 20).result().unwrap_err();
    /// let died = WorkerDied::of(&error).ok_or("another error")?;
    /// assert!(died.stderr().contains("memory allocation of 536870912 bytes failed"));
    /// assert_eq!(pool.submit(allocate, 64 << 20).result()?, 64 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.conduct.memory_limit = Some(bytes);
        self
    }

    /// Adds this to the niceness of the workers, and of what they start: the higher, the less of a busy CPU
    /// they get. The most is 19; a negative number needs a privilege, without which no worker
    /// starts, and the pool is [broken](crate::Rejection::Broken).
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// let pool = ProcessPoolExecutor::builder().nice(10).build()?;
    /// assert_eq!(pool.submit(|n: u32| n + 1, 1).result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn nice(mut self, more: i32) -> Self {
        self.conduct.nice = more;
        self
    }

    /// How long each task may run. One that takes longer ends with
    /// [`TaskError::TimedOut`](crate::TaskError::TimedOut): its worker is killed. By default there is
    /// no limit; see [`TaskBuilder::time_limit`](crate::TaskBuilder::time_limit) for single tasks.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor, TaskError};
    ///
    /// let builder = ProcessPoolExecutor::builder().workers(1);
    /// let pool = builder.time_limit(Duration::from_millis(50)).build()?;
    /// let endless: JoinHandle<()> = pool.submit(|()| loop { std::hint::spin_loop() }, ());
    /// assert!(matches!(endless.result(), Err(TaskError::TimedOut)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// How many unanswered tasks a worker may have: the one that it runs, and those that wait
    /// in its pipe, so that it need not wait for this process between two tasks. 0 counts as 1, where
    /// each task goes to the first worker that is free.
    ///
    /// By default it follows the time that tasks take: one at a time if they take ten milliseconds or longer,
    /// otherwise two, or as many as take two milliseconds together, but at most 128.
    ///
    /// Whatever is set here, tasks that wait behind a slow one are taken back: after 100 µs if another worker is idle,
    /// after a millisecond if one can be started. While all workers are busy, they go to the next free one once
    /// the slow task takes twice as long as others do, but at least one millisecond and at most 20.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::builder().workers(2).prefetch(1).build()?;
    /// let sum: u64 = pool.map(|n: u64| n, 0..100).filter_map(Result::ok).sum();
    /// assert_eq!(sum, 4950);
    /// # Ok::<(), process_pool::BuildError>(())
    /// ```
    pub fn prefetch(mut self, tasks: usize) -> Self {
        self.prefetch = Some(tasks);
        self
    }

    /// Sets an environment variable of the workers, which otherwise have this process's environment.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// let builder = ProcessPoolExecutor::builder().workers(1);
    /// let pool = builder.environment("OMP_NUM_THREADS", "1").build()?;
    /// let variable = pool.submit(|name: String| std::env::var(name).ok(), "OMP_NUM_THREADS".to_owned());
    /// assert_eq!(variable.result()?.as_deref(), Some("1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn environment(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.plan.environment.push((name.into(), value.into()));
        self
    }

    /// The working directory of the workers. By default that of this process when they start.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// let pool = ProcessPoolExecutor::builder().workers(1).directory("/").build()?;
    /// let place = pool.submit(|()| std::env::current_dir().ok(), ());
    /// assert_eq!(place.result()?, Some("/".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.plan.directory = Some(path.into());
        self
    }
}

/// A call and its argument, as in a task.
fn with_argument<A: Serialize>(call: Call, argument: &A) -> Result<Vec<u8>, String> {
    let mut bytes = call.to_bytes().to_vec();
    match report::catch(|| codec::encode(argument, &mut bytes)) {
        Ok(encoded) => encoded.map(|()| bytes),
        Err(panic) => Err(panic.message),
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("min_workers", &self.min_workers)
            .field("keep_alive", &self.keep_alive)
            .field("conduct", &self.conduct)
            .field("initializer", &self.initializer.is_some())
            .field("preload", &self.preload.is_some())
            .field("max_tasks_per_worker", &self.max_tasks)
            .field("time_limit", &self.time_limit)
            .field("prefetch", &self.prefetch)
            .field("affinity", &self.affinity)
            .field("environment", &self.plan.environment)
            .field("directory", &self.plan.directory)
            .field("worker_executable", &self.plan.executable)
            .finish()
    }
}
