//! How long tasks may wait behind a slow one.
//!
//! A worker is given tasks ahead so that it need not wait for the pool's thread between two. They are lent, not
//! given away: through the page, the pool can take back what has not begun at any time. When it does depends on
//! who else could run it:
//!
//! | apart from its worker there is | it may wait for |
//! |---|---|
//! | an idle worker | [`IDLE_STALL`] |
//! | room for another worker | [`STALL`] |
//! | none but busy workers | twice the time that tasks take, but at least [`STALL`] and at most [`STALL_MAX`] |
//!
//! each counted from when the task before it became the first, as far as the pool knows. In the last row nothing
//! can be done before a busy worker has answered, so the pool's thread has no deadline for it, and looks when it
//! is awake anyway.

use std::time::{Duration, Instant};

use future_result::sync::now;

use super::{Ended, LONG, Process, Stage, State};

/// Longer than it takes a worker to answer a tiny task, including the way of the answer.
pub(super) const IDLE_STALL: Duration = Duration::from_micros(100);
/// Starting a worker takes about as long.
pub(super) const STALL: Duration = Duration::from_millis(1);
pub(super) const STALL_MAX: Duration = Duration::from_millis(20);

/// Shorter tasks are better sent several at a time, with one write.
const WORTH_LENDING: Duration = Duration::from_micros(200);

impl<P: Process> State<P> {
    /// How long a task may wait behind a worker's first one.
    fn patience(&self) -> Duration {
        if !self.idle.is_empty() {
            IDLE_STALL
        } else if self.active < self.limits.workers {
            STALL
        } else {
            (self.service() * 2).clamp(STALL, STALL_MAX)
        }
    }

    /// When the pool's thread has to take back what waits in this worker's lane.
    pub(super) fn stall_deadline(&self, id: u64) -> Option<Instant> {
        if self.idle.is_empty() && self.active >= self.limits.workers {
            return None;
        }
        let worker = self.workers.get(&id)?;
        if !worker.has_waiting() {
            return None;
        }
        worker.since.checked_add(self.patience())
    }

    /// Takes back what has waited for too long behind the first task of its worker.
    pub(super) fn unstick(&mut self, poller: &P::Poller, time: Instant) {
        let patience = self.patience();
        let waited = |since| time.saturating_duration_since(since);
        let mut stuck = self.select(|it| it.has_waiting() && waited(it.since) >= patience);
        if !self.idle.is_empty() && stuck.len() > self.idle.len() {
            // The others keep theirs, since nobody could run them sooner.
            stuck.sort_by_key(|id| self.workers.get(id).map(|it| it.since));
            stuck.truncate(self.idle.len());
        }
        for id in stuck {
            let waited = self.workers.get(&id).map(|it| waited(it.since));
            // The mean does not yet include the slow task.
            self.service = self.service.max(waited.filter(|it| *it >= STALL));
            self.recall(poller, id);
            if let Some(worker) = self.workers.get_mut(&id)
                && worker.has_waiting()
            {
                // It has begun all of them; some answers are on their way.
                worker.since = time;
            }
        }
    }

    /// Lends a task that was just queued to a worker with nothing ahead. Otherwise that worker would have to wait for
    /// the pool's thread after its present task: after each, if there are never many tasks at a time.
    pub(super) fn lend(&mut self, poller: &P::Poller, ended: &mut Ended) {
        // Leave something in the queue for a worker that is still to come.
        let are_all_there = self.starting == 0 && self.active >= self.limits.workers;
        // If there are more, each worker gets several with its next answer, in one write.
        let are_few = (1..=self.active).contains(&self.queued())
            && self.queued() + self.held() <= 2 * self.active;
        let is_worth = self
            .service
            .is_some_and(|mean| mean >= WORTH_LENDING && mean < LONG);
        if !are_few || !are_all_there || !is_worth {
            return;
        }
        let patience = self.patience();
        let time = now();
        let has_one = self.workers.iter().filter(|(_, worker)| {
            worker.stage == Stage::Ready
                && worker.condemned.is_none()
                && worker.lane.len() == 1
                // Behind a slow one it would be taken back at once.
                && time.saturating_duration_since(worker.since) < patience
        });
        let next = has_one.min_by_key(|(_, worker)| worker.since);
        if let Some(id) = next.map(|(&id, _)| id) {
            self.fill(poller, id, ended);
        }
    }
}
