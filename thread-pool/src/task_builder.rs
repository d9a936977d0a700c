//! Options for one task: its priority and its deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use future_result::claim::Claim;
use future_result::sync::now;
use future_result::{JoinHandle, Rejection, Task, TaskError, task_in};

use crate::bound::Room;
use crate::core::Core;
use crate::current;
use crate::injector::Open;
use crate::submit::refused;
use crate::trace::Origin;
use crate::watch::Watch;
use crate::{Priority, SubmitError, ThreadPoolExecutor, WhenFull};

/// Options for tasks, from [`ThreadPoolExecutor::task`]. It can be used for several tasks.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use thread_pool::{FutureResult, Priority, ThreadPoolExecutor};
///
/// let pool = ThreadPoolExecutor::new(2)?;
/// let urgent = pool.task().priority(Priority::High).time_limit(Duration::from_secs(60));
/// let (one, two) = (urgent.submit(|| 1), urgent.submit(|| 2));
/// assert_eq!(one.result()? + two.result()?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until `submit`"]
pub struct TaskBuilder<'a> {
    pool: &'a ThreadPoolExecutor,
    priority: Priority,
    limit: Limit,
}

/// When a task is too late.
#[derive(Clone, Copy, Debug)]
enum Limit {
    Never,
    /// This long after the submission.
    After(Duration),
    At(Instant),
}

impl Limit {
    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Never => None,
            // One beyond the clock's range is never reached.
            Self::After(limit) => now().checked_add(limit),
            Self::At(deadline) => Some(deadline),
        }
    }
}

impl ThreadPoolExecutor {
    /// Options for a task: a priority, a time limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{FutureResult, Priority, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let answer = pool.task().priority(Priority::High).submit(|| 6 * 7);
    /// assert_eq!(answer.result()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn task(&self) -> TaskBuilder<'_> {
        TaskBuilder {
            pool: self,
            priority: Priority::Normal,
            limit: Limit::Never,
        }
    }
}

