//! The handle's side of a cell.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::callbacks::{Callback, Callbacks};
use super::listeners::claim_to_cancel;
use super::runner::{load, show_outcome};
use super::task::start;
use super::{
    CellId, Company, Header, RawToken, Slot, Writer, callbacks, free, free_if_last, put_slot,
    slot_wakes_same, state, take, take_waker, vtable,
};
use crate::TaskError;
use crate::blocker::{PoolId, count_own, refusal, take_own};
use crate::panic::contain;
use crate::result::{Cancel, Status};
use crate::state::{CancelClaim, Snapshot};
use crate::sync::is_sampled;

/// The owner of `HANDLE`; its rights follow from `&mut self` or `self`.
pub(crate) struct Reader<T> {
    cell: NonNull<Header>,
    _value: PhantomData<T>,
}

// SAFETY: it moves a `T` to the thread that takes it; the closure, the callbacks and the wakers,
// which it may run or drop, are `Send`.
unsafe impl<T: Send> Send for Reader<T> {}
// SAFETY: through a shared reference it reads the state, and claims in order to cancel, which is
// decided by one RMW; no `&T` can be had.
unsafe impl<T: Send> Sync for Reader<T> {}

impl<T> Reader<T> {
    /// # Safety
    ///
    /// - The caller owns `HANDLE` of the cell and gives it up.
    /// - The cell's value is of the type `T`.
    #[inline]
    pub(super) unsafe fn new(cell: NonNull<Header>) -> Self {
        Self {
            cell,
            _value: PhantomData,
        }
    }

    /// The reader of a new cell, which has failed already.
    pub(crate) fn failed(error: TaskError) -> Self {
        let (writer, reader) = Writer::new(None);
        writer.fail(error);
        reader
    }

    #[inline]
    pub(crate) fn snapshot(&self) -> Snapshot {
        // SAFETY: the handle is an owner.
        unsafe { state(self.cell) }.load()
    }

    /// Whether it is the handle of this cell.
    #[inline]
    pub(super) fn is_of(&self, cell: NonNull<Header>) -> bool {
        self.cell == cell
    }

    pub(crate) fn status(&self) -> Status {
        self.snapshot().status()
    }

    /// The outcome, or what `otherwise` makes of the handle if there is none yet.
    ///
    /// Not a `Result` in a `Result`, and the value is wrapped last: moving a `Result` through memory
    /// costs more than all the rest here.
    #[inline]
    pub(crate) fn take_or_else(
        self,
        otherwise: impl FnOnce(Self) -> Result<T, TaskError>,
    ) -> Result<T, TaskError> {
        let seen = self.snapshot();
        if !seen.is_lone_value() {
            return self.take_rarer(seen, otherwise);
        }
        let cell = self.cell;
        std::mem::forget(self);
        // SAFETY: done, so the payload is the handle's, and it is moved out once.
        let value = unsafe { take::<T>(cell) };
        // SAFETY: the handle is the only owner, nobody can come back, and the payload is empty.
        unsafe { free(cell, false) };
        Ok(value)
    }

    /// The rare part of [`Reader::take_or_else`].
    #[cold]
    fn take_rarer(
        self,
        seen: Snapshot,
        otherwise: impl FnOnce(Self) -> Result<T, TaskError>,
    ) -> Result<T, TaskError> {
        let Some(outcome) = seen.outcome() else {
            return otherwise(self);
        };
        let cell = self.cell;
        std::mem::forget(self);
        // SAFETY: done, so the payload is the handle's, and it is moved out once.
        let result = unsafe { load::<T>(cell, outcome) };
        // SAFETY: an owner until this very transition; the payload is empty.
        unsafe { release(cell, seen) };
        result
    }

    /// As [`RawTask::is_sampled`](super::RawTask::is_sampled), for the same cell.
    #[inline]
    pub(crate) fn is_sampled(&self) -> bool {
        is_sampled(self.cell.addr().get())
    }

