//! What a pool knows: its queue, its workers and their tasks. All transitions are here, each under the
//! one lock of [`Core`](crate::core::Core). It reaches processes through [`Process`].
//!
//! # The life of a task
//!
//! ```text
//! queue ──fill──► lane of a worker ──answered──► ended
//!   ▲                  │
//!   │                  │ the worker dies, or is slow
//!   ├── requeued ◄─────┴── had begun, and the worker is dead ──► failed
//!   │   (had not)                       │
//!   └── delayed, for a pause ◄──────────┘ it may be retried
//! ```
//!
//! [`fill`](State::fill) declares the task started: from then on a handle can only ask to stop it. The page
//! says which tasks of a worker had begun. One that is requeued stays started, in a queue of its own, where a
//! request to stop it is found.
//!
//! A worker has more than one task if tasks are short ([`depth`](State::depth)). A task that waits behind another while
//! some worker could run it, or for much longer than tasks take, is taken back ([`recall`](State::recall)), and so is
//! every task behind one that is about to be killed with its worker.
//!
//! # The life of a worker
//!
//! | stage | it | ends with |
//! |---|---|---|
//! | `Starting` | was spawned, and may run the initializer | READY |
//! | `Ready` | has tasks, or is in `idle` | LEAVE, when the pool is closed, it has run as many tasks as it may, has too much memory, or was idle for too long |
//! | `Leaving` | was told to exit, and gets no task | its death |
//!
//! Any of them may be *condemned*: killed by the pool, with the reason kept for its task. Whatever the
//! stage, [`bury`](State::bury) is the end.
//!
//! User code never runs here: tasks that end are put into a list, and completed after the lock is released.

#[cfg(all(test, pool_sim))]
mod check;
mod process;
mod stall;
mod stop;
mod worker;
mod workers;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use future_result::sync::now;
use future_result::{Cause, Rejection, TaskError};

pub(crate) use self::process::{End, Process};
use self::stop::SWEEP_MIN;
pub(crate) use self::worker::Why;
use self::worker::{Stage, Worker};
use crate::job::Job;

/// How much work a worker has ahead, by the running mean: enough that it need not wait for the
/// pool's thread, which may itself wait for a CPU.
const QUEUED_WORK: Duration = Duration::from_millis(2);
/// How many tasks at most.
const DEPTH_MAX: u128 = 128;
/// A worker has only one task at a time if they take longer than this: the wait for the next is negligible then.
const LONG: Duration = Duration::from_millis(10);
/// How long a task is assumed to take before any has been answered.
const FIRST_GUESS: Duration = Duration::from_micros(500);

/// Tasks that ended without an answer, to be completed after the lock is released.
pub(crate) type Ended = Vec<(Job, TaskError)>;

/// What never changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) workers: usize,
    /// How many stay when there is nothing to do; the others stay for `keep_alive`.
    pub(crate) min_workers: usize,
    pub(crate) keep_alive: Duration,
    /// How many bytes of memory the system gives a worker.
    pub(crate) memory: Option<u64>,
    /// How many tasks a worker runs before it is replaced.
    pub(crate) tasks: Option<u64>,
    /// How many unanswered tasks a worker has at most. `None`: as many as are worth it.
    pub(crate) prefetch: Option<usize>,
}

/// What the pool's thread has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Start a worker.
    Spawn,
    /// Wait, until this time at most.
    Wait(Option<Instant>),
    /// Nothing is left.
    End,
}

#[derive(Debug)]
pub(crate) struct State<P> {
    limits: Limits,
    /// Why nothing more is accepted.
    closed: Option<Rejection>,
    queue: VecDeque<Job>,
    /// The length at which the queue is swept of cancelled tasks.
    sweep_at: usize,
    /// Tasks to be run by another worker than before, or again; they come first.
    requeued: VecDeque<Job>,
    /// Tasks whose worker died after they began, by the time at which they are retried.
    delayed: BTreeMap<(Instant, u64), Job>,
    /// How many there have been so far.
    delays: u64,
    /// Nothing is retried any more.
    is_final: bool,
    /// Nothing may run any more.
    is_killed: bool,
    /// How long a task takes: a running mean, once any has been answered.
    service: Option<Duration>,
    workers: BTreeMap<u64, Worker<P>>,
    /// Ready and without a task; the last one is the warmest.
    idle: Vec<u64>,
    /// The number of the next worker.
    next: u64,
    /// How many workers are not leaving, and how many are starting.
    active: usize,
    starting: usize,
    /// A worker is being started outside the lock.
    is_spawning: bool,
    /// How many workers in a row died before they did anything.
    failures: u32,
    retry_at: Option<Instant>,
    /// Until when the pool's thread waits, unless something comes.
    waits_until: Option<Instant>,
    /// Something is due before that.
    is_overslept: bool,
    /// All workers have left because there was nothing to do.
    is_at_rest: bool,
}

