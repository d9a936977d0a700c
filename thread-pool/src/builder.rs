//! The settings of a pool, and its start.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use future_result::{FutureResult, PoolId, pair};

use crate::bound::{Bound, WhenFull};
use crate::core::{Core, Hook, Threads};
use crate::sleep::{Sleep, THREADS_MAX};
use crate::{BuildError, ThreadPoolExecutor};

/// How long an idle thread of a pool that can grow stays by default.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Settings for a [`ThreadPoolExecutor`], from [`ThreadPoolExecutor::builder`].
///
/// # Examples
///
/// ```
/// use thread_pool::{TaskError, ThreadPoolExecutor};
///
/// let pool = ThreadPoolExecutor::builder()
///     .workers(2)
///     .name("resize")
///     .stack_size(256 * 1024)
///     .queue_bound(100)
///     .initializer(|index| println!("worker {index} is ready"))
///     .build()?;
/// let name = pool.submit(|| std::thread::current().name().map(str::to_owned));
/// # use thread_pool::FutureResult;
/// assert!(name.result()?.is_some_and(|name| name.starts_with("resize-")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    workers: Option<usize>,
    min_workers: Option<usize>,
    keep_alive: Duration,
    name: String,
    stack_size: Option<usize>,
    queue_bound: Option<usize>,
    when_full: WhenFull,
    initializer: Option<Hook>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            workers: None,
            min_workers: None,
            keep_alive: KEEP_ALIVE,
            name: "thread-pool".to_owned(),
            stack_size: None,
            queue_bound: None,
            when_full: WhenFull::Block,
            initializer: None,
        }
    }

    /// How many threads work. By default one for each CPU that this process may use, as
    /// [`num_cpus::get`] counts them (cgroup limits included). For work that mostly waits, take
    /// more.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::builder().workers(3).build()?;
    /// assert_eq!(pool.workers(), 3);
    /// # Ok::<(), thread_pool::BuildError>(())
    /// ```
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Starts with this many threads, and grows up to [`workers`](Self::workers) of them as work comes
    /// in and nobody is idle. By default all are there from the start.
    ///
    /// A thread beyond this number that has had nothing to do for the time of
    /// [`keep_alive`](Self::keep_alive) leaves again.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::{Arc, Barrier};
    /// use thread_pool::{FutureResult, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::builder().workers(8).min_workers(1).build()?;
    /// // Three jobs that must run at the same time bring up three threads.
    /// let barrier = Arc::new(Barrier::new(3));
    /// let handles = [0; 3].map(|_| {
    ///     let barrier = Arc::clone(&barrier);
    ///     pool.submit(move || barrier.wait().is_leader())
    /// });
    /// let leaders = handles.into_iter().filter_map(|handle| handle.result().ok());
    /// assert_eq!(leaders.filter(|&leader| leader).count(), 1);
    /// # Ok::<(), thread_pool::BuildError>(())
    /// ```
    pub fn min_workers(mut self, threads: usize) -> Self {
        self.min_workers = Some(threads);
        self
    }

    /// How long a thread that is more than [`min_workers`](Self::min_workers), or that stood in for a
    /// blocked one, waits for work before it leaves. By default 10 seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let builder = ThreadPoolExecutor::builder().workers(8).min_workers(1);
    /// let pool = builder.keep_alive(Duration::from_millis(100)).build()?;
    /// # drop(pool);
    /// # Ok::<(), thread_pool::BuildError>(())
    /// ```
    pub fn keep_alive(mut self, limit: Duration) -> Self {
        self.keep_alive = limit;
        self
    }

    /// What the threads are called, followed by `-` and a number. By default `thread-pool`.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{FutureResult, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::builder().workers(1).name("resize").build()?;
    /// let name = pool.submit(|| std::thread::current().name().map(str::to_owned));
    /// assert_eq!(name.result()?.as_deref(), Some("resize-0"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The size of each thread's stack, in bytes. By default that of std, usually 2 MiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{FutureResult, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::builder().workers(1).stack_size(16 << 20).build()?;
    /// let large = pool.submit(|| std::hint::black_box(&[1_u8; 4 << 20]).len());
    /// assert_eq!(large.result()?, 4 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// How many jobs may wait in the queue. By default any number.
    ///
    /// When the queue is full, `submit` and `execute` do what [`when_full`](Self::when_full) says, by
    /// default wait for room, and `try_submit` gives the job back. The pool's own workers are not held back, since they might wait for themselves.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use thread_pool::{Rejection, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::builder().workers(1).queue_bound(1).build()?;
    /// let (go, wait_for_go) = mpsc::channel::<()>();
    /// let running = pool.submit(move || wait_for_go.recv());
    /// let queued = pool.submit(|| ()); // Waits until the first has left the queue.
    /// assert_eq!(pool.try_submit(|| ()).unwrap_err().reason(), Rejection::Full);
    /// drop(go);
    /// # drop((running, queued));
    /// # Ok::<(), thread_pool::BuildError>(())
    /// ```
    pub fn queue_bound(mut self, jobs: usize) -> Self {
        self.queue_bound = Some(jobs);
        self
    }

    /// What `submit` and `execute` do when the queue is at its [bound](Self::queue_bound). By default
    /// they wait for room.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{FutureResult, Rejection, TaskError, ThreadPoolExecutor, WhenFull};
    ///
    /// let builder = ThreadPoolExecutor::builder().workers(1).queue_bound(1);
    /// let pool = builder.when_full(WhenFull::Reject).build()?;
    /// let flood: Vec<_> = (0..10_000).map(|n| pool.submit(move || n)).collect();
    /// let refused = |error: &TaskError| matches!(error, TaskError::Rejected(Rejection::Full));
    /// let errors = flood.into_iter().filter_map(|handle| handle.result().err());
    /// assert!(errors.into_iter().all(|error| refused(&error)));
    /// # Ok::<(), thread_pool::BuildError>(())
    /// ```
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.when_full = policy;
        self
    }

    /// Runs on each worker, with its number from 0 up, before its first job.
    ///
    /// If it panics, the pool is broken: what is queued fails with
    /// [`Rejection::Broken`], and so does every later submission.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let (sender, ready) = mpsc::channel();
    /// let initializer = move |index| sender.send(index).unwrap();
    /// let pool = ThreadPoolExecutor::builder().workers(2).initializer(initializer).build()?;
    /// pool.shutdown()?;
    /// assert_eq!(ready.try_iter().sum::<usize>(), 0 + 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn initializer(mut self, initializer: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.initializer = Some(Box::new(initializer));
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if a setting is out of range, or a thread cannot be started.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{BuildError, FutureResult, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::builder().build()?;
    /// assert_eq!(pool.submit(|| 6 * 7).result()?, 42);
    ///
    /// let error = ThreadPoolExecutor::builder().queue_bound(0).build().unwrap_err();
    /// assert!(matches!(error, BuildError::NoQueue));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build(self) -> Result<ThreadPoolExecutor, BuildError> {
        let workers = self.workers.unwrap_or_else(num_cpus::get);
        let min = self.min_workers.unwrap_or(workers);
        if workers == 0 || min == 0 {
            return Err(BuildError::NoWorkers);
        }
        if min > workers {
            return Err(BuildError::MoreThanMaximum { min, max: workers });
        }
        if workers > THREADS_MAX {
            return Err(BuildError::TooManyWorkers { max: THREADS_MAX });
        }
        if self.queue_bound == Some(0) {
            return Err(BuildError::NoQueue);
        }
        if self.name.contains('\0') {
            return Err(BuildError::InvalidName);
        }
        let id = PoolId::new();
        let bound = self.queue_bound.map(|limit| Bound::new(id, limit, self.when_full));
        let sleep = Sleep::new(min, workers, self.keep_alive);
        let threads = Threads {
            name: self.name,
            stack_size: self.stack_size,
            initializer: self.initializer,
        };
        let (completer, terminated) = pair();
        let core = Arc::new(Core::new(id, bound, sleep, threads, completer));
        let pool = ThreadPoolExecutor {
            core,
            workers,
            terminated: terminated.shared(),
        };
        for index in 0..min {
            if let Err(error) = pool.core.start_worker() {
                pool.core.not_started(min - index - 1);
                return Err(BuildError::Spawn(error));
            }
        }
        Ok(pool)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("min_workers", &self.min_workers)
            .field("keep_alive", &self.keep_alive)
            .field("name", &self.name)
            .field("stack_size", &self.stack_size)
            .field("queue_bound", &self.queue_bound)
            .field("when_full", &self.when_full)
            .field("initializer", &self.initializer.is_some())
            .finish()
    }
}
