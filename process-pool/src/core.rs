//! What a pool's owner and its thread share: the state under its lock, and what wakes the thread.

use std::sync::Arc;

use future_result::sync::Mutex;
use future_result::{PoolId, Rejection, TaskError};

use crate::host::Host;
use crate::job::Job;
use crate::notifier::Notifier;
use crate::state::{Ended, Limits, State};
use crate::system::System;

#[derive(Debug)]
pub(crate) struct Core<S: System = Host> {
    pub(crate) id: PoolId,
    pub(crate) system: S,
    pub(crate) notifier: Arc<Notifier<S::Bell>>,
    state: Mutex<State<S::Process>>,
}

impl<S: System> Core<S> {
    /// `bell` ends the waits of `system`.
    pub(crate) fn new(system: S, bell: S::Bell, limits: Limits) -> Self {
        Self {
            id: PoolId::new(),
            system,
            notifier: Arc::new(Notifier::new(bell)),
            state: Mutex::new(State::new(limits)),
        }
    }

    /// Makes transitions, then completes the tasks that they ended.
    pub(crate) fn with<R>(
        &self,
        change: impl FnOnce(&mut State<S::Process>, &mut Ended) -> R,
    ) -> R {
        let mut ended = Ended::new();
        let result = change(&mut self.state.lock(), &mut ended);
        // After the lock is released: waking the waiters may run user code.
        for (job, error) in ended {
            job.fail(error);
        }
        result
    }

    pub(crate) fn submit(&self, job: Job) {
        if self.id.is_inherited() {
            return job.fail(TaskError::Rejected(Rejection::Forked));
        }
        if self.with(|state, ended| state.submit(&self.system, job, ended)) {
            self.notifier.notify();
        }
    }

    /// Accepts nothing more.
    pub(crate) fn close(&self) {
        self.with(|state, ended| state.close(&self.system, ended));
        self.notifier.notify();
    }

    /// Cancels the tasks that no worker has begun.
    pub(crate) fn cancel_queued(&self) {
        self.with(|state, ended| state.cancel_queued(&self.system, ended));
        self.notifier.notify();
    }

    /// Accepts nothing more, and kills all workers.
    pub(crate) fn kill(&self) {
        self.with(|state, ended| state.kill(&self.system, ended));
        self.notifier.notify();
    }
}
