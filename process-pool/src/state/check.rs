//! What holds between two transitions, checked by the simulation.

use std::time::Instant;

use future_result::sync::now;

use super::stall::{IDLE_STALL, STALL};
use super::{Stage, State};
use crate::job::Job;
use crate::sim::Sim;

impl State<Sim> {
    /// The counts and the list of idle workers agree with the workers.
    pub(crate) fn check(&self) {
        let stage = |stage| move |worker: &&super::Worker<Sim>| worker.stage == stage;
        let leaving = self.workers.values().filter(stage(Stage::Leaving)).count();
        assert_eq!(self.active, self.workers.len() - leaving, "active");
        let starting = self.workers.values().filter(stage(Stage::Starting)).count();
        assert_eq!(self.starting, starting, "starting");
        assert!(self.active <= self.limits.workers, "too many workers");
        let staying = self
            .workers
            .values()
            .filter(|it| it.stage != Stage::Leaving);
        let mut places: Vec<usize> = staying.map(|it| it.index).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), self.active, "two workers in one place");
        assert!(places.last().is_none_or(|&last| last < self.limits.workers));

        for (id, worker) in &self.workers {
            let is_free = worker.stage == Stage::Ready
                && worker.condemned.is_none()
                && worker.lane.is_empty();
            let listed = self.idle.iter().filter(|&it| it == id).count();
            assert_eq!(
                listed,
                usize::from(is_free),
                "worker {id} in the list of idle ones"
            );
            assert!(worker.stage == Stage::Ready || worker.lane.is_empty());
            worker.process.check_full(worker.given, is_free);
            self.check_leaves(worker);
            if worker.condemned.is_some() {
                let next = worker.lane.next();
                assert!(
                    next <= worker.process.taken(),
                    "a task for a condemned worker"
                );
            }
            if let Some(limit) = self.limits.tasks {
                assert!(worker.given <= limit, "more tasks than a worker may run");
            }
        }
        assert!(self.idle.iter().all(|id| self.workers.contains_key(id)));
    }

    /// If all workers are to stay, only one that is of no more use leaves before the pool ends.
    fn check_leaves(&self, worker: &super::Worker<Sim>) {
        if worker.stage != Stage::Leaving || self.limits.min_workers < self.limits.workers {
            return;
        }
        let is_used_up = self.limits.tasks.is_some_and(|limit| worker.given >= limit);
        let has_reason = self.closed.is_some() || is_used_up || worker.process.is_really_full();
        assert!(has_reason, "a worker that was to stay leaves");
    }

    /// Until when the pool's thread may sleep.
    pub(crate) fn due(&self) -> Option<Instant> {
        // A cancelled task completes soon, not only when it would be retried.
        let is_unwanted = self.delayed.values().any(Job::is_cancelled);
        if is_unwanted || (self.queued() > 0 && !self.idle.is_empty()) {
            return Some(now());
        }
        let next = self.next_deadline().into_iter().chain(self.stuck()).min();
        if !self.wants_worker() {
            return next;
        }
        let start = self.retry_at.unwrap_or_else(now);
        Some(next.map_or(start, |next| next.min(start)))
    }

    /// Whether there may be a spare worker, once the pool's thread knows all that has happened.
    pub(crate) const fn may_spare(&self) -> bool {
        self.closed.is_none() && !self.is_at_rest
    }

    /// When a task that another worker could run has waited behind another for long enough.
    fn stuck(&self) -> Option<Instant> {
        let limit = if !self.idle.is_empty() {
            IDLE_STALL
        } else if self.active < self.limits.workers {
            STALL
        } else {
            return None;
        };
        let workers = self.workers.values();
        let waiting = workers.filter(|it| it.condemned.is_none() && it.lane.len() >= 2);
        let since = waiting.filter_map(|it| it.process.runs_since(it.lane.next()));
        since.map(|since| since + limit).min()
    }

    /// Nothing is left.
    pub(crate) fn check_end(&self) {
        self.check();
        assert!(self.closed.is_some());
        assert!(self.workers.is_empty() && self.is_drained());
    }
}
