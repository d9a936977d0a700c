//! The queue between those who submit and the workers: first in, first out, under one lock.
//!
//! # Who is woken
//!
//! A push wakes at most one worker, and none if every sleeper has a wake-up on its way. `sleeping`
//! counts the workers in the wait, `waking` the notifications they have not yet seen; a push
//! notifies only while `waking < sleeping`. All of it stands under the lock, so a worker that finds
//! the queue empty sleeps before the next push looks. A spurious wake-up may take another's
//! `waking` along; then a later push notifies once too often, never once too little.
//!
//! # Tombstones
//!
//! A task that was cancelled, or that a waiting worker ran in place, stays in the queue as a
//! tombstone until it is popped. A push that finds the queue at its watermark sweeps them out and
//! puts the watermark at twice what is left: O(1) amortised, and no program can fill the queue with
//! tombstones.

use std::collections::VecDeque;

use future_result::sync::{Condvar, Mutex, MutexGuard};
use future_result::{Completer, FutureResult, JoinHandle, PoolId, Rejection, TaskError, pair};

use crate::job::Job;

/// Below this length tombstones are left alone.
const WATERMARK_MIN: usize = 64;

pub(crate) struct Injector {
    /// Its own workers are never held back by the bound.
    pool: PoolId,
    /// How many jobs may wait; `usize::MAX` for no bound.
    bound: usize,
    inner: Mutex<Inner>,
    work: Condvar,
}

struct Inner {
    jobs: VecDeque<Job>,
    /// Why nothing is accepted any more; the workers leave once the queue is empty.
    closed: Option<Rejection>,
    sleeping: usize,
    waking: usize,
    watermark: usize,
    /// Submitters that wait for room, the oldest first.
    room: VecDeque<Completer<()>>,
}

/// What became of a push.
enum Push {
    Done,
    Refused(Job, Rejection),
    /// The queue is full; the handle completes when something has left it.
    Wait(Job, JoinHandle<()>),
}

impl Injector {
    pub(crate) fn new(pool: PoolId, bound: Option<usize>) -> Self {
        Self {
            pool,
            bound: bound.unwrap_or(usize::MAX),
            inner: Mutex::new(Inner {
                jobs: VecDeque::new(),
                closed: None,
                sleeping: 0,
                waking: 0,
                watermark: WATERMARK_MIN,
                room: VecDeque::new(),
            }),
            work: Condvar::new(),
        }
    }

    /// Appends, after waiting for room if the queue is full. The job comes back if the pool is
    /// closed.
    pub(crate) fn push(&self, mut job: Job) -> Result<(), (Job, Rejection)> {
        loop {
            match self.push_or_register(job) {
                Push::Done => return Ok(()),
                Push::Refused(job, reason) => return Err((job, reason)),
                Push::Wait(back, room) => {
                    // Room, or a closed pool: either way the next try tells.
                    drop(room.result());
                    job = back;
                }
            }
        }
    }

    fn push_or_register(&self, job: Job) -> Push {
        let mut inner = self.inner.lock();
        match self.admit(&mut inner) {
            Ok(()) => {
                self.append(inner, job);
                Push::Done
            }
            Err(Rejection::Full) => {
                let (completer, handle) = pair();
                inner.room.push_back(completer);
                Push::Wait(job, handle)
            }
            Err(reason) => Push::Refused(job, reason),
        }
    }

    /// A place at the end of the queue, if there is room and the pool is open.
    pub(crate) fn try_reserve(&self) -> Result<Place<'_>, Rejection> {
        let mut inner = self.inner.lock();
        self.admit(&mut inner)?;
        Ok(Place {
            injector: self,
            inner,
        })
    }

    /// Whether one more job may be appended now.
    fn admit(&self, inner: &mut Inner) -> Result<(), Rejection> {
        if let Some(reason) = inner.closed {
            return Err(reason);
        }
        if inner.jobs.len() >= inner.watermark.min(self.bound) {
            // Dropping a tombstone frees memory and runs nothing of the user's.
            inner.jobs.retain(|job| !job.is_stale());
            inner.watermark = WATERMARK_MIN.max(2 * inner.jobs.len());
        }
        // A worker that waited for room might wait for itself.
        if inner.jobs.len() >= self.bound && PoolId::current() != Some(self.pool) {
            return Err(Rejection::Full);
        }
        Ok(())
    }

    fn append(&self, mut inner: MutexGuard<'_, Inner>, job: Job) {
        inner.jobs.push_back(job);
        let wake = inner.waking < inner.sleeping;
        if wake {
            inner.waking += 1;
        }
        drop(inner);
        if wake {
            self.work.notify_one();
        }
    }

    /// The oldest job; sleeps while there is none. `None` when the pool is closed and drained.
    pub(crate) fn pop(&self) -> Option<Job> {
        let mut inner = self.inner.lock();
        loop {
            if let Some(job) = inner.jobs.pop_front() {
                let room = inner.room.pop_front();
                drop(inner);
                if let Some(room) = room {
                    // Refused only if the submitter is gone, and nobody else is owed its place:
                    // whoever comes next looks at the queue itself.
                    let _ = room.complete(());
                }
                return Some(job);
            }
            if inner.closed.is_some() {
                return None;
            }
            inner.sleeping += 1;
            self.work.wait(&mut inner);
            inner.sleeping -= 1;
            inner.waking = inner.waking.saturating_sub(1);
        }
    }

    /// Accepts nothing more; what is queued will still run. The first reason stays.
    pub(crate) fn close(&self, reason: Rejection) {
        let mut inner = self.inner.lock();
        inner.closed.get_or_insert(reason);
        let room = std::mem::take(&mut inner.room);
        drop(inner);
        self.work.notify_all();
        // Dropped completers end their waits.
        drop(room);
    }

    /// Gives up everything that is queued.
    pub(crate) fn fail_queued(&self, error: &TaskError) {
        let jobs = std::mem::take(&mut self.inner.lock().jobs);
        for job in jobs {
            job.fail(error.clone());
        }
    }

    /// How many jobs are queued, tombstones included.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().jobs.len()
    }
}

/// A place in the queue, which stays locked until it is filled or given up; no user code may run
/// meanwhile.
pub(crate) struct Place<'a> {
    injector: &'a Injector,
    inner: MutexGuard<'a, Inner>,
}

impl Place<'_> {
    pub(crate) fn fill(self, job: Job) {
        self.injector.append(self.inner, job);
    }
}
