//! Tasks and workers that end before their time: cancelled, late, or killed with the whole pool.

use std::collections::VecDeque;
use std::time::Instant;

use future_result::TaskError;

use super::worker::{Why, Worker};
use super::{Ended, Process, State};
use crate::job::Job;

/// A shorter queue is not worth a sweep.
pub(super) const SWEEP_MIN: usize = 64;

/// The complaint about a worker that has fallen silent and does not end.
const SILENT: &str = "it was killed because it closed its end of the pool's pipe; does the task close \
                      descriptors that it does not own?";

impl<P: Process> State<P> {
    /// Cancels everything that no worker has begun, and every retry.
    pub(crate) fn cancel_queued(&mut self, poller: &P::Poller, ended: &mut Ended) {
        for id in self.select(|worker| !worker.lane.is_empty()) {
            self.recall(poller, id);
        }
        self.is_final = true;
        let delayed = std::mem::take(&mut self.delayed).into_values();
        let queued = self.requeued.drain(..).chain(self.queue.drain(..));
        let all = queued.chain(delayed);
        ended.extend(all.map(|job| (job, TaskError::Cancelled)));
    }

    /// Stops cancelled tasks that are running, or were requeued.
    pub(super) fn stop_cancelled(&mut self, poller: &P::Poller, ended: &mut Ended) {
        for id in self.select(|worker| worker.lane.is_cancelled_from(0)) {
            // That leaves at most one running task, and answers that are on their way.
            self.recall(poller, id);
            let runs = |worker: &Worker<P>| worker.lane.is_cancelled_from(worker.process.done());
            if self.workers.get(&id).is_some_and(runs) {
                self.condemn(id, Why::Cancelled);
            }
        }
        let all = std::mem::take(&mut self.requeued);
        for job in all {
            if job.is_cancelled() {
                ended.push((job, TaskError::Cancelled));
            } else {
                self.requeued.push_back(job);
            }
        }
        let all = std::mem::take(&mut self.delayed);
        for (at, job) in all {
            if job.is_cancelled() {
                ended.push((job, TaskError::Cancelled));
            } else {
                self.delayed.insert(at, job);
            }
        }
    }

    /// Drops cancelled tasks from the queue, with their arguments, when they may be half of it: however
    /// long all workers are busy, no more than about half of a queue is cancelled.
    pub(super) fn sweep(&mut self, ended: &mut Ended) {
        if self.queue.len() < self.sweep_at {
            return;
        }
        let all = std::mem::take(&mut self.queue);
        let (cancelled, wanted): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(Job::is_cancelled);
        self.queue = wanted;
        self.sweep_at = SWEEP_MIN.max(2 * self.queue.len());
        ended.extend(cancelled.into_iter().map(|job| (job, TaskError::Cancelled)));
    }

    /// Accepts nothing more, and kills all workers.
    pub(crate) fn kill(&mut self, poller: &P::Poller, ended: &mut Ended) {
        self.is_killed = true;
        self.cancel_queued(poller, ended);
        self.close(poller, ended);
        for id in self.select(|_| true) {
            self.condemn(id, Why::Cancelled);
        }
    }

    /// Kills the workers whose time is over, queues tasks that are due for a retry, and has workers leave that were
    /// idle for too long.
    pub(super) fn expire(&mut self, poller: &P::Poller, time: Instant) {
        while let Some(entry) = self.delayed.first_entry()
            && entry.key().0 <= time
        {
            self.requeued.push_back(entry.remove());
        }
        while self.idle_until().is_some_and(|until| until <= time)
            && let Some(&coldest) = self.idle.first()
        {
            self.leave(poller, coldest);
            self.is_at_rest = self.active == 0;
        }
        for id in self.select(|worker| worker.deadline.is_some_and(|deadline| deadline <= time)) {
            let Some(worker) = self.workers.get_mut(&id) else {
                continue;
            };
            let is_silent = worker.condemned.is_some();
            let why = match worker.lane.front_number() {
                _ if is_silent => Why::Complaint(SILENT.to_owned()),
                Some(sequence) if sequence < worker.process.done() => {
                    // In time: the answer is on its way.
                    worker.deadline = None;
                    continue;
                }
                Some(sequence) => Why::TimedOut(sequence),
                None => Why::Complaint("it did not leave".to_owned()),
            };
            self.condemn(id, why);
        }
    }
}
