//! A future as a handle, with no pool behind it.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use future_result::sync::now;
use future_result::{Cancel, FutureResult, Panic, Status, TaskError, block_until, contain};
use thread_pool::blocking;

use crate::block_on;

/// Any future as a [`FutureResult`], with no pool behind it: whoever waits for the handle, or polls it, runs the
/// future.
///
/// So a future can stand beside the handles of pools, in `as_completed`, `wait` and
/// [`completed`](crate::completed). For a future that goes on by itself use
/// [`spawn`](crate::spawn()), or `spawn_future` in a runtime of green tasks. The other way round needs
/// nothing: every handle is a future.
///
/// A panic of the future is a value, [`TaskError::Panicked`]. Its own `result`, `wait` and their timed forms wait as
/// [`block_on`](crate::block_on()) does, so another worker stands in for a waiting one; a collection of handles waits
/// as for any other handle, without a stand-in.
///
/// # Cancelling
///
/// Cancelling drops the future at once: it is [`Cancel::Prevented`] before the first poll and [`Cancel::Requested`]
/// later; in both cases the outcome is [`TaskError::Cancelled`]. (A [`shared`](FutureResult::shared) one that
/// is being polled just then is dropped after that poll, unless that makes it ready.)
///
/// # Panics
///
/// Polling it again once it was ready panics, as with handles of pools.
///
/// # Cancel safety
///
/// Dropping it drops the future, since nobody else would run it. Dropping a future that borrows
/// it loses nothing.
///
/// # Examples
///
/// ```
/// use future_result::{as_completed, FutureResult};
/// use futures_lite_bridge::FutureHandle;
/// use thread_pool::ThreadPoolExecutor;
///
/// let pool = ThreadPoolExecutor::new(1)?;
/// let by_thread = pool.submit(|| 1).boxed();
/// let by_future = FutureHandle::new(async { 2 }).boxed();
/// let sum: i32 = as_completed([by_thread, by_future]).filter_map(|(_, result)| result.ok()).sum();
/// assert_eq!(sum, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the future does nothing unless somebody waits for it"]
pub struct FutureHandle<F: Future> {
    stage: Cell<Stage<F>>,
}

enum Stage<F: Future> {
    Unpolled(Pin<Box<F>>),
    /// With the waker of the last poll, which a cancellation wakes.
    Polled(Pin<Box<F>>, Waker),
    Done(Result<F::Output, TaskError>),
    /// Also while the future is polled.
    Taken,
}

impl<F: Future> FutureHandle<F> {
    /// Wraps a future, which is not polled before somebody waits.
    pub fn new(future: F) -> Self {
        Self {
            stage: Cell::new(Stage::Unpolled(Box::pin(future))),
        }
    }

    /// Looks at the stage, which nobody else can do meanwhile.
    fn look<R>(&self, look: impl FnOnce(&Stage<F>) -> R) -> R {
        let stage = self.stage.replace(Stage::Taken);
        let seen = look(&stage);
        self.stage.set(stage);
        seen
    }
}

/// A panic of the future is its outcome; so is a panic of its destructor once it is ready.
fn poll<F: Future>(
    mut future: Pin<Box<F>>,
    context: &mut Context<'_>,
) -> Result<Result<F::Output, TaskError>, Pin<Box<F>>> {
    // Unwind safety: the future is not polled again after a panic, and the waiter is told.
    let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
    let outcome = match polled {
        Ok(Poll::Pending) => return Err(future),
        Ok(Poll::Ready(value)) => Ok(value),
        Err(payload) => Err(TaskError::Panicked(Panic::from_payload(payload))),
    };
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
    Ok(match (outcome, dropped) {
        (Ok(value), Err(payload)) => {
            contain(|| drop(value));
            Err(TaskError::Panicked(Panic::from_payload(payload)))
        }
        (outcome, Err(payload)) => {
            contain(|| drop(payload));
            outcome
        }
        (outcome, Ok(())) => outcome,
    })
}

impl<F: Future> FutureResult for FutureHandle<F> {
    type Value = F::Output;

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (future, before) = match mem::replace(self.stage.get_mut(), Stage::Taken) {
            Stage::Unpolled(future) => (future, None),
            Stage::Polled(future, waker) => (future, Some(waker)),
            done => {
                *self.stage.get_mut() = done;
                return Poll::Ready(());
            }
        };
        match poll(future, context) {
            Ok(outcome) => {
                *self.stage.get_mut() = Stage::Done(outcome);
                Poll::Ready(())
            }
            Err(future) => {
                let waker = before.filter(|waker| waker.will_wake(context.waker()));
                let waker = waker.unwrap_or_else(|| context.waker().clone());
                *self.stage.get_mut() = Stage::Polled(future, waker);
                Poll::Pending
            }
        }
    }

    fn status(&self) -> Status {
        self.look(|stage| match stage {
            Stage::Unpolled(_) | Stage::Polled(..) => Status::Pending,
            Stage::Done(Ok(_)) => Status::Succeeded,
            Stage::Done(Err(TaskError::Cancelled)) => Status::Cancelled,
            Stage::Done(Err(_)) => Status::Failed,
            Stage::Taken => Status::Taken,
        })
    }

    fn cancel(&self) -> Cancel {
        let cancelled = Stage::Done(Err(TaskError::Cancelled));
        match self.stage.replace(cancelled) {
            Stage::Unpolled(future) => {
                contain(|| drop(future));
                Cancel::Prevented
            }
            Stage::Polled(future, waker) => {
                contain(|| drop(future));
                contain(|| waker.wake());
                Cancel::Requested
            }
            done => {
                self.stage.set(done);
                Cancel::TooLate
            }
        }
    }

    fn result(self) -> Result<F::Output, TaskError> {
        block_on(self)
    }

    fn wait(&mut self) {
        block_on(poll_fn(|context| self.poll_done(context)));
    }

    fn wait_timeout(&mut self, limit: Duration) -> bool {
        // A limit beyond the clock's range is none.
        let deadline = now().checked_add(limit);
        self.is_done()
            || blocking(|| block_until(deadline, |context| self.poll_done(context))).is_ok()
    }
}

impl<F: Future> Future for FutureHandle<F> {
    type Output = Result<F::Output, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(self.poll_done(context));
        match self.stage.replace(Stage::Taken) {
            Stage::Done(outcome) => Poll::Ready(outcome),
            _ => panic!(
                "the outcome was already taken: a handle must not be polled after it is ready"
            ),
        }
    }
}

// The future is boxed, and its value is never pinned.
impl<F: Future> Unpin for FutureHandle<F> {}

impl<F: Future> fmt::Debug for FutureHandle<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FutureHandle")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
