//! Waiting to the end, whatever happens: for a frame that others borrow from.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use crate::blocker::{Wait, block, park_until};
use crate::deadlock::Edge;

/// Polls until ready, waiting in between as the calling context waits, and does not come back before,
/// neither by returning nor by unwinding. `poll` itself does not unwind, but for the waker that it is
/// given.
///
/// # Errors
///
/// What the context's [`Blocker`](crate::Blocker) or its waker has panicked with first. The rest of the
/// wait was one of a plain thread, which parks.
#[doc(hidden)]
pub fn outlast(poll: impl FnMut(&mut Context<'_>) -> Poll<()>) -> Result<(), Box<dyn Any + Send>> {
    let mut waiting = Outlasting { poll };
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
}
