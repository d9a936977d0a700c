//! The settings of a pool, and its start.

use std::fmt;

use future_result::sync::thread;
use future_result::{FutureResult, PoolId, Rejection, pair};
use std::sync::Arc;

use crate::injector::Injector;
use crate::worker::{self, Core, Initializer, Roll};
use crate::{BuildError, ThreadPoolExecutor};

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
    name: String,
    stack_size: Option<usize>,
    queue_bound: Option<usize>,
    initializer: Option<Initializer>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            workers: None,
            name: "thread-pool".to_owned(),
            stack_size: None,
            queue_bound: None,
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
    /// When the queue is full, `submit` and `execute` wait for room, and `try_submit` gives the
    /// job back. The pool's own workers are not held back, since they might wait for themselves.
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
        if workers == 0 {
            return Err(BuildError::NoWorkers);
        }
        if self.queue_bound == Some(0) {
            return Err(BuildError::NoQueue);
        }
        if self.name.contains('\0') {
            return Err(BuildError::InvalidName);
        }
        let id = PoolId::new();
        let (completer, terminated) = pair();
        let core = Arc::new(Core {
            id,
            injector: Injector::new(id, self.queue_bound),
            initializer: self.initializer,
            roll: Roll::new(workers, completer),
        });
        // No capacity for an absurd number of workers: starting them fails with an error instead.
        let mut threads = Vec::new();
        for index in 0..workers {
            let mut thread = thread::Builder::new().name(format!("{}-{index}", self.name));
            if let Some(bytes) = self.stack_size {
                thread = thread.stack_size(bytes);
            }
            let core_of_worker = Arc::clone(&core);
            match thread.spawn(move || worker::run(&core_of_worker, index)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    core.roll.leave(workers - index);
                    core.injector.close(Rejection::ShutDown);
                    for thread in threads {
                        // A worker catches every panic; there is nothing to report.
                        let _ = thread.join();
                    }
                    return Err(BuildError::Spawn(error));
                }
            }
        }
        Ok(ThreadPoolExecutor::start(
            core,
            threads,
            terminated.shared(),
        ))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("name", &self.name)
            .field("stack_size", &self.stack_size)
            .field("queue_bound", &self.queue_bound)
            .field("initializer", &self.initializer.is_some())
            .finish()
    }
}
