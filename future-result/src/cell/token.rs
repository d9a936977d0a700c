//! Cancel tokens, and which cell the current thread is running.

use std::cell::Cell;
use std::ptr::{self, NonNull};

use super::{Header, free_if_last, state};
use crate::sync::thread_locals;

thread_locals! {
    /// The cell whose closure this thread is running, innermost first; null outside any.
    static RUNNING: Cell<*mut Header> = Cell::new(ptr::null_mut());
}

/// Marks a cell as the one that this thread is running, until dropped.
pub(super) struct Running {
    outer: *mut Header,
}

impl Running {
    /// # Safety
    ///
    /// The caller stays the runner of the cell until the guard is dropped, on this thread, before
    /// any guard that was made earlier.
    #[inline]
    pub(super) unsafe fn enter(cell: NonNull<Header>) -> Self {
        // A thread whose locals are being destroyed runs its task without a token.
        let outer = RUNNING
            .try_with(|running| running.replace(cell.as_ptr()))
            .unwrap_or(ptr::null_mut());
        Self { outer }
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        // Fails only where `enter` did, and then there is nothing to restore.
        let _ = RUNNING.try_with(|running| running.set(self.outer));
    }
}

/// Keeps a cell's memory alive, to ask whether it was cancelled.
pub(crate) struct RawToken(NonNull<Header>);

// SAFETY: there are only atomic operations, whatever the types of closure and value; and freeing
// drops neither, since both are gone by then.
unsafe impl Send for RawToken {}
// SAFETY: as above.
unsafe impl Sync for RawToken {}

impl RawToken {
    /// # Safety
    ///
    /// The caller is an owner of the cell.
    pub(super) unsafe fn new(cell: NonNull<Header>) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { state(cell) }.add_token();
        Self(cell)
    }

    /// A token of the task that this thread is running.
    pub(crate) fn current() -> Option<Self> {
        let cell = RUNNING.try_with(Cell::get).ok().and_then(NonNull::new)?;
        // SAFETY: `Running` sets the pointer only while this very thread is the cell's runner.
        Some(unsafe { Self::new(cell) })
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        // SAFETY: a token is an owner.
        unsafe { state(self.0) }.load().is_cancelled()
    }
}

impl Clone for RawToken {
    fn clone(&self) -> Self {
        // SAFETY: a token is an owner.
        unsafe { Self::new(self.0) }
    }
}

impl Drop for RawToken {
    fn drop(&mut self) {
        // SAFETY: an owner until this very transition.
        let release = unsafe { state(self.0) }.release_token();
        // SAFETY: payload and slot were emptied by those who owned them.
        unsafe { free_if_last(self.0, release) };
    }
}
