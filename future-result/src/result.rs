//! The common trait: what every pool hands back.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::blocker::{Interrupted, Wait, block};
use crate::deadlock::Edge;
use crate::sync::now;
use crate::{Awaited, CancelOnDrop, PoolId, Shared, TaskError, WaitTimedOut, block_until};

/// The result of work that is done elsewhere.
///
/// A `FutureResult` is a [`Future`], so async code awaits it. For code
/// that is not async it has methods that wait as their context waits (see [`block_until`]).
///
/// Implementors write `poll` (of the future), [`poll_done`](Self::poll_done),
/// [`status`](Self::status) and [`cancel`](Self::cancel).
///
/// # Waiting inside a pool
///
/// A worker that waits for a queued task of its own pool runs that task in place, and otherwise
/// sleeps; it never runs an unrelated task meanwhile. So waiting for one's subtasks does not
/// deadlock however few workers there are, no lock is entered again by surprise, and the stack
/// grows only with the chain of waits.
///
/// Tasks that wait for each other in a circle could never end. The wait that closes the circle ends with
/// [`TaskError::Deadlock`], which names them; its handle lets go of the task
/// that it waited for, which goes on, as do the others. A circle is found if all of its tasks wait on
/// threads, by means of this crate and without time limits: not if one of them is
/// still queued, or awaits in async code, or waits for something else.
///
/// # Cancel safety
///
/// Dropping an implementor detaches: the work goes on and its value is dropped. To cancel instead,
/// use [`cancel_on_drop`](Self::cancel_on_drop). Dropping a future that *borrows* one
/// (`(&mut handle).await`) loses nothing.
///
/// # Examples
///
/// Code that waits, whichever pool did the work:
///
/// ```
/// use std::time::Duration;
/// use future_result::{pair, FutureResult, TaskError};
///
/// fn patient<F: FutureResult<Value = u32>>(handle: F) -> Result<u32, TaskError> {
///     match handle.result_timeout(Duration::from_millis(1)) {
///         Ok(result) => result,
///         Err(handle) => {
///             // Still ours: wait on, or cancel.
///             let _ = handle.cancel();
///             handle.result()
///         }
///     }
/// }
///
/// let (completer, handle) = pair();
/// assert!(matches!(patient(handle), Err(TaskError::Cancelled)));
/// assert!(completer.is_cancelled());
/// ```
pub trait FutureResult:
    Future<Output = Result<<Self as FutureResult>::Value, TaskError>> + Unpin
{
    /// What the work produces.
    type Value;

    /// Ready once the outcome is there, without taking it; otherwise the waker of `context` will be
    /// woken when it is (only that of the latest call).
    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// The state of the work at this moment.
    fn status(&self) -> Status;

    /// Cancels the work, or asks it to stop; final, and waiters are told at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, Cancel, FutureResult};
    ///
    /// let (task, handle) = task(|| 1);
    /// assert_eq!(handle.cancel(), Cancel::Prevented);
    /// task.run();
    /// assert!(handle.result().is_err());
    /// ```
    fn cancel(&self) -> Cancel;

    /// Runs the task here and now, if it has not started and the calling thread is a worker of its
    /// pool. Waiting does this by itself.
    fn run_in_place(&mut self) -> InPlace {
        InPlace::Never
    }

    /// The task that this handle waits for; `None` if something else may end the wait.
    #[doc(hidden)]
    fn awaited(&self) -> Option<Awaited> {
        None
    }

    /// Detaches, with `error` as the outcome. Whoever implements `awaited` must implement this.
    #[doc(hidden)]
    fn give_up(&mut self, _error: TaskError) {}

    /// Whether the outcome is there, or has been taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{pair, FutureResult};
    ///
    /// let (completer, handle) = pair();
    /// assert!(!handle.is_done());
    /// completer.complete(1).unwrap();
    /// assert!(handle.is_done());
    /// ```
    fn is_done(&self) -> bool {
        self.status() != Status::Pending
    }

    /// Waits for the outcome, and takes it.
    ///
    /// # Errors
    ///
    /// A [`TaskError`] if the task has no value.
    ///
    /// # Panics
    ///
    /// If the outcome was taken before, by polling.
    fn result(mut self) -> Result<Self::Value, TaskError>
    where
        Self: Sized,
    {
        self.wait();
        loop {
            if let Ok(result) = block_until(None, |context| Pin::new(&mut self).poll(context)) {
                return result;
            }
        }
    }

    /// Waits at most `limit`, and takes the outcome.
    ///
    /// A worker of the task's pool runs a queued task in place first, which takes as long as the
    /// task takes; but it begins none once the time is up, and so none with a `limit` of zero.
    ///
    /// # Errors
    ///
    /// Returns the handle itself if the outcome is not there in time; the work goes on.
    ///
    /// # Panics
    ///
    /// If the outcome was taken before, by polling.
    fn result_timeout(mut self, limit: Duration) -> Result<Result<Self::Value, TaskError>, Self>
    where
        Self: Sized,
    {
        if self.wait_timeout(limit) {
            Ok(self.result())
        } else {
            Err(self)
        }
    }

    /// Waits until the outcome is there, without taking it.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, FutureResult, Status};
    ///
    /// let (task, mut handle) = task(|| 1);
    /// std::thread::spawn(|| task.run());
    /// handle.wait();
    /// assert_eq!(handle.status(), Status::Succeeded);
    /// assert_eq!(handle.result()?, 1);
    /// # Ok::<(), future_result::TaskError>(())
    /// ```
    fn wait(&mut self) {
        while wait_until(self, None).is_err() {}
    }

    /// Waits at most `limit`; true if the outcome is there. See
    /// [`result_timeout`](Self::result_timeout) on workers.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use future_result::{pair, FutureResult};
    ///
    /// let (completer, mut handle) = pair();
    /// assert!(!handle.wait_timeout(Duration::ZERO));
    /// completer.complete(1).unwrap();
    /// assert!(handle.wait_timeout(Duration::ZERO));
    /// ```
    fn wait_timeout(&mut self, limit: Duration) -> bool {
        // A limit beyond the clock's range is none.
        wait_until(self, now().checked_add(limit)).is_ok()
    }

    /// Makes a handle that can be cloned; each clone gets a clone of the outcome.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, FutureResult};
    ///
    /// let (task, handle) = task(|| "for both");
    /// let one = handle.shared();
    /// let two = one.clone();
    /// task.run();
    /// assert_eq!(one.result()?, two.result()?);
    /// # Ok::<(), future_result::TaskError>(())
    /// ```
    fn shared(self) -> Shared<Self>
    where
        Self: Sized,
        Self::Value: Clone,
    {
        Shared::new(self)
    }

    /// Cancels the work when the handle is dropped, instead of detaching from it.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{pair, FutureResult};
    ///
    /// let (completer, handle) = pair::<u8>();
    /// drop(handle.cancel_on_drop());
    /// assert!(completer.is_cancelled());
    /// ```
    fn cancel_on_drop(self) -> CancelOnDrop<Self>
    where
        Self: Sized,
    {
        CancelOnDrop::new(self)
    }

    /// Hides the handle's own type, so that handles of several pools fit into one collection.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{as_completed, pair, task, BoxedResult, FutureResult};
    ///
    /// let (completer, by_hand) = pair();
    /// let (task, by_task) = task(|| 2);
    /// let mixed: Vec<BoxedResult<'_, u32>> = vec![by_hand.boxed(), by_task.shared().boxed()];
    /// task.run();
    /// completer.complete(1).unwrap();
    /// let sum: u32 = as_completed(mixed).filter_map(|(_, result)| result.ok()).sum();
    /// assert_eq!(sum, 3);
    /// ```
    fn boxed<'a>(self) -> BoxedResult<'a, Self::Value>
    where
        Self: Sized + Send + 'a,
    {
        Box::new(self)
    }
}

