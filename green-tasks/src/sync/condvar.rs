//! Waiting for what a lock protects to change.

use std::fmt;
use std::panic::Location;

use super::mutex::MutexGuard;
use super::queue::WaitQueue;

/// A condition on what a [`Mutex`](super::Mutex) protects.
///
/// A wait ends only when notified. But another task may have changed things in between, and
/// a notification that a cancelled task passes on may be older than the wait that it ends; so check the condition.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use green_tasks::sync::{Condvar, Mutex};
/// use green_tasks::{spawn_local, FutureResult, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// Runtime::builder().stackful(token).build()?.run(|| {
///     let shared = Rc::new((Mutex::new(Vec::new()), Condvar::new()));
///     let taking = spawn_local({
///         let shared = Rc::clone(&shared);
///         move || {
///             let (items, added) = &*shared;
///             let mut items = added.wait_while(items.lock(), |items| items.is_empty());
///             items.pop()
///         }
///     });
///     green_tasks::yield_now();
///     shared.0.lock().push("item");
///     shared.1.notify_one();
///     assert_eq!(taking.result()?, Some("item"));
///     Ok::<_, green_tasks::TaskError>(())
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Condvar {
    waiting: WaitQueue,
}

impl Condvar {
    /// Nobody waits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            waiting: WaitQueue::new(),
        }
    }

    /// Unlocks, waits to be notified, and locks again.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    ///
    /// # Cancel safety
    ///
    /// A task that is cancelled while it waits, for the notification or then for the lock, does not lock
    /// again, and passes on a notification that it received.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let at = Location::caller();
        let mutex = guard.mutex();
        // Nothing else runs between these two.
        drop(guard);
        self.waiting
            .wait(&"waits for a condition", at, || self.notify_one());
        // If cancelled before it has the lock, it has not seen what it was notified of.
        let unused = Unused(self);
        let guard = mutex.lock();
        std::mem::forget(unused);
        guard
    }

    /// Waits as long as `condition` is true of what is locked.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, if it is true.
    #[track_caller]
    pub fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// Wakes the task that has waited longest.
    pub fn notify_one(&self) {
        self.waiting.grant();
    }

    /// Wakes all tasks that wait now.
    pub fn notify_all(&self) {
        self.waiting.grant_all();
    }
}

/// A notification that its task has not used: dropping this passes it to the next waiter.
struct Unused<'a>(&'a Condvar);

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar")
            .field("waiting", &self.waiting.len())
            .finish()
    }
}
