//! Two closures at once, on the caller's stack.
//!
//! The second closure lies on the stack of the worker that calls `join`, and is offered to the
//! others while the first one runs; see [`stack`]. Mostly nobody takes it, and then it is an
//! ordinary call.
//!
//! # Why the job outlives its thief
//!
//! The worker does not leave `join`, by returning or unwinding, before it has the job back or the
//! thief has set `state` to `DONE` or `RETURNED`, which is the thief's last touch. The thief holds its own
//! reference to the bed of the worker that it may have to wake.
//!
//! | who | may touch `body` |
//! |---|---|
//! | the worker that made it | before it is offered; after popping it; once it sees `DONE` or `RETURNED` |
//! | the thief | from taking it out of the slot until it sets one of these |

#![expect(
    unsafe_code,
    reason = "a thief knows a job on the stack only by its address"
)]

mod stack;

use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

use future_result::claim::Role;
use future_result::sync::atomic::{AtomicU32, Ordering};
use future_result::sync::{SEARCHES, UnsafeCell, thread};
use future_result::{FutureResult, TaskError, abort_on_unwind, contain};

pub(crate) use self::stack::{Slots, Stack};

use self::stack::{LEVEL_MAX, Pushed};
use crate::ThreadPoolExecutor;
use crate::current;
use crate::sleep::Bed;
use crate::worker::Local;

/// The job is not done, and nobody need be woken when it is.
const PENDING: u32 = 0;
/// The job is not done, and its worker sleeps or is about to.
const AWAITED: u32 = 1;
/// The job is done. Its thief no longer touches it.
const DONE: u32 = 2;
/// The thief gave the job back as it was, and no longer touches it.
const RETURNED: u32 = 3;

impl ThreadPoolExecutor {
    /// Runs both closures, possibly at the same time, and returns both results.
    ///
    /// On one of the pool's own workers the second is offered to the others while the first one
    /// runs; if none of them has taken it by then, the worker runs it itself. That costs a few
    /// nanoseconds and no allocation, so that recursion may go down to small parts. A worker that
    /// has to wait for the second helps whoever is running it, and does nothing unrelated meanwhile.
    ///
    /// Called from a thread that is not a worker, both run on the pool, and the caller waits. If the pool
    /// does not accept them, the caller runs both itself. Called from a worker of another pool, they run
    /// on that one, so pools that use each other do not wait for each other.
    ///
    /// The two must not wait for each other, as they may run one after the other, nor for the task that
    /// calls this. (Unlike at the end of a [`scope`](Self::scope), that is not noticed.)
    ///
    /// # Panics
    ///
    /// If one of the closures does, once both have ended. If both do, with the panic of the first.
    /// If the first panics, the second may not have been run.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// fn sum(pool: &ThreadPoolExecutor, numbers: &[u64]) -> u64 {
    ///     if numbers.len() <= 1000 {
    ///         return numbers.iter().sum();
    ///     }
    ///     let (left, right) = numbers.split_at(numbers.len() / 2);
    ///     let (left, right) = pool.join(|| sum(pool, left), || sum(pool, right));
    ///     left + right
    /// }
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let numbers: Vec<u64> = (1..=100_000).collect();
    /// assert_eq!(sum(&pool, &numbers), 5_000_050_000);
    /// # Ok::<(), thread_pool::BuildError>(())
    /// ```
    #[inline]
    pub fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        // Without `current::with`: moving `a` and `b` through a closure costs more than all the rest.
        // SAFETY: it does not get out of this frame.
        match unsafe { current::get() } {
            Some(local) => join_here(local, a, b),
            None => self.join_inside(a, b),
        }
    }

    /// Has a worker do it.
    #[cold]
    fn join_inside<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        if self.core.is_closed() {
            return (a(), b());
        }
        let mut closures = Some((a, b));
        let result = self.scope(|scope| {
            let closures = &mut closures;
            let both = move || {
                let (a, b) = closures.take()?;
                // SAFETY: it does not get out of this frame.
                Some(match unsafe { current::get() } {
                    Some(local) => join_here(local, a, b),
                    // The pool was just closing, so this runs on the caller, and must not recurse.
                    None => (a(), b()),
                })
            };
            scope.spawn_as(Role::Helper, both).result()
        });
        match result {
            Ok(Some(results)) => results,
            Err(TaskError::Panicked(panic)) => panic.resume(),
            // Cancelled by a shutdown.
            _ => match closures.take() {
                Some((a, b)) => (a(), b()),
                None => unreachable!("a task that ran neither returns nor panics"),
            },
        }
    }
}

