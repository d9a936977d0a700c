//! The life of the workers: from [`add`](State::add) to [`bury`](State::bury).

use std::time::{Duration, Instant};

use future_result::sync::now;
use future_result::{Cause, Rejection, TaskError};

use super::worker::{Condemned, Stage, Why, Worker, complaint};
use super::{Ended, Process, State};
use crate::frame;
use crate::job::Job;
use crate::lane::Lane;
use crate::protocol::LEAVE;
use crate::worker_died::WorkerDied;

/// If so many workers in a row die before they do anything, the pool is broken, unless another
/// worker works.
const FAILURES_MAX: u32 = 5;
/// How long the next worker is put off after the first failure; doubled after each further one.
const BACK_OFF: Duration = Duration::from_millis(10);
/// The longest that the next worker is put off.
const BACK_OFF_MAX: Duration = Duration::from_secs(1);
/// How long a worker that has closed its pipe may take to end.
const EXIT_GRACE: Duration = Duration::from_secs(1);
/// How long a worker may take to leave.
const GRACE: Duration = Duration::from_secs(5);

impl<P: Process> State<P> {
    pub(super) fn select(&self, which: impl Fn(&Worker<P>) -> bool) -> Vec<u64> {
        let selected = self.workers.iter().filter(|(_, worker)| which(worker));
        selected.map(|(&id, _)| id).collect()
    }

    /// Whether another worker would have something to do, and there is room for one.
    pub(super) fn wants_worker(&self) -> bool {
        !self.is_spawning && self.active < self.limits.workers && self.starting < self.queued()
    }

    /// The number that the next worker will have.
    pub(crate) const fn next_worker(&self) -> u64 {
        self.next
    }

    /// The number of the next worker, if it may be started [ahead of time](crate::spare): unless the pool is
    /// about to end, or its workers were to leave. One that is already wanted comes first.
    pub(crate) fn spare(&self) -> Option<u64> {
        let may_be = self.closed.is_none() && !self.is_at_rest && self.starting == 0;
        may_be.then_some(self.next)
    }

    /// The lowest free place. There is one, since only then is another worker wanted.
    fn free_place(&self) -> usize {
        let is_free = |index: &usize| {
            let mut staying = self
                .workers
                .values()
                .filter(|it| it.stage != Stage::Leaving);
            staying.all(|it| it.index != *index)
        };
        (0..self.limits.workers).find(is_free).unwrap_or(0)
    }

