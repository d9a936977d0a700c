//! Waits on a pool's own thread for what only that thread could bring about.
//!
//! A pool whose tasks run elsewhere, say in other processes, has one thread that learns of their ends and
//! runs the callbacks. If one of these waits for a task of the same pool, nobody is left to learn of its
//! end. So before it parks, that thread checks whether it would wait for itself.

use std::cell::Cell;

use crate::blocker::{PoolId, Wait};
use crate::deadlock::Stuck;
use crate::sync::thread_locals;
use crate::{Cause, TaskError};

thread_locals! {
    /// The pool whose tasks end on this thread alone.
    static ALONE: Cell<Option<PoolId>> = Cell::new(None);
}

impl PoolId {
    /// As [`enter`](Self::enter), for the one thread on which all tasks of this pool end. A wait there
    /// for one of them, without a deadline, ends with [`TaskError::Deadlock`].
    #[doc(hidden)]
    pub fn enter_alone<R>(self, f: impl FnOnce() -> R) -> R {
        struct Restore(Option<PoolId>);

        impl Drop for Restore {
            fn drop(&mut self) {
                let _ = ALONE.try_with(|pool| pool.set(self.0));
            }
        }

        let _restore = Restore(ALONE.with(|pool| pool.replace(Some(self))));
        self.enter(f)
    }
}

/// Whether the wait can end.
///
/// # Errors
///
/// [`Stuck`] if the calling thread would wait for itself.
#[inline]
pub(crate) fn check(waiting: &dyn Wait) -> Result<(), Stuck> {
    match ALONE.try_with(Cell::get) {
        Ok(Some(pool)) => check_in(pool, waiting),
        _ => Ok(()),
    }
}

#[cold]
fn check_in(pool: PoolId, waiting: &dyn Wait) -> Result<(), Stuck> {
    let awaited = waiting.awaited().unwrap_or_default();
    let Some(edge) = awaited.iter().find(|edge| edge.task.is_pending_in(pool)) else {
        return Ok(());
    };
    let cause = Cause::new(
        "this is its pool's own thread, which alone would hear of its end; wait on another thread, or go \
         on in a callback of the task",
    );
    Err(Stuck {
        place: edge.place,
        error: TaskError::Deadlock(cause),
    })
}
