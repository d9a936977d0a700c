//! A worker: initialize, then find and run until the pool is closed and drained.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use future_result::sync::atomic::{Ordering, fence};
use future_result::sync::thread;
use future_result::{
    Cause, CellId, OwnQueue, PoolId, Rejection, Status, Task, TaskDeque, TaskError, TaskList,
    contain,
};

use crate::abandoned::{Abandoned, Why};
use crate::core::{Core, fail_all};
use crate::current;
use crate::join::{Slots, Stack, Stolen};
use crate::lanes::Turns;
use crate::patience::Patience;
use crate::roster::{Others, Seat};
use crate::sleep::{Awake, Bed};
use crate::tally::Tally;
use crate::worker_state::{Begun, StateError};

/// A worker takes one in this many tasks from outside, so that tasks that submit others without
/// end cannot starve the rest.
const OUTSIDE_EVERY: u32 = 61;

/// What a worker keeps to itself.
pub(crate) struct Local {
    core: Arc<Core>,
    /// The pool's own.
    abandoned: Arc<Abandoned>,
    index: usize,
    queues: Queues,
    /// What the others see of it.
    seat: Arc<Seat>,
    others: Others,
    joins: Stack,
    bed: Arc<Bed>,
    /// Tasks popped from its queues.
    pops: Cell<u32>,
    patience: Patience,
    /// Which lane it takes from next.
    turns: Turns,
    /// How often it is inside `blocking`; unless 0, it does not count.
    blocked: Cell<u32>,
    /// The state that it made for its tasks.
    state: RefCell<Option<Rc<dyn Any>>>,
}

/// The tasks at hand. The others may steal from both queues.
///
/// There are two, so that a task which waits for what it has submitted finds that at the front,
/// whatever was taken from outside before.
pub(crate) struct Queues {
    /// What the worker's own tasks submitted.
    pub(crate) own: TaskDeque,
    /// What it took from outside, or stole.
    pub(crate) batch: TaskDeque,
}

impl Queues {
    pub(crate) fn new() -> Self {
        Self {
            own: TaskDeque::new(),
            batch: TaskDeque::new(),
        }
    }

    fn pop(&self) -> Option<Task> {
        self.own.pop().or_else(|| self.batch.pop())
    }
}

impl Local {
    /// The pool that the worker belongs to.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Its number.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// What it counts.
    pub(crate) fn tally(&self) -> &Tally {
        &self.seat.tally
    }

    /// How often it is inside `blocking`. Calls need not be nested: several green tasks of one thread
    /// may be inside, and leave in any order.
    pub(crate) fn blocked(&self) -> &Cell<u32> {
        &self.blocked
    }

    /// The state that it made for its tasks.
    pub(crate) fn state(&self) -> Option<Rc<dyn Any>> {
        self.state.borrow().clone()
    }

    /// Where it sleeps.
    pub(crate) fn bed(&self) -> *const Bed {
        Arc::as_ptr(&self.bed)
    }

    /// The joins that it is in.
    pub(crate) fn joins(&self) -> &Stack {
        &self.joins
    }

    /// The joins that it offers to the others.
    pub(crate) fn slots(&self) -> &Slots {
        &self.seat.slots
    }

    /// Tells the others of a join that they may take part in.
    #[cold]
    pub(crate) fn offered(&self) {
        // ORDERING: the producer's fence in the proof of `sleep`.
        fence(Ordering::SeqCst);
        self.core.wake_if_wanting();
    }

    /// Steals a join that this worker offers, on this level or above.
    pub(crate) fn steal_join_from(&self, worker: usize, level: usize) -> Option<Stolen> {
        self.others
            .steal_join_from(&self.core.roster, worker, level)
    }

    /// Steals a join and runs it. False if nobody offers one.
    fn take_part(&self) -> bool {
        let stolen = self.others.steal_join(&self.core.roster);
        stolen.map(|job| job.run_on_top(self)).is_some()
    }

    /// Runs a task that left the queue, unless the pool has given up queued tasks, and counts it.
    #[inline]
    pub(crate) fn run(&self, task: Task) {
        let status = task.run_unless(|| self.abandoned.refusal());
        self.seat.tally.count(status);
    }

    /// Adds a task of its own; the caller wakes a worker if one is needed.
    #[inline]
    pub(crate) fn push(&self, task: Task) {
        if let Err(task) = self.queues.own.push(task) {
            self.make_room(task);
        }
    }

    /// Drops the tombstones among its own tasks, and if that is not enough, moves its newer half to the injector.
    #[cold]
    fn make_room(&self, newest: Task) {
        let mut kept = TaskList::new();
        while let Some(task) = self.queues.own.pop() {
            // Dropping a tombstone frees memory and runs no user code.
            if task.is_stale() {
                self.seat.tally.count(task.status());
            } else {
                kept.push_back(task);
            }
        }
        kept.push_back(newest);
        self.queues
            .own
            .push_from(&mut kept, TaskDeque::CAPACITY / 2);
        if !kept.is_empty() {
            self.core.injector.overflow(kept);
            // ORDERING: the producer's fence in the proof of `sleep`, which a plain push does without.
            fence(Ordering::SeqCst);
        }
    }

