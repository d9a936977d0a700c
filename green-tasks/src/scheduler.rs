//! The scheduler: whose turn it is, and what the other tasks wait for.
//!
//! A scheduler belongs to one call of [`Runtime::run`](crate::Runtime::run) and to one thread: the calling one, or
//! one of the run's other threads. Only that thread touches anything here but the [`inbox`] and the [`crew`], so
//! there are no atomics and no locks: only cells, whose borrows end before user code runs, before anything is
//! woken, and before stacks are switched.
//!
//! # Tasks
//!
//! A task is a closure on a stack of its own, a future, or what the call of `run` does on the thread's own stack
//! (the *main task*). It is in one of these phases:
//!
//! | phase | where it is | who ends the phase |
//! |---|---|---|
//! | `Queued` | in the run queue, once | [`Scheduler::run`](drive), by popping it |
//! | `Running` | on the CPU, or it has called something that drives others | itself: it rests, or ends |
//! | `Resting` | only in the table, and in what it waits for | whoever wakes it: it is `Queued` again |
//! | `Due` | it rested on the thread's own stack, and has been popped | itself, as soon as it is on top there |
//! | `Ended` | nowhere | nobody |
//!
//! *Waking* a task that rests puts it into the run queue. A running one notes that it was woken; when it wants to
//! rest, it goes to the end of the queue instead, so that it looks again and still lets the others run. In all
//! other phases there is nothing to do. Any rest may end spuriously: a task that rested checks again for what it
//! waits for.
//!
//! *Resting* is one call, [`Scheduler::rest`]. A task with a stack of its own switches back to the scheduler, which
//! is below it on the thread's stack. One without is on the thread's stack itself and runs turns from there until
//! its own comes: that is how the main task waits, and a future that calls something that blocks. Such waits nest,
//! as calls do: the lower one goes on when the upper one has ended. So stacks are only ever switched to that of a
//! started closure, and back.
//!
//! # The outside
//!
//! Other threads have wakers, which name a task by slot and generation and own no part of it; see [`inbox`]. Every
//! millisecond or 61 turns ([`pace`]), and when the run queue is empty, the scheduler checks the inbox, the clock
//! and the sockets. With nothing to do, it sleeps until one of them has something. If no timer runs, no socket is
//! waited for, and each task waits for another of the run, it is without hope; if all schedulers of the run are,
//! that is a deadlock, and all tasks are told to stop. A task that waits for a handle is first asked whose it is:
//! it is woken, looks, and rests again.
//!
//! # Several schedulers
//!
//! A run of several threads has a scheduler on each of them, with its own tables, queues, timers, reactor and
//! stacks. They share the [`crew`]: a queue of closures that are [`Send`] and have not started ([`parcel`]), and
//! who is asleep. Whoever takes one makes it its own task, for good. A started task never moves, so all that is
//! said above of one thread holds for each. Tasks of different schedulers know each other only by handles and
//! wakers, which go through inboxes, as those of any other thread do.
//!
//! Only the crew can tell that nothing can ever go on. It then asks all schedulers what they know, and tells them
//! the verdict ([`inquest`]). A scheduler that is alone asks itself.
//!
//! # Stopping
//!
//! See [`interrupt`]. A task that has not started is dropped at its turn; a future is dropped where it rests; a
//! closure unwinds. When `run`'s closure has ended, the crew's queue is closed, its content is dropped, and all
//! tasks, on all threads, are told to stop, and get turns until none is left. A scheduler without tasks leaves,
//! since nobody can give it one; the calling thread waits for the others to leave. A task that never ends, because
//! it waits in a destructor while it unwinds and nothing can wake it, is leaked with its stack: nothing else is
//! ever put there, so what points into it stays valid.

mod block;
mod crew;
mod drive;
mod idle;
mod inbox;
mod inquest;
mod interrupt;
mod job;
mod pace;
mod parcel;
mod run_queue;
mod spawn;
mod switch;
mod table;
mod task;
mod waker;

