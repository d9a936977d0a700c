//! One outcome for several takers.

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::panic::contain;
use crate::sync::Mutex;
use crate::{Awaited, Cancel, Cause, FutureResult, InPlace, Status, TaskError};

/// A handle that can be cloned; each clone gets a clone of the outcome, from
/// [`FutureResult::shared`].
///
/// Cancelling one clone cancels the work for all; if another clone is running it in place just then,
/// the request reaches the work only when it is done. When the last clone is dropped, the work is
/// detached.
///
/// # Cancel safety
///
/// A clone may be dropped at any time, even while it is awaited; the others are not
/// affected.
///
/// # Examples
///
/// ```
/// use future_result::{pair, FutureResult};
///
/// let (completer, handle) = pair();
/// let one = handle.shared();
/// let other = one.clone();
/// completer.complete(vec![1, 2]).unwrap();
/// assert_eq!(one.result()?, [1, 2]);
/// assert_eq!(other.result()?, [1, 2]);
/// # Ok::<(), future_result::TaskError>(())
/// ```
#[must_use = "dropping the last clone detaches the work: its result and its error will be lost"]
pub struct Shared<F: FutureResult> {
    inner: Arc<Inner<F>>,
    /// This clone's place among the wakers, once it has waited.
    place: Option<usize>,
    /// What this clone alone got instead of the outcome.
    given_up: Option<TaskError>,
}

struct Inner<F: FutureResult> {
    stage: Mutex<Stage<F>>,
    /// The waker that the handle is polled with: it passes a wake-up on to every clone.
    fan_out: Arc<FanOut>,
}

/// The handle is polled, cancelled and run outside the lock, by the clone that has checked it out.
struct Stage<F: FutureResult> {
    /// Absent while it is checked out, and when the outcome is there.
    handle: Option<F>,
    outcome: Option<Arc<F::Output>>,
    /// Another clone wants to cancel; whoever has the handle does so when checking it in.
    cancel: bool,
    /// Another clone found the handle checked out, and is to be woken when it is back: it may be a worker
    /// that wants to run the task in place.
    wanted: bool,
    /// The task of a handle that is checked out to run it in place, which may wait for other clones.
    run_by_taker: Option<Awaited>,
}

/// How often a clone looks before it gives up its turn: a handle may wake itself whenever it is polled.
const LOOKS_MAX: usize = 8;

/// What a handle is checked out for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Look,
    Run,
}

enum CheckOut<F: FutureResult> {
    Handle(F),
    Busy,
    Done(Arc<F::Output>),
}

impl<F: FutureResult> Shared<F> {
    pub(crate) fn new(handle: F) -> Self {
        Self {
            inner: Arc::new(Inner {
                stage: Mutex::new(Stage {
                    handle: Some(handle),
                    outcome: None,
                    cancel: false,
                    wanted: false,
                    run_by_taker: None,
                }),
                fan_out: Arc::new(FanOut::default()),
            }),
            place: None,
            given_up: None,
        }
    }

    fn poll_outcome(&mut self, context: &mut Context<'_>) -> Poll<Arc<F::Output>> {
        if let Some(error) = &self.given_up {
            return Poll::Ready(Arc::new(Err(error.clone())));
        }
        // Registered before looking: a wake-up from here on finds the waker.
        self.inner
            .fan_out
            .register(&mut self.place, context.waker());
        match self.inner.drive(Use::Look, |_| {}) {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        }
    }
}

impl<F: FutureResult> Inner<F> {
    /// Lets `act` use the handle, then polls it. `None` if there is no outcome, or if another clone has
    /// the handle, which will look again if anything happens meanwhile.
    fn drive(&self, purpose: Use, act: impl FnOnce(&mut F)) -> Option<Arc<F::Output>> {
        let mut handle = match self.check_out(purpose) {
            CheckOut::Handle(handle) => handle,
            CheckOut::Busy => return None,
            CheckOut::Done(outcome) => return Some(outcome),
        };
        let unwound = LostOnUnwind(self);
        act(&mut handle);
        let waker = Waker::from(Arc::clone(&self.fan_out));
        let mut context = Context::from_waker(&waker);
        let mut looks = 0;
        loop {
            looks += 1;
            self.fan_out.clear();
            if let Poll::Ready(outcome) = Pin::new(&mut handle).poll(&mut context) {
                mem::forget(unwound);
                return Some(self.publish(outcome));
            }
            match self.check_in(handle, looks) {
                CheckIn::Done { wake } => {
                    mem::forget(unwound);
                    if wake {
                        self.fan_out.wake_all();
                    }
                    return None;
                }
                CheckIn::LookAgain(back) => handle = back,
                CheckIn::Cancel(back) => {
                    handle = back;
                    let _ = handle.cancel();
                }
            }
        }
    }

