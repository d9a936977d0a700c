//! Wakes the pool's thread, and tells it why.

use future_result::sync::atomic::{AtomicBool, Ordering};

#[cfg(all(test, pool_loom))]
mod model;

/// What ends the wait of a [`System`](crate::system::System).
pub(crate) trait Bell: Send + Sync + 'static {
    /// Ends the present wait, or the next one, until it is [silenced](Self::silence).
    fn ring(&self);

    fn silence(&self);
}

/// What other threads leave for the pool's thread.
#[derive(Debug)]
pub(crate) struct Notifier<B> {
    bell: B,
    /// Somebody wants a running task to stop.
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

    /// Takes the wake-ups back. To be called before looking for their reasons.
    pub(crate) fn reset(&self) {
        self.bell.silence();
    }

    /// As [`notify`](Self::notify), about a task that is to stop.
    pub(crate) fn notify_cancel(&self) {
        // ORDERING: Release pairs with the Acquire in `take_cancels`. A read-modify-write, since a plain store
        // would hide what another canceller published with its own just before.
        self.cancels.swap(true, Ordering::Release);
        self.notify();
    }

    /// Whether somebody has cancelled since the last call.
    pub(crate) fn take_cancels(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `notify_cancel`: the cancellation is visible afterwards.
        self.cancels.swap(false, Ordering::Acquire)
    }
}