    /// The next task; searches and sleeps while there is none. `None` if the worker is to leave.
    fn next(&self) -> Option<Task> {
        let core = &self.core;
        if let Some(task) = self.seat.mailbox.take() {
            return Some(task);
        }
        if core.lanes.are_in_use()
            && !self.is_surplus()
            && let Some(task) = self.take_from_lanes()
        {
            self.tell_of_more();
            return Some(task);
        }
        let pops = self.pops.get().wrapping_add(1);
        self.pops.set(pops);
        if pops.is_multiple_of(OUTSIDE_EVERY) {
            self.take_part();
            // Busy with its own work, it need not pause to let more add up.
            if let Some(task) = self.pop_outside(0) {
                return Some(task);
            }
        }
        let pop_outside = || self.pop_outside(self.patience.pauses());
        if let Some(task) = self.queues.own.pop().or_else(pop_outside) {
            return Some(task);
        }
        core.sleep.start_searching();
        self.search()
    }

    /// The oldest task from outside. If it is to pause first, only one that is at hand.
    fn pop_outside(&self, pauses: usize) -> Option<Task> {
        if let Some(task) = self.queues.batch.pop() {
            return Some(task);
        }
        // With lanes in use the choice has been made, and must not be made again.
        let is_to_pause = pauses > 0 && !self.core.lanes.are_in_use();
        if is_to_pause || self.is_surplus() || !self.refill() {
            return None;
        }
        let task = self.queues.batch.pop();
        self.tell_of_more();
        task
    }

    /// Refills the batch. False if nothing came.
    fn refill(&self) -> bool {
        let workers = self.core.sleep.counts().live() as usize;
        let found = self.core.injector.refill(&self.queues.batch, workers);
        if found > 0 {
            self.patience.has_found(found);
        }
        found > 0
    }

    /// Wakes another worker if there is more to do than this one has taken.
    fn tell_of_more(&self) {
        // ORDERING: the producer's fence in the proof of `sleep`: tasks were moved.
        fence(Ordering::SeqCst);
        if self.core.sleep.is_wanting() && self.sees_work() {
            self.core.wake_if_wanting();
        }
    }

    /// Whether others have taken its place while it was blocked. In a closed pool every worker helps.
    fn is_surplus(&self) -> bool {
        self.core.sleep.is_crowded() && !self.core.is_over()
    }

    /// Whether there is work for any worker.
    pub(crate) fn sees_work(&self) -> bool {
        self.sees_normal() || !self.core.lanes.are_empty()
    }

    /// Whether there is work of normal priority for any worker.
    fn sees_normal(&self) -> bool {
        let core = &self.core;
        !core.injector.is_empty() || !self.others.are_idle(&core.roster)
    }

    /// Takes a task of another priority than normal, if it is its turn. The caller tells others of more.
    #[cold]
    fn take_from_lanes(&self) -> Option<Task> {
        self.core.lanes.take(&self.turns, self.sees_normal())
    }

    /// Like [`Local::next`], for a worker that counts as searching. One that is to leave no longer
    /// counts, and its mailbox is closed.
    fn search(&self) -> Option<Task> {
        let core = &self.core;
        let mailbox = &self.seat.mailbox;
        'search: loop {
            // One that keeps looking is enough; more would only get in each other's way.
            let (pauses, turns) = if core.sleep.is_sole_searcher() {
                (self.patience.pauses(), self.patience.looks())
            } else {
                (0, 0)
            };
            for _ in 0..pauses {
                thread::yield_now();
            }
            for turn in 0..=turns {
                if turn > 0 {
                    thread::yield_now();
                }
                // A stolen join may have left it tasks of its own.
                let mut found = mailbox.take().or_else(|| self.queues.pop());
                if found.is_none() {
                    if self.is_surplus() {
                        break;
                    }
                    found = self.find();
                }
                if found.is_none() && self.others.offer_joins(&core.roster) {
                    // Others rely on searchers, so it must not count as one meanwhile.
                    if core.sleep.stop_searching() && self.sees_work() {
                        core.wake_if_wanting();
                    }
                    self.take_part();
                    core.sleep.start_searching();
                    continue 'search;
                }
                if found.is_some() {
                    self.patience.has_paid(turn);
                    if core.sleep.stop_searching() && self.sees_work() {
                        core.wake_if_wanting();
                    }
                    return found;
                }
            }
            if turns > 0 {
                self.patience.was_in_vain();
            }
            // Running tasks may still add work that needs others.
            let is_over = || core.is_over() && core.sleep.is_quiet();
            if is_over() && !self.sees_work() && mailbox.close_if_empty() {
                if core.sleep.leave() && self.sees_work() {
                    core.sleep.stay();
                    continue;
                }
                return None;
            }
            let to_do =
                |has_place| is_over() || !mailbox.is_empty() || (has_place && self.sees_work());
            let may_leave = || mailbox.close_if_empty();
            if core.sleep.sleep(&self.bed, to_do, may_leave) == Awake::Leave {
                return None;
            }
        }
    }

    fn find(&self) -> Option<Task> {
        if self.core.lanes.are_in_use()
            && let Some(task) = self.take_from_lanes()
        {
            return Some(task);
        }
        if self.refill()
            && let Some(task) = self.queues.batch.pop()
        {
            return Some(task);
        }
        self.others.steal(&self.core.roster, &self.queues.batch)
    }
}

