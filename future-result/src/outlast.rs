//! Waiting to the end, whatever happens: for a frame that others borrow from.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::CellId;
use crate::blocker::{Wait, block, park_until};
use crate::deadlock::Edge;

/// Tasks that all have to end before a frame may go, as far as a cycle of waits could go through them.
#[doc(hidden)]
pub trait Members: Send + Sync {
    /// Shows `f` the tasks, with what they are called. Each cell's memory is kept until the call ends.
    ///
    /// A task is there from before it can start until it has ended; it may be longer, or not at all (a
    /// cycle through it is not noticed then). Asked under a lock, so it waits for nothing else and runs
    /// nothing of the user's.
    fn for_each(&self, f: &mut dyn FnMut(CellId, &'static str));
}

/// Polls until ready, waiting in between as the calling context waits, and does not come back before,
/// neither by returning nor by unwinding. `poll` itself does not unwind, but for the waker that it is
/// given. It is ready when all `members` have ended.
///
/// # Errors
///
/// What the context's [`Blocker`](crate::Blocker) or its waker has panicked with first. The rest of the
/// wait was one of a plain thread, which parks.
#[doc(hidden)]
pub fn outlast(
    members: Arc<dyn Members>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<()>,
) -> Result<(), Box<dyn Any + Send>> {
    let mut waiting = Outlasting { members, poll };
    loop {
        // What the blocker leaves half-done is its own; the wait begins anew.
        match catch_unwind(AssertUnwindSafe(|| block(None, &mut waiting))) {
            Ok(Ok(())) => return Ok(()),
            // The blocker has given up.
            Ok(Err(_)) => {}
            Err(payload) => {
                while park_until(None, &mut waiting).is_err() {}
                return Err(payload);
            }
        }
    }
}

struct Outlasting<P> {
    members: Arc<dyn Members>,
    poll: P,
}

impl<P: FnMut(&mut Context<'_>) -> Poll<()>> Wait for Outlasting<P> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        (self.poll)(context)
    }

    fn len(&self) -> usize {
        1
    }

    fn awaited(&self) -> Option<Vec<Edge>> {
        None
    }

    fn members(&self) -> Option<Arc<dyn Members>> {
        Some(Arc::clone(&self.members))
    }
}
