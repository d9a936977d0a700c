//! What a pool knows: its queue, its workers, and what each of them has. All transitions, each under the
//! one lock of [`Core`](crate::core::Core).
//!
//! # The life of a task
//!
//! ```text
//! queue ──give──► lane of a worker ──answered──► ended
//!   ▲                  │
//!   │                  │ the worker dies
//!   └── requeued ◄─────┴── had begun ──► failed
//!       (had not)
//! ```
//!
//! [`give`](State::give) declares the task started: from there on a handle can only ask to stop it. At a
//! worker's death the page says which of its tasks had begun. One that is queued again stays started, and is
//! kept apart, so that a request to stop it is found.
//!
//! # The life of a worker
//!
//! | stage | it | ends by |
//! |---|---|---|
//! | `Starting` | was spawned, and may run the initializer | READY |
//! | `Ready` | has tasks, or is in `idle` | LEAVE, when the pool is closed or it has run as many tasks as it may |
//! | `Leaving` | was told to exit, and gets no task | its death |
//!
//! Any of them may be *condemned*: killed by the pool, with the reason kept for its task. Whatever the
//! stage, [`bury`](State::bury) is the end.
//!
//! Users' code never runs here: what has ended is put into a list, and told when the lock is released.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use future_result::{Cause, Rejection, TaskError};
use rustix::io::Errno;

use crate::child::Child;
use crate::error::WorkerDied;
use crate::frame;
use crate::job::Job;
use crate::lane::Lane;
use crate::protocol::LEAVE;
use crate::sys::{Exit, Interest, Poller};

/// After so many workers in a row have died before they did anything, the pool is broken, unless another
/// worker works.
const FAILURES_MAX: u32 = 5;
/// How long the next worker is waited with after the first failure; twice as long after each other one.
const BACK_OFF: Duration = Duration::from_millis(10);
/// But no longer than this.
const BACK_OFF_MAX: Duration = Duration::from_secs(1);
/// How long a worker may take to leave.
const GRACE: Duration = Duration::from_secs(5);

/// Tasks that have ended without an answer, to be told when the lock is released.
pub(crate) type Ended = Vec<(Job, TaskError)>;

/// What is never changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) workers: usize,
    /// How many tasks a worker runs before it is replaced.
    pub(crate) tasks: Option<u64>,
}

/// What the pool's thread has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Start a worker.
    Spawn,
    /// Wait, at most until then.
    Wait(Option<Instant>),
    /// Nothing is left.
    End,
}

#[derive(Debug)]
pub(crate) struct State {
    limits: Limits,
    /// Why nothing more is accepted.
    closed: Option<Rejection>,
    queue: VecDeque<Job>,
    /// Tasks whose worker died before they began; they come first.
    requeued: VecDeque<Job>,
    workers: BTreeMap<u64, Worker>,
    /// Ready and without a task; the last one is the warmest.
    idle: Vec<u64>,
    /// The number of the next worker.
    next: u64,
    /// Of the workers, those that are not leaving, and those that are starting.
    active: usize,
    starting: usize,
    /// A worker is being started outside the lock.
    is_spawning: bool,
    /// Workers in a row that have died before they did anything.
    failures: u32,
    retry_at: Option<Instant>,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    lane: Lane,
    stage: Stage,
    /// How many tasks it was given.
    given: u64,
    /// When it is killed, for its task's time limit or because it does not leave.
    deadline: Option<Instant>,
    condemned: Option<Condemned>,
    /// The poller tells when it can be written to again.
    is_blocked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Starting,
    Ready,
    Leaving,
}

#[derive(Debug)]
struct Condemned {
    why: Why,
    /// The tasks from this number on had not begun, and now never will, there.
    unstarted: u64,
}

/// Why the pool has killed a worker.
#[derive(Clone, Debug)]
pub(crate) enum Why {
    /// A handle wants its running task to stop, or the owner of the pool all of them.
    Cancelled,
    /// The task with this number has run out of time.
    TimedOut(u64),
    /// It has closed its result pipe. It may be exiting: then it is too late to kill it.
    Silent,
    /// It broke the rules.
    Complaint(String),
}

/// Numbers by which the poller tells a worker's descriptors.
pub(crate) mod token {
    /// Of the pool's own wake-ups.
    pub(crate) const NOTIFIER: u64 = u64::MAX;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Source {
        Process,
        Results,
        Tasks,
    }

    pub(crate) const fn new(worker: u64, source: Source) -> u64 {
        worker * 4
            + match source {
                Source::Process => 0,
                Source::Results => 1,
                Source::Tasks => 2,
            }
    }

