//! Cancelling, and time limits: a task unwinds from where it rests.
//!
//! Nothing is done to a task from outside. The request to stop is noted, the task is woken, and its own call into
//! the scheduler (such as [`rest`](super::Scheduler::rest)) unwinds, with a payload that is private to this crate and hidden
//! from the panic hook. A task that catches it gains nothing: its next rest unwinds again.
//!
//! It does not unwind
//!
//! - within [`shield`](crate::shield), unless nothing could ever end its rest;
//! - while it may be unwinding already: a second panic in a destructor aborts the process. std counts panics by
//!   thread, and a task that rests in the middle of its own unwinding leaves that count raised. If the thread was
//!   not panicking when a task began to rest, the task is not unwinding when it goes on; but if it was, nobody can
//!   tell whether by this task or another. Such a task waits until the thread no longer panics, and the scheduler
//!   then wakes it again. If that never happens, and `run` could not return without it, it takes the risk
//!   ([`Task::dare`]);
//! - at the end of a [`scope`](crate::scope()), before all of the scope's tasks have ended: they borrow from its
//!   frames. The same holds for a scope of another pool, whose wait says so;
//! - once its closure has ended, while its value is handed over.
//!
//! A task that computes gives its scheduler no turn to pass on a request to stop. So at a
//! [`checkpoint`](crate::checkpoint) it looks itself: at its scheduler's mail, and, within a time limit, at the
//! clock.

use std::any::Any;
use std::cell::Cell;
use std::panic::resume_unwind;
use std::thread::panicking;

use future_result::TaskError;

use super::{Scheduler, Task};

/// Why a task is to unwind, and whether it may. Few tasks need any of this.
#[derive(Default)]
pub(crate) struct Interrupts {
    /// Either of the next two was set once, so a task that is never interrupted checks only this.
    is_noted: Cell<bool>,
    /// It is to stop, with this outcome.
    stop: Cell<Option<Box<TaskError>>>,
    /// The outermost of its expired time limits, by depth; 0: none.
    expired: Cell<u32>,
    /// How many time limits it is within.
    limits: Cell<u32>,
    shields: Cell<u32>,
    /// How many declarations that it will not suspend are in force.
    pins: Cell<u32>,
    /// How many of its frames must not be left before others are done with them.
    holds: Cell<u32>,
    /// It is to unwind this once, even though the thread is panicking.
    dares: Cell<bool>,
}

/// What a task unwinds with.
#[derive(Debug)]
pub(crate) enum Unwind {
    /// To its end.
    Stop,
    /// To the time limit of this depth.
    Limit(u32),
}

impl Interrupts {
    /// Notes that the task is to stop. The first reason stays, except that a deadlock replaces it.
    pub(super) fn stop(&self, error: TaskError) {
        let is_deadlock = matches!(error, TaskError::Deadlock(_));
        if is_deadlock || self.look(|stop| stop.is_none()) {
            self.stop.set(Some(Box::new(error)));
            self.is_noted.set(true);
        }
    }

    /// Calls `f` with the reason to stop.
    fn look<R>(&self, f: impl FnOnce(Option<&TaskError>) -> R) -> R {
        let stop = self.stop.take();
        let result = f(stop.as_deref());
        self.stop.set(stop);
        result
    }

    /// Where to unwind to, if the closure has not ended.
    fn wanted(&self) -> Option<Unwind> {
        if !self.is_noted.get() || self.holds.get() > 0 {
            return None;
        }
        let is_shielded = self.shields.get() > 0;
        let is_stop = self.look(|stop| match stop {
            Some(TaskError::Deadlock(_)) => true,
            Some(_) => !is_shielded,
            None => false,
        });
        if is_stop {
            return Some(Unwind::Stop);
        }
        let expired = self.expired.get();
        (expired > 0 && !is_shielded).then_some(Unwind::Limit(expired))
    }

    /// Until the guard is dropped, the task does not unwind.
    pub(crate) fn shield(&self) -> Raised<'_> {
        Raised::new(&self.shields)
    }

    /// Until the guard is dropped, the task does not unwind for any reason.
    pub(crate) fn hold(&self) -> Raised<'_> {
        Raised::new(&self.holds)
    }

    /// Until the guard is dropped, the task must not suspend.
    pub(crate) fn pin(&self) -> Raised<'_> {
        Raised::new(&self.pins)
    }

    /// Enters a time limit.
    pub(crate) fn enter_limit(&self) -> Limit<'_> {
        let depth = self.limits.get() + 1;
        self.limits.set(depth);
        Limit {
            interrupts: self,
            depth,
        }
    }

    /// A time limit has expired.
    pub(super) fn expire(&self, depth: u32) {
        let outermost = match self.expired.get() {
            0 => depth,
            other => other.min(depth),
        };
        self.expired.set(outermost);
        self.is_noted.set(true);
    }
}

