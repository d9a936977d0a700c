//! Whether the pool has given up what is queued, and with which error.
//!
//! A cancelling shutdown, or an initializer that fails, ends every task that has not been claimed.
//! It says so here, and then takes everything out of the queues, so that waiters are woken at once.
//! But meanwhile tasks move from queue to queue, or are in the hands of a worker that is about to run
//! them, so the sweep does not see them all. So whoever claims a task that was queued (a worker,
//! or a wait that runs it in place) looks here before it runs the closure, and fails the task instead.
//!
//! ```text
//! giving up: say so;            take everything out
//! a worker:  claim the task;    look           (in either order)
//! ```
//!
//! A task that still runs was claimed by a worker that looked before the pool gave
//! up: it counts as running, and runs to its end. What such a task adds to a scope afterwards is
//! part of it and must run, too. Such parts are marked ([`Role::Part`]) and have a lane
//! of their own, which is not swept.
//!
//! [`Role::Part`]: future_result::claim::Role::Part

use future_result::sync::atomic::{AtomicU32, Ordering};
use future_result::{Rejection, TaskError};

/// Why a pool gives up what is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is shut down by [`shutdown_now`](crate::ThreadPoolExecutor::shutdown_now).
    Cancelled,
    /// A worker's initializer failed.
    Broken,
}

/// On a line of its own: every worker looks at it before each task.
#[repr(align(128))]
pub(crate) struct Abandoned(AtomicU32);

const NOT: u32 = 0;
const CANCELLED: u32 = 1;
const BROKEN: u32 = 2;

impl Abandoned {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(NOT))
    }

    /// From now on no queued task starts. The first reason stays; returns its error.
    pub(crate) fn begin(&self, why: Why) -> TaskError {
        let new = match why {
            Why::Cancelled => CANCELLED,
            Why::Broken => BROKEN,
        };
        // ORDERING: Relaxed; the number says it all. Whoever learns of the sweep that follows, in
        // whatever way, cannot see an older value.
        let before = self
            .0
            .compare_exchange(NOT, new, Ordering::Relaxed, Ordering::Relaxed);
        error(before.map_or_else(|first| first, |_| new))
    }

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        // ORDERING: Relaxed, as in `begin`.
        self.0.load(Ordering::Relaxed) != NOT
    }

    /// The error of queued tasks, if they were given up.
    #[inline]
    pub(crate) fn refusal(&self) -> Option<TaskError> {
        // ORDERING: Relaxed, as in `begin`. It may be read before or after the claim: the closure runs after
        // both, and not at all if the number is there to be seen.
        match self.0.load(Ordering::Relaxed) {
            NOT => None,
            reason => Some(error(reason)),
        }
    }
}

#[cold]
fn error(reason: u32) -> TaskError {
    match reason {
        BROKEN => TaskError::Rejected(Rejection::Broken),
        _ => TaskError::Cancelled,
    }
}