#[inline]
fn join_here<A, B, RA, RB>(local: &Local, a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA,
    B: FnOnce() -> RB + Send,
    RB: Send,
{
    let job = Job {
        header: Header {
            run: Job::<B, RB>::run,
            state: AtomicU32::new(PENDING),
            taker: AtomicU32::new(0),
            bed: local.bed(),
        },
        body: UnsafeCell::new(Body {
            closure: ManuallyDrop::new(b),
        }),
    };
    match local.joins().push(local.slots(), job.header()) {
        Pushed::No => {
            // SAFETY: nobody else knows the job, and it holds the closure.
            let b = unsafe { job.take_closure() };
            return match catch_unwind(AssertUnwindSafe(a)) {
                Ok(result) => (result, b()),
                Err(payload) => {
                    contain(|| drop(b));
                    resume_unwind(payload)
                }
            };
        }
        Pushed::Kept => {}
        // Nothing in it is known to unwind; but the job is already out of our hands.
        Pushed::Offered => abort_on_unwind(|| local.offered()),
    }
    let pending = Pending { local, job: &job };
    let result = a();
    std::mem::forget(pending);
    if local.joins().pop(local.slots(), job.header()) || !wait_for(local, &job.header) {
        // SAFETY: taken back or given back, so it is ours alone, and holds the closure.
        return (result, unsafe { job.take_closure() }());
    }
    // SAFETY: `DONE` was seen, so the thief has left a result.
    match unsafe { job.take_result() } {
        Ok(other) => (result, other),
        Err(payload) => resume_unwind(payload),
    }
}

/// What a thief knows of a job.
#[repr(C, align(8))]
pub(crate) struct Header {
    /// Runs the job that this is the header of; called once, by whoever has stolen it.
    run: unsafe fn(NonNull<Self>),
    state: AtomicU32,
    /// Where it is being run: 1 + the level + 8 times the worker's number; 0 if nowhere yet.
    taker: AtomicU32,
    /// Where the worker that waits for it sleeps. Valid until the job is settled.
    bed: *const Bed,
}

#[repr(C)]
struct Job<B, R> {
    header: Header,
    body: UnsafeCell<Body<B, R>>,
}

/// The closure until it is run; then, if a thief ran it, the result.
#[repr(C)]
union Body<B, R> {
    closure: ManuallyDrop<B>,
    result: ManuallyDrop<Outcome<R>>,
}

type Outcome<R> = Result<R, Box<dyn Any + Send>>;

impl<B, R> Job<B, R>
where
    B: FnOnce() -> R,
{
    /// A pointer to the job, valid for all of it.
    #[inline]
    fn header(&self) -> NonNull<Header> {
        NonNull::from(self).cast()
    }

    /// # Safety
    ///
    /// The body is the caller's (see the table above) and holds the closure; it is empty afterwards.
    #[inline]
    unsafe fn take_closure(&self) -> B {
        // SAFETY: passed on to the caller.
        self.body.with(|body| unsafe { body.cast::<B>().read() })
    }

    /// # Safety
    ///
    /// The body is the caller's (see the table above) and holds the result; it is empty afterwards.
    unsafe fn take_result(&self) -> Outcome<R> {
        // SAFETY: passed on to the caller.
        self.body
            .with(|body| unsafe { body.cast::<Outcome<R>>().read() })
    }

    /// # Safety
    ///
    /// `header` is that of a job of this type, and the caller has stolen it.
    unsafe fn run(header: NonNull<Header>) {
        // SAFETY: stolen, so its worker keeps it until it is done.
        let job = unsafe { header.cast::<Self>().as_ref() };
        // SAFETY: stolen, so the body is ours, and nobody has run it.
        let closure = unsafe { job.take_closure() };
        let result = catch_unwind(AssertUnwindSafe(closure));
        let result = ManuallyDrop::new(result);
        // SAFETY: the body is still ours.
        job.body
            .with_mut(|body| unsafe { body.write(Body { result }) });
    }
}

/// Makes sure that the job has ended before `join` unwinds.
struct Pending<'a, B: FnOnce() -> R, R> {
    local: &'a Local,
    job: &'a Job<B, R>,
}

