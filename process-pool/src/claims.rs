//! The words that a worker and its pool share: which tasks have begun, and which results were read.
//!
//! Without them, nobody could tell whether a dead worker's task killed it or had not even been looked at;
//! and to take back what waits behind a slow task, the pool would have to ask a worker that is busy.
//!
//! # Protocol
//!
//! Tasks of a worker are numbered from 0 up. `next` is the number of the task that may begin next.
//!
//! | from → to | who | meaning |
//! |---|---|---|
//! | *n* → *n* + 1 | the worker ([`Claims::claim`]) | task *n* begins |
//! | *n* → *m* > *n* | the pool ([`Claims::take_back`]) | tasks *n* to *m* − 1 will never begin here |
//!
//! Both are one compare-and-swap, so each task either begins or is taken back, never both. The worker's
//! claim of a task that was taken back fails, and it passes over that task. The pool knows
//! which numbers it has taken back; every other number below `next` has begun.
//!
//! `done` counts up to the last task that ended. It says whether a worker died in a task, or before the
//! answer was sent.
//!
//! `bell` counts the pool's writes into the task pipe. Nothing is decided by it: a worker with
//! [patience](crate::patience) looks there, since a look at memory costs less than one at a pipe.
//!
//! `full` is set by a worker that has more memory than it may keep, before it sends an answer. Then the
//! pool gives it nothing more.
//!
//! `read` is the pool's: it has read the results of the tasks below that number, so the worker may reuse their
//! room in its [store](crate::store).

use std::fmt;

use future_result::sync::atomic::{AtomicU64, Ordering};

#[cfg(all(test, pool_loom))]
mod model;

/// All zero at the start.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Claims {
    next: AtomicU64,
    done: AtomicU64,
    bell: AtomicU64,
    read: AtomicU64,
    full: AtomicU64,
}

impl Claims {
    /// The worker begins this task. False if it was taken back.
    pub(crate) fn claim(&self, sequence: u64) -> bool {
        // ORDERING: Release pairs with the Acquire in `take_back`: whoever sees that this task has begun sees
        // that the one before has ended. The pipe published the task itself.
        let claimed = self.next.compare_exchange(
            sequence,
            sequence.wrapping_add(1),
            Ordering::Release,
            Ordering::Relaxed,
        );
        claimed.is_ok()
    }

    /// The pool has written something into the task pipe.
    pub(crate) fn ring(&self) {
        // ORDERING: Relaxed; a hint to look into the pipe, which does the ordering.
        self.bell.fetch_add(1, Ordering::Relaxed);
    }

    /// Changes with each [`ring`](Self::ring).
    pub(crate) fn bell(&self) -> u64 {
        // ORDERING: Relaxed; as above.
        self.bell.load(Ordering::Relaxed)
    }

    /// The pool has read the result of this task, and of those before it.
    pub(crate) fn has_read(&self, sequence: u64) {
        let next = sequence.wrapping_add(1);
        // ORDERING: Release pairs with the Acquire in `read`: the reading comes before the next writing.
        self.read.store(next, Ordering::Release);
    }

    /// The results of the tasks below this number were read.
    pub(crate) fn read(&self) -> u64 {
        // ORDERING: Acquire pairs with the Release in `has_read`.
        self.read.load(Ordering::Acquire)
    }

    /// The worker has ended this task.
    pub(crate) fn finish(&self, sequence: u64) {
        // ORDERING: Relaxed; it publishes nothing by itself. The next `claim` publishes it.
        self.done.store(sequence.wrapping_add(1), Ordering::Relaxed);
    }

    /// The worker wants to leave.
    pub(crate) fn set_full(&self) {
        // ORDERING: Relaxed; it publishes nothing, and the answer sent afterwards orders it.
        self.full.store(1, Ordering::Relaxed);
    }

    /// Whether the worker wants to leave. Whoever has read an answer sees what was set before it was sent.
    pub(crate) fn is_full(&self) -> bool {
        // ORDERING: Relaxed; nothing is read by it.
        self.full.load(Ordering::Relaxed) != 0
    }

    /// The pool takes back the tasks below `end` that have not begun. Returns the first of them:
    /// all from that one on are the pool's again. Of the tasks before it, [`done`](Self::done) then
    /// says of all but the last whether they have ended.
    pub(crate) fn take_back(&self, end: u64) -> u64 {
        // ORDERING: Acquire pairs with the Release in `claim`.
        let mut next = self.next.load(Ordering::Acquire);
        while next < end {
            match self.next.compare_exchange_weak(
                next,
                end,
                // ORDERING: Acquire, as above; the store publishes nothing to the worker.
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => return next,
                Err(seen) => next = seen,
            }
        }
        end
    }

    /// How many tasks have ended, including those taken back before the last of them.
    pub(crate) fn done(&self) -> u64 {
        // ORDERING: Relaxed; after `take_back`, whose Acquire orders it, or when the worker is dead.
        self.done.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDERING: Relaxed; for show.
        let next = self.next.load(Ordering::Relaxed);
        f.debug_struct("Claims")
            .field("next", &next)
            .field("done", &self.done())
            .finish()
    }
}
