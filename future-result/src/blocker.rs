//! How the calling context waits, and whose worker it is.
//!
//! Blocking is a property of the place where the call stands. A plain thread parks. A scheduler of
//! coroutines installs a [`Blocker`], so that the same call suspends one coroutine there and lets
//! its thread go on with others. A worker of a pool may first run the very task that it is about to
//! wait for, which is why a thread knows whose worker it is ([`PoolId::enter`]).

use std::cell::{Cell, RefCell};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use crate::WaitTimedOut;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{thread, thread_locals, unique_id};

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
}

thread_locals! {
    static BLOCKER: RefCell<Option<Rc<dyn Blocker>>> = RefCell::new(None);
    static POOL: Cell<Option<PoolId>> = Cell::new(None);
    /// A parker that no wait on this thread is using.
    static PARKER: Cell<Option<Parker>> = Cell::new(None);
}

/// Runs `f` with `blocker` as the way in which this thread waits; restores the former way after it.
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

/// Polls until ready, waiting in between as the calling context waits.
///
/// `deadline` of `None` waits without a limit.
///
/// # Errors
///
/// [`WaitTimedOut`] if `poll` was still pending after `deadline`.
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
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> Result<R, WaitTimedOut> {
    // Cloned out, so that no borrow lives while user code runs. A thread whose locals are being
    // destroyed parks.
    let blocker = BLOCKER.try_with(|blocker| blocker.borrow().clone());
    let mut result = None;
    let mut poll = |context: &mut Context<'_>| {
        poll(context).map(|ready| {
            result = Some(ready);
        })
    };
    match blocker {
        Ok(Some(blocker)) => blocker.block(deadline, &mut poll),
        _ => park_until(deadline, &mut poll),
    }
    // Whatever the blocker made of it: what was taken must not be lost.
    result.ok_or(WaitTimedOut)
}

/// How a plain thread waits.
fn park_until(deadline: Option<Instant>, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
    // A wait from within `poll` finds the cell empty and makes a parker of its own, so that it
    // cannot swallow a wake-up that was meant for this one.
    let parker = PARKER.try_with(Cell::take).ok().flatten();
    let parker = parker.unwrap_or_else(Parker::new);
    parker.poll_until(deadline, poll);
    let _ = PARKER.try_with(|cached| cached.set(Some(parker)));
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
        poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
    ) {
        let mut context = Context::from_waker(&self.waker);
        loop {
            // Looked at before polling, so that the last poll comes after the deadline; and also
            // when there was a wake-up, since what is polled may wake itself without end.
            let is_last = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if poll(&mut context).is_ready() || is_last {
                return;
            }
            // ORDERING: Acquire pairs with the Release in `wake_by_ref`, so that the next poll
            // sees what was done before the wake-up.
            while !self.signal.woken.swap(false, Ordering::Acquire) {
                // The thread's own token may be spent by others' `park` and set by others'
                // `unpark`: `woken` tells whether it was meant for us.
                match deadline {
                    None => thread::park(),
                    Some(deadline) if Instant::now() < deadline => thread::park_deadline(deadline),
                    Some(_) => break,
                }
            }
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // ORDERING: Release pairs with the Acquire in `poll_until`. A wake-up that is already
        // pending also covers this one, since the swap orders us before its consumer.
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

/// The identity of a pool, by which a worker recognises the tasks that it may run in place.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
