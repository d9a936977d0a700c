//! The clock and its timers.

mod wheel;

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use future_result::sync::now as real_now;

use self::wheel::{Key, Wheel};
use crate::scheduler::{Ends, Rest, Scheduler, Task, current};
use crate::stack::Frame;

/// How many bits of a nanosecond are below a tick: 65 µs, so that timers set for about the same time cost one look.
const REAL_SHIFT: u32 = 16;

/// A runtime's clock, and who waits for what time.
pub(crate) struct Timers {
    start: Instant,
    /// How far a virtual clock has advanced.
    elapsed: Option<Cell<Duration>>,
    shift: u32,
    /// The clock when it was last read.
    seen: Cell<Instant>,
    wheel: RefCell<Wheel<Alarm>>,
}

/// What happens at some time.
pub(crate) enum Alarm {
    /// Wakes the task, which sleeps about here.
    Rouse(Rc<Task>, Frame),
    /// Wakes the task.
    Wake(Rc<Task>),
    /// A time limit of the task, of this depth, expires.
    Limit(Rc<Task>, u32),
    /// Wakes a future.
    Poll(Waker),
}

/// An alarm; dropping this cancels it.
pub(crate) struct Armed<'a> {
    timers: &'a Timers,
    key: Key,
}

impl Timers {
    /// With the real clock, or with one that advances when there is nothing else to do.
    pub(crate) fn new(is_virtual: bool) -> Self {
        let start = real_now();
        Self {
            start,
            elapsed: is_virtual.then(Cell::default),
            seen: Cell::new(start),
            shift: if is_virtual { 0 } else { REAL_SHIFT },
            wheel: RefCell::new(Wheel::new()),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        match &self.elapsed {
            Some(elapsed) => self.start + elapsed.get(),
            None => real_now(),
        }
    }

    /// The last reading of the clock, which costs less than a new one.
    #[inline]
    pub(crate) fn seen(&self) -> Instant {
        self.seen.get()
    }

    /// Reads the clock for [`seen`](Self::seen).
    pub(crate) fn look(&self) {
        self.seen.set(self.now());
    }

    /// This clock's time for a time of the real one.
    pub(crate) fn translate(&self, real: Instant) -> Option<Instant> {
        match &self.elapsed {
            Some(_) => self.after(real.saturating_duration_since(real_now())),
            None => Some(real),
        }
    }

    /// `None` if that is too late to be represented.
    pub(crate) fn after(&self, duration: Duration) -> Option<Instant> {
        self.now().checked_add(duration)
    }

    /// The first tick that is not before `at`.
    fn tick(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.start).as_nanos();
        let ticks = nanos.div_ceil(1 << self.shift);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// The last tick that has passed.
    fn present(&self) -> u64 {
        let nanos = self.now().saturating_duration_since(self.start).as_nanos();
        u64::try_from(nanos >> self.shift).unwrap_or(u64::MAX)
    }

    fn insert(&self, at: Instant, alarm: Alarm) -> Key {
        self.wheel.borrow_mut().insert(self.tick(at), alarm)
    }

    pub(crate) fn arm(&self, at: Instant, alarm: Alarm) -> Armed<'_> {
        Armed {
            timers: self,
            key: self.insert(at, alarm),
        }
    }

    /// Sets an alarm that nothing cancels.
    pub(crate) fn ring(&self, after: Duration, alarm: Alarm) {
        if let Some(at) = self.after(after) {
            self.insert(at, alarm);
        }
    }

    /// When to look again; `None` if no timer runs.
    pub(crate) fn next(&self) -> Option<Instant> {
        let tick = self.wheel.borrow().next()?;
        let nanos = u128::from(tick) << self.shift;
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        // Too late to be represented: there will be another look before that.
        let at = self.start.checked_add(Duration::from_nanos(nanos));
        Some(at.unwrap_or_else(|| real_now() + Duration::from_secs(3600)))
    }

    /// Advances a virtual clock to the next timer. False if there is none, or if the clock is the real one.
    pub(crate) fn skip(&self) -> bool {
        let (Some(elapsed), Some(next)) = (&self.elapsed, self.next()) else {
            return false;
        };
        let until = next.saturating_duration_since(self.start);
        elapsed.set(elapsed.get().max(until));
        self.look();
        true
    }

    /// The alarms that are due.
    pub(crate) fn take_due(&self) -> Vec<Alarm> {
        let mut due = Vec::new();
        let mut wheel = self.wheel.borrow_mut();
        if !wheel.is_empty() {
            wheel.advance(self.present(), |alarm| due.push(alarm));
        }
        due
    }

    /// Takes an alarm out, unless it has gone off. The caller drops it, and with it a waker, when the wheel is no
    /// longer borrowed.
    fn remove(&self, key: Key) -> Option<Alarm> {
        self.wheel.borrow_mut().remove(key)
    }
}

impl Armed<'_> {
    /// Whether its time has come.
    pub(crate) fn is_over(&self) -> bool {
        !self.timers.wheel.borrow().contains(self.key)
    }
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        drop(self.timers.remove(self.key));
    }
}

