//! A task that no scheduler of a run has started, so any may.
//!
//! Before it starts it is a closure that is [`Send`], in the [crew's](super::crew) queue. The scheduler that takes
//! it gives it a place in its own table, and from then on it is like any other task there.

use std::panic::Location;
use std::sync::Arc;

use future_result::CellId;
use future_result::sync::Mutex;

use super::inbox::Inbox;
use super::job::Job;
use super::task::{Body, Key, Task};
use super::{Scheduler, waker};
use future_result::{Rejection, TaskError};

/// A task that has not started and belongs to no scheduler.
pub(super) struct Parcel {
    pub(super) serial: u64,
    pub(super) spawned_at: &'static Location<'static>,
    pub(super) cell: CellId,
    pub(super) job: Box<dyn Job + Send>,
    pub(super) place: Arc<Place>,
}

/// Where a task is, for cancelling it.
#[derive(Default)]
pub(super) struct Place(Mutex<Option<(Arc<Inbox>, Key)>>);

impl Place {
    /// Called before the task starts: so whoever finds it running finds its place as well.
    fn settle(&self, inbox: &Arc<Inbox>, key: Key) {
        *self.0.lock() = Some((Arc::clone(inbox), key));
    }

    /// Tells the task to stop, from any thread. If no scheduler has taken it, it already has its outcome, and is
    /// dropped at its turn.
    pub(super) fn cancel(&self) {
        let settled = self.0.lock().clone();
        if let Some((inbox, key)) = settled {
            waker::cancel(&inbox, key);
        }
    }
}

impl Scheduler {
    /// Makes it one of this scheduler's tasks, and queues it.
    pub(super) fn adopt(&self, parcel: Parcel) {
        let Parcel {
            serial,
            spawned_at,
            cell,
            job,
            place,
        } = parcel;
        let Some(key) = self.tasks.reserve() else {
            return job.refuse(TaskError::Rejected(Rejection::Full));
        };
        place.settle(&self.inbox, key);
        let now = self.seen.get();
        let body = Body::Unstarted(job);
        let task = Task::new(key, serial, spawned_at, Some(cell), now, body);
        self.queue.push(self.tasks.enter(task));
    }
}
