//! How the calling context waits, and whose worker it is.
//!
//! Blocking is a property of the place where the call stands. A plain thread parks. A scheduler of
//! coroutines installs a [`Blocker`], so that the same call suspends one coroutine while its thread goes
//! on with others. A pool's worker may first run the very task that it is about to wait for, so a thread
//! knows whose worker it is ([`PoolId::enter`]).

#[cfg(all(test, not(any(pool_loom, pool_sim))))]
mod yields;

use std::cell::{Cell, RefCell};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use crate::absence::Absence;
use crate::cell::CellId;
use crate::deadlock::{self, Edge, Registration, Stuck};
use crate::outlast::Members;
use crate::patience::Patience;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{is_inherited, now, thread, thread_locals, unique_id};
use crate::{Awaited, Status, Task, TaskError, WaitTimedOut, alone, forked};

/// A way to wait, other than parking the thread.
///
/// # Examples
///
/// A blocker that never lets its thread sleep:
///
/// ```
/// use std::rc::Rc;
/// use std::task::{Context, Poll, Waker};
/// use std::time::Instant;
/// use future_result::{pair, with_blocker, Blocker, FutureResult};
///
/// struct Spin;
///
/// impl Blocker for Spin {
///     fn block(
///         &self,
///         deadline: Option<Instant>,
///         poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
///     ) {
///         let mut context = Context::from_waker(Waker::noop());
///         while poll(&mut context).is_pending() {
///             if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
///                 return;
///             }
///             std::thread::yield_now();
///         }
///     }
/// }
///
/// let (completer, handle) = pair();
/// let other = std::thread::spawn(|| completer.complete(7));
/// let result = with_blocker(Rc::new(Spin), || handle.result());
/// assert_eq!(result?, 7);
/// # other.join().unwrap().unwrap();
/// # Ok::<(), future_result::TaskError>(())
/// ```
pub trait Blocker {
    /// Calls `poll` until it is ready; after a `Pending`, lets the calling context rest until the
    /// waker that `poll` was given is woken, or `deadline` is reached.
    ///
    /// Returns when `poll` was ready, or was still pending after the deadline; and not earlier, or
    /// else a wait without a deadline begins again at once. May be called again, on the same
    /// thread, from within `poll`.
    fn block(&self, deadline: Option<Instant>, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>);

    /// As [`block`](Self::block), for a blocker that wants to know what is waited for.
    #[doc(hidden)]
    fn block_on(&self, deadline: Option<Instant>, waiting: &mut dyn Waiting) {
        self.block(deadline, &mut |context| waiting.poll(context));
    }
}

/// What a blocker polls until it is ready, and can ask what would end the wait.
#[doc(hidden)]
pub trait Waiting {
    /// Polls.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// The tasks of which any one's end makes it ready; `None` if something else may. Not called within `poll`.
    fn awaited(&self) -> Option<Vec<Awaited>>;

    /// Whether polling would find it ready; `None` if that cannot be told without a waker. Once it is, it
    /// need not be polled.
    fn look(&mut self) -> Option<bool> {
        None
    }

    /// Whether it must not be left before it is ready, neither by returning nor by unwinding, since
    /// others use its caller's frame until then. If a blocker unwinds nevertheless, the thread parks for
    /// the rest of the wait.
    fn is_held(&self) -> bool {
        false
    }
}

thread_locals! {
    static BLOCKER: RefCell<Option<Rc<dyn Blocker>>> = RefCell::new(None);
    static POOL: Cell<Option<PoolId>> = Cell::new(None);
    static OWN_QUEUE: RefCell<Option<Rc<dyn OwnQueue>>> = RefCell::new(None);
    /// A parker that no wait on this thread is using.
    static PARKER: Cell<Option<Parker>> = Cell::new(None);
}

/// Runs `f` with `blocker` as the way in which this thread waits, then restores the previous one.
///
/// # Panics
///
/// If `f` does, or in the destructor of a thread-local that is run when those of this crate are gone already.
///
/// # Examples
///
/// See [`Blocker`].
pub fn with_blocker<R>(blocker: Rc<dyn Blocker>, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Rc<dyn Blocker>>);

    impl Drop for Restore {
        fn drop(&mut self) {
            let outer = self.0.take();
            let ours = BLOCKER.try_with(|blocker| blocker.replace(outer));
            drop(ours);
        }
    }

    let _restore = Restore(BLOCKER.with(|current| current.replace(Some(blocker))));
    f()
}