/// Which scheduler runs on the calling thread.
pub(crate) mod current;

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use future_result::PoolId;

pub(crate) use self::crew::{Crew, Post};
pub(crate) use self::inbox::{Inbox, Mail};
pub(crate) use self::interrupt::Unwind;
pub(crate) use self::job::{Call, Job};
use self::pace::Pace;
use self::run_queue::RunQueue;
pub(crate) use self::spawn::homeless;
use self::table::Table;
pub(crate) use self::task::{Doing, Ends, Rest, Task};
use crate::deadlock::Deadlock;
use crate::offload::Offload;
use crate::reactor::Reactor;
use crate::stack::StackPool;
use crate::time::Timers;
use crate::watchdog::Pulse;

/// After so many uses of sockets that did not have to wait, the other tasks get a turn.
const IO_BUDGET: u32 = 64;

/// All that belongs to one call of `run`.
pub(crate) struct Scheduler {
    /// Identifies its tasks' handles.
    id: PoolId,
    inbox: Arc<Inbox>,
    /// What it shares with the other schedulers of its run, if any.
    post: Option<Post>,
    /// Runs blocking calls elsewhere.
    pub(crate) offload: Offload,
    /// The tasks that have not ended.
    tasks: Table,
    /// How many tasks there have ever been.
    spawned: Cell<u64>,
    queue: RunQueue,
    /// The task whose code is running.
    current: RefCell<Rc<Task>>,
    /// `None` if closures cannot be tasks.
    stacks: Option<StackPool>,
    pub(crate) timers: Timers,
    start: Instant,
    /// The clock when it was last read, in nanoseconds from the start: half the size of an `Instant`, and
    /// each task has one.
    seen: Cell<u64>,
    /// Made when a socket first has to be waited for.
    reactor: OnceCell<Rc<Reactor>>,
    /// How often sockets may still be used before other tasks get a turn.
    io_budget: Cell<u32>,
    pace: Pace,
    /// What the watchdog reads, if there is one.
    pulse: Option<Arc<Pulse>>,
    /// How many tasks rest until something elsewhere wakes them.
    elsewhere: Cell<usize>,
    /// Tasks that began to rest while the thread was panicking, and may be unwinding.
    unsure: RefCell<Vec<Rc<Task>>>,
    /// `run`'s closure has ended.
    is_closing: Cell<bool>,
    /// Set when nothing could ever go on.
    deadlock: RefCell<Option<Deadlock>>,
    /// Set when the tasks that are left can neither go on nor be ended.
    stuck: RefCell<Option<Deadlock>>,
}

/// The parts that a scheduler is made from.
pub(crate) struct Settings {
    pub(crate) stacks: Option<StackPool>,
    pub(crate) post: Option<Post>,
    pub(crate) offload: Offload,
    /// Decides whose turn it is, and makes the clock virtual.
    pub(crate) seed: Option<u64>,
    pub(crate) pulse: Option<Arc<Pulse>>,
}

impl Scheduler {
    /// The calling code becomes its main task.
    pub(crate) fn new(settings: Settings, caller: &'static Location<'static>) -> Rc<Self> {
        let tasks = Table::new();
        let timers = Timers::new(settings.seed.is_some());
        let now = timers.seen();
        let main = tasks.enter_main(caller);
        let (id, inbox) = match &settings.post {
            None => (PoolId::new(), Arc::new(Inbox::new())),
            Some(post) => (post.crew.id(), Arc::clone(post.crew.inbox(post.place))),
        };
        Rc::new(Self {
            id,
            inbox,
            post: settings.post,
            offload: settings.offload,
            tasks,
            spawned: Cell::new(0),
            queue: RunQueue::new(settings.seed),
            current: RefCell::new(main),
            stacks: settings.stacks,
            timers,
            start: now,
            seen: Cell::new(0),
            reactor: OnceCell::new(),
            io_budget: Cell::new(IO_BUDGET),
            pace: Pace::new(now),
            pulse: settings.pulse,
            elsewhere: Cell::new(0),
            unsure: RefCell::new(Vec::new()),
            is_closing: Cell::new(false),
            deadlock: RefCell::new(None),
            stuck: RefCell::new(None),
        })
    }

