//! Something that happens once, for all that wait for it.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;

use super::queue::WaitQueue;

/// A flag that tasks wait for.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use green_tasks::{spawn_local, sync::Event, FutureResult, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// Runtime::builder().stackful(token).build()?.run(|| {
///     let started = Rc::new(Event::new());
///     let waiting = spawn_local({
///         let started = Rc::clone(&started);
///         move || started.wait()
///     });
///     started.set();
///     waiting.result()
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Event {
    is_set: Cell<bool>,
    waiting: WaitQueue,
}

impl Event {
    /// An event that is not set.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            is_set: Cell::new(false),
            waiting: WaitQueue::new(),
        }
    }

    /// Sets the flag: all that wait go on, and nobody has to wait any more.
    pub fn set(&self) {
        self.is_set.set(true);
        self.waiting.grant_all();
    }

    /// Clears the flag. Tasks that were already woken still go on.
    pub fn reset(&self) {
        self.is_set.set(false);
    }

    /// Whether the flag is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Waits until the flag is set.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, if it is not set.
    #[track_caller]
    pub fn wait(&self) {
        if !self.is_set.get() {
            self.waiting
                .wait(&"waits for an event", Location::caller(), || ());
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("is_set", &self.is_set.get())
            .field("waiting", &self.waiting.len())
            .finish()
    }
}
