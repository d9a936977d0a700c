//! The task side of a closure: what lies in a pool's queue.

use std::any::type_name;
use std::ptr::NonNull;
use std::sync::Arc;

use super::callbacks::Callbacks;
use super::runner::{Company, Runner};
use super::token::while_running;
use super::{Header, Reader, Role, VTable, allocate, free, free_if_last, put, state, take, vtable};
use crate::blocker::PoolId;
use crate::panic::{catch, contain};
use crate::state::{Outcome, State};
use crate::sync::is_sampled;
use crate::{Cause, Status, TaskError};

/// A closure that has not started, of any type, in one pointer.
pub(crate) struct RawTask(NonNull<Header>);

// SAFETY: `new` requires closure and value to be `Send`, and a task gives access to nothing else.
unsafe impl Send for RawTask {}
// SAFETY: through a shared reference there are only atomic operations and what never changes.
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

    /// One allocation for a closure whose outcome nobody gets.
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

    /// # Safety
    ///
    /// The caller is the task side of a new cell whose payload holds a closure, and gives both up.
    #[inline]
    pub(super) unsafe fn of(cell: NonNull<Header>) -> Self {
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
    /// The task was made there from an `F`.
    #[cold]
    pub(super) unsafe fn into_detached_closure<F>(self) -> F {
        // SAFETY: nobody else can claim or own a detached task.
        unsafe { free_closure::<F>(self.into_cell()) }
    }

    /// One task in 64, chosen by its cell's address: for cheap housekeeping now and then, as long as memory grows.
    #[inline]
    pub(crate) fn is_sampled(&self) -> bool {
        is_sampled(self.0.addr().get())
    }

    /// Whether it never had a handle.
    #[inline]
    pub(super) fn is_detached(&self) -> bool {
        // SAFETY: the task side is an owner.
        unsafe { vtable(self.0) }.detached
    }

    /// Its cell, of which it stays an owner.
    #[inline]
    pub(super) fn cell(&self) -> NonNull<Header> {
        self.0
    }

    /// Gives up the task without running it, and returns its cell.
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

    /// Runs the closure here, unless the handle has claimed it; asks for a `refusal` after claiming it
    /// (see [`start`]). Returns how it went, or what has become of it until now; `None` for a helper.
    #[inline]
    pub(crate) fn run_unless(self, refusal: impl FnOnce() -> Option<TaskError>) -> Option<Status> {
        match self.claim() {
            // SAFETY: the claim made us the runner, and the payload still holds the closure.
            Ok(cell) => unsafe { start(cell, Company::Others, refusal) },
            Err(status) => status,
        }
    }

    /// As [`RawTask::run_unless`], for a caller that also holds a handle: if it is this very task's,
    /// hardly anybody can interfere.
    #[inline]
    pub(super) fn run_with<T>(
        self,
        handle: &mut Reader<T>,
        refusal: impl FnOnce() -> Option<TaskError>,
    ) -> Option<Status> {
        // SAFETY: the task side is an owner.
        if !handle.is_of(self.0) || !unsafe { state(self.0) }.start_alone() {
            return self.run_unless(refusal);
        }
        let cell = self.into_cell();
        // SAFETY: we are the runner, the payload still holds the closure, and nobody else can get at
        // the handle before its borrow ends.
        unsafe { start(cell, Company::Alone, refusal) }
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

    /// Whether the handle has claimed it, so that it is a mere tombstone.
    pub(crate) fn is_stale(&self) -> bool {
        // SAFETY: the task side is an owner.
        !unsafe { state(self.0) }.load().is_queued()
    }

    /// What has become of it; `None` for a helper.
    pub(crate) fn status(&self) -> Option<Status> {
        // SAFETY: the task side is an owner.
        unsafe { tombstone_status(self.0) }
    }

    pub(crate) fn role(&self) -> Role {
        // SAFETY: the task side is an owner.
        unsafe { vtable(self.0) }.role
    }

    /// Becomes the runner; or lets go of the tombstone, and returns its status.
    #[inline]
    fn claim(self) -> Result<NonNull<Header>, Option<Status>> {
        let cell = self.into_cell();
        // SAFETY: the task side is an owner.
        let state = unsafe { state(cell) };
        // SAFETY: the task side is an owner.
        if unsafe { vtable(cell) }.detached || state.start() {
            return Ok(cell);
        }
        // SAFETY: the task side is an owner.
        let status = unsafe { tombstone_status(cell) };
        let release = state.release_task();
        // SAFETY: whoever claimed emptied the payload before the cell was done, or the handle did
        // afterwards; nobody is left who could have filled it.
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

/// Runs what was just claimed; or, if there is a `refusal` and it is not part of a task that is running
/// already, drops the closure and completes with the error. Returns how it went; `None` for a helper.
///
/// # Safety
///
/// The caller is the runner of a task whose payload holds the closure, gives up both, and is in the company it states.
#[inline]
pub(super) unsafe fn start(
    cell: NonNull<Header>,
    company: Company,
    refusal: impl FnOnce() -> Option<TaskError>,
) -> Option<Status> {
    // SAFETY: a runner is an owner.
    let vtable = unsafe { vtable(cell) };
    let status = match refusal() {
        Some(error) if vtable.role != Role::Part => {
            // Makes its tombstone, if there is one, count as cancelled, whatever the error.
            // SAFETY: a runner is an owner.
            let _ = unsafe { state(cell) }.claim_to_cancel();
            // SAFETY: passed on to the caller.
            unsafe { (vtable.fail)(cell, error) };
            Status::Cancelled
        }
        // SAFETY: passed on to the caller.
        _ => unsafe { (vtable.run)(cell, company) }.status(),
    };
    (vtable.role != Role::Helper).then_some(status)
}

/// What has become of a task that somebody else has claimed. One ended by its deadline did not fail by
/// itself, so it counts as cancelled; so does one that was asked to stop and panicked. One that nobody
/// cancelled and that left no outcome had nobody to take it: it has run.
///
/// # Safety
///
/// The caller is an owner of the cell.
unsafe fn tombstone_status(cell: NonNull<Header>) -> Option<Status> {
    // SAFETY: passed on to the caller.
    let now = unsafe { state(cell) }.load();
    // SAFETY: passed on to the caller.
    let is_counted = unsafe { vtable(cell) }.role != Role::Helper;
    is_counted.then(|| match now.status() {
        Status::Failed if now.is_cancelled() => Status::Cancelled,
        Status::Cancelled if !now.is_cancelled() => Status::Taken,
        status => status,
    })
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
            role: Role::Task,
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
            role: Role::Task,
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
unsafe fn run_detached<F: FnOnce()>(cell: NonNull<Header>, _company: Company) -> Outcome {
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

/// Moves the closure out, so that the memory can be reused while it runs.
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
unsafe fn run<F, T>(cell: NonNull<Header>, company: Company) -> Outcome
where
    F: FnOnce() -> T,
{
    // SAFETY: the payload holds the closure and is ours; it counts as empty from here on.
    let closure = unsafe { take::<F>(cell) };
    // SAFETY: we are the runner until after the call.
    let result = unsafe { while_running(cell, || catch(closure)) };
    // SAFETY: we are the runner, and the payload is empty.
    unsafe { Runner::<T>::new(cell) }.finish(result, company)
}

/// # Safety
///
/// As [`VTable::fail`] says, with the types that the cell was made with.
pub(super) unsafe fn fail<F, T>(cell: NonNull<Header>, error: TaskError) {
    // SAFETY: the payload holds the closure and is ours; it counts as empty from here on.
    let closure = unsafe { take::<F>(cell) };
    contain(|| drop(closure));
    // SAFETY: we are the runner, and the payload is empty.
    unsafe { Runner::<T>::new(cell) }.finish(Err(error), Company::Others);
}

/// # Safety
///
/// `list` came from `Arc::into_raw` of a `Callbacks<T>`, and its count is given up.
pub(super) unsafe fn drop_callbacks<T>(list: *const ()) {
    // SAFETY: passed on to the caller.
    let list = unsafe { Arc::from_raw(list.cast::<Callbacks<T>>()) };
    contain(|| drop(list));
}
