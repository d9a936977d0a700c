//! The bound of the queue: how many jobs may wait in it, and who waits for room.
//!
//! The bound does not count the queue's length but the [`Permit`]s in the closures, so
//! cancelling a task, or running it in place, makes room at once, though its tombstone stays.

#[cfg(all(test, pool_loom))]
mod model;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use future_result::sync::{Mutex, MutexGuard, now};
use future_result::{Cancel, Completer, FutureResult, JoinHandle, PoolId, Rejection, Status, pair};

pub(crate) struct Bound {
    /// Its own workers are never held back: they might wait for themselves.
    pool: PoolId,
    limit: usize,
    when_full: WhenFull,
    inner: Mutex<Inner>,
}

/// What happens to a submission when the queue is full, for [`Builder::when_full`](crate::Builder::when_full).
///
/// # Examples
///
/// Whoever floods the pool has to help:
///
/// ```
/// use thread_pool::{FutureResult, ThreadPoolExecutor, WhenFull};
///
/// let builder = ThreadPoolExecutor::builder().workers(1).queue_bound(1);
/// let pool = builder.when_full(WhenFull::CallerRuns).build()?;
/// let handles: Vec<_> = (0..100).map(|n| pool.submit(move || n)).collect();
/// let sum: u32 = handles.into_iter().filter_map(|handle| handle.result().ok()).sum();
/// assert_eq!(sum, 4950);
/// # Ok::<(), thread_pool::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// Wait for room: the submitter is slowed down to the speed of the workers.
    #[default]
    Block,
    /// Reject the job with [`Rejection::Full`].
    Reject,
    /// Run the job at once, on the submitter's thread.
    CallerRuns,
}

struct Inner {
    /// Jobs that count against the limit.
    permits: usize,
    /// Submitters that wait for a permit, the oldest first.
    waiting: VecDeque<Completer<()>>,
    closed: Option<Rejection>,
}

impl Bound {
    /// What a submitter does if there is no room.
    pub(crate) const fn when_full(&self) -> WhenFull {
        self.when_full
    }

    pub(crate) fn new(pool: PoolId, limit: usize, when_full: WhenFull) -> Self {
        Self {
            pool,
            limit,
            when_full,
            inner: Mutex::new(Inner {
                permits: 0,
                waiting: VecDeque::new(),
                closed: None,
            }),
        }
    }

    /// Room for one job, if there is any and the pool is open.
    pub(crate) fn try_reserve(self: &Arc<Self>) -> Result<Room<'_>, Rejection> {
        if self.pool.is_inherited() {
            return Err(Rejection::Forked);
        }
        self.reserve_in(self.inner.lock())
            .map_err(|(_, reason)| reason)
    }

    /// Room for one job, after waiting for it if the pool blocks. Fails if the pool is closed.
    pub(crate) fn reserve(self: &Arc<Self>) -> Result<Room<'_>, Rejection> {
        self.reserve_until(None)
    }

    /// Like [`Bound::reserve`]. If there is no room by the deadline, the queue is full.
    pub(crate) fn reserve_until(
        self: &Arc<Self>,
        deadline: Option<Instant>,
    ) -> Result<Room<'_>, Rejection> {
        if self.pool.is_inherited() {
            return Err(Rejection::Forked);
        }
        let mut in_time = true;
        loop {
            match self.reserve_in(self.inner.lock()) {
                Ok(room) => return Ok(room),
                Err((mut inner, Rejection::Full))
                    if in_time && self.when_full == WhenFull::Block =>
                {
                    let turn = Turn {
                        bound: self,
                        room: inner.wait_for_room(),
                    };
                    drop(inner);
                    // A permit was returned, or the pool was closed: the next try shows which.
                    in_time = turn.wait(deadline);
                }
                Err((_, reason)) => return Err(reason),
            }
        }
    }

    fn reserve_in<'a>(
        self: &'a Arc<Self>,
        inner: MutexGuard<'a, Inner>,
    ) -> Result<Room<'a>, (MutexGuard<'a, Inner>, Rejection)> {
        if let Some(reason) = inner.closed {
            return Err((inner, reason));
        }
        if inner.permits >= self.limit && PoolId::current() != Some(self.pool) {
            return Err((inner, Rejection::Full));
        }
        Ok(Room { bound: self, inner })
    }

    /// Admits nothing more. The first reason stays.
    pub(crate) fn close(&self, reason: Rejection) {
        let mut inner = self.inner.lock();
        inner.closed.get_or_insert(reason);
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        // Dropped completers end their waits.
        drop(waiting);
    }

    fn return_permit(&self) {
        let mut inner = self.inner.lock();
        inner.permits -= 1;
        self.call_next(inner);
    }

    /// Wakes the next submitter, as there may be room.
    fn call_next<'a>(&'a self, mut inner: MutexGuard<'a, Inner>) {
        // A submitter whose wait unwound is gone: its turn goes to the next.
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

/// A submitter's place in the line for room.
struct Turn<'a> {
    bound: &'a Bound,
    room: JoinHandle<()>,
}

impl Turn<'_> {
    /// Waits until there may be room. False if the time is up.
    fn wait(mut self, deadline: Option<Instant>) -> bool {
        let in_time = match deadline {
            None => {
                self.room.wait();
                true
            }
            Some(deadline) => {
                let limit = deadline.saturating_duration_since(now());
                // If our turn came at this very moment, we take it: nobody else has it.
                self.room.wait_timeout(limit) || self.room.cancel() == Cancel::TooLate
            }
        };
        // We try again now, so there is no turn for `drop` to pass on.
        self.room = pair().1;
        in_time
    }
}

/// If the wait unwound after our turn came, the turn goes to the next.
impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.room.cancel() == Cancel::TooLate && self.room.status() == Status::Succeeded {
            self.bound.call_next(self.bound.inner.lock());
        }
    }
}

/// Room for one job. The pool cannot be closed while it is held, and no user code may run.
pub(crate) struct Room<'a> {
    bound: &'a Arc<Bound>,
    inner: MutexGuard<'a, Inner>,
}

impl Room<'_> {
    /// Fills the room by `add`, which gets a permit that must live until the job starts.
    pub(crate) fn fill<R>(mut self, add: impl FnOnce(Permit) -> R) -> R {
        self.inner.permits += 1;
        add(Permit(Arc::clone(self.bound)))
    }
}

/// One job's share of the bound, carried by its closure: returned when the closure starts, on
/// whatever thread, or is dropped.
pub(crate) struct Permit(Arc<Bound>);

impl Drop for Permit {
    fn drop(&mut self) {
        // In a forked process the lock may never be released, and nobody is admitted.
        if !self.0.pool.is_inherited() {
            self.0.return_permit();
        }
    }
}