impl Task {
    /// Its interrupts, if there was ever any.
    #[inline]
    fn noted(&self) -> Option<&Interrupts> {
        let interrupts = &self.get_rare()?.interrupts;
        interrupts.is_noted.get().then_some(interrupts)
    }

    /// Why it is to stop.
    #[inline]
    pub(super) fn reason(&self) -> Option<TaskError> {
        self.noted()?.look(|stop| stop.cloned())
    }

    /// From now on it no longer unwinds.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
    }

    #[inline]
    fn wanted(&self) -> Option<Unwind> {
        let interrupts = self.noted()?;
        if self.is_closed.get() {
            return None;
        }
        interrupts.wanted()
    }

    /// Whether it is to unwind.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted().is_some()
    }

    /// Whether it is to unwind, or would be but for a hold.
    pub(crate) fn wants_out(&self) -> bool {
        self.noted().is_some_and(|interrupts| {
            let is_stop = interrupts.look(|stop| stop.is_some());
            let is_wanted = is_stop || interrupts.expired.get() > 0;
            is_wanted && interrupts.shields.get() == 0
        })
    }

    /// Lets it unwind without knowing whether it is unwinding already; if so, the process aborts. False if it would
    /// not unwind anyway.
    pub(super) fn dare(&self) -> bool {
        let is_wanted = self.is_wanted();
        if let Some(interrupts) = self.noted() {
            interrupts.dares.set(is_wanted);
        }
        is_wanted
    }

    /// Unwinds if it is to, and may.
    #[inline]
    pub(crate) fn raise(&self) {
        if let Some(interrupts) = self.noted() {
            self.raise_if_not_panicking(interrupts);
        }
    }

    #[cold]
    fn raise_if_not_panicking(&self, interrupts: &Interrupts) {
        if interrupts.dares.get() || !panicking() {
            self.raise_surely();
        }
    }

    /// Like [`raise`](Self::raise), for a task known not to be unwinding, whatever std says of its thread.
    #[inline]
    pub(super) fn raise_surely(&self) {
        if let Some(interrupts) = self.noted() {
            self.raise_noted(interrupts);
        }
    }

    #[cold]
    fn raise_noted(&self, interrupts: &Interrupts) {
        if let Some(unwind) = self.wanted() {
            interrupts.dares.set(false);
            resume_unwind(Box::new(unwind))
        }
    }

    /// Whether it is within a time limit.
    fn has_limits(&self) -> bool {
        self.get_rare()
            .is_some_and(|rare| rare.interrupts.limits.get() > 0)
    }

    /// Whether it has said that it will not suspend.
    #[inline]
    pub(crate) fn is_pinned(&self) -> bool {
        self.get_rare()
            .is_some_and(|rare| rare.interrupts.pins.get() > 0)
    }
}

impl Scheduler {
    /// Unwinds the running task if it is to stop, which it may not have been told yet.
    pub(crate) fn check(&self) {
        let task = self.current();
        // Where it must not suspend, this may be the code of a waker that was called here.
        if !task.is_pinned() {
            self.read_mail();
            if task.has_limits() {
                self.ring();
            }
        }
        task.raise();
    }
}

/// A counter that stays raised until this is dropped.
pub(crate) struct Raised<'a>(&'a Cell<u32>);

impl<'a> Raised<'a> {
    fn new(counter: &'a Cell<u32>) -> Self {
        counter.set(counter.get() + 1);
        Self(counter)
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A time limit that the task is within.
pub(crate) struct Limit<'a> {
    interrupts: &'a Interrupts,
    pub(crate) depth: u32,
}

impl Limit<'_> {
    /// Whether the task has unwound to this limit because it expired. It may have set out for an inner one, and a
    /// destructor on the way have waited until this one had expired as well.
    pub(crate) fn has_caught(&self, payload: &(dyn Any + Send)) -> bool {
        let is_ours =
            matches!(payload.downcast_ref(), Some(Unwind::Limit(depth)) if *depth >= self.depth);
        is_ours && self.interrupts.expired.get() == self.depth
    }
}

impl Drop for Limit<'_> {
    fn drop(&mut self) {
        self.interrupts.limits.set(self.depth - 1);
        if self.interrupts.expired.get() == self.depth {
            self.interrupts.expired.set(0);
        }
    }
}
