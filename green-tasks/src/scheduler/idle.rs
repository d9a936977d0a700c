//! When the run queue is empty: whether any task can ever go on, and the sleep until then.

use std::io::{self, Write};
use std::rc::Rc;
use std::time::Instant;

use future_result::Awaited;

use super::Scheduler;
use super::inbox::Sleeper;
use super::inquest::Inquest;
use super::task::{Ends, Phase, Rest, Task};
use crate::deadlock::Deadlock;
use crate::stack::StackPool;
use crate::time::Alarm;

/// Of tasks that wake together, at most this many stacks are prefetched: no more than the second-level cache holds.
const FETCHED: usize = 512;

/// Whether anything could wake one of the tasks.
enum Hope {
    /// Something elsewhere, or nobody knows.
    Elsewhere,
    /// Some tasks have been woken to find out.
    Asked,
    None,
}

impl Scheduler {
    /// Handles what other threads and the clock have for us.
    pub(super) fn look_outside(&self) {
        self.look_at_clock();
        let are_fewer = self.pace.stop(self.timers.seen());
        self.read_mail();
        self.ring();
        if let Some(post) = &self.post {
            for parcel in post
                .crew
                .share(post.place, self.queue.len(), self.timers.seen())
            {
                self.adopt(parcel);
            }
        }
        if let Some(stacks) = &self.stacks {
            stacks.trim();
        }
        if let Some(reactor) = self.reactor.get()
            && reactor.is_awaited()
        {
            // As in `ring`: this calls wakers.
            let current = self.current();
            let _pin = current.interrupts().pin();
            reactor.look();
        }
        // The look is not part of the turns; where these are long, it costs more than the clock.
        if are_fewer {
            self.look_at_clock();
        }
        self.pace.start(self.timers.seen());
    }

    /// Drops the wakers of sockets that are gone, which may make work.
    fn drop_wakers(&self) {
        if let Some(reactor) = self.reactor.get()
            && reactor.is_armed()
        {
            let current = self.current();
            let _pin = current.interrupts().pin();
            reactor.drop_wakers();
        }
    }

    /// Fires the timers that are due.
    pub(super) fn ring(&self) {
        // A waker may be anybody's code. The current task mostly rests already, or has ended, so it must not rest
        // again.
        let current = self.current();
        let _pin = current.interrupts().pin();
        let due = self.timers.take_due();
        for alarm in due.iter().take(FETCHED) {
            if let Alarm::Rouse(task, frame) = alarm {
                frame.fetch();
                task.fetch_fiber();
            }
        }
        for alarm in due {
            match alarm {
                Alarm::Rouse(task, _) | Alarm::Wake(task) => self.wake(&task),
                Alarm::Limit(task, depth) => {
                    task.interrupts().expire(depth);
                    self.wake(&task);
                }
                Alarm::Poll(waker) => future_result::contain(|| waker.wake()),
            }
        }
    }

    /// The run queue is empty: sleeps until there is something to do, unless there is already.
    pub(super) fn idle(&self) {
        self.look_at_clock();
        self.pace.stop(self.timers.seen());
        self.pace.start_with_next(self.timers.seen());
        self.read_mail();
        self.ring();
        self.drop_wakers();
        // The mail may have said that the run is over.
        if !self.queue.is_empty() || self.is_finished() {
            return;
        }
        if self.timers.skip() {
            self.note_clock();
            return self.ring();
        }
        if let Some(post) = &self.post
            && let Some(parcel) = post.crew.take(post.place, self.timers.seen())
        {
            return self.adopt(parcel);
        }
        let next = self.timers.next();
        let hope = match next {
            Some(_) => Hope::Elsewhere,
            None => self.hope(),
        };
        match (hope, &self.post) {
            (Hope::Asked, _) => {}
            // A scheduler that is alone has said all there is.
            (Hope::None, None) => self.obey(Inquest::of(self.testimony())),
            (_, None) => self.sleep_until(next),
            (hope, Some(post)) => {
                let is_hopeless = matches!(hope, Hope::None);
                let mut found = post.crew.lie_down(post.place, is_hopeless);
                if found.is_none() {
                    self.sleep_until(next);
                    found = post.crew.get_up(post.place);
                }
                if let Some(parcel) = found {
                    self.adopt(parcel);
                }
            }
        }
    }

    /// Sleeps until there is mail, a socket is ready, or it is time.
    fn sleep_until(&self, next: Option<Instant>) {
        let stacks = self.stacks.as_ref();
        let next_trim = stacks.and_then(StackPool::next_trim);
        let next = next.into_iter().chain(next_trim).min();
        self.beat(None);
        match self.reactor.get() {
            None => self.inbox.park(next),
            Some(reactor) => {
                if self.inbox.lie_down(Sleeper::Polling(reactor.poller())) {
                    let current = self.current();
                    let _pin = current.interrupts().pin();
                    reactor.wait(next);
                    self.inbox.get_up();
                }
            }
        }
        if let Some(stacks) = stacks {
            stacks.trim();
        }
        self.look_at_clock();
        self.pace.start_with_next(self.timers.seen());
    }

    fn hope(&self) -> Hope {
        let is_armed = self.reactor.get().is_some_and(|reactor| reactor.is_armed());
        if self.elsewhere.get() > 0 || is_armed {
            return Hope::Elsewhere;
        }
        let mut is_unknown = false;
        let mut asked = false;
        let current = self.current();
        for task in self.tasks.all() {
            // This also skips a task that waits for others on the thread's stack, which is due already.
            if task.rest_ends() != Some(Ends::Ask) || task.phase.get() != Phase::Resting {
                continue;
            }
            // Further down on the thread's own stack, no task can answer.
            if task.suspender.get().is_some() || Rc::ptr_eq(&task, &current) {
                task.ask();
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

    /// The remaining tasks wait in destructors while they unwind. A closure's stack can be left where it is, but
    /// `run` cannot return past what is further up on the thread's own.
    ///
    /// A task that rests there may be held up only by another's unwinding, and then ends as it should. If by its
    /// own, the process aborts, as it would anyway.
    pub(super) fn give_up(&self, report: Deadlock) {
        let current = self.current();
        if current.phase.get() == Phase::Ended {
            // Otherwise the run goes on, and its closure's thread has heard it, too.
            if self.is_closing.get() {
                let former = self.stuck.replace(Some(report));
                drop(former);
            }
            return;
        }
        // No panic if nobody reads it.
        let _ = writeln!(
            io::stderr(),
            "{report}\nsome of them wait in destructors, so that they can neither go on nor be ended"
        );
        if !current.dare() {
            std::process::abort();
        }
        self.wake(&current);
    }
}
