//! Wakes the pool's thread, and tells it what for.

use future_result::sync::atomic::{AtomicBool, Ordering};

#[cfg(all(test, pool_loom))]
mod model;

/// What ends the wait of a [`System`](crate::system::System).
pub(crate) trait Bell: Send + Sync + 'static {
    /// Ends the wait that is going on, or the next one, until it is [silenced](Self::silence).
    fn ring(&self);

    fn silence(&self);
}

/// What is left behind for the pool's thread by others.
#[derive(Debug)]
pub(crate) struct Notifier<B> {
    bell: B,
    /// Somebody wants a task to stop that is running.
    cancels: AtomicBool,
}

impl<B: Bell> Notifier<B> {
    pub(crate) fn new(bell: B) -> Self {
        Self {
            bell,
            cancels: AtomicBool::new(false),
        }
    }

    pub(crate) fn notify(&self) {
        self.bell.ring();
    }

    /// Takes the wake-ups back. To be called before looking at what they are for.
    pub(crate) fn reset(&self) {
        self.bell.silence();
    }

    /// As [`notify`](Self::notify), about a task that is to stop.
    pub(crate) fn notify_cancel(&self) {
        // ORDERING: Release pairs with the Acquire in `take_cancels`. A read-modify-write, since a plain store
        // would hide what another canceller has published by its own, just before.
        self.cancels.swap(true, Ordering::Release);
        self.notify();
    }

    /// Whether somebody has cancelled since the last call.
    pub(crate) fn take_cancels(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `notify_cancel`: the cancelling is seen after it.
        self.cancels.swap(false, Ordering::Acquire)
    }
}
