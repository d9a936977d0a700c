//! The facade under loom: every access is a step of the model.

use std::sync::PoisonError;
use std::time::Instant;

pub use loom::alloc::{alloc, dealloc};
pub use loom::cell::UnsafeCell;

use super::MutexGuard;

/// Thread-locals, one for each of the model's threads.
#[doc(hidden)]
#[macro_export]
macro_rules! __thread_locals {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $init:expr;)*) => {
        loom::thread_local! {
            $($(#[$attribute])* static $name: $type = $init;)*
        }
    };
}
pub use crate::__thread_locals as thread_locals;

/// A model looks at every interleaving anyway.
pub const SEARCHES: usize = 0;
/// As [`SEARCHES`].
pub const SEARCHES_MIN: usize = 0;
/// As [`SEARCHES`].
pub const PAUSES: usize = 0;

/// A static made anew for each execution of the model.
#[doc(hidden)]
#[macro_export]
macro_rules! __statics {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $init:expr;)*) => {
        loom::lazy_static! {
            $($(#[$attribute])* static ref $name: $type = $init;)*
        }
    };
}
pub use crate::__statics as statics;

/// The time, on which nothing in a model may depend.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// A model's thread parks at once: yielding would only make the model larger.
pub const YIELDS: u32 = 0;

/// A set of two is large here, so that small models cover waits for many tasks.
pub const LISTED_MIN: usize = 1;

/// Addresses differ from one run of a model to the next, and must not decide anything.
#[must_use]
pub fn is_sampled(_address: usize) -> bool {
    false
}

/// Few enough that a model sees a ring wrap round.
pub const RING: usize = 4;

/// Time must not decide anything in a model.
pub const WORTH_WAKING: std::time::Duration = std::time::Duration::ZERO;

/// Atomics and fences.
pub mod atomic {
    pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

    /// loom treats `SeqCst` accesses as `AcqRel` ones, and only fences as what they are.
    pub fn fence_between_seq_cst() {
        fence(Ordering::SeqCst);
    }
}

/// Threads and parking. Time does not pass in a model, so a deadline is never reached.
pub mod thread {
    pub use loom::thread::{Builder, JoinHandle, yield_now};

    use std::sync::Arc;
    use std::time::Instant;

    use super::Condvar;
    use crate::sync::Mutex;

    loom::thread_local! {
        static TOKEN: Arc<Token> = Arc::default();
    }

    /// The token of std's `park` and `unpark`. loom's own `unpark` also wakes a thread that waits
    /// for a lock or for another thread's end, which then fails an assertion of loom.
    #[derive(Debug, Default)]
    struct Token {
        is_set: Mutex<bool>,
        changed: Condvar,
    }

    /// A thread that can be unparked.
    #[derive(Clone, Debug)]
    pub struct Thread(Arc<Token>);

    impl Thread {
        /// A model's threads have no names.
        #[must_use]
        pub fn name(&self) -> Option<&str> {
            None
        }

        /// Ends the thread's current or next `park`.
        pub fn unpark(&self) {
            *self.0.is_set.lock() = true;
            self.0.changed.notify_one();
        }
    }

    /// Whether `handle` is that of the calling thread, which must not join itself.
    #[must_use]
    pub fn is_current<T>(handle: &JoinHandle<T>) -> bool {
        handle.thread().id() == loom::thread::current().id()
    }

    /// The calling thread.
    #[must_use]
    pub fn current() -> Thread {
        Thread(TOKEN.with(Arc::clone))
    }

    /// Parks this thread until it is unparked.
    pub fn park() {
        let token = TOKEN.with(Arc::clone);
        let mut is_set = token.is_set.lock();
        while !*is_set {
            token.changed.wait(&mut is_set);
        }
        *is_set = false;
    }

    /// Parks this thread until it is unparked.
    pub fn park_deadline(_deadline: Instant) {
        park();
    }
}

/// loom's condition variable with the signatures of parking_lot's.
#[derive(Debug, Default)]
pub struct Condvar(loom::sync::Condvar);

impl Condvar {
    /// A condition that nobody waits for yet.
    #[must_use]
    pub fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    /// Unlocks, waits for a notification, and locks again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        replace_guard(guard, |guard| {
            self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
        });
    }

    /// Wakes one waiter.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Turns loom's guard-by-value into parking_lot's guard-by-reference.