impl OwnQueue for Local {
    #[inline]
    fn take_if_next(&self, task: CellId) -> Option<Task> {
        self.queues.own.pop_if(task)
    }

    #[inline]
    fn count(&self, status: Option<Status>) {
        self.seat.tally.count(status);
    }

    fn refusal(&self, pool: PoolId) -> Option<TaskError> {
        if pool == self.core.id {
            self.abandoned.refusal()
        } else {
            None
        }
    }

    fn goes_on_with_pairs(&self) -> Option<PoolId> {
        self.core.companion.get().map(|_| self.core.id)
    }

    fn give_up_place(&self) -> bool {
        self.leave_place()
    }

    fn take_place_again(&self) {
        self.return_to_place();
    }
}

/// The body of a worker's thread.
pub(crate) fn run(
    core: Arc<Core>,
    index: usize,
    queues: Queues,
    seat: Arc<Seat>,
    begun: Option<Begun>,
) {
    seat.slots.set_owner(index);
    let local = Rc::new(Local {
        joins: Stack::new(core.sleep.places() - 1),
        abandoned: Arc::clone(&core.abandoned),
        core,
        index,
        queues,
        seat,
        others: Others::new(index),
        bed: Arc::new(Bed::new()),
        pops: Cell::new(0),
        patience: Patience::new(),
        turns: Turns::default(),
        blocked: Cell::new(0),
        state: RefCell::new(None),
    });
    let core = &local.core;
    let queue: Rc<dyn OwnQueue> = local.clone();
    core.id.enter_with(queue, || {
        let has_begun = current::enter(&local, || {
            begin(&local, begun)?;
            core.sleep.started();
            let mut next = local.search();
            while let Some(task) = next {
                local.run(task);
                next = local.next();
            }
            Ok(())
        });
        // No longer a worker: what the user's code submits from here goes to the others.
        finalize(&local);
        match has_begun {
            Ok(()) => core.forget_worker(index),
            Err(Stateless) => {
                // What was submitted while making the state.
                while let Some(task) = local.queues.pop() {
                    core.leave_to_others(task);
                }
                let lost = Cause::new("the worker could not make its state");
                fail_all(local.seat.mailbox.close(), &TaskError::Lost(lost));
                core.forget_beginner(index);
            }
        }
    });
}

/// The worker has no state, and is to leave.
struct Stateless;

/// Initializes, and tells the builder how that went. After an error the worker does not count as
/// searching.
fn begin(local: &Local, begun: Option<Begun>) -> Result<(), Stateless> {
    let core = &local.core;
    let state = if core.threads.has_beginning() {
        initialize(local)
    } else {
        Some(Ok(()))
    };
    let Some(state) = state else {
        // Each of the others leaves after its current task.
        core.close(Rejection::Broken);
        core.abandon_queued(Why::Broken);
        return Ok(());
    };
    let answer = match state {
        Ok(()) => Ok(()),
        Err(_) => Err(Stateless),
    };
    // If nobody waits for the error, it is dropped, which runs the user's code.
    contain(|| drop(begun.map(|begun| begun.complete(state))));
    answer
}

/// Runs the initializer, and makes the worker's state. `None` if either panicked. After an error the
/// worker does not count as searching.
fn initialize(local: &Local) -> Option<Result<(), StateError>> {
    let core = &local.core;
    // It may take long; nobody should rely on this worker meanwhile.
    if core.sleep.stop_searching() && local.sees_work() {
        core.wake_if_wanting();
    }
    let mut outcome = None;
    contain(|| {
        if let Some(initializer) = &core.threads.initializer {
            initializer(local.index);
        }
        let state = core.threads.make_state.as_ref();
        outcome = Some(match state.map(|factory| (factory.make)(local.index)) {
            None => Ok(()),
            Some(Ok(state)) => {
                local.state.replace(Some(state));
                Ok(())
            }
            Some(Err(error)) => Err(error),
        });
    });
    if !matches!(outcome, Some(Err(_))) {
        core.sleep.start_searching();
    }
    outcome
}

/// Drops the worker's state, and runs the exit hook.
fn finalize(local: &Local) {
    let state = local.state.take();
    contain(|| drop(state));
    contain(|| {
        if let Some(exit_hook) = &local.core.threads.exit_hook {
            exit_hook(local.index);
        }
    });
}
