//! The one place where a task leaves its stack.
#![expect(unsafe_code, reason = "suspends the running fiber")]

use std::rc::Rc;

use super::{Scheduler, Task};
use crate::engine::Suspender;

impl Scheduler {
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
