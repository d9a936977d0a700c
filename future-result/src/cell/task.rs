//! The task side of a closure: what lies in a pool's queue.

use std::any::type_name;
use std::ptr::NonNull;
use std::sync::Arc;

use super::callbacks::Callbacks;
use super::runner::Runner;
use super::token::Running;
use super::{Header, Reader, VTable, allocate, free, free_if_last, put, state, take, vtable};
use crate::blocker::PoolId;
use crate::panic::{catch, contain};
use crate::state::{Outcome, State};
use crate::sync::is_sampled;
use crate::{Cause, Status, TaskError};

/// A closure that has not started, of any type, in one pointer.
pub(crate) struct RawTask(NonNull<Header>);

// SAFETY: `new` asks closure and value to be `Send`, and a task gives access to nothing else.
unsafe impl Send for RawTask {}
// SAFETY: through a shared reference there is only `is_stale`, an atomic load.
unsafe impl Sync for RawTask {}

impl RawTask {
    /// One allocation for the closure and for its result.
    #[inline]
    pub(crate) fn new<F, T>(closure: F, home: Option<PoolId>) -> (Self, Reader<T>)
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let cell = allocate(State::new(), table::<F, T>(), home);
        // SAFETY: nobody else knows the cell yet, and its layout has room for an `F`.
        unsafe { put::<F>(cell, closure) };
        // SAFETY: the handle's side of a new cell, taken once, with the type of its value.
        (Self(cell), unsafe { Reader::new(cell) })
    }

    /// One allocation for a closure whose end nobody is told of.
    #[inline]
    pub(crate) fn detached<F>(closure: F) -> Self
    where
        F: FnOnce() + Send + 'static,
    {
        let cell = allocate(State::detached(), detached_table::<F>(), None);
        // SAFETY: nobody else knows the cell yet, and its layout has room for an `F`.
        unsafe { put::<F>(cell, closure) };
        Self(cell)
    }

    /// Undoes [`RawTask::new`].
    ///
    /// # Safety
    ///
    /// Both are what one call with an `F` gave, and the handle was never shown to anyone.
    #[cold]
    pub(super) unsafe fn into_closure<F, T>(self, reader: Reader<T>) -> F {
        std::mem::forget(reader);
        // SAFETY: nobody can have claimed; with both sides here we are the only owner.
        unsafe { free_closure::<F>(self.into_cell()) }
    }

    /// Undoes [`RawTask::detached`].
    ///
    /// # Safety
    ///
    /// The task was made there of an `F`.
    #[cold]
    pub(super) unsafe fn into_detached_closure<F>(self) -> F {
        // SAFETY: nobody else can claim or own a detached task.
        unsafe { free_closure::<F>(self.into_cell()) }
    }

    /// One task in 64, chosen by the place of its cell: to do something now and then that must not
    /// cost much, as long as memory grows.
    #[inline]
    pub(crate) fn is_sampled(&self) -> bool {
        is_sampled(self.0.addr().get())
    }

    /// Gives up the task without running it, and says where it is.
    #[inline]
    pub(super) fn into_cell(self) -> NonNull<Header> {
        let cell = self.0;
        std::mem::forget(self);
        cell
    }

    /// # Safety
    ///
    /// The cell's task was given up by [`RawTask::into_cell`], and was not taken back since.
    #[inline]
    pub(super) unsafe fn from_cell(cell: NonNull<Header>) -> Self {
        Self(cell)
    }

    /// Runs the closure here, unless the handle has claimed it. Says how it went, or what has become of
    /// it until now.
    #[inline]
    pub(crate) fn run(self) -> Status {
        match self.claim() {
            Ok(cell) => {
                // SAFETY: the claim made us the runner, which is an owner.
                let run = unsafe { vtable(cell) }.run;
                // SAFETY: we are the runner, and the payload still holds the closure.
                unsafe { run(cell) }.status()
            }
            Err(status) => status,
        }
    }

    /// Completes with an error instead, unless the handle has claimed it.
    pub(crate) fn fail(self, error: impl FnOnce() -> TaskError) {
        if let Ok(cell) = self.claim() {
            let error = error();
            // SAFETY: the claim made us the runner, which is an owner.
            let fail = unsafe { vtable(cell) }.fail;
            // SAFETY: we are the runner, and the payload still holds the closure.
            unsafe { fail(cell, error) };
        }
    }

    /// Whether the handle has claimed it, so that it only takes up room.
    pub(crate) fn is_stale(&self) -> bool {
        // SAFETY: the task side is an owner.
        !unsafe { state(self.0) }.load().is_queued()
    }

    /// What has become of it.
    pub(crate) fn status(&self) -> Status {
        // SAFETY: the task side is an owner.
        tombstone_status(unsafe { state(self.0) })
    }

    /// Becomes the runner; or lets go of the tombstone, and says what it is of.
    #[inline]
    fn claim(self) -> Result<NonNull<Header>, Status> {
        let cell = self.into_cell();
        // SAFETY: the task side is an owner.
        let state = unsafe { state(cell) };
        // SAFETY: the task side is an owner.
        if unsafe { vtable(cell) }.detached || state.start() {
            return Ok(cell);
        }
        let status = tombstone_status(state);
        let release = state.release_task();
        // SAFETY: whoever claimed has emptied the payload before the cell was done, or the handle
        // has afterwards; nobody is left who could have put anything there.
        unsafe { free_if_last(cell, release) };
        Err(status)
    }
}

