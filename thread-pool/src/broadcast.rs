//! One function on every worker.

use std::sync::Arc;

use future_result::{JoinHandle, TaskError, task};

use crate::ThreadPoolExecutor;
use crate::current;
use crate::submit::refused;
use crate::trace::Origin;
use crate::watch::Watch;
use crate::worker::Local;

impl ThreadPoolExecutor {
    /// Runs `function` once on each worker, with the worker's number, and returns the
    /// handles in the order of these numbers: to fill or empty what each thread keeps for itself.
    ///
    /// A worker gets to it after the task that it is running, before whatever is queued. If one of the
    /// pool's own workers calls this, its own share runs at once, inside the call, and the others'
    /// shares when their workers have time. A worker that is just leaving, or starts
    /// later, does not take part, and the shares do not count against a
    /// [bound of the queue](crate::Builder::queue_bound).
    ///
    /// If the pool is shut down, there is a handle for each of its [`workers`](Self::workers), and each
    /// says so with [`TaskError::Rejected`].
    ///
    /// # Deadlocks
    ///
    /// Only its own worker can run a share. So a task that waits for the shares of other
    /// workers waits for the tasks that these are running; if one of those waits for it in turn,
    /// perhaps through a broadcast of its own, neither ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::cell::Cell;
    /// use thread_pool::{try_join_all, ThreadPoolExecutor};
    ///
    /// thread_local!(static SEED: Cell<usize> = const { Cell::new(0) });
    ///
    /// let pool = ThreadPoolExecutor::new(3)?;
    /// try_join_all(pool.broadcast(|index| SEED.set(100 + index)))?;
    /// let seeds = try_join_all(pool.broadcast(|_| SEED.get()))?;
    /// assert_eq!(seeds, [100, 101, 102]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use = "dropping the handles detaches the shares: their results and errors will be lost"]
    pub fn broadcast<F, R>(&self, function: F) -> Vec<JoinHandle<R>>
    where
        F: Fn(usize) -> R + Send + Sync + 'static,
        R: Send + 'static,
    {
        let core = &self.core;
        if core.is_over() || core.is_forked() {
            let rejected = |_| refused((), TaskError::Rejected(core.rejection()));
            return (0..self.workers).map(rejected).collect();
        }
        let origin = Origin::here();
        let function = Arc::new(function);
        let own_index = current::with_of(core, |local| local.map(Local::index));
        let mut own = None;
        let mut handles = Vec::new();
        for (index, seat) in core.roster.numbered() {
            let function = Arc::clone(&function);
            // It belongs to no pool: a worker that waits for it must not run it in place.
            let watch = Watch::new(core, origin);
            let (share, handle) = task(move || watch.run(|| function(index)));
            if own_index == Some(index) {
                own = Some(share);
                handles.push(handle);
            } else if seat.mailbox.put(share).is_ok() {
                handles.push(handle);
            }
        }
        core.wake_all();
        current::with_of(core, |local| {
            if let (Some(local), Some(own)) = (local, own) {
                local.run(own);
            }
        });
        handles
    }
}