    fn check_out(&self, purpose: Use) -> CheckOut<F> {
        let mut stage = self.stage.lock();
        if let Some(outcome) = &stage.outcome {
            return CheckOut::Done(Arc::clone(outcome));
        }
        match stage.handle.take() {
            Some(handle) => {
                if purpose == Use::Run {
                    stage.run_by_taker = handle.awaited();
                }
                CheckOut::Handle(handle)
            }
            None => {
                stage.wanted = true;
                CheckOut::Busy
            }
        }
    }

    /// Puts the handle back, unless something has happened since it was polled.
    fn check_in(&self, handle: F, looks: usize) -> CheckIn<F> {
        let mut stage = self.stage.lock();
        if mem::take(&mut stage.cancel) {
            return CheckIn::Cancel(handle);
        }
        // A clone that was woken while the handle was out has found nothing to poll, and counts on
        // this look. One that is woken later waits for the lock, and finds the handle.
        if looks < LOOKS_MAX && self.fan_out.was_woken() {
            return CheckIn::LookAgain(handle);
        }
        stage.handle = Some(handle);
        // The handle keeps the cell, so this frees nothing under the lock.
        stage.run_by_taker = None;
        CheckIn::Done {
            // After this many looks there may be more to see, but in another turn.
            wake: mem::take(&mut stage.wanted) || looks >= LOOKS_MAX,
        }
    }

    fn publish(&self, outcome: F::Output) -> Arc<F::Output> {
        let outcome = Arc::new(outcome);
        let mut stage = self.stage.lock();
        stage.outcome = Some(Arc::clone(&outcome));
        let run_by_taker = stage.run_by_taker.take();
        drop(stage);
        drop(run_by_taker);
        self.fan_out.wake_all();
        outcome
    }
}

enum CheckIn<F> {
    /// It is back; the clones are to be woken if somebody wanted it.
    Done {
        wake: bool,
    },
    LookAgain(F),
    Cancel(F),
}

/// If using the handle panics, the other clones must not wait forever.
struct LostOnUnwind<'a, F: FutureResult>(&'a Inner<F>);

impl<F: FutureResult> Drop for LostOnUnwind<'_, F> {
    fn drop(&mut self) {
        let cause = Cause::new("polling the shared handle panicked in another taker");
        self.0.publish(Err(TaskError::Lost(cause)));
    }
}

/// The wakers of the clones, by place.
#[derive(Default)]
struct FanOut {
    inner: Mutex<Wakers>,
}

#[derive(Default)]
struct Wakers {
    places: Vec<Place>,
    free: Vec<usize>,
    woken: bool,
}

enum Place {
    /// Nobody waits here right now.
    Idle,
    Waiting(Waker),
}

impl FanOut {
    fn register(&self, place: &mut Option<usize>, waker: &Waker) {
        // Cloning and dropping wakers is user code, so both stand outside the lock.
        let new = Place::Waiting(waker.clone());
        let mut inner = self.inner.lock();
        let index = *place.get_or_insert_with(|| {
            let free = inner.free.pop();
            free.unwrap_or_else(|| {
                inner.places.push(Place::Idle);
                inner.places.len() - 1
            })
        });
        let before = mem::replace(&mut inner.places[index], new);
        drop(inner);
        drop(before);
    }

    fn leave(&self, place: usize) {
        let mut inner = self.inner.lock();
        inner.free.push(place);
        let before = mem::replace(&mut inner.places[place], Place::Idle);
        drop(inner);
        drop(before);
    }

    fn clear(&self) {
        self.inner.lock().woken = false;
    }

