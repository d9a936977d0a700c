//! The right to run or to end a task that has not started, apart from its handle; and tasks that borrow.
//!
//! A scope must end all its tasks before what they borrow goes away, whatever becomes of their handles.
//! So it may hold a claim on each of them, a token that may also claim; and each task carries a *guard*,
//! which is dropped when nothing of the task that borrows is left.

use std::any::type_name;
use std::ptr::NonNull;

use super::listeners::claim_to_cancel;
use super::runner::{Company, Runner};
use super::task::{drop_callbacks, start};
use super::token::while_running;
use super::{
    CellId, Header, RawTask, RawToken, Reader, Role, VTable, allocate, put, state, take, vtable,
};
use crate::TaskError;
use crate::blocker::{PoolId, refusal};
use crate::panic::{catch, contain};
use crate::state::{CancelClaim, Outcome, State};

/// An owner of the cell's memory that may also claim the task.
pub(crate) struct RawClaim(RawToken);

impl RawClaim {
    /// A claim on a task. `None` if it never had a handle: then it belongs to whoever holds it.
    pub(crate) fn on(task: &RawTask) -> Option<Self> {
        if task.is_detached() {
            return None;
        }
        // SAFETY: the task side is an owner.
        Some(Self(unsafe { RawToken::new(task.cell()) }))
    }

    /// Runs the task here, or ends it if its pool refuses. False if it had started or ended before.
    pub(crate) fn run(&self) -> bool {
        let cell = self.0.cell();
        // SAFETY: a token is an owner.
        if !unsafe { state(cell) }.claim_as_handle() {
            return false;
        }
        let refusal = || self.0.home().and_then(refusal);
        // SAFETY: the claim made us the runner, and the payload still holds the closure: claims are made
        // on tasks alone. We also stay an owner, by the token.
        unsafe { start(cell, Company::Others, refusal) };
        true
    }

    /// Ends the task with an error if it has not started; asks it to stop if it is running.
    pub(crate) fn fail(&self, error: TaskError) {
        let cell = self.0.cell();
        // SAFETY: a token is an owner.
        if unsafe { claim_to_cancel(cell) } == CancelClaim::Won {
            // SAFETY: a token is an owner.
            let fail = unsafe { vtable(cell) }.fail;
            // SAFETY: the claim made us the runner, and the payload still holds the closure.
            unsafe { fail(cell, error) };
        }
    }

    /// The task's identity and name.
    pub(crate) fn id(&self) -> (CellId, &'static str) {
        (self.0.id(), self.0.name())
    }

    /// Whether the task has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.0.is_done()
    }

    /// Whether nobody can claim the task any more.
    pub(crate) fn is_spent(&self) -> bool {
        // SAFETY: a token is an owner.
        !unsafe { state(self.0.cell()) }.load().is_queued()
    }
}

/// A closure, and what is dropped last.
struct Guarded<F, G> {
    closure: F,
    guard: G,
}

impl RawTask {
    /// As [`RawTask::new`], for a closure and a value that may borrow. `guard` is dropped after the task
    /// has ended and the runner has dropped everything of the task's.
    ///
    /// # Safety
    ///
    /// What closure and value borrow lives until the guard is dropped, and the handle is not used after
    /// that either; it may be leaked.
    pub(crate) unsafe fn guarded<F, T, G>(
        closure: F,
        guard: G,
        home: Option<PoolId>,
        role: Role,
    ) -> (Self, Reader<T>)
    where
        F: FnOnce() -> T + Send,
        T: Send,
        G: Send,
    {
        let cell = allocate(State::new(), table::<F, T, G>(role), home);
        // SAFETY: nobody else knows the cell yet, and its layout has room for both.
        unsafe { put(cell, Guarded { closure, guard }) };
        // SAFETY: the task's side of a new cell, taken once.
        let task = unsafe { Self::from_cell(cell) };
        // SAFETY: the handle's side of a new cell, taken once, with the type of its value.
        (task, unsafe { Reader::new(cell) })
    }
}

fn table<F, T, G>(role: Role) -> &'static VTable
where
    F: FnOnce() -> T + Send,
    T: Send,
    G: Send,
{
    match role {
        Role::Task => const { &new_table::<F, T, G>(Role::Task) },
        Role::Part => const { &new_table::<F, T, G>(Role::Part) },
        Role::Helper => const { &new_table::<F, T, G>(Role::Helper) },
    }
}

const fn new_table<F, T, G>(role: Role) -> VTable
where
    F: FnOnce() -> T + Send,
    T: Send,
    G: Send,
{
    VTable {
        layout: VTable::layout::<Guarded<F, G>, T>(),
        detached: false,
        by_hand: false,
        hook: None,
        role,
        name: type_name::<F>,
        run: run::<F, T, G>,
        fail: fail::<F, T, G>,
        drop_callbacks: drop_callbacks::<T>,
    }
}

/// # Safety
///
/// As [`VTable::run`] says, with the types that the cell was made with.
unsafe fn run<F, T, G>(cell: NonNull<Header>, company: Company) -> Outcome
where
    F: FnOnce() -> T,
{
    // SAFETY: the payload holds both and is ours; it counts as empty from here on.
    let Guarded { closure, guard } = unsafe { take::<Guarded<F, G>>(cell) };
    // SAFETY: we are the runner until after the call.
    let result = unsafe { while_running(cell, || catch(closure)) };
    // SAFETY: we are the runner, and the payload is empty.
    let outcome = unsafe { Runner::<T>::new(cell) }.finish(result, company);
    contain(|| drop(guard));
    outcome
}

/// # Safety
///
/// As [`VTable::fail`] says, with the types that the cell was made with.
unsafe fn fail<F, T, G>(cell: NonNull<Header>, error: TaskError) {
    // SAFETY: the payload holds both and is ours; it counts as empty from here on.
    let Guarded { closure, guard } = unsafe { take::<Guarded<F, G>>(cell) };
    contain(|| drop(closure));
    // SAFETY: we are the runner, and the payload is empty.
    unsafe { Runner::<T>::new(cell) }.finish(Err(error), Company::Others);
    contain(|| drop(guard));
}
