//! The queue between submitters and workers: first in, first out.
//!
//! Submitters add to an *inbox*, a list that costs them one compare-and-swap. A worker that has
//! nothing left takes the whole inbox at once and reverses it, so that the oldest tasks come first in
//! the *backlog*, under a lock that submitters never touch. From there it moves a batch into its own
//! deque, where the others can steal it. A task that a worker submits goes straight into another
//! deque of that worker.
//!
//! # Tombstones
//!
//! A task that was cancelled, or that a waiting worker ran in place, stays where it is as a
//! tombstone until it is popped. One submission in 64 checks whether the queue has more than twice
//! the length that the last sweep left, and if so sweeps out the tombstones: O(1) amortised, and
//! they never outnumber by much what the queue has lately held.

use future_result::sync::atomic::{AtomicBool, Ordering, fence};
use future_result::sync::{Mutex, MutexGuard};
use future_result::{JoinHandle, PoolId, Rejection, Task, TaskDeque, TaskInbox, TaskList};

use crate::tally::Totals;

/// The most tasks that a worker takes at a time: enough to spread the cost of the lock, and few
/// enough to leave the others their share.
const BATCH: usize = 32;

/// Below this length tombstones are left alone.
const WATERMARK_MIN: usize = 64;

pub(crate) struct Injector {
    inbox: TaskInbox,
    /// Whether the backlog holds anything. Changed under its lock.
    has_backlog: AtomicBool,
    backlog: Mutex<Backlog>,
}

struct Backlog {
    /// Older than everything in the inbox.
    tasks: TaskList,
    watermark: usize,
    /// The tombstones that were swept out.
    swept: Totals,
    closed: Option<Rejection>,
}

/// While this lives, the injector cannot be closed.
pub(crate) struct Open<'a> {
    _backlog: MutexGuard<'a, Backlog>,
}

impl Backlog {
    /// Drops the tombstones, if there may be many.
    fn sweep(&mut self) {
        if self.tasks.len() >= self.watermark {
            // Dropping a tombstone frees memory and runs no user code.
            self.tasks
                .drop_stale_with(|status| self.swept.count(status));
            self.watermark = WATERMARK_MIN.max(2 * self.tasks.len());
        }
    }

    /// Expects fewer tasks, after some were taken.
    fn lower_watermark(&mut self) {
        if self.tasks.len() < self.watermark / 4 {
            self.watermark = WATERMARK_MIN.max(self.watermark / 2);
        }
    }
}

impl Injector {
    pub(crate) fn new() -> Self {
        Self {
            inbox: TaskInbox::new(),
            has_backlog: AtomicBool::new(false),
            backlog: Mutex::new(Backlog {
                tasks: TaskList::new(),
                watermark: WATERMARK_MIN,
                swept: Totals::default(),
                closed: None,
            }),
        }
    }

    /// Adds a task. It comes back if the injector is closed.
    #[inline]
    pub(crate) fn push(&self, task: Task) -> Result<(), Task> {
        let sampled = task.is_sampled();
        self.inbox.push(task)?;
        if sampled {
            self.tidy();
        }
        Ok(())
    }

    /// Adds many tasks in one step. They come back if the injector is closed.
    pub(crate) fn push_all(&self, tasks: TaskList) -> Result<(), TaskList> {
        let sampled = tasks.is_sampled();
        self.inbox.push_all(tasks)?;
        if sampled {
            self.tidy();
        }
        Ok(())
    }

    /// Takes over what a worker has no room for, which was accepted and runs even if the injector has
    /// been closed.
    #[cold]
    pub(crate) fn overflow(&self, mut tasks: TaskList) {
        let mut backlog = self.backlog.lock();
        backlog.tasks.append(&mut tasks);
        backlog.sweep();
        self.unlock(backlog);
    }

    /// Adds a closure without a handle. It comes back if the injector is closed.
    #[inline]
    pub(crate) fn push_detached<F>(&self, closure: F) -> Result<(), F>
    where
        F: FnOnce() + Send + 'static,
    {
        self.inbox.push_detached(closure)
    }

