//! Submitting what starts as a task of the pool and may go on after the task ends, such as a future: for a
//! sibling crate.

use std::sync::Arc;

use future_result::{CellId, Completer, JoinHandle, Rejection, TaskError, task_by_hand};

use crate::bound::Bound;
use crate::submit::refused;
use crate::trace::Origin;
use crate::watch::Watch;
use crate::{ThreadPoolExecutor, WhenFull};

impl ThreadPoolExecutor {
    /// Like [`submit`](Self::submit), for a job that gets its handle's completer, which it may hand on: see
    /// [`task_by_hand`].
    #[doc(hidden)]
    #[track_caller]
    pub fn submit_by_hand<F, T, H>(&self, hook: H, job: F) -> JoinHandle<T>
    where
        F: FnOnce(Completer<T>) + Send + 'static,
        T: Send + 'static,
        H: Fn(CellId) + Send + Sync + 'static,
    {
        let core = &self.core;
        if let Some(bound) = &core.bound {
            return self.submit_by_hand_bounded(bound, Origin::here(), hook, job);
        }
        let (task, handle) = if core.is_watched() {
            let watch = Watch::new(core, Origin::here());
            let job = move |completer| watch.run(|| job(completer));
            task_by_hand(core.id, hook, job)
        } else {
            task_by_hand(core.id, hook, job)
        };
        if let Err(task) = core.push(task) {
            core.reject(task);
        }
        handle
    }

    /// Like [`submit_by_hand`](Self::submit_by_hand), for a bounded queue.
    fn submit_by_hand_bounded<F, T, H>(
        &self,
        bound: &Arc<Bound>,
        origin: Origin,
        hook: H,
        job: F,
    ) -> JoinHandle<T>
    where
        F: FnOnce(Completer<T>) + Send + 'static,
        T: Send + 'static,
        H: Fn(CellId) + Send + Sync + 'static,
    {
        let core = &self.core;
        let watch = Watch::new(core, origin);
        let job = move |completer| watch.run(|| job(completer));
        match (bound.reserve(), bound.when_full()) {
            (Ok(room), _) => {
                let (queued, handle) = room.fill(|permit| {
                    let job = move |completer| {
                        drop(permit);
                        job(completer);
                    };
                    let (task, handle) = task_by_hand(core.id, hook, job);
                    (core.queue(task), handle)
                });
                core.queued_in_room(queued);
                handle
            }
            (Err(Rejection::Full), WhenFull::CallerRuns) => {
                let (task, handle) = task_by_hand(core.id, hook, job);
                core.run_by_caller(task);
                handle
            }
            (Err(reason), _) => refused(job, TaskError::Rejected(reason)),
        }
    }
}
