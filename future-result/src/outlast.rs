//! Waiting to the end, whatever happens: for a frame that others borrow from.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::CellId;
use crate::blocker::{Wait, block, park_until};
use crate::deadlock::Edge;

/// Tasks that must all end before a frame may go, as far as a cycle of waits could go through them.
#[doc(hidden)]
pub trait Members: Send + Sync {
    /// Calls `f` with each task and its name. Each cell's memory is kept until the call ends.
    ///
    /// A task is there from before it can start until it has ended; it may stay longer, or be missing (a
    /// cycle through it then goes unnoticed). Called under a lock, so it waits for nothing else and runs
    /// no user code.
    fn for_each(&self, f: &mut dyn FnMut(CellId, &'static str));
}

/// Polls until ready, waiting in between as the calling context waits, and neither returns nor unwinds
/// before. `poll` itself does not unwind, except through the waker that it is given. It is ready when all
/// `members` have ended.
///
/// # Errors
///
/// The payload of the first panic of the context's [`Blocker`](crate::Blocker) or its waker. The rest of
/// the wait was that of a plain thread, which parks.
#[doc(hidden)]
pub fn outlast(
    members: Arc<dyn Members>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<()>,
) -> Result<(), Box<dyn Any + Send>> {
    let mut waiting = Outlasting { members, poll };
    loop {
        // What the blocker left half-done is its own affair; the wait begins anew.
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