/// Whether the calling thread can still be given a blocker: not when its locals are being destroyed.
#[doc(hidden)]
#[must_use]
pub fn can_have_blocker() -> bool {
    BLOCKER.try_with(|_| ()).is_ok()
}

/// Polls until ready, and in between waits as the calling context waits.
///
/// With a `deadline` of `None` it waits without limit.
///
/// # Errors
///
/// [`WaitTimedOut`] if `poll` was still pending after `deadline`, or when the context's [`Blocker`] gave up
/// before.
///
/// # Examples
///
/// ```
/// use std::future::Future;
/// use std::pin::pin;
/// use future_result::block_until;
///
/// let mut future = pin!(async { 6 * 7 });
/// assert_eq!(block_until(None, |context| future.as_mut().poll(context))?, 42);
/// # Ok::<(), future_result::WaitTimedOut>(())
/// ```
pub fn block_until<R>(
    deadline: Option<Instant>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> Result<R, WaitTimedOut> {
    struct Polling<P, R> {
        poll: P,
        result: Option<R>,
    }

    impl<P: FnMut(&mut Context<'_>) -> Poll<R>, R> Wait for Polling<P, R> {
        fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
            (self.poll)(context).map(|ready| self.result = Some(ready))
        }

        fn len(&self) -> usize {
            1
        }

        fn awaited(&self) -> Option<Vec<Edge>> {
            None
        }
    }

    let mut polling = Polling { poll, result: None };
    // However it ended: what was taken must not be lost.
    let _ended = block(deadline, &mut polling);
    polling.result.ok_or(WaitTimedOut)
}

/// What a context polls until it is ready; it keeps the result.
pub(crate) trait Wait {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// How many tasks' ends it waits for. One of them is enough to end the wait.
    fn len(&self) -> usize;

    /// Those tasks; `None` if it cannot be told what ends the wait.
    fn awaited(&self) -> Option<Vec<Edge>>;

    /// Whether polling would find it ready, if that can be told without a waker. Once it is, it need not be polled.
    fn look(&self) -> Option<bool> {
        None
    }

    /// Tasks that must all end, if the wait is for that and cannot give up.
    fn members(&self) -> Option<Arc<dyn Members>> {
        None
    }
}

/// Why a wait ended before it was ready.
pub(crate) enum Interrupted {
    /// The deadline was reached, or the blocker has given up.
    TimedOut,
    /// It would never become ready.
    Stuck(Stuck),
}

/// Polls until ready, waiting in between as the calling context waits.
pub(crate) fn block(deadline: Option<Instant>, waiting: &mut dyn Wait) -> Result<(), Interrupted> {
    // Cloned out, so that no borrow lives while user code runs. A thread whose locals are being
    // destroyed parks.
    let blocker = BLOCKER.try_with(|blocker| blocker.borrow().clone());
    let Ok(Some(blocker)) = blocker else {
        return park_until(deadline, waiting);
    };
    let mut watched = Watched {
        waiting,
        is_ready: false,
    };
    // The blocker may let the thread sleep, as parking does.
    let absence = Absence::begin(watched.waiting);
    blocker.block_on(deadline, &mut watched);
    drop(absence);
    if watched.is_ready {
        Ok(())
    } else {
        Err(Interrupted::TimedOut)
    }
}

/// Notes whether it was ready, since blockers need not say so.
struct Watched<'a> {
    waiting: &'a mut dyn Wait,
    is_ready: bool,
}

impl Waiting for Watched<'_> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let polled = self.waiting.poll(context);
        self.is_ready |= polled.is_ready();
        polled
    }

    fn awaited(&self) -> Option<Vec<Awaited>> {
        let edges = self.waiting.awaited()?;
        Some(edges.into_iter().map(|edge| edge.task).collect())
    }

    fn look(&mut self) -> Option<bool> {
        let is_ready = self.waiting.look()?;
        self.is_ready |= is_ready;
        Some(is_ready)
    }

    fn is_held(&self) -> bool {
        self.waiting.members().is_some()
    }
}

/// How a plain thread waits.
pub(crate) fn park_until(
    deadline: Option<Instant>,
    waiting: &mut dyn Wait,
) -> Result<(), Interrupted> {
    // A wait from within `poll` finds the cell empty and makes a parker of its own, so that it
    // cannot swallow a wake-up that was meant for this one.
    let parker = PARKER.try_with(Cell::take).ok().flatten();
    let parker = parker.unwrap_or_else(Parker::new);
    let ended = parker.poll_until(deadline, waiting, thread::yield_now);
    let _ = PARKER.try_with(|cached| cached.set(Some(parker)));
    ended
}

