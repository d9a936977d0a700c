//! A task that hands on its cell: its closure gets the [`Writer`], and the outcome may come from
//! anywhere, long after the closure has returned.
//!
//! Until somebody claims it, it is a task like any other: the payload holds the closure, which belongs to
//! whoever claims. Whoever claims it to run it takes the closure out, and is then what a started writer
//! is: the runner of a cell with an empty payload. So it needs no transition of its own.

use std::alloc::Layout;
use std::any::type_name;
use std::ptr::NonNull;

use super::hook::{Hook, Hooked, put_hook};
use super::runner::Company;
use super::task::{drop_callbacks, fail};
use super::{CellId, Header, RawTask, Reader, Role, VTable, Writer, allocate, put, take};
use crate::blocker::PoolId;
use crate::panic::contain;
use crate::state::{Outcome, State};

/// One allocation for the closure, for the outcome, and for the hook.
#[inline]
pub(crate) fn handed<F, T, H>(home: PoolId, hook: H, closure: F) -> (RawTask, Reader<T>)
where
    F: FnOnce(Writer<T>) + Send + 'static,
    T: Send + 'static,
    H: Fn(CellId) + Send + Sync + 'static,
{
    let cell = allocate(State::new(), table::<F, T, H>(), Some(home));
    // SAFETY: nobody else knows the cell yet, and its layout is that of a `Hooked<F, T, H>`.
    unsafe { put_hook::<F, T, H>(cell, hook) };
    // SAFETY: likewise; a `Hooked<F, T, H>` begins with room for an `F`.
    unsafe { put::<F>(cell, closure) };
    // SAFETY: the task side of a new cell, taken once, with its closure in the payload.
    let task = unsafe { RawTask::of(cell) };
    // SAFETY: the handle's side of a new cell, taken once, with the type of its value.
    (task, unsafe { Reader::new(cell) })
}

/// The table for tasks of these types.
fn table<F, T, H>() -> &'static VTable
where
    F: FnOnce(Writer<T>) + Send + 'static,
    T: Send + 'static,
    H: Fn(CellId) + Send + Sync + 'static,
{
    const {
        &VTable {
            layout: Layout::new::<Hooked<F, T, H>>(),
            detached: false,
            by_hand: true,
            hook: Some(Hook::new::<F, T, H>()),
            role: Role::Task,
            name: type_name::<T>,
            run: run::<F, T>,
            fail: fail::<F, T>,
            drop_callbacks: drop_callbacks::<T>,
        }
    }
}

/// Returns how the closure went; the outcome of the cell is another matter.
///
/// # Safety
///
/// As [`VTable::run`] says, with the types that the cell was made with.
unsafe fn run<F, T>(cell: NonNull<Header>, _company: Company) -> Outcome
where
    F: FnOnce(Writer<T>),
{
    // SAFETY: the payload holds the closure and is ours; it is empty from here on.
    let closure = unsafe { take::<F>(cell) };
    // SAFETY: we are the runner, the payload is empty, and the writer gets both.
    let writer = unsafe { Writer::<T>::started(cell) };
    let mut outcome = Outcome::Failed;
    contain(|| {
        closure(writer);
        outcome = Outcome::Value;
    });
    outcome
}
