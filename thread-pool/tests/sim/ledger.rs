//! What became of each job of a run, and of the run as a whole.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::entry::Entry;
use crate::record::Record;
use crate::scheduler::{self, Random};

/// All jobs of a run. Locking it is no step of the simulation, so nobody ever waits for it.
pub(crate) struct Ledger {
    inner: Mutex<Inner>,
}

struct Inner {
    random: Random,
    jobs: Vec<Record>,
    /// Somebody has begun to close the pool.
    closing: bool,
    /// That may cancel what is queued.
    cancels: bool,
    /// It has cancelled what was queued: nothing starts after that.
    swept: bool,
    /// Workers that have begun, and that have left, of a pool that counts them.
    entered: usize,
    left: usize,
    /// Tasks that are no job's and that the pool has certainly counted.
    least: u64,
    /// Tasks that are no job's and that the pool may count.
    most: u64,
    /// The most ended tasks that the pool has reported.
    ended: u64,
    /// Handles that were leaked on purpose, each with its cell.
    leaks: usize,
    /// Everything that happens, in order.
    digest: u64,
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
                entered: 0,
                left: 0,
                least: 0,
                most: 0,
                ended: 0,
                leaks: 0,
                digest: 0,
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happens to a job. Fails the run at once if it must not.
    pub(crate) fn note(&self, what: u64, id: usize, change: impl FnOnce(&mut Record)) {
        let mut inner = self.inner();
        let mixed = inner.digest ^ (what << 48) ^ id as u64;
        inner.digest = Random::new(mixed).next();
        let job = &mut inner.jobs[id];
        change(job);
        if let Err(rule) = job.check_so_far() {
            let text = format!("job {id}: {rule}: {job:?}");
            drop(inner);
            scheduler::fail(&text);
        }
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
        inner.jobs.push(Record::default());
        drop(inner);
        Entry::new(self, id, has_bomb)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.inner().closing
    }

    /// Somebody begins to close the pool.
    pub(crate) fn close(&self, cancels: bool) {
        let mut inner = self.inner();
        inner.closing = true;
        inner.cancels |= cancels;
    }

    /// A cancelling shutdown has taken out all that was queued.
    pub(crate) fn sweep(&self) {
        self.inner().swept = true;
    }

    pub(crate) fn is_swept(&self) -> bool {
        self.inner().swept
    }

    pub(crate) fn worker_enters(&self) {
        self.inner().entered += 1;
    }

    pub(crate) fn worker_leaves(&self) {
        self.inner().left += 1;
    }

    /// A handle is leaked, and with it the memory of its task.
    pub(crate) fn leak(&self) {
        self.inner().leaks += 1;
    }

    pub(crate) fn leaks(&self) -> usize {
        self.inner().leaks
    }

    /// The pool may count this many tasks that are no job's.
    pub(crate) fn expect_tasks(&self, most: u64) {
        self.inner().most += most;
    }

    /// This many of them will not come.
    pub(crate) fn expect_fewer_tasks(&self, fewer: u64) {
        self.inner().most -= fewer;
    }

    /// One of them has run.
    pub(crate) fn task_runs(&self) {
        self.inner().least += 1;
    }

    /// How many tasks have ended by the pool's own numbers.
    pub(crate) fn ended(&self) -> u64 {
        self.inner().ended
    }

    /// The pool says that this many tasks have ended, and said `before` earlier.
    pub(crate) fn count_ended(&self, before: u64, ended: u64) {
        let mut inner = self.inner();
        inner.ended = inner.ended.max(ended);
        let most = inner.sums().1;
        drop(inner);
        assert!(before <= ended, "{before} tasks had ended, now {ended}");
        assert!(ended <= most, "{ended} tasks have ended of {most}");
    }

    /// The pool says that in the end this many tasks have ended.
    pub(crate) fn check_sum(&self, ended: u64) {
        let (least, most) = self.inner().sums();
        assert!(
            (least..=most).contains(&ended),
            "{ended} tasks have ended, of {least} to {most}"
        );
    }

    /// The pool says that everything it accepted has ended, and that all its workers have left.
    pub(crate) fn check_drained(&self) {
        let inner = self.inner();
        for (id, job) in inner.jobs.iter().enumerate() {
            assert!(
                !job.is_lost(inner.cancels),
                "job {id} is left after the shutdown: {job:?}"
            );
        }
        assert_eq!(inner.entered, inner.left, "workers that have left");
    }

    /// Nothing is left of the run.
    pub(crate) fn check(&self) {
        let inner = self.inner();
        for (id, job) in inner.jobs.iter().enumerate() {
            job.check_at_the_end(inner.cancels)
                .unwrap_or_else(|rule| panic!("job {id}: {rule}: {job:?}"));
        }
        assert_eq!(inner.entered, inner.left, "workers that have left");
    }
}

impl Inner {
    /// How many tasks the pool must have counted, and how many it may have.
    fn sums(&self) -> (u64, u64) {
        let tasks = self.jobs.iter().filter(|job| job.is_a_task());
        let (certain, possible) = tasks.fold((0, 0), |(certain, possible), job| {
            (certain + u64::from(job.was_queued()), possible + 1)
        });
        (self.least + certain, self.most + possible)
    }
}
