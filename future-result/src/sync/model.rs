//! The facade under loom: every access is a step of the model.

use std::collections::VecDeque;
use std::sync::PoisonError;

pub use loom::alloc::{alloc, dealloc};
pub use loom::cell::UnsafeCell;
pub use loom::sync::MutexGuard;
pub use loom::thread_local;

/// Atomics and fences.
pub mod atomic {
    pub use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
}

/// Threads and parking. Time does not pass in a model, so a deadline is never reached.
pub mod thread {
    pub use loom::thread::{Builder, JoinHandle, Thread, ThreadId, current, park};

    use std::time::Instant;

    /// Parks this thread until it is unparked.
    pub fn park_deadline(_deadline: Instant) {
        park();
    }
}

/// loom's mutex with the signatures of parking_lot's.
#[derive(Debug, Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    /// Locks; a poisoned lock is as good as any, since no user code runs under one.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

/// An unbounded queue of completions, as a locked deque.
pub mod channel {
    use super::{Mutex, VecDeque};
    use std::sync::Arc;

    /// The producers' end.
    #[derive(Debug)]
    pub struct Sender<T>(Arc<Mutex<VecDeque<T>>>);

    /// The consumer's end.
    #[derive(Debug)]
    pub struct Receiver<T>(Arc<Mutex<VecDeque<T>>>);

    /// A new, empty queue.
    #[must_use]
    pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
        let queue = Arc::new(Mutex::new(VecDeque::new()));
        (Sender(Arc::clone(&queue)), Receiver(queue))
    }

    impl<T> Sender<T> {
        /// Appends; never fails here, as the receiver lives as long as the model.
        ///
        /// # Errors
        ///
        /// None; the signature is crossbeam's.
        pub fn send(&self, value: T) -> Result<(), std::convert::Infallible> {
            self.0.lock().push_back(value);
            Ok(())
        }
    }

    impl<T> Receiver<T> {
        /// Takes the oldest value, if there is one.
        ///
        /// # Errors
        ///
        /// `Err` when the queue is empty.
        pub fn try_recv(&self) -> Result<T, ()> {
            self.0.lock().pop_front().ok_or(())
        }
    }
}