impl<P: Process> State<P> {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            closed: None,
            queue: VecDeque::new(),
            sweep_at: SWEEP_MIN,
            requeued: VecDeque::new(),
            delayed: BTreeMap::new(),
            delays: 0,
            is_final: false,
            is_killed: false,
            service: None,
            workers: BTreeMap::new(),
            idle: Vec::new(),
            next: 0,
            active: 0,
            starting: 0,
            is_spawning: false,
            failures: 0,
            retry_at: None,
            waits_until: None,
            is_overslept: false,
            is_at_rest: false,
        }
    }

    /// How many tasks are with no worker.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len() + self.requeued.len()
    }

    /// The ids of the workers' processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let pids = self.workers.values().map(|it| it.process.pid());
        pids.filter(|&pid| pid != 0).collect()
    }

    /// How many tasks the workers have.
    fn held(&self) -> usize {
        self.workers.values().map(|it| it.lane.len()).sum()
    }

    /// Hands a task to an idle worker, or queues it. Returns whether the pool's thread has to be
    /// woken: for another worker, or for a deadline that it does not know of.
    pub(crate) fn submit(&mut self, poller: &P::Poller, job: Job, ended: &mut Ended) -> bool {
        if let Some(reason) = self.closed {
            ended.push((job, TaskError::Rejected(reason)));
            return false;
        }
        if self.queue.is_empty() {
            self.sweep_at = SWEEP_MIN;
        }
        self.queue.push_back(job);
        self.dispatch(poller, ended);
        self.lend(poller, ended);
        self.sweep(ended);
        self.is_overslept || self.wants_worker()
    }

    /// Gives queued tasks to idle workers; or has them leave, if the pool is closed and drained.
    pub(crate) fn dispatch(&mut self, poller: &P::Poller, ended: &mut Ended) {
        while self.queued() > 0
            && let Some(id) = self.idle.pop()
        {
            self.fill(poller, id, ended);
        }
        if self.closed.is_some() && self.is_drained() {
            self.dismiss(poller);
        }
    }

    /// Whether every task is with a worker.
    fn is_drained(&self) -> bool {
        self.queued() == 0 && self.delayed.is_empty()
    }

    /// Whether a worker may be given another task.
    fn may_take(&self, worker: &Worker<P>) -> bool {
        let limit = self.limits.tasks;
        limit.is_none_or(|limit| worker.given < limit) && !worker.process.is_full()
    }

    /// Gives a worker as many queued tasks as are worth it. If it gets none and has none, it becomes idle.
    pub(crate) fn fill(&mut self, poller: &P::Poller, id: u64, ended: &mut Ended) {
        let depth = self.depth();
        let limit = self.limits.tasks.unwrap_or(u64::MAX);
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.stage != Stage::Ready || worker.condemned.is_some() {
            return;
        }
        if worker.process.is_full() {
            // Others run what it has not begun; then it leaves.
            return self.recall(poller, id);
        }
        let was_empty = worker.lane.is_empty();
        while worker.lane.len() < depth
            && worker.given < limit
            && let Some(mut job) = self.requeued.pop_front().or_else(|| self.queue.pop_front())
        {
            // A time limit counts from the task's start, which the pool knows only of the first in a lane.
            if !worker.lane.is_empty() && (job.limit().is_some() || worker.lane.is_timed()) {
                self.requeued.push_front(job);
                break;
            }
            if !job.start() || job.is_cancelled() {
                ended.push((job, TaskError::Cancelled));
            } else if let Err(job) = worker.lane.push(job) {
                let cause = Cause::new("the argument is too long for a message");
                ended.push((job, TaskError::Codec(cause)));
            } else {
                worker.given += 1;
            }
        }
        if worker.lane.is_empty() {
            self.rest(poller, id);
            return;
        }
        if was_empty {
            worker.begin_front();
            let until = self.waits_until;
            let is_sooner = |at: Instant| until.is_none_or(|until| at < until);
            self.is_overslept |= worker.deadline.is_some_and(is_sooner);
            self.idle.retain(|&idle| idle != id);
            self.is_overslept |= self.stall_deadline(id).is_some_and(is_sooner);
        }
        self.flush(poller, id);
    }

    fn service(&self) -> Duration {
        self.service.unwrap_or(FIRST_GUESS)
    }

    /// How many tasks a worker may have: by their mean time, and no more than its share of them.
    fn depth(&self) -> usize {
        let depth = match self.limits.prefetch {
            Some(depth) => depth,
            None => {
                let service = self.service();
                let worth = QUEUED_WORK.as_nanos() / service.as_nanos().max(1);
                // A worker with nothing ahead waits for two wake-ups: the pool thread's and its own.
                let least = if service < LONG { 2 } else { 1 };
                worth.clamp(least, DEPTH_MAX) as usize
            }
        };
        let share = (self.queued() + self.held()).div_ceil(self.active.max(1));
        depth.min(share).max(1)
    }

    /// Writes as much as the worker's pipe takes.
    pub(crate) fn flush(&mut self, poller: &P::Poller, id: u64) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if let Err(error) = worker.flush(poller, id) {
            let complaint = format!("it could not be written to: {error}");
            self.condemn(id, Why::Complaint(complaint));
        }
    }

    /// Takes the task that a worker has answered. `None` if that breaks the protocol.
    pub(crate) fn answered(&mut self, poller: &P::Poller, id: u64, sequence: u64) -> Option<Job> {
        let worker = self.workers.get_mut(&id)?;
        let job = worker.lane.answered(sequence)?;
        self.failures = 0;
        self.retry_at = None;
        if worker.lane.is_empty() {
            self.rest(poller, id);
        }
        Some(job)
    }

    /// A worker has no task: it is idle, or leaves if it has run as many as it may.
    fn rest(&mut self, poller: &P::Poller, id: u64) {
        let Some(worker) = self.workers.get(&id) else {
            return;
        };
        if worker.stage != Stage::Ready || worker.condemned.is_some() {
            return;
        }
        if !self.may_take(worker) {
            self.leave(poller, id);
        } else if !self.idle.contains(&id) {
            self.add_idle(id);
        }
    }

    /// A worker has answered so many tasks since the last call: measures their time, and starts that of the
    /// next.
    pub(crate) fn progressed(&mut self, id: u64, tasks: u32) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if tasks > 0 && worker.stage == Stage::Ready {
            let took = now().saturating_duration_since(worker.since) / tasks;
            self.service = Some(self.service.map_or(took, |mean| (mean * 3 + took) / 4));
            worker.begin_front();
        }
    }

    /// Takes back the tasks that a worker has not begun.
    fn recall(&mut self, poller: &P::Poller, id: u64) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.condemned.is_some() {
            return;
        }
        let first = worker.process.take_back(worker.lane.next());
        let taken = worker.lane.take_back(first);
        worker.given -= taken.len() as u64;
        for (_, job) in taken.into_iter().rev() {
            self.requeued.push_front(job);
        }
        // A message that is half written is still completed, and the worker passes over it.
        if worker.lane.is_empty() {
            self.rest(poller, id);
        }
    }

    /// Accepts nothing more.
    pub(crate) fn close(&mut self, poller: &P::Poller, ended: &mut Ended) {
        if self.closed.is_none() {
            self.closed = Some(Rejection::ShutDown);
        }
        self.dispatch(poller, ended);
    }

    /// Does what is due, and returns what the pool's thread does next.
    pub(crate) fn turn(&mut self, poller: &P::Poller, cancels: bool, ended: &mut Ended) -> Step {
        if cancels {
            self.stop_cancelled(poller, ended);
        }
        let time = now();
        if self.next_deadline().is_some_and(|next| next <= time) {
            self.expire(poller, time);
        }
        self.unstick(poller, time);
        self.dispatch(poller, ended);
        // Only now: tasks that were just given out have deadlines, too.
        let mut next = self.next_deadline();
        if self.wants_worker() {
            match self.retry_at {
                Some(at) if at > now() => {
                    next = Some(next.map_or(at, |next| next.min(at)));
                }
                _ => {
                    self.is_spawning = true;
                    return Step::Spawn;
                }
            }
        }
        if self.closed.is_some() && self.workers.is_empty() && self.is_drained() {
            return Step::End;
        }
        self.waits_until = next;
        self.is_overslept = false;
        Step::Wait(next)
    }

    fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.workers.values().filter_map(|worker| worker.deadline);
        let stalls = self
            .workers
            .keys()
            .filter_map(|&id| self.stall_deadline(id));
        let delayed = self.delayed.first_key_value().map(|((at, _), _)| *at);
        let all = deadlines.chain(stalls).chain(delayed);
        all.chain(self.idle_until()).min()
    }
}
