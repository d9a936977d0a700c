//! How a task waits for a handle, or for anything else that has a waker.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use future_result::{Awaited, Blocker, Waiting};

use super::Scheduler;
use super::task::{Ends, Rest};
use crate::time::{Alarm, Armed};

/// A poll function about which nothing else is known.
struct Unknown<'a>(&'a mut dyn FnMut(&mut Context<'_>) -> Poll<()>);

impl Waiting for Unknown<'_> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        (self.0)(context)
    }

    fn awaited(&self) -> Option<Vec<Awaited>> {
        None
    }
}

impl Blocker for Scheduler {
    fn block(&self, deadline: Option<Instant>, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
        self.wait(deadline, &mut Unknown(poll), Rest::AWAITS);
    }

    fn block_on(&self, deadline: Option<Instant>, waiting: &mut dyn Waiting) {
        let task = self.current();
        // Unwinding would make the whole thread wait.
        let _hold = waiting.is_held().then(|| task.interrupts().hold());
        // Most results are there once the others have had a turn, and then nobody need be woken.
        if deadline.is_none() && waiting.look() == Some(false) {
            task.wake_self();
            self.rest(&task, Rest::HANDLES);
            if waiting.look() == Some(true) {
                return;
            }
        }
        self.wait(deadline, waiting, Rest::HANDLES);
    }
}

impl Scheduler {
    fn wait(&self, deadline: Option<Instant>, waiting: &mut dyn Waiting, rest: Rest) {
        let task = self.current();
        let waker = task.waker(&self.inbox);
        let deadline = deadline.and_then(|real| self.timers.translate(real));
        let limit = deadline.map(|at| self.timers.arm(at, Alarm::Wake(Rc::clone(&task))));
        let mut answered = None;
        loop {
            // Checked first, so that the last poll comes after the deadline.
            let is_over = limit.as_ref().is_some_and(Armed::is_over);
            let mut context = Context::from_waker(waker);
            if task.polling(|| waiting.poll(&mut context)).is_ready() || is_over {
                return;
            }
            if task.take_asked() && rest.ends == Ends::Ask {
                answered = Some(self.answer(&task, waiting.awaited()));
            }
            let is_answered = answered.is_some();
            self.rest(&task, answered.take().unwrap_or(rest));
            if is_answered {
                task.forget_awaited();
            }
        }
    }
}
