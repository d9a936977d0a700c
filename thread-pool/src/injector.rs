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
//! puts the watermark at twice what is left, and it sinks with the queue: O(1) amortised, and
//! tombstones never outnumber by much what the queue has lately held. What a bound counts is not the queue's length but the [`Permit`]s in the closures.

use std::collections::VecDeque;
use std::sync::Arc;

use future_result::sync::{Condvar, Mutex, MutexGuard};
use future_result::{Completer, FutureResult, JoinHandle, PoolId, Rejection, TaskError, pair};

use crate::job::Job;
use crate::worker::Core;

/// Below this length tombstones are left alone.
const WATERMARK_MIN: usize = 64;

pub(crate) struct Injector {
    /// Its own workers are never held back by the bound.
    pool: PoolId,
    bound: Option<usize>,
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
    /// Jobs that count against the bound.
    permits: usize,
    /// Submitters that wait for a permit, the oldest first.
    waiting: VecDeque<Completer<()>>,
}

impl Injector {
    pub(crate) fn new(pool: PoolId, bound: Option<usize>) -> Self {
        Self {
            pool,
            bound,
            inner: Mutex::new(Inner {
                jobs: VecDeque::new(),
                closed: None,
                sleeping: 0,
                waking: 0,
                watermark: WATERMARK_MIN,
                permits: 0,
                waiting: VecDeque::new(),
            }),
            work: Condvar::new(),
        }
    }

    pub(crate) const fn is_bounded(&self) -> bool {
        self.bound.is_some()
    }

    /// Appends to a queue without a bound. The job comes back if the pool is closed.
    pub(crate) fn push(&self, job: Job) -> Result<(), (Job, Rejection)> {
        let inner = self.inner.lock();
        match inner.closed {
            Some(reason) => Err((job, reason)),
            None => {
                self.append(inner, job);
                Ok(())
            }
        }
    }

    /// A place at the end of the queue, if there is room and the pool is open.
    pub(crate) fn try_reserve(&self) -> Result<Place<'_>, Rejection> {
        self.reserve_in(self.inner.lock())
            .map_err(|(_, reason)| reason)
    }

    /// A place at the end of the queue, after waiting for room. Fails if the pool is closed.
    pub(crate) fn reserve(&self) -> Result<Place<'_>, Rejection> {
        loop {
            match self.reserve_in(self.inner.lock()) {
                Ok(place) => return Ok(place),
                Err((mut inner, Rejection::Full)) => {
                    let room = inner.wait_for_room();
                    drop(inner);
                    // A permit was returned, or the pool closed: either way the next try tells.
                    drop(room.result());
                }
                Err((_, reason)) => return Err(reason),
            }
        }
    }

    fn reserve_in<'a>(
        &'a self,
        inner: MutexGuard<'a, Inner>,
    ) -> Result<Place<'a>, (MutexGuard<'a, Inner>, Rejection)> {
        if let Some(reason) = inner.closed {
            return Err((inner, reason));
        }
        // A worker that waited for room might wait for itself.
        if self.bound.is_some_and(|bound| inner.permits >= bound)
            && PoolId::current() != Some(self.pool)
        {
            return Err((inner, Rejection::Full));
        }
        Ok(Place {
            injector: self,
            inner,
        })
    }

    fn append(&self, mut inner: MutexGuard<'_, Inner>, job: Job) {
        if inner.jobs.len() >= inner.watermark {
            // Dropping a tombstone frees memory and runs nothing of the user's.
            inner.jobs.retain(|job| !job.is_stale());
            inner.watermark = WATERMARK_MIN.max(2 * inner.jobs.len());
        }
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
                if inner.jobs.len() < inner.watermark / 4 {
                    inner.watermark = WATERMARK_MIN.max(inner.watermark / 2);
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
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        self.work.notify_all();
        // Dropped completers end their waits.
        drop(waiting);
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

    fn return_permit(&self) {
        let mut inner = self.inner.lock();
        inner.permits -= 1;
        // A submitter whose wait was unwound is gone: its turn is the next one's.
        while let Some(next) = inner.waiting.pop_front() {
            drop(inner);
            if next.complete(()).is_ok() {
                return;
            }
            inner = self.inner.lock();
        }
    }
}

impl Inner {
    /// Completes when a permit was returned, or the pool closed.
    fn wait_for_room(&mut self) -> JoinHandle<()> {
        let (completer, handle) = pair();
        self.waiting.push_back(completer);
        handle
    }
}

/// A place in the queue, which stays locked until it is filled or given up; no user code may run
/// meanwhile.
pub(crate) struct Place<'a> {
    injector: &'a Injector,
    inner: MutexGuard<'a, Inner>,
}

impl Place<'_> {
    /// Fills the place with the job that `make` makes of a permit, which is to live as long as the
    /// job has not started.
    pub(crate) fn fill<R>(mut self, core: &Arc<Core>, make: impl FnOnce(Permit) -> (Job, R)) -> R {
        let permit = if self.injector.bound.is_some() {
            self.inner.permits += 1;
            Permit(Some(Arc::clone(core)))
        } else {
            Permit(None)
        };
        let (job, result) = make(permit);
        self.injector.append(self.inner, job);
        result
    }
}

/// One job's share of the bound, carried by its closure: it comes back when the closure starts, on
/// whatever thread, or is dropped.
pub(crate) struct Permit(Option<Arc<Core>>);

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(core) = self.0.take() {
            core.injector.return_permit();
        }
    }
}