    /// Keeps the cell's memory, and so its identity, even after this reader is gone.
    pub(crate) fn token(&self) -> RawToken {
        // SAFETY: the handle is an owner.
        unsafe { RawToken::new(self.cell) }
    }

    pub(crate) fn cancel(&self) -> Cancel {
        // SAFETY: the handle is an owner.
        match unsafe { claim_to_cancel(self.cell) } {
            CancelClaim::Won => {
                // SAFETY: the handle is an owner.
                let fail = unsafe { vtable(self.cell) }.fail;
                // SAFETY: the claim made us the runner. We also stay an owner, by `HANDLE`.
                unsafe { fail(self.cell, TaskError::Cancelled) };
                Cancel::Prevented
            }
            CancelClaim::Requested => {
                self.call_hook();
                Cancel::Requested
            }
            CancelClaim::Before => Cancel::Prevented,
            CancelClaim::TooLate => Cancel::TooLate,
        }
    }

    /// Tells whoever can stop the running work that the handle asks for it.
    fn call_hook(&self) {
        // SAFETY: the handle is an owner.
        if let Some(hook) = unsafe { vtable(self.cell) }.hook {
            // SAFETY: the handle is an owner, and its cell has such a table.
            contain(|| unsafe { hook.call(self.cell) });
        }
    }

    /// Whether nobody can ever run it in place, since it is completed by hand.
    #[inline]
    pub(crate) fn is_by_hand(&self) -> bool {
        // SAFETY: the handle is an owner.
        unsafe { vtable(self.cell) }.by_hand
    }

    /// Runs the task here, if it has not started and belongs to this pool.
    #[inline]
    pub(crate) fn run_in_place(&mut self, pool: PoolId) -> bool {
        // SAFETY: the handle is an owner, so the header is alive; `home` never changes.
        let home = unsafe { self.cell.as_ref() }.home;
        if home != Some(pool) || self.is_by_hand() {
            return false;
        }
        // Better taken out of the queue, where it would leave a tombstone.
        if let Some(task) = take_own(CellId::new(self.cell)) {
            count_own(task.into_raw().run_with(self, || refusal(pool)));
            return self.snapshot().is_done();
        }
        // SAFETY: cells completed by hand were turned away above.
        unsafe { self.claim_and_run(pool) }
    }

    /// Runs the task here, if it has not started, leaving a tombstone where it was queued.
    ///
    /// # Safety
    ///
    /// The cell is a task's, not a pair's.
    unsafe fn claim_and_run(&self, pool: PoolId) -> bool {
        // SAFETY: the handle is an owner.
        if !unsafe { state(self.cell) }.claim_as_handle() {
            return false;
        }
        // SAFETY: the claim made us the runner, and the payload still holds the closure, as every task's does.
        unsafe { start(self.cell, Company::Others, || refusal(pool)) };
        true
    }

