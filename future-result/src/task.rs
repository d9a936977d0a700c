//! A closure that is to be run elsewhere: what executors put into their queues.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::cell::{CellId, RawTask, Role, handed};
use crate::{Completer, JoinHandle, PoolId, Status, TaskError};

/// Makes a task of `closure`, and the handle that receives its result: the two ends of an executor.
///
/// # Examples
///
/// A whole executor:
///
/// ```
/// use std::sync::mpsc;
/// use future_result::{task, FutureResult, Task};
///
/// let (queue, tasks) = mpsc::channel::<Task>();
/// std::thread::spawn(move || tasks.into_iter().for_each(Task::run));
///
/// let (task, handle) = task(|| 6 * 7);
/// queue.send(task).unwrap();
/// assert_eq!(handle.result()?, 42);
/// # Ok::<(), future_result::TaskError>(())
/// ```
#[inline]
pub fn task<F, T>(closure: F) -> (Task, JoinHandle<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    new(closure, None)
}

/// As [`task`], for a pool whose workers may run the task in place while they wait for it; see
/// [`PoolId`].
///
/// # Examples
///
/// ```
/// use future_result::{task_in, FutureResult, PoolId};
///
/// let pool = PoolId::new();
/// let (task, handle) = task_in(pool, || 6 * 7);
/// // As the pool's only worker, which nobody else can help.
/// assert_eq!(pool.enter(|| handle.result())?, 42);
/// assert!(task.is_stale());
/// # Ok::<(), future_result::TaskError>(())
/// ```
#[inline]
pub fn task_in<F, T>(pool: PoolId, closure: F) -> (Task, JoinHandle<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    new(closure, Some(pool))
}

/// As [`task_in`], for work that begins as a task and goes on elsewhere: the closure gets its handle's
/// completer, started, and may hand it on. All of that is in one cell.
///
/// Nobody runs it in place, since its handle need not be done then. Until it starts it is cancelled like
/// any task; afterwards `hook` is called like that of [`pair_with_hook`](crate::pair_with_hook), and told
/// which task it is about ([`Completer::id`]).
///
/// If the closure panics, its captures are dropped with it, and so is the completer if it is still there.
#[doc(hidden)]
#[inline]
pub fn task_by_hand<F, T, H>(pool: PoolId, hook: H, closure: F) -> (Task, JoinHandle<T>)
where
    F: FnOnce(Completer<T>) + Send + 'static,
    T: Send + 'static,
    H: Fn(CellId) + Send + Sync + 'static,
{
    let closure = move |writer| closure(Completer::new(writer));
    let (raw, reader) = handed(pool, hook, closure);
    (Task(raw), JoinHandle::new(reader))
}

#[inline]
fn new<F, T>(closure: F, home: Option<PoolId>) -> (Task, JoinHandle<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (raw, reader) = RawTask::new(closure, home);
    (Task(raw), JoinHandle::new(reader))
}

/// A closure that has not started, of any type, in one pointer.
///
/// It runs at most once: here, or in place by a worker that waits for it, or not at all if it is
/// cancelled. Dropped without having run, it completes its handle with [`TaskError::Lost`].
///
/// # Examples
///
/// ```
/// use future_result::{task, FutureResult, TaskError};
///
/// let (task, handle) = task(|| "never run");
/// drop(task);
/// assert!(matches!(handle.result(), Err(TaskError::Lost(_))));
/// ```
#[must_use = "dropping a task ends its handle's wait with an error"]
pub struct Task(RawTask);

impl Task {
    /// A closure without a handle: nobody can wait for it or cancel it, and its panic is only reported by
    /// the panic hook. Cheaper than a task whose handle is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use future_result::Task;
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// Task::detached(move || sender.send("done").unwrap()).run();
    /// assert_eq!(receiver.recv(), Ok("done"));
    /// ```
    #[inline]
    pub fn detached<F>(closure: F) -> Self
    where
        F: FnOnce() + Send + 'static,
    {
        Self(RawTask::detached(closure))
    }

    /// One task in 64, for a pool's housekeeping.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.0.is_sampled()
    }

    pub(crate) const fn raw(&self) -> &RawTask {
        &self.0
    }

    #[inline]
    pub(crate) fn into_raw(self) -> RawTask {
        self.0
    }

    #[inline]
    pub(crate) fn from_raw(raw: RawTask) -> Self {
        Self(raw)
    }

    /// Runs the closure on this thread, unless it was cancelled or run in place.
    ///
    /// If the closure panics, that is its outcome, and this call does not panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, FutureResult, TaskError};
    ///
    /// let (task, handle) = task(|| panic!("no luck today"));
    /// task.run();
    /// assert!(matches!(handle.result(), Err(TaskError::Panicked(_))));
    /// ```
    #[inline]
    pub fn run(self) {
        let _ = self.0.run_unless(|| None);
    }

    /// As [`run`](Self::run), but asks for a `refusal` once it has claimed the task. If there is one, the
    /// closure is dropped and the handle gets the error; unless it is part of a task that is running
    /// already.
    ///
    /// Returns how it went, for a pool's statistics; for what was cancelled or run in place, what has
    /// become of it until now; `None` for what is not counted.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn run_unless(self, refusal: impl FnOnce() -> Option<TaskError>) -> Option<Status> {
        self.0.run_unless(refusal)
    }

    /// What has become of it, for a pool's statistics: pending unless it was cancelled or run in place.
    /// `None` for what is not counted.
    #[doc(hidden)]
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.0.status()
    }

    /// What it is to its pool.
    #[doc(hidden)]
    #[must_use]
    pub fn role(&self) -> Role {
        self.0.role()
    }

    /// Drops the closure, and gives the handle `error`, unless it was cancelled or run in place.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, FutureResult, TaskError};
    ///
    /// let (task, handle) = task(|| ());
    /// task.fail(TaskError::TimedOut);
    /// assert!(matches!(handle.result(), Err(TaskError::TimedOut)));
    /// ```
    pub fn fail(self, error: TaskError) {
        self.0.fail(|| error);
    }

    /// Whether it was cancelled or run in place, so that it only takes up room in its queue. Once
    /// true, it stays so.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, FutureResult};
    ///
    /// let (task, handle) = task(|| ());
    /// assert!(!task.is_stale());
    /// let _ = handle.cancel();
    /// assert!(task.is_stale());
    /// ```
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.0.is_stale()
    }
}

// A panic of the closure is its outcome, and consumes it.
impl UnwindSafe for Task {}
impl RefUnwindSafe for Task {}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("is_stale", &self.is_stale())
            .finish()
    }
}
