//! The one place where a task leaves its stack, and where it goes on.
#![expect(
    unsafe_code,
    reason = "suspends the running fiber, and resumes it where it lies"
)]

use std::rc::Rc;

use super::task::Body;
use super::{Scheduler, Task};
use crate::engine::{Step, Suspender};
use crate::stack::fetch_task;

impl Task {
    /// Has the CPU fetch what it needs to go on with it, but for its frames.
    #[inline]
    pub(super) fn fetch_fiber(&self) {
        // SAFETY: tasks stay on their thread, and nothing that could replace the body runs while it is looked at.
        if let Body::Fiber(fiber) = unsafe { &*self.body.as_ptr() } {
            fiber.fetch();
        }
    }

    /// The same, with its frames, if it is in few calls.
    #[inline(always)]
    pub(super) fn fetch_stack(&self) {
        // SAFETY: as in `fetch_fiber`. It may be called of any task: nothing is read but a pointer.
        if let Body::Fiber(fiber) = unsafe { &*self.body.as_ptr() } {
            fiber.fetch_top();
        }
    }

    /// Has the CPU fetch a task.
    #[inline(always)]
    pub(super) fn fetch(this: &Rc<Self>) {
        fetch_task(Rc::as_ptr(this).addr());
    }
}

impl Scheduler {
    /// Goes on with a task in the middle of a stack of its own, whose turn it is. Gives it back if it has none.
    ///
    /// The fiber stays in the task, whatever happens: taken out and put back, the larger half of a `Body`
    /// would be read in one before the CPU has written it in two, and a yield take 17 ns instead of 12.
    #[inline(always)]
    pub(super) fn resume_in_place(&self, task: Rc<Task>) -> Result<(Rc<Task>, Step), Rc<Task>> {
        // SAFETY: tasks stay on their thread, and nothing that could replace the body runs while it is looked
        // at: the reference ends with this statement.
        let fiber = match unsafe { &*task.body.as_ptr() } {
            // SAFETY: the one in the task is not resumed meanwhile: that is done here alone, when the queue has
            // given the task out, in which it is at most once and not while it runs (`Phase`). It is fetched at
            // most. If the fiber ends, the caller takes the one in the task, and this one is gone.
            Body::Fiber(fiber) => Some(unsafe { fiber.alias() }),
            _ => None,
        };
        match fiber {
            Some(mut fiber) => Ok(self.resume(task, &mut fiber)),
            None => Err(task),
        }
    }

    /// Switches from the stack of `task`, which is running there, back to the scheduler.
    #[inline(always)]
    pub(super) fn suspend(&self, task: &Rc<Task>, suspender: Suspender) {
        debug_assert!(Rc::ptr_eq(task, &self.current.borrow()));
        // SAFETY: a task has a suspender from its first instruction to its last, and it is the running
        // one: only the running task rests. Fibers are resumed by the scheduler on the thread's own
        // stack, one at a time, so this is the one that was resumed last; and that the call is made on
        // its own stack is promised with `Stackful::assume`.
        unsafe { suspender.suspend() };
    }
}