    /// The identity of its tasks.
    pub(crate) fn id(&self) -> PoolId {
        self.id
    }

    /// Whether closures can be tasks.
    pub(crate) fn has_stacks(&self) -> bool {
        self.stacks.is_some()
    }

    /// Where other threads send mail.
    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// What it shares with the other schedulers of its run, if any.
    pub(crate) fn crew(&self) -> Option<&Arc<Crew>> {
        self.post.as_ref().map(|post| &post.crew)
    }

    /// All tasks that have not ended, in no order.
    pub(crate) fn all_tasks(&self) -> Vec<Rc<Task>> {
        self.tasks.all()
    }

    /// The most stack that any task has ever used.
    pub(crate) fn stack_high_water(&self) -> Option<usize> {
        self.stacks.as_ref()?.high_water()
    }

    /// Tells the watchdog whose turn it is; `None`: nobody's.
    #[inline]
    fn beat(&self, task: Option<&Task>) {
        if let Some(pulse) = &self.pulse {
            let task = task.map(|task| (task.serial, task.spawned_at));
            pulse.beat(task);
        }
    }

    /// Whether the task is this scheduler's and has not ended.
    pub(crate) fn owns(&self, task: &Rc<Task>) -> bool {
        let found = self.tasks.get(task.key);
        found.is_some_and(|found| Rc::ptr_eq(&found, task))
    }

    /// The task whose code is running.
    #[inline]
    pub(crate) fn current(&self) -> Rc<Task> {
        Rc::clone(&self.current.borrow())
    }

    /// Reads the clock.
    fn look_at_clock(&self) {
        self.timers.look();
        self.note_clock();
    }

    fn note_clock(&self) {
        let seen = self.timers.seen().saturating_duration_since(self.start);
        self.seen
            .set(u64::try_from(seen.as_nanos()).unwrap_or(u64::MAX));
    }

    /// When a task's last rest began, by the last reading of the clock.
    pub(crate) fn since(&self, task: &Task) -> Instant {
        self.start + Duration::from_nanos(task.since.get())
    }

    /// The reactor, made at the first call.
    pub(crate) fn reactor(&self) -> io::Result<&Rc<Reactor>> {
        if self.reactor.get().is_none() {
            let reactor = Rc::new(Reactor::new()?);
            // Nobody else can have set it meanwhile.
            let _ = self.reactor.set(reactor);
        }
        self.reactor
            .get()
            .ok_or_else(|| io::ErrorKind::Other.into())
    }

    /// The same, unless no socket has had to be waited for.
    pub(crate) fn reactor_if_any(&self) -> Option<&Reactor> {
        self.reactor.get().map(|reactor| &**reactor)
    }

    /// Counts a use of a socket. False if there were so many that other tasks should get a turn.
    pub(crate) fn may_use_io(&self) -> bool {
        let left = self.io_budget.get();
        self.io_budget.set(left.checked_sub(1).unwrap_or(IO_BUDGET));
        left > 0
    }

    /// Gives other tasks a turn if sockets were used that often: now, or at the next use at which the calling
    /// task may suspend.
    pub(crate) fn spend_io(&self) {
        if self.may_use_io() {
            return;
        }
        let task = self.current();
        if task.is_pinned() {
            return self.io_budget.set(0);
        }
        self.give_way(&task);
    }

    /// The deadlock, if one was found.
    pub(crate) fn take_deadlock(&self) -> Option<Deadlock> {
        self.deadlock.take()
    }

    /// The tasks that had to be left behind, if any.
    pub(crate) fn take_stuck(&self) -> Option<Deadlock> {
        self.stuck.take()
    }
}