    pub(crate) const fn split(token: u64) -> (u64, Source) {
        let source = match token % 4 {
            0 => Source::Process,
            1 => Source::Results,
            _ => Source::Tasks,
        };
        (token / 4, source)
    }
}

impl State {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            closed: None,
            queue: VecDeque::new(),
            requeued: VecDeque::new(),
            workers: BTreeMap::new(),
            idle: Vec::new(),
            next: 0,
            active: 0,
            starting: 0,
            is_spawning: false,
            failures: 0,
            retry_at: None,
        }
    }

    /// How many tasks no worker has.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len() + self.requeued.len()
    }

    /// The ids of the processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.workers.values().map(|it| it.child.pid()).collect()
    }

    // Tasks.

    /// Takes a task: hands it to an idle worker, or queues it. Says whether the pool's thread has to be
    /// woken, since there is room for another worker.
    pub(crate) fn submit(&mut self, poller: &Poller, job: Job, ended: &mut Ended) -> bool {
        if let Some(reason) = self.closed {
            ended.push((job, TaskError::Rejected(reason)));
            return false;
        }
        self.queue.push_back(job);
        self.dispatch(poller, ended);
        self.wants_worker() && self.retry_at.is_none()
    }

    /// Gives queued tasks to idle workers; or, if nothing is left to do, has them leave.
    pub(crate) fn dispatch(&mut self, poller: &Poller, ended: &mut Ended) {
        while let Some(&id) = self.idle.last() {
            let job = self.requeued.pop_front().or_else(|| self.queue.pop_front());
            let Some(job) = job else { break };
            if self.give(poller, id, job, ended) {
                self.idle.retain(|&idle| idle != id);
            }
        }
        if self.closed.is_some() && self.queued() == 0 {
            self.dismiss(poller);
        }
    }

    /// Gives a task to an idle worker. False if there was nothing to give: it was cancelled, or does not
    /// fit into a message.
    fn give(&mut self, poller: &Poller, id: u64, mut job: Job, ended: &mut Ended) -> bool {
        let Some(worker) = self.workers.get_mut(&id) else {
            self.requeued.push_front(job);
            return true;
        };
        if !job.start() || job.is_cancelled() {
            ended.push((job, TaskError::Cancelled));
            return false;
        }
        if let Err(job) = worker.lane.push(job) {
            let cause = Cause::new("the argument is too long for a message");
            ended.push((job, TaskError::Codec(cause)));
            return false;
        }
        worker.given += 1;
        worker.time_front();
        self.flush(poller, id);
        true
    }

    /// Writes what the worker's pipe takes.
    pub(crate) fn flush(&mut self, poller: &Poller, id: u64) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if let Err(error) = worker.flush(poller, id) {
            let complaint = format!("it could not be written to: {error}");
            self.condemn(id, Why::Complaint(complaint));
        }
    }

    /// Takes the task that a worker has answered. `None` if that breaks the protocol.
    pub(crate) fn answered(&mut self, poller: &Poller, id: u64, sequence: u64) -> Option<Job> {
        let worker = self.workers.get_mut(&id)?;
        let job = worker.lane.answered(sequence)?;
        self.failures = 0;
        self.retry_at = None;
        worker.time_front();
        if worker.lane.is_empty() && worker.stage == Stage::Ready && worker.condemned.is_none() {
            if self.limits.tasks.is_some_and(|limit| worker.given >= limit) {
                self.leave(poller, id);
            } else {
                self.idle.push(id);
            }
        }
        Some(job)
    }

    /// Cancels everything that no worker has.
    pub(crate) fn cancel_queued(&mut self, ended: &mut Ended) {
        let all = self.requeued.drain(..).chain(self.queue.drain(..));
        ended.extend(all.map(|job| (job, TaskError::Cancelled)));
    }

    /// Stops what was cancelled and is running, or was queued again.
    fn stop_cancelled(&mut self, ended: &mut Ended) {
        let cancelled = |worker: &Worker| worker.lane.front().is_some_and(Job::is_cancelled);
        for id in self.select(cancelled) {
            self.condemn(id, Why::Cancelled);
        }
        let all = std::mem::take(&mut self.requeued);
        for job in all {
            if job.is_cancelled() {
                ended.push((job, TaskError::Cancelled));
            } else {
                self.requeued.push_back(job);
            }
        }
    }

    // Workers.

    fn select(&self, which: impl Fn(&Worker) -> bool) -> Vec<u64> {
        let selected = self.workers.iter().filter(|(_, worker)| which(worker));
        selected.map(|(&id, _)| id).collect()
    }

    /// Whether another worker would have something to do, and there is room for it.
    fn wants_worker(&self) -> bool {
        !self.is_spawning && self.active < self.limits.workers && self.starting < self.queued()
    }

    /// The number that the next worker will have.
    pub(crate) const fn next_worker(&self) -> u64 {
        self.next
    }

    /// Adds a worker that was started.
    pub(crate) fn add(&mut self, poller: &Poller, child: Child, setup: &[u8]) {
        let id = self.next;
        self.next += 1;
        self.is_spawning = false;
        self.active += 1;
        self.starting += 1;
        let mut lane = Lane::default();
        lane.control(setup);
        self.workers.insert(
            id,
            Worker {
                child,
                lane,
                stage: Stage::Starting,
                given: 0,
                deadline: None,
                condemned: None,
                is_blocked: false,
            },
        );
        self.flush(poller, id);
        if self.closed.is_some() && self.queued() == 0 {
            self.dismiss(poller);
        }
    }

    /// A worker could not be started.
    pub(crate) fn not_added(&mut self, ended: &mut Ended) {
        self.is_spawning = false;
        self.count_failure(ended);
    }

    /// A worker has said that it can work.
    pub(crate) fn ready(&mut self, id: u64) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        if worker.stage == Stage::Starting {
            worker.stage = Stage::Ready;
            self.starting -= 1;
            if worker.condemned.is_none() {
                self.idle.push(id);
            }
        }
    }

    /// Tells a worker that has nothing to do to leave.
    fn leave(&mut self, poller: &Poller, id: u64) {
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
        worker.deadline = Instant::now().checked_add(GRACE);
        let mut message = Vec::new();
        frame::begin(&mut message);
        // It is short.
        let _ = frame::seal(&mut message, LEAVE, 0);
        worker.lane.control(&message);
        self.idle.retain(|&idle| idle != id);
        self.flush(poller, id);
    }

    /// Has all workers leave that have nothing to do.
    fn dismiss(&mut self, poller: &Poller) {
        for id in self.select(|worker| worker.lane.is_empty()) {
            self.leave(poller, id);
        }
    }

    /// Kills a worker. What it has not begun by now it never will.
    pub(crate) fn condemn(&mut self, id: u64, why: Why) {
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        worker.deadline = None;
        if worker.condemned.is_none() {
            let unstarted = worker.child.page().take_back(worker.lane.next());
            worker.condemned = Some(Condemned { why, unstarted });
            self.idle.retain(|&idle| idle != id);
        }
        worker.child.kill();
    }

    /// Waits for the end of a worker that was condemned.
    pub(crate) fn await_end(&self, id: u64) {
        if let Some(worker) = self.workers.get(&id) {
            worker.child.await_end();
        }
    }

    /// A worker has ended, and all that it had written was read.
    pub(crate) fn bury(&mut self, poller: &Poller, id: u64, ended: &mut Ended) {
        let Some(worker) = self.workers.remove(&id) else {
            return;
        };
        self.idle.retain(|&idle| idle != id);
        if worker.stage != Stage::Leaving {
            self.active -= 1;
        }
        if worker.stage == Stage::Starting {
            self.starting -= 1;
        }
        if worker.is_blocked {
            poller.remove(worker.child.tasks());
        }
        poller.remove(worker.child.process_fd());
        let exit = worker.child.reap();
        let page = worker.child.page();
        let unstarted = match &worker.condemned {
            Some(condemned) => condemned.unstarted,
            None => page.take_back(worker.lane.next()),
        };
        let done = page.done();
        let (pid, given) = (worker.child.pid(), worker.given);
        let why = worker.condemned.map(|condemned| condemned.why);
        let (started, rest) = worker.lane.dissolve(unstarted);

        let has_begun = !started.is_empty() || given > rest.len() as u64;
        let was_wanted = worker.stage == Stage::Starting || !rest.is_empty();
        for (sequence, job) in started {
            let error = match &why {
                Some(Why::Cancelled) if job.is_cancelled() || self.closed.is_some() => {
                    TaskError::Cancelled
                }
                Some(Why::TimedOut(late)) if *late == sequence => TaskError::TimedOut,
                why => TaskError::Lost(Cause::new(WorkerDied {
                    pid,
                    exit,
                    finished: sequence < done,
                    argument_size: job.argument_size(),
                    complaint: complaint(why.as_ref(), exit),
                })),
            };
            ended.push((job, error));
        }
        for job in rest.into_iter().rev() {
            if job.is_cancelled() {
                ended.push((job, TaskError::Cancelled));
            } else {
                self.requeued.push_front(job);
            }
        }
        if !has_begun && was_wanted && !matches!(why, Some(Why::Cancelled | Why::TimedOut(_))) {
            self.count_failure(ended);
        }
    }

    /// A worker has died before it did anything, or could not be started at all.
    fn count_failure(&mut self, ended: &mut Ended) {
        self.failures += 1;
        let doublings = self.failures.saturating_sub(1).min(16);
        let pause = BACK_OFF_MAX.min(BACK_OFF * 2_u32.pow(doublings));
        self.retry_at = Instant::now().checked_add(pause);
        let others = self.active > self.starting;
        if self.failures >= FAILURES_MAX && !others {
            self.closed = Some(Rejection::Broken);
            let all = self.requeued.drain(..).chain(self.queue.drain(..));
            ended.extend(all.map(|job| (job, TaskError::Rejected(Rejection::Broken))));
        }
    }

    // The pool as a whole.

    /// Accepts nothing more.
    pub(crate) fn close(&mut self, poller: &Poller, ended: &mut Ended) {
        if self.closed.is_none() {
            self.closed = Some(Rejection::ShutDown);
        }
        self.dispatch(poller, ended);
    }

    /// Accepts nothing more, and kills whatever there is.
    pub(crate) fn kill(&mut self, poller: &Poller, ended: &mut Ended) {
        self.cancel_queued(ended);
        self.close(poller, ended);
        for id in self.select(|_| true) {
            self.condemn(id, Why::Cancelled);
        }
    }

    /// Does what is due, and says what the pool's thread does next.
    pub(crate) fn turn(&mut self, poller: &Poller, cancels: bool, ended: &mut Ended) -> Step {
        if cancels {
            self.stop_cancelled(ended);
        }
        let mut next = self
            .workers
            .values()
            .filter_map(|worker| worker.deadline)
            .min();
        if next.is_some_and(|next| next <= Instant::now()) {
            self.expire();
            next = self
                .workers
                .values()
                .filter_map(|worker| worker.deadline)
                .min();
        }
        self.dispatch(poller, ended);
        if self.wants_worker() {
            match self.retry_at {
                Some(at) if at > Instant::now() => {
                    next = Some(next.map_or(at, |next| next.min(at)));
                }
                _ => {
                    self.is_spawning = true;
                    return Step::Spawn;
                }
            }
        }
        if self.closed.is_some() && self.workers.is_empty() && self.queued() == 0 {
            return Step::End;
        }
        Step::Wait(next)
    }

    /// Kills the workers whose time is over.
    fn expire(&mut self) {
        let now = Instant::now();
        for id in self.select(|worker| worker.deadline.is_some_and(|deadline| deadline <= now)) {
            let Some(worker) = self.workers.get(&id) else {
                continue;
            };
            let why = match worker.lane.front_number() {
                Some(sequence) => Why::TimedOut(sequence),
                None => Why::Complaint("it did not leave".to_owned()),
            };
            self.condemn(id, why);
        }
    }
}

