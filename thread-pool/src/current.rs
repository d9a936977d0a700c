//! Which worker the calling thread is.

#![expect(
    unsafe_code,
    reason = "a reference count at every submission would cost more than the look-up"
)]

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use future_result::sync::thread_locals;

use crate::core::Core;
use crate::worker::Local;

thread_locals! {
    /// Null, or the argument of an [`enter`] that has not returned.
    static CURRENT: Cell<*const Local> = Cell::new(ptr::null());
}

/// Runs `f` with this worker as the calling thread's.
pub(crate) fn enter<R>(local: &Local, f: impl FnOnce() -> R) -> R {
    struct Restore(*const Local);

    impl Drop for Restore {
        fn drop(&mut self) {
            let _ = CURRENT.try_with(|current| current.set(self.0));
        }
    }

    let _restore = Restore(CURRENT.with(|current| current.replace(local)));
    f()
}

/// The worker that the calling thread is, if it is one.
///
/// # Safety
///
/// The reference does not get out of the caller's frame.
#[inline]
pub(crate) unsafe fn get<'frame>() -> Option<&'frame Local> {
    let current = CURRENT.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: null, or borrowed by an `enter` whose frame is below the caller's on this thread.
    unsafe { current.as_ref() }
}

/// Calls `f` with the worker that the calling thread is, if any.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(Option<&Local>) -> R) -> R {
    // SAFETY: lent only for the call, which is in this frame.
    f(unsafe { get() })
}

/// Like [`with`], but only for a worker of this pool.
#[inline]
pub(crate) fn with_of<R>(core: &Arc<Core>, f: impl FnOnce(Option<&Local>) -> R) -> R {
    with(|local| f(local.filter(|local| Arc::ptr_eq(local.core(), core))))
}

/// Whether the calling thread is a worker of this pool.
#[inline]
pub(crate) fn is_of(core: &Arc<Core>) -> bool {
    with_of(core, |local| local.is_some())
}
