//! The facade in a simulation: a seed decides who runs, what the time is, and what goes wrong.
//!
//! The threads are shuttle's: coroutines of one real thread. Every access to an atomic, a lock or a
//! parked thread is a place where another one may go on. Memory is sequentially consistent, so wrong
//! orderings are left for loom to find; a simulation has room for whole programs instead.
//!
//! All decisions here come from shuttle's own random numbers, so a seed replays a run.
#![expect(
    clippy::disallowed_types,
    reason = "the simulation's own bookkeeping is no step of it"
)]

use std::alloc::Layout;
use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use shuttle::rand::RngCore;

/// Thread-locals, one for each of the simulation's threads.
#[doc(hidden)]
#[macro_export]
macro_rules! __thread_locals {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $init:expr;)*) => {
        shuttle::thread_local! {
            $($(#[$attribute])* static $name: $type = $init;)*
        }
    };
}
pub use crate::__thread_locals as thread_locals;

/// A static made anew for each run.
#[doc(hidden)]
#[macro_export]
macro_rules! __statics {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $init:expr;)*) => {
        shuttle::lazy_static! {
            $($(#[$attribute])* static ref $name: $type = $init;)*
        }
    };
}
pub use crate::__statics as statics;

/// Once is enough: what happens between two looks is up to the scheduler.
pub const SEARCHES: usize = 1;
/// As [`SEARCHES`].
pub const SEARCHES_MIN: usize = 0;
/// As [`SEARCHES`].
pub const PAUSES: usize = 1;

/// As [`SEARCHES`].
pub const YIELDS: u32 = 1;

/// How long a block must be for another worker to be woken for half of it: time is no measure in a simulation.
pub const WORTH_WAKING: Duration = Duration::ZERO;

/// A set of two is large here, so that small programs cover waits for many tasks.
pub const LISTED_MIN: usize = 1;

/// Few enough that small programs see rings wrap round and overflow.
pub const RING: usize = 4;

/// Says yes to one address in four, whatever it is: addresses differ from one run to its replay.
#[must_use]
pub fn is_sampled(_address: usize) -> bool {
    happens(4)
}

/// What goes wrong in a run, each with a chance of one in so many; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A thread cannot be started.
    pub spawn: u64,
    /// A parked thread wakes for no reason.
    pub wake: u64,
    /// A wait with a time limit expires before anything else happens.
    pub expire: u64,
}

thread_local! {
    static FAULTS: Cell<Faults> = const { Cell::new(Faults { spawn: 0, wake: 0, expire: 0 }) };
    static ELAPSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static CELLS: Cell<usize> = const { Cell::new(0) };
}

/// Begins a run, on the thread that is to simulate it.
pub fn begin(faults: Faults) {
    FAULTS.set(faults);
    ELAPSED.set(Duration::ZERO);
    CELLS.set(0);
}

/// How many cells of this run have not been freed.
#[must_use]
pub fn cells() -> usize {
    CELLS.get()
}

/// Whether something with a chance of one in so many happens.
fn happens(one_in: u64) -> bool {
    one_in > 0
        && shuttle::rand::thread_rng()
            .next_u64()
            .is_multiple_of(one_in)
}

/// The run's time: it passes when somebody waits for it, and a little with each look at it.
#[must_use]
pub fn now() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = ELAPSED.get() + Duration::from_micros(1);
    ELAPSED.set(elapsed);
    *START.get_or_init(Instant::now) + elapsed
}

/// Lets time pass.
pub fn pass(time: Duration) {
    ELAPSED.set(ELAPSED.get() + time);
}

/// As [`std::alloc::alloc`], and counts.
///
/// # Safety
///
/// As for [`std::alloc::alloc`].
#[must_use]
pub unsafe fn alloc(layout: Layout) -> *mut u8 {
    CELLS.set(CELLS.get() + 1);
    // SAFETY: passed on to the caller.
    unsafe { std::alloc::alloc(layout) }
}