    /// Ready if the outcome is there; otherwise `waker` will be woken when it is.
    #[inline]
    pub(crate) fn poll_done(&mut self, waker: &Waker) -> Poll<()> {
        let seen = self.snapshot();
        if seen.is_done() || self.register(seen, waker) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// True if the outcome has arrived meanwhile.
    fn register(&mut self, seen: Snapshot, waker: &Waker) -> bool {
        // SAFETY: the handle is an owner.
        let state = unsafe { state(self.cell) };
        if let Some(list) = self.callbacks(seen) {
            return list.register(state, waker);
        }
        if seen.has_waiter() {
            // SAFETY: we own the handle, which put a waker there last, as `WAITER` was seen.
            if unsafe { slot_wakes_same(self.cell, waker) } {
                return false;
            }
            if state.retract_waiter().is_err() {
                return true;
            }
            // SAFETY: retracted in time, so the waker and the slot are the handle's.
            drop(unsafe { take_waker(self.cell) });
        }
        let waker = ManuallyDrop::new(waker.clone());
        // SAFETY: neither `WAITER` nor `CALLBACKS` is set, so the slot is empty and the handle's.
        unsafe { put_slot(self.cell, Slot { waker }) };
        if state.publish_waiter().is_ok() {
            return false;
        }
        // SAFETY: done without having seen the waker, so it and the slot are still the handle's.
        drop(unsafe { take_waker(self.cell) });
        true
    }

    /// Runs `callback` with the outcome: when it is there, or now if it already is.
    pub(crate) fn on_done(&mut self, callback: Callback<T>) {
        // SAFETY: the handle is an owner.
        let state = unsafe { state(self.cell) };
        let seen = self.snapshot();
        let late = if seen.is_done() {
            Some(callback)
        } else if let Some(list) = self.callbacks(seen) {
            list.add(state, callback)
        } else {
            self.add_first(seen, callback)
        };
        if let (Some(callback), Some(outcome)) = (late, self.snapshot().outcome()) {
            // SAFETY: done, so the payload is the handle's; `&mut self` keeps it in place.
            contain(|| unsafe { show_outcome::<T>(self.cell, outcome, callback) });
        }
    }

    /// Puts the list of callbacks into the slot. Gives the callback back if the cell is done.
    fn add_first(&mut self, seen: Snapshot, callback: Callback<T>) -> Option<Callback<T>> {
        // SAFETY: the handle is an owner.
        let state = unsafe { state(self.cell) };
        let mut waker = None;
        if seen.has_waiter() {
            if state.retract_waiter().is_err() {
                return Some(callback);
            }
            // SAFETY: retracted in time, so the waker and the slot are the handle's.
            waker = Some(unsafe { take_waker(self.cell) });
        }
        let list = Arc::into_raw(Arc::new(Callbacks::new(callback, waker)));
        let callbacks = list.cast();
        // SAFETY: neither `WAITER` nor `CALLBACKS` is set, so the slot is empty and the handle's.
        unsafe { put_slot(self.cell, Slot { callbacks }) };
        if state.publish_callbacks().is_ok() {
            return None;
        }
        // SAFETY: done without having seen the list: the count made above is still ours.
        let list = unsafe { Arc::from_raw(list) };
        let (callback, waker) = list.take_back();
        if let Some(waker) = waker {
            // The runner found no waker to wake, since it was in the list.
            contain(|| waker.wake());
        }
        callback
    }

    /// The list of callbacks, if there is one.
    fn callbacks(&self, seen: Snapshot) -> Option<&Callbacks<T>> {
        if !seen.has_callbacks() {
            return None;
        }
        // SAFETY: the handle is an owner, and has seen `CALLBACKS`.
        let list = unsafe { callbacks(self.cell) };
        // SAFETY: a list of this `T`, whose count in the slot lives as long as the cell.
        Some(unsafe { &*list.cast::<Callbacks<T>>() })
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        // SAFETY: the handle is an owner until this very transition.
        let Err(seen) = unsafe { state(self.cell) }.detach() else {
            return;
        };
        /// Lets go of the cell even if the value's destructor panics.
        struct ReleaseOnDrop(NonNull<Header>, Snapshot);

        impl Drop for ReleaseOnDrop {
            fn drop(&mut self) {
                // SAFETY: an owner until this very transition; the payload has been moved out.
                unsafe { release(self.0, self.1) };
            }
        }

        let cell = ReleaseOnDrop(self.cell, seen);
        if let Some(outcome) = seen.outcome() {
            // SAFETY: done, so the payload is the handle's, and it is moved out once.
            drop(unsafe { load::<T>(cell.0, outcome) });
        }
    }
}

/// The handle lets go of a cell that is done, as it has `seen`.
///
/// # Safety
///
/// The caller owns `HANDLE` and gives it up; the payload is empty.
#[inline]
unsafe fn release(cell: NonNull<Header>, seen: Snapshot) {
    // SAFETY: an owner until this very transition.
    let release = unsafe { state(cell) }.release_handle(seen);
    // SAFETY: the payload is empty, says the caller; a waker in the slot keeps this release from being the last.
    unsafe { free_if_last(cell, release) };
}
