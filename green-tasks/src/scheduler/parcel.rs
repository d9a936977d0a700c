//! A task that any scheduler of a run may start, since none has.
//!
//! Before it is started it is a closure that is [`Send`], in the [crew's](super::crew) queue. Whoever takes
//! it gives it a place in its own table, and from then on it is a task like all others there.

use std::panic::Location;
use std::sync::Arc;

use future_result::CellId;
use future_result::sync::Mutex;

use super::inbox::Inbox;
use super::job::Job;
use super::task::{Body, Key, Task};
use super::{Scheduler, waker};
use future_result::{Rejection, TaskError};

/// A task that has not started, and belongs to no scheduler.
pub(super) struct Parcel {
    pub(super) serial: u64,
    pub(super) spawned_at: &'static Location<'static>,
    pub(super) cell: CellId,
    pub(super) job: Box<dyn Job + Send>,
    pub(super) place: Arc<Place>,
}

/// Where a task is, for those who want to cancel it.
#[derive(Default)]
pub(super) struct Place(Mutex<Option<(Arc<Inbox>, Key)>>);

impl Place {
    /// Before the task is started: so whoever finds that it runs finds its place as well.
    fn settle(&self, inbox: &Arc<Inbox>, key: Key) {
        *self.0.lock() = Some((Arc::clone(inbox), key));
    }

    /// Asks the task to stop, from any thread. One that has not been taken has its outcome already, and
    /// is dropped at its turn.
    pub(super) fn cancel(&self) {
        let settled = self.0.lock().clone();
        if let Some((inbox, key)) = settled {
            waker::cancel(&inbox, key);
        }
    }
}

impl Scheduler {
    /// Makes a task of one's own of it, whose turn comes.
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