/// As [`std::alloc::dealloc`], and counts; what is read there afterwards is plainly wrong.
///
/// # Safety
///
/// As for [`std::alloc::dealloc`].
pub unsafe fn dealloc(memory: *mut u8, layout: Layout) {
    CELLS.set(CELLS.get() - 1);
    // SAFETY: a block of this layout, says the caller.
    unsafe { memory.write_bytes(0xDD, layout.size()) };
    // SAFETY: passed on to the caller.
    unsafe { std::alloc::dealloc(memory, layout) }
}

/// Atomics and fences.
pub mod atomic {
    pub use shuttle::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

    /// All accesses are in one order.
    pub fn fence_between_seq_cst() {}
}

/// Threads and parking.
pub mod thread {
    pub use shuttle::thread::{JoinHandle, yield_now};

    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    use super::{ELAPSED, FAULTS, happens, now};

    shuttle::thread_local! {
        static TOKEN: Arc<AtomicBool> = Arc::default();
    }

    /// A thread that can be unparked.
    #[derive(Clone, Debug)]
    pub struct Thread {
        thread: shuttle::thread::Thread,
        /// Of our own, since shuttle does not tell whether a thread was unparked.
        token: Arc<AtomicBool>,
    }

    impl Thread {
        /// The name that it was given.
        #[must_use]
        pub fn name(&self) -> Option<&str> {
            self.thread.name()
        }

        /// Ends the thread's current or next `park`.
        pub fn unpark(&self) {
            // ORDERING: Relaxed, as everything here: there is one real thread.
            self.token.store(true, Ordering::Relaxed);
            self.thread.unpark();
        }
    }

    /// The calling thread.
    #[must_use]
    pub fn current() -> Thread {
        Thread {
            thread: shuttle::thread::current(),
            token: TOKEN.with(Arc::clone),
        }
    }

    /// Whether `handle` is that of the calling thread, which must not join itself.
    #[must_use]
    pub fn is_current<T>(handle: &JoinHandle<T>) -> bool {
        handle.thread().id() == shuttle::thread::current().id()
    }

    /// Parks this thread until it is unparked, or for no reason.
    pub fn park() {
        let token = TOKEN.with(Arc::clone);
        if !token.swap(false, Ordering::Relaxed) && !happens(FAULTS.get().wake) {
            shuttle::thread::park();
            token.store(false, Ordering::Relaxed);
        }
    }

    /// Parks this thread until it is unparked, or until `deadline`, which comes at any moment.
    pub fn park_deadline(deadline: Instant) {
        let token = TOKEN.with(Arc::clone);
        while !token.swap(false, Ordering::Relaxed) {
            if happens(FAULTS.get().wake) {
                return;
            }
            if happens(FAULTS.get().expire.max(1)) {
                let left = deadline.saturating_duration_since(now());
                return ELAPSED.set(ELAPSED.get() + left);
            }
            yield_now();
        }
    }

    /// Settings of a thread. All stacks have the size that the simulation says.
    #[derive(Debug, Default)]
    pub struct Builder(shuttle::thread::Builder);

    impl Builder {
        /// The default settings.
        #[must_use]
        pub fn new() -> Self {
            Self::default()
        }

        /// What the thread is called.
        #[must_use]
        pub fn name(self, name: String) -> Self {
            Self(self.0.name(name))
        }

        /// Changes nothing.
        #[must_use]
        pub fn stack_size(self, _bytes: usize) -> Self {
            self
        }

        /// Starts the thread.
        ///
        /// # Errors
        ///
        /// If the run's faults say so.
        pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
        where
            F: FnOnce() -> T + Send + 'static,
            T: Send + 'static,
        {
            if happens(FAULTS.get().spawn) {
                return Err(io::Error::other("the simulation has no thread left"));
            }
            self.0.spawn(f)
        }
    }
}

/// An unbounded queue of completions. Never a step by itself: its users touch an atomic next to it.
pub mod channel {
    pub use crossbeam_channel::{Receiver, Sender, unbounded};
}