    /// Adds a worker that was started. `place` gives the first message for its index, if there is one.
    pub(crate) fn add<'a>(
        &mut self,
        poller: &P::Poller,
        process: P,
        place: impl FnOnce(usize) -> &'a [u8],
        setup: &[u8],
    ) {
        let index = self.free_place();
        let id = self.next;
        self.next += 1;
        self.is_spawning = false;
        self.is_at_rest = false;
        self.active += 1;
        self.starting += 1;
        let mut lane = Lane::default();
        lane.control(place(index));
        lane.control(setup);
        self.workers.insert(
            id,
            Worker {
                process,
                index,
                lane,
                stage: Stage::Starting,
                given: 0,
                since: now(),
                idle_since: now(),
                deadline: None,
                condemned: None,
                is_blocked: false,
            },
        );
        self.flush(poller, id);
        if self.is_killed {
            self.condemn(id, Why::Cancelled);
        }
        if self.closed.is_some() && self.is_drained() {
            self.dismiss(poller);
        }
    }

    /// A worker could not be started.
    pub(crate) fn not_added(&mut self, ended: &mut Ended) {
        self.is_spawning = false;
        self.count_failure(ended);
    }

    /// A worker has reported that it can work.
    pub(crate) fn ready(&mut self, id: u64) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.stage == Stage::Starting {
            worker.stage = Stage::Ready;
            self.starting -= 1;
            if worker.condemned.is_none() {
                self.add_idle(id);
            }
        }
    }

    /// A worker has nothing to do.
    pub(super) fn add_idle(&mut self, id: u64) {
        if self.limits.min_workers < self.limits.workers
            && let Some(worker) = self.workers.get_mut(&id)
        {
            worker.idle_since = now();
        }
        self.idle.push(id);
    }

    /// Until when the coldest idle worker stays, if there are more than are to stay.
    pub(super) fn idle_until(&self) -> Option<Instant> {
        if self.active <= self.limits.min_workers {
            return None;
        }
        let coldest = self.workers.get(self.idle.first()?)?;
        coldest.idle_since.checked_add(self.limits.keep_alive)
    }

    /// Tells an idle worker to leave.
    pub(super) fn leave(&mut self, poller: &P::Poller, id: u64) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.stage == Stage::Leaving {
            return;
        }
        if worker.stage == Stage::Starting {
            self.starting -= 1;
        }
        self.active -= 1;
        worker.stage = Stage::Leaving;
        if worker.condemned.is_none() {
            worker.deadline = now().checked_add(GRACE);
        }
        let mut message = Vec::new();
        frame::begin(&mut message);
        // Cannot fail: it is short.
        let _ = frame::seal(&mut message, LEAVE, 0);
        worker.lane.control(&message);
        self.idle.retain(|&idle| idle != id);
        self.flush(poller, id);
    }

    /// Has all idle workers leave.
    pub(super) fn dismiss(&mut self, poller: &P::Poller) {
        for id in self.select(|worker| worker.lane.is_empty()) {
            self.leave(poller, id);
        }
    }

    /// Kills a worker. Tasks that it has not begun by now never begin there.
    ///
    /// One that has merely fallen silent gets a moment to end by itself: if it were killed at once, nobody could
    /// tell whether something else had killed it before.
    pub(crate) fn condemn(&mut self, id: u64, why: Why) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        let is_silent = matches!(why, Why::Silent);
        match &mut worker.condemned {
            None => {
                let unstarted = worker.process.take_back(worker.lane.next());
                worker.condemned = Some(Condemned { why, unstarted });
                self.idle.retain(|&idle| idle != id);
            }
            Some(condemned) if matches!(condemned.why, Why::Silent) => condemned.why = why,
            Some(_) => {}
        }
        if is_silent {
            worker.deadline = now().checked_add(EXIT_GRACE);
        } else {
            worker.deadline = None;
            worker.process.kill();
        }
    }

    /// Waits for the end of a worker that was condemned.
    pub(crate) fn await_end(&self, id: u64) {
        if let Some(worker) = self.workers.get(&id) {
            worker.process.await_end();
        }
    }

    /// A worker has ended, and all that it wrote has been read. Returns its process, which may be dropped at any time.
    pub(crate) fn bury(&mut self, poller: &P::Poller, id: u64, ended: &mut Ended) -> Option<P> {
        let worker = self.workers.remove(&id)?;
        self.idle.retain(|&idle| idle != id);
        if worker.stage != Stage::Leaving {
            self.active -= 1;
        }
        if worker.stage == Stage::Starting {
            self.starting -= 1;
        }
        if worker.is_blocked {
            worker.process.unwatch_room(poller);
        }
        worker.process.unwatch_end(poller);
        let is_blameless = worker.process.is_blameless();
        let end = worker.process.reap();
        let unstarted = match &worker.condemned {
            Some(condemned) => condemned.unstarted,
            None => worker.process.take_back(worker.lane.next()),
        };
        let done = worker.process.done();
        let memory_limit = self.limits.memory;
        let (pid, given) = (worker.process.pid(), worker.given);
        let why = worker.condemned.map(|condemned| condemned.why);
        let (started, rest) = worker.lane.dissolve(unstarted);

        let has_begun = !started.is_empty() || given > rest.len() as u64;
        let was_wanted = worker.stage == Stage::Starting || !rest.is_empty();
        for (sequence, mut job) in started {
            let attempts = job.count_death();
            let error = match &why {
                Some(Why::Cancelled) if job.is_cancelled() || self.is_killed => {
                    TaskError::Cancelled
                }
                Some(Why::TimedOut(late)) if *late == sequence => TaskError::TimedOut,
                why => {
                    let Some(lost) = self.delay(job, u64::from(pid) ^ sequence) else {
                        continue;
                    };
                    job = lost;
                    TaskError::Lost(Cause::new(WorkerDied {
                        pid,
                        end: end.clone(),
                        finished: sequence < done,
                        argument_size: job.argument_size(),
                        attempts,
                        memory_limit,
                        complaint: complaint(why.as_ref()),
                    }))
                }
            };
            ended.push((job, error));
        }
        for job in rest.into_iter().rev() {
            // A condemned worker's tasks could not be cancelled with the rest.
            if job.is_cancelled() || self.is_final {
                ended.push((job, TaskError::Cancelled));
            } else {
                self.requeued.push_front(job);
            }
        }
        let is_killed = matches!(why, Some(Why::Cancelled | Why::TimedOut(_)));
        if !has_begun && was_wanted && !is_killed && !is_blameless {
            self.count_failure(ended);
        }
        Some(worker.process)
    }

    /// Has a task retried after a pause, or gives it back if it may not be.
    fn delay(&mut self, mut job: Job, random: u64) -> Option<Job> {
        let is_over = self.is_final || self.closed == Some(Rejection::Broken);
        if is_over || job.is_cancelled() {
            return Some(job);
        }
        let pause = job.try_again(random);
        let Some(at) = pause.and_then(|pause| now().checked_add(pause)) else {
            return Some(job);
        };
        self.delays += 1;
        self.delayed.insert((at, self.delays), job);
        None
    }

    /// A worker died before it did anything, or could not be started at all.
    pub(super) fn count_failure(&mut self, ended: &mut Ended) {
        self.failures += 1;
        let doublings = self.failures.saturating_sub(1).min(16);
        let pause = BACK_OFF_MAX.min(BACK_OFF * 2_u32.pow(doublings));
        self.retry_at = now().checked_add(pause);
        let others = self.active > self.starting;
        if self.failures >= FAILURES_MAX && !others {
            self.closed = Some(Rejection::Broken);
            let delayed = std::mem::take(&mut self.delayed).into_values();
            let queued = self.requeued.drain(..).chain(self.queue.drain(..));
            let all = queued.chain(delayed);
            ended.extend(all.map(|job| (job, TaskError::Rejected(Rejection::Broken))));
        }
    }
}