/// A thread's ability to be woken by a waker.
struct Parker {
    signal: Arc<Signal>,
    waker: Waker,
}

struct Signal {
    woken: AtomicBool,
    thread: thread::Thread,
}

impl Parker {
    fn new() -> Self {
        let signal = Arc::new(Signal {
            woken: AtomicBool::new(false),
            thread: thread::current(),
        });
        let waker = Waker::from(Arc::clone(&signal));
        Self { signal, waker }
    }

    fn poll_until(
        &self,
        deadline: Option<Instant>,
        waiting: &mut dyn Wait,
        mut yield_now: impl FnMut(),
    ) -> Result<(), Interrupted> {
        let mut context = Context::from_waker(&self.waker);
        let mut patience = Patience::new();
        loop {
            // Looked at before polling, so that the last poll comes after the deadline; and even after a
            // wake-up, since what is polled may wake itself without end.
            let is_last = is_over(deadline);
            if waiting.poll(&mut context).is_ready() {
                return Ok(());
            }
            if is_last {
                return Err(Interrupted::TimedOut);
            }
            let is_enough = || self.signal.is_woken() || is_over(deadline);
            patience.rest_until(is_enough, &mut yield_now);
            if self.signal.take_woken() {
                patience.has_paid();
                continue;
            }
            patience.was_in_vain();
            if let Err(interrupted) = self.park(deadline, waiting) {
                // Another wait may have given up, too, and that may be enough for this one.
                return waiting
                    .poll(&mut context)
                    .is_ready()
                    .then_some(())
                    .ok_or(interrupted);
            }
        }
    }

    /// Parks until woken, or until the deadline; not at all if nothing could ever wake the thread.
    fn park(&self, deadline: Option<Instant>, waiting: &dyn Wait) -> Result<(), Interrupted> {
        if let Some(look_at) = forked::look_at(waiting) {
            let until = deadline.map_or(look_at, |deadline| deadline.min(look_at));
            while !self.signal.is_woken() && now() < until {
                thread::park_deadline(until);
            }
            if self.signal.take_woken() {
                return Ok(());
            }
            forked::check(waiting).map_err(Interrupted::Stuck)?;
        }
        // Held until the end of this call, so that it is gone before the next poll.
        let registration = match deadline {
            None => alone::check(waiting)
                .and_then(|()| deadlock::register(&self.signal.thread, &self.waker, waiting))
                .map_err(Interrupted::Stuck)?,
            Some(_) => None,
        };
        let absence = Absence::begin(waiting);
        // The thread's own token may be spent by others' `park` and set by others' `unpark`:
        // `woken` tells whether it was meant for us.
        while !self.signal.take_woken() {
            match deadline {
                None => thread::park(),
                Some(deadline) if now() < deadline => thread::park_deadline(deadline),
                Some(_) => break,
            }
        }
        drop(absence);
        match registration.and_then(Registration::end) {
            Some(stuck) => Err(Interrupted::Stuck(stuck)),
            None => Ok(()),
        }
    }
}

impl Signal {
    /// Whether [`take_woken`](Self::take_woken) would be true.
    fn is_woken(&self) -> bool {
        // ORDERING: Relaxed; only a hint to look again, which is when the Acquire comes.
        self.woken.load(Ordering::Relaxed)
    }

    fn take_woken(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `wake_by_ref`, so that the next poll sees what
        // was done before the wake-up.
        self.woken.swap(false, Ordering::Acquire)
    }
}

fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| now() >= deadline)
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // ORDERING: Release pairs with the Acquire in `take_woken`. A wake-up that is already
        // pending also covers this one, since the swap orders us before its consumer.
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

/// The queue of a worker, from which its wait may take the awaited task.
#[doc(hidden)]
pub trait OwnQueue {
    /// Takes the task out, if it is the next one. Runs no user code.
    fn take_if_next(&self, task: CellId) -> Option<Task>;

    /// Counts a task that was taken out this way and has run. Runs no user code.
    fn count(&self, status: Option<Status>);

    /// Why nothing queued in this pool may start any more, if the queue is that pool's.
    fn refusal(&self, pool: PoolId) -> Option<TaskError>;

