//! What a pool leaves in a cell to be told when running work should stop.
//!
//! It lies behind the payload, where only the cell's own table can find it. It is written before anybody
//! else knows the cell, never changed, and dropped by the last owner, so every owner may call it at any
//! time.
//!
//! A hook may also be what wakes the task ([`waker`](super::waker)).

use std::mem::{MaybeUninit, offset_of};
use std::ptr::NonNull;
use std::task::RawWakerVTable;

use super::waker::Wakes;
use super::{CellId, Header, Room};
use crate::panic::contain;

/// The room that a cell with a hook needs.
#[repr(C)]
pub(super) struct Hooked<F, T, H> {
    room: MaybeUninit<Room<F, T>>,
    hook: H,
}

/// How to call the hook of a cell, and how to drop it.
#[derive(Clone, Copy)]
pub(super) struct Hook {
    call: unsafe fn(NonNull<Header>),
    drop: unsafe fn(NonNull<Header>),
    /// The table of its wakers, if it has any; their data is the cell.
    waker: Option<&'static RawWakerVTable>,
}

impl Hook {
    /// For cells with the layout of a [`Hooked<F, T, H>`].
    pub(super) const fn new<F, T, H: Fn(CellId) + Send + Sync + 'static>() -> Self {
        Self {
            call: call::<F, T, H>,
            drop: drop_hook::<F, T, H>,
            waker: None,
        }
    }

    /// As [`new`](Self::new), for a hook that also wakes the task, with the table of such wakers.
    pub(super) const fn waking<T, H: Wakes>(waker: &'static RawWakerVTable) -> Self {
        Self {
            call: cancel::<T, H>,
            drop: drop_hook::<(), T, H>,
            waker: Some(waker),
        }
    }

    pub(super) const fn waker(self) -> Option<&'static RawWakerVTable> {
        self.waker
    }

    /// # Safety
    ///
    /// The caller is an owner of the cell, and this is from its table.
    pub(super) unsafe fn call(self, cell: NonNull<Header>) {
        // SAFETY: passed on to the caller.
        unsafe { (self.call)(cell) };
    }

    /// # Safety
    ///
    /// The caller is the last owner of the cell, this is from its table, and it is not used again.
    pub(super) unsafe fn drop(self, cell: NonNull<Header>) {
        // SAFETY: passed on to the caller.
        unsafe { (self.drop)(cell) };
    }
}

/// Writes the hook.
///
/// # Safety
///
/// The cell was allocated with the layout of a [`Hooked<F, T, H>`], and nobody else knows it yet.
#[inline]
pub(super) unsafe fn put_hook<F, T, H>(cell: NonNull<Header>, hook: H) {
    // SAFETY: passed on to the caller.
    let place = unsafe { place::<F, T, H>(cell) };
    // SAFETY: inside the allocation, aligned, and the caller's alone.
    unsafe { place.write(hook) };
}

/// # Safety
///
/// The cell was allocated with the layout of a [`Hooked<F, T, H>`].
#[inline]
pub(super) unsafe fn place<F, T, H>(cell: NonNull<Header>) -> NonNull<H> {
    // SAFETY: inside the allocation, says the caller.
    unsafe { cell.byte_add(offset_of!(Hooked<F, T, H>, hook)) }.cast()
}

/// # Safety
///
/// As [`Hook::call`] says, with the types that the cell was made with.
unsafe fn call<F, T, H: Fn(CellId)>(cell: NonNull<Header>) {
    // SAFETY: passed on to the caller.
    let place = unsafe { place::<F, T, H>(cell) };
    // SAFETY: filled before anybody knew the cell, never written again, and the caller keeps the cell.
    let hook = unsafe { place.as_ref() };
    hook(CellId::new(cell));
}

/// # Safety
///
/// As [`Hook::call`] says, with the types that the cell was made with.
unsafe fn cancel<T, H: Wakes>(cell: NonNull<Header>) {
    // SAFETY: passed on to the caller.
    let place = unsafe { place::<(), T, H>(cell) };
    // SAFETY: filled before anybody knew the cell, never written again, and the caller keeps the cell.
    let hook = unsafe { place.as_ref() };
    hook.cancel();
}

/// # Safety
///
/// As [`Hook::drop`] says, with the types that the cell was made with.
unsafe fn drop_hook<F, T, H>(cell: NonNull<Header>) {
    // SAFETY: passed on to the caller.
    let place = unsafe { place::<F, T, H>(cell) };
    // SAFETY: filled, and dropped once, by the last owner.
    contain(|| unsafe { place.drop_in_place() });
}