impl<B: FnOnce() -> R, R> Drop for Pending<'_, B, R> {
    fn drop(&mut self) {
        let Self { local, job } = self;
        if local.joins().pop(local.slots(), job.header()) || !wait_for(local, &job.header) {
            // SAFETY: taken back or given back, so it is ours alone, and holds the closure.
            let closure = unsafe { self.job.take_closure() };
            contain(|| drop(closure));
        } else {
            // SAFETY: `DONE` was seen, so the thief has left a result.
            let result = unsafe { self.job.take_result() };
            contain(|| drop(result));
        }
    }
}

/// A job that was stolen, and must be run.
pub(crate) struct Stolen(NonNull<Header>);

// SAFETY: closure and result are `Send`, as `join` demands, and the holder of this is the only thief.
unsafe impl Send for Stolen {}

impl Stolen {
    pub(crate) fn from_slots(slots: &Slots, level: usize) -> Option<Self> {
        slots.steal(level).map(Self)
    }

    /// Runs it on the calling worker's level.
    fn run(self, local: &Local) {
        // SAFETY: stolen, so its worker keeps it until it is done.
        let header = unsafe { self.0.as_ref() };
        let taker = 1 + local.joins().level() + local.index() * (LEVEL_MAX + 1);
        // ORDERING: Relaxed; only a hint where to look. (A swap where a store would do, for loom.)
        header.taker.swap(taker as u32, Ordering::Relaxed);
        // SAFETY: stolen, and run once, as `self` is consumed.
        unsafe { (header.run)(self.0) };
        self.settle(DONE);
    }

    /// Gives it back as it was: its worker will run it.
    fn give_back(self) {
        self.settle(RETURNED);
    }

    /// Tells its worker what became of it.
    fn settle(self, state: u32) {
        // SAFETY: stolen, so its worker keeps it until it is settled.
        let header = unsafe { self.0.as_ref() };
        // SAFETY: the bed is an `Arc`'s, and its owner waits for us.
        unsafe { Arc::increment_strong_count(header.bed) };
        // SAFETY: the count just made.
        let bed = unsafe { Arc::from_raw(header.bed) };
        // ORDERING: Release publishes the result to `wait_for`. Last touch: the job may be gone.
        if header.state.swap(state, Ordering::AcqRel) == AWAITED {
            bed.wake();
        }
    }

    /// Runs it for a worker that has nothing else to do.
    pub(crate) fn run_on_top(self, local: &Local) {
        local.joins().on_level(0, || self.run(local));
    }
}

/// Waits until a stolen job is settled, and meanwhile helps its thief. True if it is done, false if
/// it was given back.
#[cold]
fn wait_for(local: &Local, header: &Header) -> bool {
    let mut turns = SEARCHES;
    loop {
        // ORDERING: Acquire pairs with the Release of `settle`: we see the result.
        match header.state.load(Ordering::Acquire) {
            DONE => return true,
            RETURNED => return false,
            _ => {}
        }
        if help(local, header) {
            turns = SEARCHES;
        } else if turns > 0 {
            turns -= 1;
            thread::yield_now();
        } else {
            break;
        }
    }
    // ORDERING: Relaxed; nothing is published, and the state is loaded again below.
    let _ = header
        .state
        .compare_exchange(PENDING, AWAITED, Ordering::Relaxed, Ordering::Relaxed);
    loop {
        // ORDERING: Acquire as above.
        match header.state.load(Ordering::Acquire) {
            DONE => return true,
            RETURNED => return false,
            _ => thread::park(),
        }
    }
}

/// Runs a part of the stolen job. False if none is on offer.
fn help(local: &Local, header: &Header) -> bool {
    let level = local.joins().level() + 1;
    // ORDERING: Relaxed, as in `run`.
    let taker = header.taker.load(Ordering::Relaxed) as usize;
    if taker == 0 || level > LEVEL_MAX {
        return false;
    }
    let (thief, thief_level) = ((taker - 1) / (LEVEL_MAX + 1), (taker - 1) % (LEVEL_MAX + 1));
    let Some(part) = local.steal_join_from(thief, thief_level) else {
        return false;
    };
    // ORDERING: Acquire, so that this look comes after the theft.
    if matches!(header.state.load(Ordering::Acquire), DONE | RETURNED) {
        // The part may belong to something that the thief has begun since.
        part.give_back();
        return true;
    }
    local.joins().on_level(level, || part.run(local));
    true
}