    /// The pool, if there are pairs that its workers advance piece by piece.
    fn goes_on_with_pairs(&self) -> Option<PoolId> {
        None
    }

    /// The worker is about to sleep, and another is to stand in until the place was taken again as many
    /// times. False if that is impossible.
    fn give_up_place(&self) -> bool {
        false
    }

    /// It is awake again.
    fn take_place_again(&self) {}
}

/// The calling worker's queue.
pub(crate) fn own_queue() -> Option<Rc<dyn OwnQueue>> {
    OWN_QUEUE.try_with(|queue| queue.borrow().clone()).ok()?
}

/// Why nothing queued in this pool may start any more, as far as the calling worker knows.
pub(crate) fn refusal(pool: PoolId) -> Option<TaskError> {
    with_own(|queue| queue.refusal(pool))
}

/// No user code runs under the borrow.
#[inline]
fn with_own<R>(f: impl FnOnce(&dyn OwnQueue) -> Option<R>) -> Option<R> {
    let f = |queue: &RefCell<Option<Rc<dyn OwnQueue>>>| f(&**queue.borrow().as_ref()?);
    OWN_QUEUE.try_with(f).ok().flatten()
}

/// Takes the task out of the calling worker's queue, if it is the next one there.
#[inline]
pub(crate) fn take_own(task: CellId) -> Option<Task> {
    with_own(|queue| queue.take_if_next(task))
}

/// Tells the calling worker's queue how a task taken out of it ended.
#[inline]
pub(crate) fn count_own(status: Option<Status>) {
    with_own(|queue| {
        queue.count(status);
        Some(())
    });
}

/// The identity of a pool, by which a worker recognises the tasks that it may run in place. They are ordered by age.
///
/// # Examples
///
/// ```
/// use future_result::{task_in, FutureResult, PoolId};
///
/// let pool = PoolId::new();
/// let (task, handle) = task_in(pool, || 6 * 7);
/// // A worker of the pool that waits for a queued task runs it rather than wait.
/// assert_eq!(pool.enter(|| handle.result())?, 42);
/// task.run(); // What the queue still holds is a tombstone.
/// # Ok::<(), future_result::TaskError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolId(NonZeroU32);

impl PoolId {
    /// An identity that no other pool of this process has.
    ///
    /// # Panics
    ///
    /// After 2³² − 1 of them.
    #[expect(
        clippy::new_without_default,
        reason = "each call gives another identity"
    )]
    #[must_use]
    pub fn new() -> Self {
        match unique_id() {
            Some(id) => Self(id),
            None => panic!("this process has made more than 2^32 - 1 pools"),
        }
    }

    /// Runs `f` with the calling thread as a worker of this pool.
    pub fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        struct Restore(Option<PoolId>);

        impl Drop for Restore {
            fn drop(&mut self) {
                let _ = POOL.try_with(|pool| pool.set(self.0));
            }
        }

        let _restore = Restore(POOL.with(|pool| pool.replace(Some(self))));
        f()
    }

    /// As [`enter`](Self::enter), for a worker with a queue of its own.
    #[doc(hidden)]
    pub fn enter_with<R>(self, queue: Rc<dyn OwnQueue>, f: impl FnOnce() -> R) -> R {
        struct Restore(Option<Rc<dyn OwnQueue>>);

        impl Drop for Restore {
            fn drop(&mut self) {
                let outer = self.0.take();
                let ours = OWN_QUEUE.try_with(|queue| queue.replace(outer));
                drop(ours);
            }
        }

        let _restore = Restore(OWN_QUEUE.with(|own| own.replace(Some(queue))));
        self.enter(f)
    }

    /// Whether the pool was made before this process was forked from its parent, so that its threads
    /// are not in this process.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::PoolId;
    ///
    /// assert!(!PoolId::new().is_inherited());
    /// ```
    #[inline]
    #[must_use]
    pub fn is_inherited(self) -> bool {
        is_inherited(self.0)
    }

    /// The pool that the calling thread is a worker of.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::PoolId;
    ///
    /// let pool = PoolId::new();
    /// assert_eq!(PoolId::current(), None);
    /// assert_eq!(pool.enter(PoolId::current), Some(pool));
    /// ```
    #[must_use]
    pub fn current() -> Option<Self> {
        POOL.try_with(Cell::get).ok().flatten()
    }
}
