//! The one place where a task leaves its stack and returns to it.
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
    /// Prefetches what is needed to resume its fiber, except the frames.
    #[inline]
    pub(super) fn fetch_fiber(&self) {
        // SAFETY: tasks stay on their thread, and nothing that could replace the body runs during the look.
        if let Body::Fiber(fiber) = unsafe { &*self.body.as_ptr() } {
            fiber.fetch();
        }
    }

    /// The same, and the frames, if the fiber is only a few calls deep.
    #[inline(always)]
    pub(super) fn fetch_stack(&self) {
        // SAFETY: as in `fetch_fiber`. Fits any task: only a pointer is read.
        if let Body::Fiber(fiber) = unsafe { &*self.body.as_ptr() } {
            fiber.fetch_top();
        }
    }

    /// Prefetches a task.
    #[inline(always)]
    pub(super) fn fetch(this: &Rc<Self>) {
        fetch_task(Rc::as_ptr(this).addr());
    }
}

impl Scheduler {
    /// Resumes a task that is suspended on a stack of its own. Gives back one that is not.
    ///
    /// The fiber stays in the task, whatever happens: if it were taken out and put back, the larger half of a
    /// `Body` would be read in one access before the CPU has written it in two, and a yield take 17 ns instead of
    /// 12.
    #[inline(always)]
    pub(super) fn resume_in_place(&self, task: Rc<Task>) -> Result<(Rc<Task>, Step), Rc<Task>> {
        // SAFETY: tasks stay on their thread, and nothing that could replace the body runs during the look: the
        // reference ends with this statement.
        let fiber = match unsafe { &*task.body.as_ptr() } {
            // SAFETY: the one in the task is not resumed meanwhile: only this does that, after the queue gave out
            // the task, which is in it at most once and never while running (`Phase`). It is fetched at most. If
            // the fiber ends, the caller takes the one in the task, and this one is gone.
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
        // SAFETY: a task has a suspender from its first instruction to its last, and it is the running task: only
        // that rests. The scheduler resumes fibers on the thread's own stack, one at a time, so this one was
        // resumed last; `Stackful::assume` promises that the call is made on its own stack.
        unsafe { suspender.suspend() };
    }
}
