//! Waits in a child process for what only its parent's threads could have done.
//!
//! Before a thread parks in a forked process, it checks whether it waits for a task of a pool made before
//! the fork, whose threads are not in this process.

use std::time::{Duration, Instant};

use crate::blocker::Wait;
use crate::deadlock::Stuck;
use crate::sync::{LISTED_MIN, has_inherited, now};
use crate::{Cause, TaskError};

/// Waits for more than a few tasks are checked after this long, since most of them end before.
const PATIENCE: Duration = Duration::from_millis(50);

/// When to check a wait that begins now; `None` if there is nothing to look for.
#[inline]
pub(crate) fn look_at(waiting: &dyn Wait) -> Option<Instant> {
    if !has_inherited() {
        return None;
    }
    let patience = if waiting.len() <= LISTED_MIN {
        Duration::ZERO
    } else {
        PATIENCE
    };
    now().checked_add(patience)
}

/// Whether the wait can end.
///
/// # Errors
///
/// [`Stuck`] if a task is waited for in vain.
#[cold]
pub(crate) fn check(waiting: &dyn Wait) -> Result<(), Stuck> {
    let awaited = waiting.awaited().unwrap_or_default();
    let Some(edge) = awaited.iter().find(|edge| edge.task.is_inherited()) else {
        return Ok(());
    };
    let cause = Cause::new(
        "this process was forked, and the threads of the task's pool exist only in its parent; \
         build a pool in the child, or let the child exec",
    );
    Err(Stuck {
        place: edge.place,
        error: TaskError::Lost(cause),
    })
}
