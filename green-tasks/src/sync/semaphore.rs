//! Permits, each for one task at a time.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;

use super::queue::WaitQueue;

/// A number of permits. First come, first served.
///
/// # Examples
///
/// ```
/// use green_tasks::sync::Semaphore;
///
/// let permits = Semaphore::new(2);
/// let one = permits.acquire();
/// let two = permits.acquire();
/// assert!(permits.try_acquire().is_none());
/// drop(one);
/// assert!(permits.try_acquire().is_some());
/// # drop(two);
/// ```
pub struct Semaphore {
    permits: Cell<usize>,
    waiting: WaitQueue,
}

/// A permit of a [`Semaphore`], which returns when it is dropped.
#[derive(Debug)]
#[must_use = "dropping it gives it back"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Semaphore {
    /// A semaphore with this many permits.
    #[must_use]
    pub const fn new(permits: usize) -> Self {
        Self {
            permits: Cell::new(permits),
            waiting: WaitQueue::new(),
        }
    }

    /// How many permits are free.
    #[must_use]
    pub fn available(&self) -> usize {
        self.permits.get()
    }

    /// Waits for a permit.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, if there is none.
    ///
    /// # Cancel safety
    ///
    /// A task that is cancelled while it waits has no permit.
    #[track_caller]
    pub fn acquire(&self) -> Permit<'_> {
        self.acquire_for(&"waits for a permit", Location::caller());
        Permit { semaphore: self }
    }

    /// A permit, if there is one.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.take().then(|| Permit { semaphore: self })
    }

    /// Waits for a permit without a guard; [`release`](Self::release) gives it back.
    pub(crate) fn acquire_for(&self, what: &'static &'static str, at: &'static Location<'static>) {
        if !self.take() {
            self.waiting.wait(what, at, || self.release());
        }
    }

    /// Takes a permit if there is one. There is none while anybody waits, so this overtakes nobody.
    pub(super) fn take(&self) -> bool {
        let permits = self.permits.get();
        self.permits.set(permits.saturating_sub(1));
        permits > 0
    }

    /// Adds a permit, or grants it to the first waiter.
    pub(crate) fn release(&self) {
        if !self.waiting.grant() {
            self.permits.set(self.permits.get() + 1);
        }
    }

    /// How many tasks wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.release();
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.permits.get())
            .field("waiting", &self.waiting.len())
            .finish()
    }
}
