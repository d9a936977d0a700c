//! When it is nobody's turn: whether it ever will be again, and the sleep until then.

use std::io::{self, Write};
use std::rc::Rc;

use future_result::{Awaited, Cause, TaskError};

use super::Scheduler;
use super::inbox::Sleeper;
use super::task::{Ends, Phase, Rest, Task};
use crate::deadlock::Deadlock;
use crate::time::Alarm;

/// Whether something could wake one of the tasks.
enum Hope {
    /// Something elsewhere, or nobody knows.
    Elsewhere,
    /// Some tasks have been woken to find out.
    Asked,
    None,
}

impl Scheduler {
    /// Does what other threads and the clock have for us.
    pub(super) fn look_outside(&self) {
        self.timers.look();
        self.read_mail();
        self.ring();
        if let Some(reactor) = self.reactor.get() {
            reactor.look();
        }
    }

    fn ring(&self) {
        // A waker may be anybody's code. Whoever is current here rests already, or has ended, so that
        // it must not rest once more.
        let current = self.current();
        let _pin = current.interrupts.pin();
        for alarm in self.timers.take_due() {
            match alarm {
                Alarm::Wake(task) => self.wake(&task),
                Alarm::Limit(task, depth) => {
                    task.interrupts.expire(depth);
                    self.wake(&task);
                }
                Alarm::Poll(waker) => future_result::contain(|| waker.wake()),
            }
        }
    }

    /// The run queue is empty: sleeps until there is something to do, unless there is already.
    pub(super) fn idle(&self) {
        self.timers.look();
        self.read_mail();
        self.ring();
        if !self.queue.is_empty() {
            return;
        }
        if self.timers.skip() {
            return self.ring();
        }
        let next = self.timers.next();
        if next.is_none() {
            match self.hope() {
                Hope::Elsewhere => {}
                Hope::Asked => return,
                Hope::None => return self.stop_all(),
            }
        }
        self.beat(None);
        match self.reactor.get() {
            None => self.inbox.park(next),
            Some(reactor) => {
                if self.inbox.lie_down(Sleeper::Polling(reactor.poller())) {
                    reactor.wait(next);
                    self.inbox.get_up();
                }
            }
        }
        self.timers.look();
    }

    fn hope(&self) -> Hope {
        if self.elsewhere.get() > 0 {
            return Hope::Elsewhere;
        }
        let mut is_unknown = false;
        let mut asked = false;
        let current = self.current();
        for task in self.tasks.all() {
            // Also of one that has to wait for others on the thread's stack, which is due already.
            let Some(rest) = task.rest.get() else {
                continue;
            };
            if rest.ends != Ends::Ask || task.phase.get() != Phase::Resting {
                continue;
            }
            // Further down on the thread's own stack nobody can answer.
            if task.suspender.get().is_some() || Rc::ptr_eq(&task, &current) {
                task.asked.set(true);
                self.wake(&task);
                asked = true;
            } else {
                is_unknown = true;
            }
        }
        match (asked, is_unknown) {
            (true, _) => Hope::Asked,
            (false, true) => Hope::Elsewhere,
            (false, false) => Hope::None,
        }
    }

    /// What a task that was asked rests for, given what it waits for.
    pub(super) fn answer(&self, task: &Task, awaited: Option<Vec<Awaited>>) -> Rest {
        let ends = match awaited {
            Some(list) if list.iter().all(|one| one.home() == Some(self.id)) => {
                task.set_awaited(list.iter().map(Awaited::id).collect());
                Ends::Here
            }
            _ => Ends::Elsewhere,
        };
        Rest {
            ends,
            ..Rest::HANDLES
        }
    }

    /// Nothing can ever go on: tells all tasks to stop, those as well that are shielded. If they have
    /// been told before, they cannot.
    fn stop_all(&self) {
        let report = Deadlock::of(&self.tasks.all());
        let error = TaskError::Deadlock(Cause::new(report.to_string()));
        let mut is_news = false;
        for task in self.tasks.all() {
            let told = matches!(task.interrupts.reason(), Some(TaskError::Deadlock(_)));
            if !told {
                is_news = true;
                self.stop(&task, error.clone());
            }
        }
        if !is_news {
            return self.give_up(report);
        }
        let mut first = self.deadlock.borrow_mut();
        // At the end it is usual that what is shielded has to be told.
        if first.is_none() && !self.is_closing.get() {
            *first = Some(report);
        }
    }

    /// The tasks that are left wait in destructors while they unwind. A closure's stack can be left
    /// where it is, but `run` cannot return over what is further up on the thread's own.
    ///
    /// Whoever rests there may be held up by another's unwinding alone, and is then ended as it should
    /// be. If it is its own, the process aborts, as it would anyway.
    fn give_up(&self, report: Deadlock) {
        let current = self.current();
        if self.is_closing.get() && current.phase.get() == Phase::Ended {
            let former = self.stuck.replace(Some(report));
            return drop(former);
        }
        // Not a panic if nobody reads it.
        let _ = writeln!(
            io::stderr(),
            "{report}\nsome of them wait in destructors, so that they can neither go on nor be ended"
        );
        if !current.interrupts.dare() {
            std::process::abort();
        }
        self.wake(&current);
    }
}
