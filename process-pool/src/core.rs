//! What a pool's owner and its thread share: the state behind its lock, and what wakes the thread.

use std::sync::Arc;

use future_result::sync::Mutex;
use future_result::{PoolId, Rejection, TaskError};

use crate::child::{Child, Plan};
use crate::job::Job;
use crate::state::{Ended, Limits, State};
use crate::sys::{Notifier, Poller};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) id: PoolId,
    pub(crate) poller: Poller,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) plan: Plan,
    state: Mutex<State<Child>>,
}

impl Core {
    pub(crate) fn new(plan: Plan, limits: Limits) -> std::io::Result<Self> {
        Ok(Self {
            id: PoolId::new(),
            poller: Poller::new()?,
            notifier: Arc::new(Notifier::new()?),
            plan,
            state: Mutex::new(State::new(limits)),
        })
    }

    /// Makes transitions, and tells afterwards what has ended by them.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut State<Child>, &mut Ended) -> R) -> R {
        let mut ended = Ended::new();
        let result = change(&mut self.state.lock(), &mut ended);
        // The lock is released: what waits for these may be user code.
        for (job, error) in ended {
            job.fail(error);
        }
        result
    }

    pub(crate) fn submit(&self, job: Job) {
        if self.id.is_inherited() {
            return job.fail(TaskError::Rejected(Rejection::Forked));
        }
        if self.with(|state, ended| state.submit(&self.poller, job, ended)) {
            self.notifier.notify();
        }
    }

    /// Accepts nothing more.
    pub(crate) fn close(&self) {
        self.with(|state, ended| state.close(&self.poller, ended));
        self.notifier.notify();
    }

    /// Cancels what no worker has begun.
    pub(crate) fn cancel_queued(&self) {
        self.with(|state, ended| state.cancel_queued(&self.poller, ended));
        self.notifier.notify();
    }

    /// Accepts nothing more, and kills all workers.
    pub(crate) fn kill(&self) {
        self.with(|state, ended| state.kill(&self.poller, ended));
        self.notifier.notify();
    }
}
