//! For the pools alone: the right to run or to end a task, apart from its handle; and tasks that borrow.

use std::fmt;

pub use crate::cell::Role;
use crate::cell::{RawClaim, RawTask};
use crate::{CellId, JoinHandle, PoolId, Task, TaskError};

/// The right to run a task that has not started, or to end it: what a scope and a deadline hold.
///
/// It keeps the task's memory, not the task.
pub struct Claim(RawClaim);

impl Claim {
    /// A claim on a task that is still to be queued. `None` if it is [detached](Task::detached).
    #[must_use]
    pub fn on(task: &Task) -> Option<Self> {
        RawClaim::on(task.raw()).map(Self)
    }

    /// Runs the task on this thread, or ends it with its pool's error if the pool refuses. False if it
    /// had started or ended before.
    #[must_use = "another may have been faster"]
    pub fn run(&self) -> bool {
        self.0.run()
    }

    /// Ends the task with `error` if it has not started; asks it to stop if it is running.
    pub fn fail(&self, error: TaskError) {
        self.0.fail(error);
    }

    /// The task's identity, for as long as the claim is kept, and what it is called.
    #[must_use]
    pub fn id(&self) -> (CellId, &'static str) {
        self.0.id()
    }

    /// Whether the task has ended, so that there is nothing left to do about it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.is_done()
    }

    /// Whether the task has started or ended, so that nobody can claim it any more.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.0.is_spent()
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("is_spent", &self.is_spent())
            .finish()
    }
}

/// As [`task_in`](crate::task_in), for a closure and a value that may borrow.
///
/// `guard` is dropped when the task has ended, in whatever way, and nothing of it is left but the value,
/// which is then the handle's.
///
/// # Safety
///
/// What closure and value borrow lives until `guard` is dropped, and as long as the handle is used.
/// (The handle may be leaked: nobody looks at the value any more then.)
pub unsafe fn task_with_guard<F, T, G>(
    pool: PoolId,
    closure: F,
    guard: G,
    role: Role,
) -> (Task, JoinHandle<T>)
where
    F: FnOnce() -> T + Send,
    T: Send,
    G: Send,
{
    // SAFETY: passed on to the caller.
    let (task, reader) = unsafe { RawTask::guarded(closure, guard, Some(pool), role) };
    (Task::from_raw(task), JoinHandle::new(reader))
}
