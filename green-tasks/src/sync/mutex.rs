//! A lock that may be held while its task waits for something else.
#![expect(unsafe_code, reason = "hands out exclusive access to what is locked")]

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;

use super::semaphore::Semaphore;

/// A lock between tasks of one thread. First come, first served.
///
/// Unlike a lock of std it suspends only the task, so it may be held while waiting for anything. It is not
/// poisoned: a task that unwinds unlocks it, as with [`parking_lot`](https://docs.rs/parking_lot).
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use green_tasks::{spawn_local, sync::Mutex, yield_now, FutureResult, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// let total = Runtime::builder().stackful(token).build()?.run(|| {
///     let total = Rc::new(Mutex::new(0));
///     let adding: Vec<_> = (0..10)
///         .map(|_| {
///             let total = Rc::clone(&total);
///             spawn_local(move || {
///                 let mut total = total.lock();
///                 let before = *total;
///                 yield_now(); // Nobody else gets in.
///                 *total = before + 1;
///             })
///         })
///         .collect();
///     adding.into_iter().try_for_each(FutureResult::result)?;
///     let total = *total.lock();
///     Ok::<_, green_tasks::TaskError>(total)
/// })??;
/// assert_eq!(total, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Mutex<T> {
    /// One permit: its owner may use the value.
    lock: Semaphore,
    value: UnsafeCell<T>,
}

/// Access to what a [`Mutex`] protects, until this is dropped.
#[must_use = "dropping it unlocks at once"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    /// Unlocked.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self {
            lock: Semaphore::new(1),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits until nobody else has it locked, and locks it.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, if it is locked.
    ///
    /// # Cancel safety
    ///
    /// A task that is cancelled while it waits has not locked it.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.lock
            .acquire_for(&"waits for a lock", Location::caller());
        MutexGuard { mutex: self }
    }

    /// Locks it, unless it is locked.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.lock.take().then(|| MutexGuard { mutex: self })
    }

    /// The value, which nobody else can have.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<'a, T> MutexGuard<'a, T> {
    /// The lock that it belongs to.
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard has the only permit, and is borrowed; a mutex is not `Sync`.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the only permit, and is borrowed mutably.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.mutex.lock.release();
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Mutex");
        match self.try_lock() {
            Some(guard) => debug.field("value", &*guard),
            None => debug.field("value", &format_args!("<locked>")),
        };
        debug.field("waiting", &self.lock.waiting()).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