    fn was_woken(&self) -> bool {
        self.inner.lock().woken
    }

    fn wake_all(&self) {
        let mut inner = self.inner.lock();
        inner.woken = true;
        let waiting: Vec<Waker> = inner.places.iter_mut().filter_map(Place::take).collect();
        drop(inner);
        for waker in waiting {
            contain(|| waker.wake());
        }
    }
}

impl Place {
    fn take(&mut self) -> Option<Waker> {
        match self {
            Self::Idle => None,
            Self::Waiting(_) => match mem::replace(self, Self::Idle) {
                Self::Waiting(waker) => Some(waker),
                Self::Idle => None,
            },
        }
    }
}

impl Wake for FanOut {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

impl<F: FutureResult> FutureResult for Shared<F>
where
    F::Value: Clone,
{
    type Value = F::Value;

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_outcome(context).map(drop)
    }

    fn status(&self) -> Status {
        if self.given_up.is_some() {
            return Status::Failed;
        }
        // Asked under the lock: a look must not keep a worker from running the task in place.
        let stage = self.inner.stage.lock();
        match (stage.outcome.as_deref(), &stage.handle) {
            (Some(Ok(_)), _) => Status::Succeeded,
            (Some(Err(TaskError::Cancelled)), _) => Status::Cancelled,
            (Some(Err(_)), _) => Status::Failed,
            (None, Some(handle)) => handle.status(),
            (None, None) => Status::Pending,
        }
    }

    fn cancel(&self) -> Cancel {
        if self.given_up.is_some() {
            return Cancel::TooLate;
        }
        let mut answer = None;
        let cancel = |handle: &mut F| answer = Some(handle.cancel());
        if let Some(outcome) = self.inner.drive(Use::Look, cancel)
            && answer.is_none()
        {
            return match &*outcome {
                Err(TaskError::Cancelled) => Cancel::Prevented,
                _ => Cancel::TooLate,
            };
        }
        answer.unwrap_or_else(|| {
            self.inner.stage.lock().cancel = true;
            // The other may have checked the handle in meanwhile, without seeing the request.
            self.inner.drive(Use::Look, |_| {});
            Cancel::Requested
        })
    }

    fn run_in_place(&mut self) -> InPlace {
        if self.given_up.is_some() {
            return InPlace::Never;
        }
        // Stays so if the handle is checked out; its return will wake us.
        let mut answer = InPlace::Busy;
        let run = |handle: &mut F| answer = handle.run_in_place();
        match self.inner.drive(Use::Run, run) {
            Some(_) if answer == InPlace::Busy => InPlace::Never,
            _ => answer,
        }
    }

    fn awaited(&self) -> Option<Awaited> {
        let mut stage = self.inner.stage.lock();
        match (&stage.outcome, &stage.handle, &stage.run_by_taker) {
            (None, Some(handle), _) => handle.awaited(),
            (None, None, Some(task)) => Some(task.clone()),
            (None, None, None) => {
                // Its return wakes us, to ask again.
                stage.wanted = true;
                None
            }
            (Some(_), ..) => None,
        }
    }

    fn give_up(&mut self, error: TaskError) {
        self.given_up = Some(error);
        if let Some(place) = self.place.take() {
            self.inner.fan_out.leave(place);
        }
    }
}

impl<F: FutureResult> Future for Shared<F>
where
    F::Value: Clone,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.poll_outcome(context).map(|outcome| (*outcome).clone())
    }
}

impl<F: FutureResult> Clone for Shared<F> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            place: None,
            given_up: None,
        }
    }
}

impl<F: FutureResult> Drop for Shared<F> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.inner.fan_out.leave(place);
        }
    }
}

// If the handle or a clone of the value panics, the others get an error.
impl<F> UnwindSafe for Shared<F>
where
    F: FutureResult + UnwindSafe,
    F::Value: RefUnwindSafe,
{
}
impl<F> RefUnwindSafe for Shared<F>
where
    F: FutureResult + UnwindSafe,
    F::Value: RefUnwindSafe,
{
}

impl<F: FutureResult> fmt::Debug for Shared<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = self.inner.stage.lock().outcome.is_some();
        f.debug_struct("Shared").field("is_done", &done).finish()
    }
}