/// Puts the calling task to sleep; others run meanwhile. Outside of a runtime, the thread sleeps.
///
/// # Cancel safety
///
/// A task that is cancelled unwinds from here at once.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_tasks::{sleep, Runtime};
///
/// let runtime = Runtime::builder().deterministic(7).build()?;
/// // The clock of a deterministic runtime goes on when there is nothing else to do.
/// runtime.run(|| sleep(Duration::from_secs(3600)))?;
/// # Ok::<(), green_tasks::RuntimeError>(())
/// ```
#[track_caller]
pub fn sleep(duration: Duration) {
    let at = Some(Location::caller());
    let Some(scheduler) = current::get() else {
        return std::thread::sleep(duration);
    };
    let task = scheduler.current();
    let deadline = scheduler.timers.after(duration);
    let rest = Rest {
        what: &"sleeps",
        at,
        ends: Ends::Here,
    };
    let alarm = Alarm::Rouse(Rc::clone(&task), Frame::here());
    let armed = deadline.map(|at| scheduler.timers.arm(at, alarm));
    // Even a sleep of no time lets the others run.
    loop {
        scheduler.rest(&task, rest);
        if armed.as_ref().is_some_and(Armed::is_over) {
            return;
        }
    }
}

/// Runs `f` with a time limit: when it has passed, `f` unwinds from where it waits, as if it were
/// cancelled.
///
/// Like cancelling, a limit ends waits and not computations, unless these call
/// [`checkpoint`](crate::checkpoint), and does nothing within [`shield`](crate::shield). Of nested limits, the
/// outermost that has passed ends its `f`.
/// Outside of a runtime nothing can be interrupted: `f` runs to its end.
///
/// # Errors
///
/// [`Elapsed`] if `f` was ended.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_tasks::{sleep, timeout, Elapsed, Runtime};
///
/// Runtime::builder().deterministic(7).build()?.run(|| {
///     let slow = timeout(Duration::from_secs(1), || sleep(Duration::from_secs(60)));
///     assert_eq!(slow, Err(Elapsed));
///     let fast = timeout(Duration::from_secs(1), || 6 * 7);
///     assert_eq!(fast, Ok(42));
/// })?;
/// # Ok::<(), green_tasks::RuntimeError>(())
/// ```
pub fn timeout<R>(limit: Duration, f: impl FnOnce() -> R) -> Result<R, Elapsed> {
    let Some(scheduler) = current::get() else {
        return Ok(f());
    };
    let task = scheduler.current();
    let Some(at) = scheduler.timers.after(limit) else {
        return Ok(f());
    };
    let limit = task.interrupts().enter_limit();
    let alarm = Alarm::Limit(Rc::clone(&task), limit.depth);
    let armed = scheduler.timers.arm(at, alarm);
    // Unwind safety: other panics go on unwinding, and ours becomes an error.
    let result = catch_unwind(AssertUnwindSafe(f));
    drop(armed);
    match result {
        Ok(value) => Ok(value),
        Err(payload) if limit.has_caught(&*payload) => Err(Elapsed),
        Err(payload) => {
            drop(limit);
            resume_unwind(payload)
        }
    }
}

/// What ran under a [`timeout`] was ended, since its limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit was reached, so what ran under it was ended")
    }
}

impl Error for Elapsed {}

/// The time of the runtime's clock, which is virtual in a deterministic runtime.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_tasks::{now, sleep, Runtime};
///
/// let hour = Duration::from_secs(3600);
/// Runtime::builder().deterministic(7).build()?.run(|| {
///     let before = now();
///     sleep(hour);
///     assert_eq!(now() - before, hour);
/// })?;
/// # Ok::<(), green_tasks::RuntimeError>(())
/// ```
#[must_use]
pub fn now() -> Instant {
    current::get().map_or_else(real_now, |scheduler| scheduler.timers.now())
}

/// A future that is ready after some time, from [`sleep_async`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sleep {
    deadline: Option<Instant>,
    key: Option<Key>,
    /// A key is valid in one runtime only.
    scheduler: std::rc::Weak<Scheduler>,
}

/// Like [`sleep`], for async code on a runtime. The time starts with this call.
///
/// # Panics
///
/// The future panics if it is polled on another runtime than it was made on, or on none.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_tasks::{await_future, sleep_async, Runtime};
///
/// Runtime::builder().deterministic(7).build()?.run(|| {
///     await_future(async {
///         sleep_async(Duration::from_secs(3600)).await;
///     });
/// })?;
/// # Ok::<(), green_tasks::RuntimeError>(())
/// ```
pub fn sleep_async(duration: Duration) -> Sleep {
    let scheduler = current::get();
    Sleep {
        deadline: scheduler
            .as_ref()
            .and_then(|scheduler| scheduler.timers.after(duration)),
        key: None,
        scheduler: scheduler.as_ref().map(Rc::downgrade).unwrap_or_default(),
    }
}

impl Sleep {
    fn disarm(&mut self) {
        if let (Some(key), Some(scheduler)) = (self.key.take(), self.scheduler.upgrade()) {
            drop(scheduler.timers.remove(key));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let ours = self.scheduler.upgrade();
        let scheduler = current::get().filter(|current| {
            ours.as_ref()
                .is_some_and(|scheduler| Rc::ptr_eq(scheduler, current))
        });
        let Some(scheduler) = scheduler else {
            panic!("`sleep_async` belongs to the runtime that it was called on; await it there");
        };
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        // Its alarm went off; or it was polled for another reason, perhaps with another waker.
        let is_over = match self.key.take() {
            Some(key) => scheduler.timers.remove(key).is_none(),
            None => scheduler.timers.now() >= deadline,
        };
        if is_over {
            return Poll::Ready(());
        }
        let alarm = Alarm::Poll(context.waker().clone());
        self.key = Some(scheduler.timers.insert(deadline, alarm));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}
