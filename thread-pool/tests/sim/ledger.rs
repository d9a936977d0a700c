//! What became of each job.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thread_pool::TaskError;

use crate::scheduler::Random;

/// All jobs of a run. Its locks are no steps of the simulation, so nobody ever waits for one.
pub(crate) struct Ledger {
    inner: Mutex<Inner>,
}

struct Inner {
    random: Random,
    jobs: Vec<Job>,
    /// Somebody has begun to close the pool.
    closing: bool,
    /// What is queued may be cancelled by it.
    cancels: bool,
    /// It has cancelled what was queued: nothing starts any more.
    swept: bool,
    /// Everything that happens, in its order.
    digest: u64,
}

/// What is known of one job.
#[derive(Clone, Debug, Default)]
struct Job {
    /// It was submitted before anybody began to close the pool, and not given back.
    accepted: bool,
    given_back: bool,
    runs: u32,
    /// It started after a cancelling shutdown had swept the queues.
    starts_late: bool,
    /// A part of a scope, which runs as long as what it is a part of.
    is_part: bool,
    /// Its handle has cancelled it before it started.
    prevented: bool,
    /// How it ended, to whoever was told.
    told: Vec<End>,
    closures_dropped: u32,
    values: u32,
    values_dropped: u32,
    callbacks: u32,
    callbacks_called: u32,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Ran,
    Cancelled,
    Rejected,
}

impl Ledger {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            inner: Mutex::new(Inner {
                random: Random::new(!seed),
                jobs: Vec::new(),
                closing: false,
                cancels: false,
                swept: false,
                digest: 0,
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, what: u64, id: usize, change: impl FnOnce(&mut Job)) {
        let mut inner = self.inner();
        let mixed = inner.digest ^ (what << 48) ^ id as u64;
        inner.digest = Random::new(mixed).next();
        change(&mut inner.jobs[id]);
    }

    pub(crate) fn digest(&self) -> u64 {
        self.inner().digest
    }

    pub(crate) fn with_random<R>(&self, f: impl FnOnce(&mut Random) -> R) -> R {
        f(&mut self.inner().random)
    }

    /// A job that is about to be submitted.
    pub(crate) fn add(self: &Arc<Self>, has_bomb: bool) -> Entry {
        let mut inner = self.inner();
        let id = inner.jobs.len();
        inner.jobs.push(Job::default());
        drop(inner);
        Entry {
            ledger: Arc::clone(self),
            id,
            has_bomb,
        }
    }

    /// Somebody begins to close the pool.
    pub(crate) fn close(&self, cancels: bool) {
        let mut inner = self.inner();
        inner.closing = true;
        inner.cancels |= cancels;
    }

    /// A cancelling shutdown has taken out all that was queued.
    pub(crate) fn swept(&self) {
        self.inner().swept = true;
    }

    /// The pool says that all it had accepted has come to an end.
    pub(crate) fn check_drained(&self) {
        let inner = self.inner();
        for (id, job) in inner.jobs.iter().enumerate() {
            let has_ended = !job.accepted || job.has_ended(inner.cancels);
            assert!(has_ended, "job {id} is left after the shutdown: {job:?}");
        }
    }

    /// Nothing is left of the run.
    pub(crate) fn check(&self) {
        let inner = self.inner();
        for (id, job) in inner.jobs.iter().enumerate() {
            job.check(inner.cancels)
                .unwrap_or_else(|what| panic!("job {id}: {what}: {job:?}"));
        }
    }
}

impl Job {
    fn has_ended(&self, cancels: bool) -> bool {
        self.runs > 0 || self.prevented || cancels || !self.told.is_empty()
    }

    fn check(&self, cancels: bool) -> Result<(), &'static str> {
        let rules = [
            (self.runs <= 1, "it ran twice"),
            (!self.starts_late, "it started after the queues were swept"),
            (
                self.closures_dropped == 1,
                "its closure was not dropped once",
            ),
            (
                self.values == self.values_dropped,
                "its value was not dropped once",
            ),
            (
                self.callbacks == self.callbacks_called,
                "a callback was not called once",
            ),
            (
                !(self.given_back && self.runs > 0),
                "it was given back and ran",
            ),
            (
                !(self.prevented && self.runs > 0),
                "it was cancelled and ran",
            ),
            (
                self.told
                    .iter()
                    .all(|&end| (end == End::Ran) == (self.runs > 0)),
                "it did not end as its handle was told",
            ),
            (
                self.told
                    .iter()
                    .all(|&end| !(self.prevented && end == End::Rejected)),
                "it was cancelled, but its handle was told something else",
            ),
            (!self.accepted || self.has_ended(cancels), "it was lost"),
        ];
        rules
            .iter()
            .find(|rule| !rule.0)
            .map_or(Ok(()), |rule| Err(rule.1))
    }
}

/// A job's place in the ledger. Its closure owns it, so that it is dropped along with that.
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
    pub(crate) fn observer(&self) -> Observer {
        Observer {
            ledger: Arc::clone(&self.ledger),
            id: self.id,
        }
    }

    /// The job runs.
    pub(crate) fn run(&self) {
        // Between the worker's look at whether its pool has given up what is queued and here there is no
        // step of the simulation, so no sweep either.
        let swept = self.ledger.inner().swept;
        self.ledger.note(1, self.id, |job| {
            job.runs += 1;
            job.starts_late |= swept && !job.is_part;
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

    /// It is a part of a scope.
    pub(crate) fn is_part(&self) {
        self.ledger.note(13, self.id, |job| job.is_part = true);
    }

    /// It was submitted, and not given back.
    pub(crate) fn accepted(&self) {
        let closing = self.ledger.inner().closing;
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
            Err(error) => panic!("job {}: {error}", self.id),
        };
        self.ledger
            .note(10 + end as u64, self.id, |job| job.told.push(end));
    }
}

fn explode(has_bomb: bool) {
    if has_bomb && !std::thread::panicking() {
        resume_unwind(Box::new("bomb"));
    }
}

/// Runs what may set off a bomb.
pub(crate) fn quietly(f: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(f));
}