/// Polls and, on a worker of its pool, tries to run in place; both again after every wake-up, since
/// a shared handle may be busy at first.
fn wait_until<F: FutureResult + ?Sized>(
    handle: &mut F,
    deadline: Option<Instant>,
) -> Result<(), WaitTimedOut> {
    if handle.is_done() {
        return Ok(());
    }
    // Run in place here if possible: below, a nested wait would need a parker of its own.
    let mut in_place = InPlace::Never;
    if may_begin(deadline) {
        in_place = handle.run_in_place();
    }
    if in_place == InPlace::Ran {
        return Ok(());
    }
    let ended = {
        let mut waiting = WaitForOne {
            handle: &mut *handle,
            deadline,
            may_run: in_place == InPlace::Busy,
        };
        block(deadline, &mut waiting)
    };
    match ended {
        Ok(()) => Ok(()),
        Err(Interrupted::TimedOut) => Err(WaitTimedOut),
        Err(Interrupted::Stuck(stuck)) => {
            handle.give_up(stuck.error);
            Ok(())
        }
    }
}

struct WaitForOne<'a, F: ?Sized> {
    handle: &'a mut F,
    deadline: Option<Instant>,
    /// Whether an attempt to run it in place may succeed.
    may_run: bool,
}

impl<F: FutureResult + ?Sized> Wait for WaitForOne<'_, F> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // Registered first: if the handle is busy, its return wakes us to try again.
        let polled = self.handle.poll_done(context);
        if polled.is_pending()
            && self.may_run
            && may_begin(self.deadline)
            && self.handle.run_in_place() == InPlace::Ran
        {
            return Poll::Ready(());
        }
        polled
    }

    fn len(&self) -> usize {
        1
    }

    fn awaited(&self) -> Option<Vec<Edge>> {
        let task = self.handle.awaited()?;
        Some(vec![Edge { place: 0, task }])
    }

    fn look(&self) -> Option<bool> {
        (!self.may_run).then(|| self.handle.is_done())
    }
}

