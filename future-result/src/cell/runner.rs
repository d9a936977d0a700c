//! The party that has won the right to produce the outcome.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use super::callbacks::{Callbacks, Next};
use super::{Header, callbacks, free_if_last, put, show, state, take, take_waker};
use crate::TaskError;
use crate::panic::{abort_on_unwind, contain};
use crate::state::{Completion, Outcome};

/// The runner of a cell whose value is a `T`: the payload is its own until it finishes.
pub(super) struct Runner<T> {
    cell: NonNull<Header>,
    _value: PhantomData<fn(T)>,
}

impl<T> Runner<T> {
    /// # Safety
    ///
    /// - The caller has won the right to produce the outcome of this cell, and gives it up.
    /// - The cell's value is of the type `T`, and its payload is empty.
    #[inline]
    pub(super) unsafe fn new(cell: NonNull<Header>) -> Self {
        Self {
            cell,
            _value: PhantomData,
        }
    }

    /// Completes the cell, notifies, and frees what nobody owns any more. Returns how the outcome was stored.
    #[inline]
    pub(super) fn finish(self, result: Result<T, TaskError>, company: Company) -> Outcome {
        // SAFETY: the payload is the runner's and empty; the types are right, says `new`.
        let outcome = unsafe { store(self.cell, result) };
        // SAFETY: a runner is an owner.
        let state = unsafe { state(self.cell) };
        let completion = match company {
            Company::Alone => state.complete_alone(outcome),
            Company::Others => state.complete(outcome, true),
        };
        // SAFETY: the outcome was stored, and this is what completing answered.
        unsafe { conclude::<T>(self.cell, outcome, completion) };
        outcome
    }
}

/// Whether somebody else may touch the cell while its closure runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// The runner also holds the handle, and there was nobody else when it began
    /// ([`State::start_alone`](crate::state::State::start_alone)).
    Alone,
    Others,
}

/// Puts the outcome into the payload.
///
/// # Safety
///
/// The caller is an owner; the payload is empty and its own; the cell's value is of the type `T`.
#[inline]
pub(super) unsafe fn store<T>(cell: NonNull<Header>, result: Result<T, TaskError>) -> Outcome {
    match result {
        Ok(value) => {
            // SAFETY: passed on to the caller.
            unsafe { put::<T>(cell, value) };
            Outcome::Value
        }
        Err(TaskError::Cancelled) => Outcome::Cancelled,
        Err(error) => {
            // SAFETY: passed on to the caller.
            unsafe { put::<Box<TaskError>>(cell, Box::new(error)) };
            Outcome::Failed
        }
    }
}

/// Moves the outcome out of the payload, which is empty afterwards.
///
/// # Safety
///
/// The caller is an owner; the payload is its own and holds this outcome, with a value of the type
/// `T`.
#[inline]
pub(super) unsafe fn load<T>(cell: NonNull<Header>, outcome: Outcome) -> Result<T, TaskError> {
    match outcome {
        // SAFETY: passed on to the caller.
        Outcome::Value => Ok(unsafe { take::<T>(cell) }),
        // SAFETY: passed on to the caller.
        Outcome::Failed => Err(*unsafe { take::<Box<TaskError>>(cell) }),
        Outcome::Cancelled => Err(TaskError::Cancelled),
    }
}

/// Calls a callback with the outcome in place.
///
/// # Safety
///
/// As for [`load`]; and the payload stays what it is until the callback returns.
pub(super) unsafe fn show_outcome<T>(
    cell: NonNull<Header>,
    outcome: Outcome,
    callback: impl FnOnce(Result<&T, &TaskError>),
) {
    match outcome {
        // SAFETY: passed on to the caller.
        Outcome::Value => unsafe { show::<T, _>(cell, |value| callback(Ok(value))) },
        // SAFETY: passed on to the caller.
        Outcome::Failed => unsafe {
            show::<Box<TaskError>, _>(cell, |error| callback(Err(error)));
        },
        Outcome::Cancelled => callback(Err(&TaskError::Cancelled)),
    }
}

