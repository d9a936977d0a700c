//! The settings of a pool, and its start.

use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use future_result::{FutureResult, PoolId, pair};

use crate::bound::{Bound, WhenFull};
use crate::core::{Core, Hook, Threads};
use crate::sleep::{Sleep, THREADS_MAX};
use crate::worker_state::Factory;
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
    make_state: Option<Factory>,
    exit_hook: Option<Hook>,
    measures_delays: bool,
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
            make_state: None,
            exit_hook: None,
            measures_delays: false,
        }
    }

    /// The number of threads. By default one for each CPU that this process may use, as
    /// [`num_cpus::get`] counts them (cgroup limits included). For work that mostly waits, use
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
    /// A thread beyond this number leaves again when it has had nothing to do for the time of
    /// [`keep_alive`](Self::keep_alive).
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

    /// How long a thread beyond [`min_workers`](Self::min_workers), or one that stood in for a
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

    /// The name of the threads, followed by `-` and a number. By default `thread-pool`.
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
    /// When the queue is full, `submit` and `execute` do what [`when_full`](Self::when_full) says (by
    /// default they wait for room), and `try_submit` gives the job back. The pool's own workers are not
    /// held back, since they might wait for themselves.
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
    /// [`Rejection::Broken`](crate::Rejection::Broken), and so does every later submission.
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

    /// Has each worker make a state for its tasks, such as a connection, a buffer or a random number
    /// generator, which they reach by [`with_worker_state`](crate::with_worker_state). `make` gets the
    /// worker's number, from 0 up. The state need not be `Send`.
    ///
    /// It is made after the [`initializer`](Self::initializer) has run, and dropped on the worker when that
    /// leaves. If making it panics, the pool is broken, as with an initializer that panics; if dropping
    /// it panics, the panic hook reports that. If making it may fail, use
    /// [`try_worker_state`](Self::try_worker_state).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::cell::Cell;
    /// use thread_pool::{with_worker_state, FutureResult, ThreadPoolExecutor};
    ///
    /// let builder = ThreadPoolExecutor::builder().workers(1);
    /// let pool = builder.worker_state(|_index| Cell::new(0_u32)).build()?;
    /// let count = || with_worker_state(|calls: &Cell<u32>| calls.replace(calls.get() + 1));
    /// assert_eq!(pool.submit(count).result()?, Some(0));
    /// assert_eq!(pool.submit(count).result()?, Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn worker_state<S: 'static>(
        mut self,
        make: impl Fn(usize) -> S + Send + Sync + 'static,
    ) -> Self {
        self.make_state = Some(Factory {
            make: Box::new(move |index| Ok(Rc::new(make(index)))),
            may_fail: false,
        });
        self
    }

    /// Like [`worker_state`](Self::worker_state), for a state that cannot always be made. The last call
    /// to either of the two counts.
    ///
    /// [`build`](Self::build) waits until each of the first workers has its state, and fails with
    /// [`BuildError::State`] if one cannot make it. A worker that is started later,
    /// because the pool [grows](Self::min_workers) or another is [blocked](crate::blocking()), then leaves
    /// without having run a task, as if the system had not started it: the work waits for the
    /// other workers, and the next task that finds nobody free starts another. The
    /// error is dropped; `make` may log it. So no task ever runs without the state.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::File;
    /// use thread_pool::{with_worker_state, BuildError, FutureResult, ThreadPoolExecutor};
    ///
    /// let builder = ThreadPoolExecutor::builder().workers(2);
    /// let pool = builder.try_worker_state(|_index| File::open("Cargo.toml")).build()?;
    /// let size = || with_worker_state(|file: &File| file.metadata().map(|data| data.len()));
    /// assert!(matches!(pool.submit(size).result()?, Some(Ok(1..))));
    ///
    /// let builder = ThreadPoolExecutor::builder().workers(2);
    /// let error = builder.try_worker_state(|_index| File::open("nowhere")).build().unwrap_err();
    /// assert!(matches!(error, BuildError::State(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_worker_state<S: 'static, E: Into<Box<dyn Error + Send + Sync>>>(
        mut self,
        make: impl Fn(usize) -> Result<S, E> + Send + Sync + 'static,
    ) -> Self {
        self.make_state = Some(Factory {
            make: Box::new(move |index| Ok(Rc::new(make(index).map_err(Into::into)?))),
            may_fail: true,
        });
        self
    }

    /// Runs on each worker before it leaves, with its number, after its last job and after its
    /// [state](Self::worker_state) was dropped: when the pool shuts down, or when the worker was idle
    /// for the time of [`keep_alive`](Self::keep_alive).
    ///
    /// A shutdown that waits returns after all these hooks. If a hook panics, the panic hook
    /// reports that, and nothing else happens. It also runs where the [`initializer`](Self::initializer)
    /// panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let (sender, left) = mpsc::channel();
    /// let exit_hook = move |index| sender.send(index).unwrap();
    /// let pool = ThreadPoolExecutor::builder().workers(2).exit_hook(exit_hook).build()?;
    /// pool.shutdown()?;
    /// assert_eq!(left.try_iter().sum::<usize>(), 0 + 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn exit_hook(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.exit_hook = Some(Box::new(hook));
        self
    }

    /// Whether the pool measures how long jobs are queued, for
    /// [`Metrics::delays`](crate::Metrics::delays). By default it does not, since that reads the clock
    /// twice for each job, at about 25 ns each. Tasks of a scope are not measured.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{FutureResult, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::builder().measure_delays(true).build()?;
    /// pool.submit(|| ()).result()?;
    /// assert_eq!(pool.metrics().delays.count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn measure_delays(mut self, measure: bool) -> Self {
        self.measures_delays = measure;
        self
    }

    /// Starts the workers, without waiting for them, unless they
    /// [may fail to make their state](Self::try_worker_state).
    ///
    /// # Errors
    ///
    /// [`BuildError`] if a setting is out of range, a thread cannot be started, or a worker cannot
    /// make its state.
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
        let bound = self
            .queue_bound
            .map(|limit| Bound::new(id, limit, self.when_full));
        let sleep = Sleep::new(min, workers, self.keep_alive);
        let threads = Threads {
            name: self.name,
            stack_size: self.stack_size,
            initializer: self.initializer,
            make_state: self.make_state,
            exit_hook: self.exit_hook,
            measures_delays: self.measures_delays,
        };
        let may_fail = |factory: &Factory| factory.may_fail;
        let waits = threads.make_state.as_ref().is_some_and(may_fail);
        let (completer, terminated) = pair();
        let core = Arc::new(Core::new(id, bound, sleep, threads, completer));
        let pool = ThreadPoolExecutor {
            core,
            workers,
            terminated: terminated.shared(),
        };
        let mut beginnings = Vec::new();
        for index in 0..min {
            let (begun, beginning) = waits.then(pair).unzip();
            if let Err(error) = pool.core.start_worker(begun) {
                pool.core.not_started(min - index - 1);
                return Err(BuildError::Spawn(error));
            }
            beginnings.extend(beginning);
        }
        for beginning in beginnings {
            // One that panics reports nothing here: it breaks the pool, as without a state.
            if let Ok(Err(error)) = beginning.result() {
                return Err(BuildError::State(error));
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
            .field("worker_state", &self.make_state.is_some())
            .field("exit_hook", &self.exit_hook.is_some())
            .field("measure_delays", &self.measures_delays)
            .finish()
    }
}