impl TaskBuilder<'_> {
    /// The task's priority; by default [`Priority::Normal`].
    ///
    /// A priority only orders the queue: it makes no room in a full one, and a worker
    /// that waits for the task runs it in place as it would any other. A task that one of the pool's own
    /// workers submits with a priority other than normal may start on any of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use thread_pool::{FutureResult, Priority, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let (started, wait_for_start) = mpsc::channel();
    /// let (go, wait_for_go) = mpsc::channel::<()>();
    /// let busy = pool.submit(move || {
    ///     started.send(()).unwrap();
    ///     wait_for_go.recv().is_err()
    /// });
    /// wait_for_start.recv()?;
    /// let (log, order) = mpsc::channel();
    /// for priority in [Priority::Low, Priority::Normal, Priority::High] {
    ///     let log = log.clone();
    ///     drop(pool.task().priority(priority).submit(move || log.send(priority)));
    /// }
    /// drop((go, log));
    /// let order: Vec<_> = order.iter().collect();
    /// assert_eq!(order, [Priority::High, Priority::Normal, Priority::Low]);
    /// # drop(busy);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// A [`deadline`](Self::deadline) this long after each submission. A wait for room in a bounded queue
    /// counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use thread_pool::{FutureResult, TaskError, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let in_time = pool.task().time_limit(Duration::from_secs(3600)).submit(|| "done");
    /// assert_eq!(in_time.result()?, "done");
    ///
    /// let too_late = pool.task().time_limit(Duration::ZERO).submit(|| "never runs");
    /// assert!(matches!(too_late.result(), Err(TaskError::TimedOut)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = Limit::After(limit);
        self
    }

    /// When it is too late for the task; by default never. The last call to this or
    /// [`time_limit`](Self::time_limit) counts.
    ///
    /// A task that has not started by then ends with [`TaskError::TimedOut`] at that moment: its closure
    /// is dropped, it makes room in a bounded queue, and whoever waits is told. A running task is
    /// asked to stop, as by [`cancel`](crate::FutureResult::cancel): its
    /// [`CancelToken`](crate::CancelToken) says so, and its outcome is whatever it returns.
    ///
    /// A thread of the pool, whose name ends with `-timer`, enforces that. It is started with the first
    /// deadline, and runs what the end of a task runs: the closure's destructor,
    /// [callbacks](JoinHandle::on_done), wakers. These should be quick, since other deadlines wait for
    /// them; and like a worker it cannot wait for the pool's shutdown. A pool that is shut down enforces
    /// deadlines until its last worker has left.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::{Duration, Instant};
    /// use thread_pool::{CancelToken, FutureResult, TaskError, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let deadline = Instant::now() + Duration::from_millis(20);
    /// let (go, wait_for_go) = mpsc::channel::<()>();
    /// let busy = pool.submit(move || wait_for_go.recv().is_err());
    /// // The worker has no time for it.
    /// let queued = pool.task().deadline(deadline).submit(|| "never runs");
    /// assert!(matches!(queued.result(), Err(TaskError::TimedOut)));
    /// drop(go);
    /// assert!(busy.result()?);
    ///
    /// let endless = pool.task().time_limit(Duration::from_millis(20)).submit(|| {
    ///     let token = CancelToken::current();
    ///     while !token.is_cancelled() {
    ///         std::thread::yield_now();
    ///     }
    ///     "stopped when told to"
    /// });
    /// match endless.result() {
    ///     Ok(outcome) => assert_eq!(outcome, "stopped when told to"),
    ///     Err(error) => println!("it did not even start: {error}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn deadline(mut self, deadline: Instant) -> Self {
        self.limit = Limit::At(deadline);
        self
    }

    /// Submits `job` as [`ThreadPoolExecutor::submit`] does, with these options.
    ///
    /// If the pool does not accept the job, the handle says so with [`TaskError::Rejected`]; if the
    /// deadline is already past, or passes while the call waits for room in a bounded queue, with
    /// [`TaskError::TimedOut`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the handle detaches the task: its time limit goes on.
    ///
    /// # Examples
    ///
    /// See [`TaskBuilder`].
    #[track_caller]
    pub fn submit<F, T>(self, job: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let core = &self.pool.core;
        let watch = Watch::new(core, Origin::here());
        let deadline = self.limit.deadline();
        if is_past(deadline) {
            return refused(job, TaskError::TimedOut);
        }
        let place = match &core.bound {
            Some(bound) => bound.reserve_until(deadline).map(Place::Room),
            None => self.open(),
        };
        match (place, core.bound.as_ref().map(|bound| bound.when_full())) {
            (Ok(place), _) => self.fill(place, deadline, watch, job),
            (Err(Rejection::Full), Some(WhenFull::Block)) => refused(job, TaskError::TimedOut),
            (Err(Rejection::Full), Some(WhenFull::CallerRuns)) => {
                self.run_here(deadline, move || watch.run(job))
            }
            (Err(reason), _) => refused(job, TaskError::Rejected(reason)),
        }
    }

    /// Like [`submit`](Self::submit), but never waits: gives the job back instead.
    ///
    /// If the deadline is already past, the job is dropped, and the handle ends with
    /// [`TaskError::TimedOut`].
    ///
    /// # Errors
    ///
    /// [`SubmitError`] with the job, if the queue is full or the pool is shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{Priority, Rejection, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// pool.shutdown()?;
    /// let refused = pool.task().priority(Priority::High).try_submit(|| "still here").unwrap_err();
    /// assert_eq!(refused.reason(), Rejection::ShutDown);
    /// assert_eq!(refused.into_job()(), "still here");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_submit<F, T>(self, job: F) -> Result<JoinHandle<T>, SubmitError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let core = &self.pool.core;
        let watch = Watch::new(core, Origin::here());
        let deadline = self.limit.deadline();
        if is_past(deadline) {
            return Ok(refused(job, TaskError::TimedOut));
        }
        let place = match &core.bound {
            Some(bound) => bound.try_reserve().map(Place::Room),
            None => self.open(),
        };
        match place {
            Ok(place) => Ok(self.fill(place, deadline, watch, job)),
            Err(reason) => Err(SubmitError::new(job, reason)),
        }
    }

    /// A place in an unbounded queue, if the pool is open.
    fn open(&self) -> Result<Place<'_>, Rejection> {
        let core = &self.pool.core;
        if core.is_forked() {
            return Err(Rejection::Forked);
        }
        if self.priority != Priority::Normal || !current::is_of(core) {
            return core.injector.keep_open().map(Place::Open);
        }
        // Its deque may overflow into the injector, which must not be locked then.
        if core.is_closed() {
            Err(core.rejection())
        } else {
            Ok(Place::Own)
        }
    }

    /// Makes a task of `job`, queues it, and starts its time limit.
    fn fill<F, T>(
        self,
        place: Place<'_>,
        deadline: Option<Instant>,
        watch: Watch,
        job: F,
    ) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let core = &self.pool.core;
        let (queued, handle, claim) = match place {
            Place::Room(room) => room.fill(|permit| {
                self.queue(deadline, move || {
                    drop(permit);
                    watch.run(job)
                })
            }),
            Place::Open(open) => {
                let queued = self.queue(deadline, move || watch.run(job));
                drop(open);
                queued
            }
            Place::Own => self.queue(deadline, move || watch.run(job)),
        };
        core.queued_in_room(queued);
        if let (Some(deadline), Some(claim)) = (deadline, claim) {
            core.timer.add(core, deadline, claim);
        }
        handle
    }

    /// Makes a task and puts it in the lane of its priority; wakes nobody.
    fn queue<F, T>(
        self,
        deadline: Option<Instant>,
        job: F,
    ) -> (Result<(), Task>, JoinHandle<T>, Option<Claim>)
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let core = &self.pool.core;
        let (task, handle, claim) = make(core, deadline, job);
        let queued = match self.priority {
            Priority::High => core.lanes.push_high(task),
            Priority::Normal => core.queue(task),
            Priority::Low => core.lanes.push_low(task),
        };
        (queued, handle, claim)
    }

    /// Runs the job on the submitter's thread; its deadline asks it to stop.
    fn run_here<F, T>(self, deadline: Option<Instant>, job: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let core = &self.pool.core;
        let (task, handle, claim) = make(core, deadline, job);
        if let (Some(deadline), Some(claim)) = (deadline, claim) {
            core.timer.add(core, deadline, claim);
        }
        core.run_by_caller(task);
        handle
    }
}

/// Where a job may be put. The queue cannot be closed while this lives, and no user code may run.
enum Place<'a> {
    /// In a bounded queue.
    Room(Room<'a>),
    /// In an unbounded one.
    Open(Open<'a>),
    /// In the calling worker's deque, which is never closed.
    Own,
}

fn make<F, T>(
    core: &Arc<Core>,
    deadline: Option<Instant>,
    job: F,
) -> (Task, JoinHandle<T>, Option<Claim>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (task, handle) = task_in(core.id, job);
    let claim = deadline.and_then(|_| Claim::on(&task));
    (task, handle, claim)
}

fn is_past(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= now())
}