/// Does what completing left to do.
///
/// # Safety
///
/// - The caller is the runner, or was until `completion` was answered, and gives its rights up.
/// - The payload holds the outcome, with a value of the type `T`.
#[inline]
pub(super) unsafe fn conclude<T>(cell: NonNull<Header>, outcome: Outcome, completion: Completion) {
    if completion != Completion::Handed {
        // SAFETY: passed on to the caller.
        abort_on_unwind(|| unsafe { notify::<T>(cell, outcome, completion) });
    }
    // Else that was the last touch: the cell is the handle's.
}

/// The rare part of [`conclude`], which runs user code.
///
/// # Safety
///
/// As for [`conclude`].
unsafe fn notify<T>(cell: NonNull<Header>, outcome: Outcome, completion: Completion) {
    match completion {
        Completion::Handed => {}
        Completion::Wake => {
            // SAFETY: done with `WAITER`: the slot is the runner's, and the flag keeps the cell.
            let waker = unsafe { take_waker(cell) };
            // SAFETY: an owner until this very transition.
            let release = unsafe { state(cell) }.release_waiter();
            // SAFETY: the outcome is the handle's, which has disposed of it if we are the last.
            unsafe { free_if_last(cell, release) };
            // Last touch was above: a waker is user code and may run for long.
            contain(|| waker.wake());
        }
        Completion::Callbacks => {
            // SAFETY: passed on to the caller, with the outcome not yet handed over.
            unsafe { run_callbacks::<T>(cell, outcome) };
        }
        Completion::Detached => {
            // SAFETY: passed on to the caller; the handle is gone, so the runner owns the outcome.
            unsafe { discard::<T>(cell, outcome) };
        }
        // A runner has won against any cancelling handle.
        Completion::Cancelled => {}
    }
}

/// Runs the callbacks in order, completes the cell, and does what is left to do.
///
/// # Safety
///
/// As for [`conclude`], of a cell with callbacks that is not done yet.
unsafe fn run_callbacks<T>(cell: NonNull<Header>, outcome: Outcome) {
    // SAFETY: a runner is an owner, and has seen `CALLBACKS`.
    let raw = unsafe { callbacks(cell) }.cast::<Callbacks<T>>();
    // SAFETY: `raw` came from `Arc::into_raw`, and the slot's count lives as long as the cell.
    unsafe { Arc::increment_strong_count(raw) };
    // SAFETY: the count just made is this one's. It keeps the list and its lock beyond the cell.
    let list = unsafe { Arc::from_raw(raw) };
    loop {
        // SAFETY: a runner is an owner until the cell is completed, which ends the loop.
        match list.next(unsafe { state(cell) }, outcome) {
            Next::Run(callback) => {
                // SAFETY: not completed, so the payload is the runner's, with this outcome in it.
                contain(|| unsafe { show_outcome::<T>(cell, outcome, callback) });
            }
            Next::Completed(completion, waker) => {
                // SAFETY: passed on to the caller. The answer is `Handed` or `Detached`: callbacks
                // exclude `Wake`, and `Callbacks` is not answered after them.
                unsafe { conclude::<T>(cell, outcome, completion) };
                if let Some(waker) = waker {
                    contain(|| waker.wake());
                }
                contain(|| drop(list));
                return;
            }
        }
    }
}

/// Drops an outcome that nobody will take, and the waker of a handle that is gone.
///
/// # Safety
///
/// As for [`conclude`], of a cell whose handle is gone and that is not done yet.
pub(super) unsafe fn discard<T>(cell: NonNull<Header>, outcome: Outcome) {
    // SAFETY: the payload holds the outcome and is the runner's.
    let result = unsafe { load::<T>(cell, outcome) };
    contain(|| drop(result));
    // SAFETY: a runner is an owner until it retires.
    if unsafe { state(cell) }.load().has_waiter() {
        // SAFETY: the handle is gone, so its slot is the runner's; `retire` clears the flag.
        let waker = unsafe { take_waker(cell) };
        contain(|| drop(waker));
    }
    // SAFETY: an owner until this very transition.
    let release = unsafe { state(cell) }.retire();
    // SAFETY: payload and slot are empty.
    unsafe { free_if_last(cell, release) };
}