/// Whether a waiting worker may still begin a task in place.
pub(crate) fn may_begin(deadline: Option<Instant>) -> bool {
    PoolId::current().is_some() && deadline.is_none_or(|deadline| now() < deadline)
}

/// What became of an attempt to run a task in place.
///
/// # Examples
///
/// ```
/// use future_result::{task_in, FutureResult, InPlace, PoolId};
///
/// let pool = PoolId::new();
/// let (task, mut handle) = task_in(pool, || 6 * 7);
/// assert_eq!(handle.run_in_place(), InPlace::Never);
/// assert_eq!(pool.enter(|| handle.run_in_place()), InPlace::Ran);
/// assert_eq!(handle.result()?, 42);
/// # drop(task);
/// # Ok::<(), future_result::TaskError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InPlace {
    /// It was run, and is done.
    Ran,
    /// It has started, is done, or belongs to another pool: no attempt of this thread can succeed.
    Never,
    /// Somebody else is using the handle right now. The waker of the latest poll will be woken when that is over.
    Busy,
}

/// A handle of any pool.
pub type BoxedResult<'a, T> =
    Box<dyn FutureResult<Value = T, Output = Result<T, TaskError>> + Send + 'a>;

impl<F: FutureResult + ?Sized> FutureResult for Box<F> {
    type Value = F::Value;

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        (**self).poll_done(context)
    }

    fn status(&self) -> Status {
        (**self).status()
    }

    fn cancel(&self) -> Cancel {
        (**self).cancel()
    }

    fn run_in_place(&mut self) -> InPlace {
        (**self).run_in_place()
    }

    fn awaited(&self) -> Option<Awaited> {
        (**self).awaited()
    }

    fn give_up(&mut self, error: TaskError) {
        (**self).give_up(error);
    }
}

/// The state of the work behind a handle.
///
/// # Examples
///
/// ```
/// use future_result::{pair, FutureResult, Status};
///
/// let (completer, handle) = pair();
/// assert_eq!(handle.status(), Status::Pending);
/// completer.complete("there").unwrap();
/// assert_eq!(handle.status(), Status::Succeeded);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Queued or running.
    Pending,
    /// Done, with a value to be taken.
    Succeeded,
    /// Done, with an error to be taken.
    Failed,
    /// Cancelled.
    Cancelled,
    /// Done, and the outcome was taken by polling.
    Taken,
}

/// What cancelling achieved.
///
/// # Examples
///
/// ```
/// use future_result::{task, Cancel, FutureResult};
///
/// let (task, handle) = task(|| unreachable!("it never runs"));
/// assert_eq!(handle.cancel(), Cancel::Prevented);
/// task.run();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a task that was running may still give a value"]
pub enum Cancel {
    /// It had not started and never will. The outcome is [`TaskError::Cancelled`].
    Prevented,
    /// It is running, and was asked to stop; see [`CancelToken`](crate::CancelToken). The outcome
    /// is up to it.
    Requested,
    /// It is done.
    TooLate,
}
