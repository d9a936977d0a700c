//! A lock for many readers at a time, or one writer.
//!
//! It is *phase-fair* (Brandenburg and Anderson, "Spin-based reader-writer synchronization for multiprocessor
//! real-time systems", Real-Time Systems 46, 2010): readers and writers wait in separate queues. While a writer
//! waits, no new reader gets in; when a writer releases the lock, all readers that wait then go on, and the next
//! writer comes after them. So a reader waits for at most one writer, and a writer for the current readers and for
//! the writers before it, each with one phase of readers.
//!
//! The lock is granted to a waiting task: its access counts from then on, before its turn comes. A task that
//! unwinds instead of taking it releases it.
#![expect(unsafe_code, reason = "hands out access to what is locked")]

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;

use super::queue::WaitQueue;

/// A lock between tasks of one thread: many may read at a time, or one may write.
///
/// Neither side starves: while a writer waits, nobody else begins to read; and when it is done, all
/// readers that wait then go on before the next writer. So a task that already reads and reads again
/// may wait for a writer that waits for it: that is a [`Deadlock`](crate::Deadlock).
///
/// Like [`Mutex`](super::Mutex), it suspends only the task, and is not poisoned.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use green_tasks::{spawn_local, sync::RwLock, yield_now, FutureResult, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// Runtime::builder().stackful(token).build()?.run(|| {
///     let settings = Rc::new(RwLock::new(String::from("old")));
///     let reading = settings.read();
///     let also_reading = settings.read();
///     let writing = spawn_local({
///         let settings = Rc::clone(&settings);
///         move || settings.write().replace_range(.., "new")
///     });
///     yield_now();
///     assert_eq!((reading.as_str(), also_reading.as_str()), ("old", "old"));
///     drop((reading, also_reading));
///     writing.result()?;
///     assert_eq!(*settings.read(), "new");
///     Ok::<_, green_tasks::TaskError>(())
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RwLock<T> {
    /// How many readers there are, or [`WRITING`].
    users: Cell<usize>,
    reading: WaitQueue,
    writing: WaitQueue,
    value: UnsafeCell<T>,
}

/// There is one writer.
const WRITING: usize = usize::MAX;

/// Read access to what a [`RwLock`] protects, until this is dropped.
#[must_use = "dropping it unlocks at once"]
pub struct RwLockReadGuard<'a, T> {
    lock: &'a RwLock<T>,
}

/// Write access to what a [`RwLock`] protects, until this is dropped.
#[must_use = "dropping it unlocks at once"]
pub struct RwLockWriteGuard<'a, T> {
    lock: &'a RwLock<T>,
}

impl<T> RwLock<T> {
    /// Unlocked.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self {
            users: Cell::new(0),
            reading: WaitQueue::new(),
            writing: WaitQueue::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits until nobody writes and no earlier writer waits, and locks it for reading.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, if it would have to wait.
    ///
    /// # Cancel safety
    ///
    /// A task that is cancelled while it waits has not locked it.
    #[track_caller]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        if !self.take_read() {
            let at = Location::caller();
            self.reading
                .wait(&"waits to read what is locked", at, || self.release_read());
        }
        RwLockReadGuard { lock: self }
    }

    /// Locks it for reading, unless that would have to wait.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.take_read().then(|| RwLockReadGuard { lock: self })
    }

    /// Waits until nobody else has it locked, and locks it for writing.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, if it is locked.
    ///
    /// # Cancel safety
    ///
    /// A task that is cancelled while it waits has not locked it.
    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        if !self.take_write() {
            let at = Location::caller();
            let _settle = Settle(self);
            self.writing.wait(&"waits to write what is locked", at, || {
                self.release_write()
            });
        }
        RwLockWriteGuard { lock: self }
    }

    /// Locks it for writing, unless it is locked.
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.take_write().then(|| RwLockWriteGuard { lock: self })
    }

    /// The value, which nobody else can have.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }

    /// Nobody waits while it is unlocked, so this overtakes nobody.
    fn take_write(&self) -> bool {
        let is_free = self.users.get() == 0;
        if is_free {
            self.users.set(WRITING);
        }
        is_free
    }

    fn take_read(&self) -> bool {
        let users = self.users.get();
        // Guards can be forgotten, so the count has a maximum. While it is unlocked nobody waits to write, except
        // what another runtime may have left behind.
        let may_read = users == 0 || users < WRITING - 1 && self.writing.len() == 0;
        if may_read {
            self.users.set(users + 1);
        }
        may_read
    }

    fn release_read(&self) {
        let left = self.users.get() - 1;
        self.users.set(left);
        if left == 0 {
            self.pass_to_writer();
            // If all that seemed to wait to write are gone.
            if self.users.get() == 0 {
                self.pass_to_readers();
            }
        }
    }

    fn release_write(&self) {
        self.users.set(0);
        self.pass_to_readers();
        if self.users.get() == 0 {
            self.pass_to_writer();
        }
    }

    /// It is unlocked: passes it to the first waiting writer.
    fn pass_to_writer(&self) {
        self.users.set(WRITING);
        if !self.writing.grant() {
            self.users.set(0);
        }
    }

    /// Nobody writes: passes it to all waiting readers.
    fn pass_to_readers(&self) {
        while self.users.get() < WRITING - 1 && self.reading.grant() {
            self.users.set(self.users.get() + 1);
        }
    }
}

/// A writer no longer waits, so those that only waited for its turn may go on.
struct Settle<'a, T>(&'a RwLock<T>);

impl<T> Drop for Settle<'_, T> {
    fn drop(&mut self) {
        let lock = self.0;
        if lock.users.get() != WRITING && lock.writing.len() == 0 {
            lock.pass_to_readers();
        }
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: while this guard counts as a reader there is no writer; and a `RwLock` is not `Sync`.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard is the only user, and is borrowed; a `RwLock` is not `Sync`.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard is the only user, and is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.release_read();
    }
}

impl<T> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.release_write();
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RwLock");
        match self.try_read() {
            Some(guard) => debug.field("value", &*guard),
            None => debug.field("value", &format_args!("<locked>")),
        };
        debug
            .field("waiting", &(self.reading.len() + self.writing.len()))
            .finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
