//! Whether the pool has given up what is queued, and with which error.
//!
//! A cancelling shutdown, or an initializer that has failed, ends every task that has not been claimed.
//! It says so here, and then takes everything out of the queues, so that those who wait are told at once.
//! But tasks move from queue to queue meanwhile, or are in the hands of a worker that is about to run
//! them, and such a sweep does not see them all. So whoever has claimed a task that was queued (a worker,
//! or a wait that runs it in place) looks here before it runs the closure, and fails the task instead.
//!
//! ```text
//! giving up: say so;            take everything out
//! a worker:  claim the task;    look
//! ```
//!
//! A task that still runs was claimed before the worker's look, and that came before the pool has given
//! up: it is one of those that were running, and run to their end. What such a task adds to a scope
//! afterwards is a part of it and must run, too. Such parts are marked ([`Role::Part`]) and have a lane
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
    /// The initializer of a worker has failed.
    Broken,
}

/// Apart from what others write: every worker looks at it before each task.
#[repr(align(128))]
pub(crate) struct Abandoned(AtomicU32);

const NOT: u32 = 0;
const CANCELLED: u32 = 1;
const BROKEN: u32 = 2;

impl Abandoned {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(NOT))
    }

    /// From now on nothing that is queued starts. The first reason stays; gives its error.
    pub(crate) fn begin(&self, why: Why) -> TaskError {
        let new = match why {
            Why::Cancelled => CANCELLED,
            Why::Broken => BROKEN,
        };
        // ORDERING: Relaxed; the number says it all. Whoever knows of the sweep that follows, by
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

    /// The error of what is queued, if it is given up.
    #[inline]
    pub(crate) fn refusal(&self) -> Option<TaskError> {
        // ORDERING: Relaxed, as in `begin`. Whether it is read before or after the claim makes no difference: the
        // closure runs after both, and not at all if the number is there to be seen.
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