impl Drop for RawTask {
    fn drop(&mut self) {
        let lost = || TaskError::Lost(Cause::new("the task was dropped before it ran"));
        Self(self.0).fail(lost);
    }
}

/// What has become of a task that somebody else has claimed. One that was ended by its deadline did
/// not fail by itself, so it counts as cancelled; and so does one that was asked to stop and panicked.
fn tombstone_status(state: &State) -> Status {
    let now = state.load();
    match now.status() {
        Status::Failed if now.is_cancelled() => Status::Cancelled,
        status => status,
    }
}

/// The table for tasks of these types.
fn table<F, T>() -> &'static VTable
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    const {
        &VTable {
            layout: VTable::layout::<F, T>(),
            detached: false,
            by_hand: false,
            hook: None,
            name: type_name::<F>,
            run: run::<F, T>,
            fail: fail::<F, T>,
            drop_callbacks: drop_callbacks::<T>,
        }
    }
}

/// The table for tasks that never had a handle.
fn detached_table<F>() -> &'static VTable
where
    F: FnOnce() + Send + 'static,
{
    const {
        &VTable {
            layout: VTable::layout::<F, ()>(),
            detached: true,
            by_hand: false,
            hook: None,
            name: type_name::<F>,
            run: run_detached::<F>,
            fail: fail_detached::<F>,
            drop_callbacks: drop_callbacks::<()>,
        }
    }
}

/// # Safety
///
/// As [`VTable::run`] says, of a cell that never had a handle, with the type that it was made with.
unsafe fn run_detached<F: FnOnce()>(cell: NonNull<Header>) -> Outcome {
    // SAFETY: passed on to the caller.
    let closure = unsafe { free_closure::<F>(cell) };
    let mut outcome = Outcome::Failed;
    contain(|| {
        closure();
        outcome = Outcome::Value;
    });
    outcome
}

/// # Safety
///
/// As [`VTable::fail`] says, of a cell that never had a handle, with the type that it was made with.
unsafe fn fail_detached<F>(cell: NonNull<Header>, _error: TaskError) {
    // SAFETY: passed on to the caller.
    let closure = unsafe { free_closure::<F>(cell) };
    contain(|| drop(closure));
}

/// Moves the closure out, so that the memory can be used again while it runs.
///
/// # Safety
///
/// The caller is the only owner of a cell whose payload holds an `F`, and gives both up.
#[inline]
unsafe fn free_closure<F>(cell: NonNull<Header>) -> F {
    // SAFETY: the payload holds the closure and is ours.
    let closure = unsafe { take::<F>(cell) };
    // SAFETY: the caller is the only owner; payload and slot are empty.
    unsafe { free(cell, false) };
    closure
}

/// # Safety
///
/// As [`VTable::run`] says, with the types that the cell was made with.
unsafe fn run<F, T>(cell: NonNull<Header>) -> Outcome
where
    F: FnOnce() -> T,
{
    // SAFETY: the payload holds the closure and is ours; it counts as empty from here on.
    let closure = unsafe { take::<F>(cell) };
    let result = {
        // SAFETY: we are the runner until after the scope has ended.
        let _running = unsafe { Running::enter(cell) };
        catch(closure)
    };
    // SAFETY: we are the runner, and the payload is empty.
    unsafe { Runner::<T>::new(cell) }.finish(result)
}

/// # Safety
///
/// As [`VTable::fail`] says, with the types that the cell was made with.
unsafe fn fail<F, T>(cell: NonNull<Header>, error: TaskError) {
    // SAFETY: the payload holds the closure and is ours; it counts as empty from here on.
    let closure = unsafe { take::<F>(cell) };
    contain(|| drop(closure));
    // SAFETY: we are the runner, and the payload is empty.
    unsafe { Runner::<T>::new(cell) }.finish(Err(error));
}

/// # Safety
///
/// `list` came from `Arc::into_raw` of a `Callbacks<T>`, and its count is given up.
pub(super) unsafe fn drop_callbacks<T>(list: *const ()) {
    // SAFETY: passed on to the caller.
    let list = unsafe { Arc::from_raw(list.cast::<Callbacks<T>>()) };
    contain(|| drop(list));
}
