//! Waits on a worker for what its own pool does piece by piece.
//!
//! A future that a pool polls needs a worker whenever it is woken. Nobody can run it in place, so a
//! worker that waits for one sleeps; if all did, nobody would be left to poll it. So a worker gives up
//! its place while it sleeps, and another stands in. Where a scheduler of coroutines has the worker's
//! thread, one coroutine that waits this way is enough: nobody knows when the others will rest, too.

use std::rc::Rc;

use crate::blocker::{OwnQueue, Wait, own_queue};

/// A worker has given up its place until this is dropped.
pub(crate) struct Absence(Rc<dyn OwnQueue>);

impl Absence {
    /// `None` if the calling thread is no worker, or waits for something else.
    pub(crate) fn begin(waiting: &dyn Wait) -> Option<Self> {
        let queue = own_queue()?;
        let pool = queue.goes_on_with_pairs()?;
        let awaited = waiting.awaited()?;
        let is_for_one = awaited
            .iter()
            .any(|edge| edge.task.is_pending_pair_in(pool));
        (is_for_one && queue.give_up_place()).then(|| Self(queue))
    }
}

impl Drop for Absence {
    fn drop(&mut self) {
        self.0.take_place_again();
    }
}