impl Worker {
    /// Starts the clock of the task that runs from now on.
    fn time_front(&mut self) {
        let limit = self.lane.front().and_then(Job::limit);
        self.deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    }

    fn flush(&mut self, poller: &Poller, id: u64) -> std::io::Result<()> {
        loop {
            let pieces = self.lane.unwritten();
            if pieces.is_empty() {
                if std::mem::take(&mut self.is_blocked) {
                    poller.remove(self.child.tasks());
                }
                return Ok(());
            }
            match rustix::io::writev(self.child.tasks(), &pieces) {
                Ok(written) => {
                    drop(pieces);
                    self.lane.wrote(written);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if !self.is_blocked {
                        let token = token::new(id, token::Source::Tasks);
                        poller.add(self.child.tasks(), token, Interest::Write)?;
                        self.is_blocked = true;
                    }
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What a task's error says about a worker that was killed.
fn complaint(why: Option<&Why>, exit: Exit) -> Option<String> {
    let was_killed = matches!(
        exit,
        Exit::Signal {
            signal: libc::SIGKILL,
            ..
        }
    );
    match why? {
        Why::Complaint(text) => Some(text.clone()),
        Why::Silent if was_killed => Some(
            "it was killed since it had closed its end of the pool's pipe; does the task close \
             descriptors that are not its own?"
                .to_owned(),
        ),
        Why::Silent => None,
        Why::Cancelled | Why::TimedOut(_) => {
            Some("it was killed because of another task".to_owned())
        }
    }
}
