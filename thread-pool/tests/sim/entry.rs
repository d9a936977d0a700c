//! A job as the ledger knows it: what its closure owns, what it returns, and who reports it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use thread_pool::TaskError;

use crate::ledger::Ledger;
use crate::record::End;

/// A job's place in the ledger. Its closure owns it, so that both are dropped together.
pub(crate) struct Entry {
    ledger: Arc<Ledger>,
    id: usize,
    has_bomb: bool,
}

/// What a job returns.
pub(crate) struct Value {
    ledger: Arc<Ledger>,
    id: usize,
    has_bomb: bool,
}

/// Tells the ledger how a job ends, from outside of it.
#[derive(Clone)]
pub(crate) struct Observer {
    ledger: Arc<Ledger>,
    id: usize,
}

impl Entry {
    /// Only for the ledger.
    pub(crate) fn new(ledger: &Arc<Ledger>, id: usize, has_bomb: bool) -> Self {
        Self {
            ledger: Arc::clone(ledger),
            id,
            has_bomb,
        }
    }

    pub(crate) fn observer(&self) -> Observer {
        Observer {
            ledger: Arc::clone(&self.ledger),
            id: self.id,
        }
    }

    /// The job runs.
    pub(crate) fn run(&self) {
        // Between here and the worker's check whether its pool has given up queued tasks there is no step
        // of the simulation, so no sweep either.
        let swept = self.ledger.is_swept();
        self.ledger.note(1, self.id, |job| {
            job.runs += 1;
            job.starts_late = swept && !job.is_part;
        });
    }

    /// Panics with a value as the payload.
    pub(crate) fn panic(self, payload: Value) -> ! {
        resume_unwind(Box::new(payload))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ledger
            .note(3, self.id, |job| job.closures_dropped += 1);
        explode(self.has_bomb);
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.ledger.note(4, self.id, |job| job.values_dropped += 1);
        explode(self.has_bomb);
    }
}

impl Observer {
    /// The job's value, which panics when it is dropped if it `has_bomb`.
    pub(crate) fn value(&self, has_bomb: bool) -> Value {
        self.ledger.note(2, self.id, |job| job.values += 1);
        Value {
            ledger: Arc::clone(&self.ledger),
            id: self.id,
            has_bomb,
        }
    }

    /// It was submitted, and not given back.
    pub(crate) fn accepted(&self) {
        let closing = self.ledger.is_closing();
        self.ledger.note(5, self.id, |job| job.accepted = !closing);
    }

    pub(crate) fn given_back(&self) {
        self.ledger.note(6, self.id, |job| job.given_back = true);
    }

    pub(crate) fn prevented(&self) {
        self.ledger.note(7, self.id, |job| job.prevented = true);
    }

    pub(crate) fn has_callback(&self) {
        self.ledger.note(8, self.id, |job| job.callbacks += 1);
    }

    /// It is submitted with a time limit.
    pub(crate) fn is_limited(&self) {
        self.ledger.note(20, self.id, |job| job.limited = true);
    }

    /// It is one of several items of a task.
    pub(crate) fn shares_task(&self) {
        self.ledger.note(21, self.id, |job| job.shares_task = true);
    }

    /// It is part of something that runs.
    pub(crate) fn is_part(&self) {
        self.ledger.note(23, self.id, |job| job.is_part = true);
    }

    /// It was spawned in a scope, which runs it even if the pool is closed.
    pub(crate) fn spawned(&self) {
        let closing = self.ledger.is_closing();
        self.ledger
            .note(22, self.id, |job| job.may_be_refused = closing);
    }

    pub(crate) fn callback(&self, result: Result<&Value, &TaskError>) {
        self.ledger
            .note(9, self.id, |job| job.callbacks_called += 1);
        self.told(result);
    }

    /// Its handle says how it ended.
    pub(crate) fn told(&self, result: Result<&Value, &TaskError>) {
        let end = match result {
            Ok(value) => {
                assert_eq!(value.id, self.id, "a value of another job");
                End::Ran
            }
            Err(TaskError::Panicked(_)) => End::Ran,
            Err(TaskError::Cancelled) => End::Cancelled,
            Err(TaskError::Rejected(_)) => End::Rejected,
            Err(TaskError::TimedOut) => End::TimedOut,
            Err(TaskError::Lost(_)) => End::Lost,
            Err(error) => panic!("job {}: {error}", self.id),
        };
        self.ledger
            .note(end.code(), self.id, |job| job.told.push(end));
    }
}

/// Panics without a report, unless that would abort.
pub(crate) fn explode(has_bomb: bool) {
    if has_bomb && !std::thread::panicking() {
        resume_unwind(Box::new("bomb"));
    }
}

/// Runs what may trigger a bomb.
pub(crate) fn quietly(f: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(f));
}