fn replace_guard<'a, T>(
    guard: &mut MutexGuard<'a, T>,
    wait: impl FnOnce(MutexGuard<'a, T>) -> MutexGuard<'a, T>,
) {
    // A panic in `wait` would drop the guard twice; under loom a panic ends the model anyway.
    let abort = AbortOnDrop;
    // SAFETY: `guard` is valid for reads, and is overwritten below before anyone can use it again.
    let owned = unsafe { std::ptr::read(guard) };
    let owned = wait(owned);
    // SAFETY: `guard` is valid for writes, and its former content was moved out above.
    unsafe { std::ptr::write(guard, owned) };
    std::mem::forget(abort);
}

struct AbortOnDrop;

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// An unbounded queue of completions. Not a locked deque: a lock would order its users more than
/// crossbeam's queue does, and so hide a fence that is missing elsewhere.
pub mod channel {
    use super::UnsafeCell;
    use super::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::Arc;

    /// More sends than any model makes.
    const CAPACITY: usize = 8;

    /// The producers' end.
    #[derive(Debug)]
    pub struct Sender<T>(Arc<Queue<T>>);

    /// The consumer's end.
    #[derive(Debug)]
    pub struct Receiver<T> {
        queue: Arc<Queue<T>>,
        head: AtomicU32,
    }

    /// There is nothing in the queue, or nothing visible yet.
    #[derive(Debug)]
    pub struct Empty;

    #[derive(Debug)]
    struct Queue<T> {
        tail: AtomicU32,
        slots: [Slot<T>; CAPACITY],
    }

    #[derive(Debug)]
    struct Slot<T> {
        is_full: AtomicBool,
        value: UnsafeCell<Option<T>>,
    }

    // SAFETY: a slot's value is touched by the one producer that got its place from `tail`, and,
    // once that has set `is_full`, by the one consumer.
    unsafe impl<T: Send> Sync for Queue<T> {}

    /// A new, empty queue.
    #[must_use]
    pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
        let queue = Arc::new(Queue {
            tail: AtomicU32::new(0),
            slots: std::array::from_fn(|_| Slot {
                is_full: AtomicBool::new(false),
                value: UnsafeCell::new(None),
            }),
        });
        let receiver = Receiver {
            queue: Arc::clone(&queue),
            head: AtomicU32::new(0),
        };
        (Sender(queue), receiver)
    }

    impl<T> Sender<T> {
        /// Appends; never fails here, as a model keeps its receivers.
        ///
        /// # Errors
        ///
        /// None; the signature is crossbeam's.
        ///
        /// # Panics
        ///
        /// If a model sends more often than there are slots.
        pub fn send(&self, value: T) -> Result<(), std::convert::Infallible> {
            let place = self.0.tail.fetch_add(1, Ordering::Relaxed) as usize;
            let slot = &self.0.slots[place];
            // SAFETY: this place is ours alone until `is_full` is set.
            slot.value.with_mut(|slot| unsafe { *slot = Some(value) });
            slot.is_full.store(true, Ordering::Release);
            Ok(())
        }
    }

    impl<T> Receiver<T> {
        /// Whether there is nothing in the queue, or nothing visible yet.
        #[must_use]
        pub fn is_empty(&self) -> bool {
            let place = self.head.load(Ordering::Relaxed) as usize;
            let slot = self.queue.slots.get(place);
            slot.is_none_or(|slot| !slot.is_full.load(Ordering::Acquire))
        }

        /// Takes the oldest value, if there is one.
        ///
        /// # Errors
        ///
        /// `Err` when the queue is empty, or looks so.
        pub fn try_recv(&self) -> Result<T, Empty> {
            let place = self.head.load(Ordering::Relaxed) as usize;
            let Some(slot) = self.queue.slots.get(place) else {
                return Err(Empty);
            };
            if !slot.is_full.load(Ordering::Acquire) {
                return Err(Empty);
            }
            self.head.store(place as u32 + 1, Ordering::Relaxed);
            // SAFETY: full, so its producer has left it, and we are the only consumer.
            slot.value
                .with_mut(|slot| unsafe { (*slot).take() })
                .ok_or(Empty)
        }
    }
}
