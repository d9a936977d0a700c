//! A worker: initialize, then find and run until the pool is closed and drained.

use std::sync::Arc;

use future_result::sync::Mutex;
use future_result::{Completer, PoolId, Rejection, TaskError, contain};

use crate::injector::Injector;

/// Run by each worker before its first job, with the worker's number.
pub(crate) type Initializer = Box<dyn Fn(usize) + Send + Sync>;

/// What the workers of a pool share with its owner.
pub(crate) struct Core {
    pub(crate) id: PoolId,
    pub(crate) injector: Injector,
    pub(crate) initializer: Option<Initializer>,
    pub(crate) roll: Roll,
}

/// The workers that are still there.
pub(crate) struct Roll(Mutex<Present>);

struct Present {
    workers: usize,
    /// Completed by the last one to leave.
    terminated: Option<Completer<()>>,
}

impl Roll {
    pub(crate) fn new(workers: usize, terminated: Completer<()>) -> Self {
        Self(Mutex::new(Present {
            workers,
            terminated: Some(terminated),
        }))
    }

    /// Signs off workers that have left, or that could not be started.
    pub(crate) fn leave(&self, workers: usize) {
        let mut present = self.0.lock();
        present.workers -= workers;
        let terminated = if present.workers == 0 {
            present.terminated.take()
        } else {
            None
        };
        drop(present);
        if let Some(terminated) = terminated {
            // Nobody to tell if the pool was detached.
            let _ = terminated.complete(());
        }
    }
}

/// The body of a worker's thread.
pub(crate) fn run(core: &Arc<Core>, index: usize) {
    core.id.enter(|| {
        if initialize(core, index) {
            while let Some(job) = core.injector.pop() {
                job.run();
            }
        } else {
            // Each of the others leaves after what it is running.
            core.injector.close(Rejection::Broken);
            core.injector
                .fail_queued(&TaskError::Rejected(Rejection::Broken));
        }
    });
    core.roll.leave(1);
}

/// False if the initializer panicked.
fn initialize(core: &Core, index: usize) -> bool {
    let Some(initializer) = &core.initializer else {
        return true;
    };
    let mut succeeded = false;
    contain(|| {
        initializer(index);
        succeeded = true;
    });
    succeeded
}
