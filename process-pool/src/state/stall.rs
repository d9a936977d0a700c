//! What waits behind a task that takes long, and for how long it may.
//!
//! A worker is given tasks ahead so that it need not wait for the pool's thread between two. They are lent, not
//! given away: by the page, whatever has not begun can be had back at any time. Who else could run it says
//! when that is:
//!
//! | besides its worker there is | it may wait for |
//! |---|---|
//! | an idle worker | [`IDLE_STALL`] |
//! | room for another worker | [`STALL`] |
//! | nobody but busy workers | twice the time that tasks take, but [`STALL`] at least and [`STALL_MAX`] at most |
//!
//! each counted from when the task before it was first, so far as the pool knows. In the last row nothing
//! can be done before one of the busy workers has answered, so there is no deadline in it for the pool's thread; it
//! looks when it is awake anyway.

use std::time::{Duration, Instant};

use future_result::sync::now;

use super::{Ended, LONG, Process, Stage, State};

/// Longer than it takes a worker to answer a tiny task, with the way of the answer.
pub(super) const IDLE_STALL: Duration = Duration::from_micros(100);
/// Starting a worker takes about as long.
pub(super) const STALL: Duration = Duration::from_millis(1);
pub(super) const STALL_MAX: Duration = Duration::from_millis(20);

/// Of shorter tasks it is better to have several in one message.
const WORTH_LENDING: Duration = Duration::from_micros(200);

impl<P: Process> State<P> {
    /// How long something may wait behind a worker's first task.
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
            // The others keep theirs, which nobody could run sooner.
            stuck.sort_by_key(|id| self.workers.get(id).map(|it| it.since));
            stuck.truncate(self.idle.len());
        }
        for id in stuck {
            let waited = self.workers.get(&id).map(|it| waited(it.since));
            // The mean does not know of a task yet that takes long.
            self.service = self.service.max(waited.filter(|it| *it >= STALL));
            self.recall(poller, id);
            if let Some(worker) = self.workers.get_mut(&id)
                && worker.has_waiting()
            {
                // It has begun all of them, and some answers are on their way.
                worker.since = time;
            }
        }
    }

    /// Lends a task that was just queued to a worker that has nothing to go on with. Without that it would have to
    /// wait, after its present task, for the pool's thread: if there are never many tasks at a time, after each.
    pub(super) fn lend(&mut self, poller: &P::Poller, ended: &mut Ended) {
        // For a worker that is still to come there has to be something in the queue.
        let are_all_there = self.starting == 0 && self.active >= self.limits.workers;
        // If there are more, each worker gets several with its next answer, by one message.
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