    /// Adds a closure. It comes back if the injector is closed.
    #[inline]
    pub(crate) fn push_task_in<F, T>(&self, pool: PoolId, closure: F) -> Result<JoinHandle<T>, F>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let handle = self.inbox.push_task_in(pool, closure)?;
        if handle.is_sampled() {
            self.tidy();
        }
        Ok(handle)
    }

    /// Sweeps the tombstones out, if there may be many.
    #[cold]
    fn tidy(&self) {
        // Busy; a later push will do it.
        let Some(mut backlog) = self.backlog.try_lock() else {
            return;
        };
        let mut newer = self.inbox.take_all();
        backlog.tasks.append(&mut newer);
        backlog.sweep();
        self.unlock(backlog);
        // ORDERING: the producer's fence in the proof of `sleep`: what was just pushed was moved, so its
        // push no longer orders it.
        fence(Ordering::SeqCst);
    }

    /// Whether there is nothing to take. Misses what somebody is just moving.
    pub(crate) fn is_empty(&self) -> bool {
        // ORDERING: Relaxed; a worker going to sleep has a fence before this, and whoever moves tasks
        // into the backlog has one after it, as `sleep` explains.
        self.inbox.is_empty() && !self.has_backlog.load(Ordering::Relaxed)
    }

    /// Moves the oldest tasks to the end of `deque`: a fair share among `workers`. Returns how many there
    /// were to share.
    pub(crate) fn refill(&self, deque: &TaskDeque, workers: usize) -> usize {
        if self.is_empty() {
            return 0;
        }
        let mut backlog = self.backlog.lock();
        if backlog.tasks.is_empty() {
            backlog.tasks = self.inbox.take_all();
        }
        let found = backlog.tasks.len();
        deque.push_from(
            &mut backlog.tasks,
            found.div_ceil(workers.max(1)).min(BATCH),
        );
        backlog.lower_watermark();
        self.unlock(backlog);
        found
    }

    /// Takes the oldest task.
    pub(crate) fn pop(&self) -> Option<Task> {
        if self.is_empty() {
            return None;
        }
        let mut backlog = self.backlog.lock();
        if backlog.tasks.is_empty() {
            backlog.tasks = self.inbox.take_all();
        }
        let task = backlog.tasks.pop_front();
        backlog.lower_watermark();
        self.unlock(backlog);
        task
    }

    fn unlock(&self, backlog: MutexGuard<'_, Backlog>) {
        let has_backlog = !backlog.tasks.is_empty();
        // ORDERING: Relaxed, as in `is_empty`. The flag publishes nothing; the lock does.
        if self.has_backlog.load(Ordering::Relaxed) != has_backlog {
            self.has_backlog.store(has_backlog, Ordering::Relaxed);
        }
        drop(backlog);
    }

    /// Stops accepting tasks; what is queued stays. The first reason stays, too.
    pub(crate) fn close(&self, reason: Rejection) {
        let mut backlog = self.backlog.lock();
        backlog.closed.get_or_insert(reason);
        let mut newer = self.inbox.close();
        backlog.tasks.append(&mut newer);
        self.unlock(backlog);
    }

    /// Keeps the injector open, if it is, while the returned guard lives: for a submitter that must not
    /// find it closed later. No user code may run meanwhile.
    pub(crate) fn keep_open(&self) -> Result<Open<'_>, Rejection> {
        let backlog = self.backlog.lock();
        match backlog.closed {
            Some(reason) => Err(reason),
            None => Ok(Open { _backlog: backlog }),
        }
    }

    /// What became of the swept tombstones.
    pub(crate) fn swept(&self) -> Totals {
        self.backlog.lock().swept.clone()
    }

    /// Why it is closed, if it is.
    pub(crate) fn closed(&self) -> Option<Rejection> {
        self.backlog.lock().closed
    }

    /// Takes everything, at the end of the queue.
    pub(crate) fn take_all(&self) -> TaskList {
        let mut backlog = self.backlog.lock();
        let mut tasks = std::mem::take(&mut backlog.tasks);
        tasks.append(&mut self.inbox.take_all());
        self.unlock(backlog);
        tasks
    }

    /// How many tasks are queued here, tombstones included.
    pub(crate) fn len(&self) -> usize {
        let mut backlog = self.backlog.lock();
        let mut newer = self.inbox.take_all();
        backlog.tasks.append(&mut newer);
        let len = backlog.tasks.len();
        self.unlock(backlog);
        len
    }
}

#[cfg(all(test, not(pool_loom), not(pool_sim)))]
mod tests {
    use future_result::{FutureResult, task};

    use super::*;

    /// Adds 10,000 tasks and cancels each: how many checked for tombstones, and how many are left.
    fn looks_and_rest(
        push: impl Fn(&Injector, &mut Vec<JoinHandle<()>>),
        pushes: usize,
    ) -> (usize, usize) {
        let injector = Injector::new();
        let mut looks = 0;
        for _ in 0..pushes {
            let mut handles = Vec::new();
            push(&injector, &mut handles);
            // The check takes everything out of the inbox.
            looks += usize::from(injector.inbox.is_empty());
            for handle in handles {
                let _ = handle.cancel();
            }
        }
        (looks, injector.len())
    }

    #[test]
    fn every_way_to_submit_looks_for_tombstones_now_and_then_and_not_each_time() {
        let pool = PoolId::new();
        let one = |injector: &Injector, handles: &mut Vec<_>| {
            let (task, handle) = task(|| ());
            assert!(injector.push(task).is_ok());
            handles.push(handle);
        };
        let one_made_here = |injector: &Injector, handles: &mut Vec<_>| {
            handles.extend(injector.push_task_in(pool, || ()).ok());
        };
        let three = |injector: &Injector, handles: &mut Vec<_>| {
            let mut tasks = TaskList::new();
            for _ in 0..3 {
                let (task, handle) = task(|| ());
                tasks.push_back(task);
                handles.push(handle);
            }
            assert!(injector.push_all(tasks).is_ok());
        };
        for (looks, rest) in [
            looks_and_rest(one, 10_000),
            looks_and_rest(one_made_here, 10_000),
            looks_and_rest(three, 10_000),
        ] {
            assert!((10..2_000).contains(&looks), "{looks} looks");
            assert!(rest < 2_000, "{rest} tombstones are left");
        }
    }
}
