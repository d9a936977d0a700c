//! A task: what the scheduler knows of it. See [the protocol](super) for who changes what.

use std::cell::{Cell, OnceCell, RefCell};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use future_result::CellId;

use super::inbox::Inbox;
use super::interrupt::Interrupts;
use super::job::{FutureJob, Job};
use super::waker::WakeHandle;
use crate::engine::{Fiber, Suspender};
use crate::local::Locals;

/// Which task it is, also for those that may come too late: no other task has the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In the run queue. One that has not started begins here.
    Queued,
    /// Its code runs, or has called something that runs.
    Running,
    /// It rests until it is woken.
    Resting,
    /// It rested on the thread's own stack and its turn has come; whoever drives there goes on.
    Due,
    /// It has ended.
    Ended,
}

/// What runs when it is a task's turn.
pub(crate) enum Body {
    /// A closure that has not started.
    Unstarted(Box<dyn Job>),
    /// A future between two polls.
    Future(Pin<Box<dyn FutureJob>>),
    /// A closure that has suspended at least once, and how to go on with it.
    Fiber(Fiber),
    /// Nothing of these: it is running, or rests on the thread's own stack, or has ended.
    Elsewhere,
}

/// What a resting task rests for, as reports tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    /// As in "task 1 *waits for a lock*".
    pub(crate) what: &'static str,
    /// Whose call that was, if it is known.
    pub(crate) at: Option<&'static Location<'static>>,
    /// Who can end it.
    pub(crate) ends: Ends,
}

impl Rest {
    /// A task goes on as soon as the others have had a turn.
    pub(crate) const YIELDS: Self = Self {
        what: "lets others have a turn",
        at: None,
        ends: Ends::Here,
    };
    /// A future waits, for whatever its waker was given to.
    pub(super) const AWAITS: Self = Self {
        what: "awaits something",
        at: None,
        ends: Ends::Elsewhere,
    };
    /// A task waits for handles.
    pub(super) const HANDLES: Self = Self {
        what: "waits for a result",
        at: None,
        ends: Ends::Ask,
    };
}

/// What a task does.
pub(crate) enum Doing {
    /// Its code is running.
    Runs,
    /// It waits for its turn alone.
    IsReady,
    /// It waits for this.
    Rests(Rest),
}

/// Who can end a task's rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// This runtime alone.
    Here,
    /// The tasks of a handle or of several: the task itself can find out.
    Ask,
    /// Others, or nobody knows.
    Elsewhere,
}

/// What a task has found out when it was asked; in a box, since few ever are.
struct Answer {
    awaited: Vec<CellId>,
}

/// A task of a scheduler. Never leaves its thread.
pub(crate) struct Task {
    pub(crate) key: Key,
    /// Its number, in the order of spawning on one thread; no other task of the run has it.
    pub(crate) serial: u64,
    pub(crate) spawned_at: &'static Location<'static>,
    /// Its outcome's cell, if it has one.
    pub(crate) cell: Option<CellId>,
    pub(super) phase: Cell<Phase>,
    /// It was woken while it was running, so its next rest is short.
    pub(super) woken: Cell<bool>,
    /// While a fiber runs it is borrowed, and stays where it is: moved there and back, its last word would be
    /// read before the CPU has it.
    pub(super) body: RefCell<Body>,
    /// How many polls of futures or handles it is in, one inside the other.
    pub(super) polls: Cell<u32>,
    /// A rest within a poll has swallowed a wake-up that may have been meant for the poll.
    pub(super) owed: Cell<bool>,
    pub(super) rest: Cell<Option<Rest>>,
    /// When its last rest began, as far as the clock had been looked at.
    pub(crate) since: Cell<Instant>,
    /// Its values of its own.
    pub(crate) locals: Locals,
    /// Asked to find out what it waits for, and what it found.
    pub(super) asked: Cell<bool>,
    answer: Cell<Option<Box<Answer>>>,
    /// It is in the scheduler's list of those that may be unwinding.
    pub(super) is_unsure: Cell<bool>,
    pub(crate) interrupts: Interrupts,
    /// It was given what it waits for; see [`WaitQueue`](crate::sync::WaitQueue).
    pub(crate) granted: Cell<bool>,
    /// Set while it runs on a stack of its own.
    pub(super) suspender: Cell<Option<Suspender>>,
    waker: OnceCell<Waker>,
}

/// As much as a future that is a task costs, besides its outcome's cell and its waker; the checkers' types are
/// larger.
#[cfg(all(
    target_pointer_width = "64",
    not(any(pool_loom, pool_sim, pool_unpooled))
))]
const _: () = assert!(size_of::<Task>() <= 232);

impl Task {
    #[inline]
    pub(super) fn new(
        key: Key,
        serial: u64,
        spawned_at: &'static Location<'static>,
        cell: Option<CellId>,
        now: Instant,
        body: Body,
    ) -> Self {
        Self {
            key,
            serial,
            spawned_at,
            cell,
            phase: Cell::new(Phase::Queued),
            woken: Cell::new(false),
            body: RefCell::new(body),
            polls: Cell::new(0),
            owed: Cell::new(false),
            rest: Cell::new(None),
            since: Cell::new(now),
            locals: Locals::new(),
            asked: Cell::new(false),
            answer: Cell::new(None),
            is_unsure: Cell::new(false),
            interrupts: Interrupts::default(),
            granted: Cell::new(false),
            suspender: Cell::new(None),
            waker: OnceCell::new(),
        }
    }

    /// Its waker, which other threads may have.
    pub(super) fn waker(&self, inbox: &Arc<Inbox>) -> &Waker {
        self.waker
            .get_or_init(|| WakeHandle::waker(Arc::clone(inbox), self.key))
    }

    /// Has its next rest end as soon as the others have had a turn.
    #[inline]
    pub(crate) fn wake_self(&self) {
        self.woken.set(true);
    }

    /// What it rests for, if it rests.
    pub(crate) fn rest(&self) -> Option<Rest> {
        self.rest.get()
    }

    /// What it does, for those that ask.
    pub(crate) fn doing(&self) -> Doing {
        match (self.phase.get(), self.rest.get()) {
            (Phase::Resting, Some(rest)) => Doing::Rests(rest),
            (Phase::Running, _) => Doing::Runs,
            _ => Doing::IsReady,
        }
    }

    /// Whom it waits for, if it rests and was asked.
    pub(crate) fn awaited(&self) -> Vec<CellId> {
        let answer = self.answer.take();
        let awaited = answer.as_ref().map(|answer| answer.awaited.clone());
        self.answer.set(answer);
        awaited.unwrap_or_default()
    }

    /// Notes whom it waits for.
    pub(super) fn set_awaited(&self, awaited: Vec<CellId>) {
        self.answer.set(Some(Box::new(Answer { awaited })));
    }

    /// It waits for nobody any more.
    pub(super) fn forget_awaited(&self) {
        self.answer.set(None);
    }

    /// Runs `poll`, and sees to it that no wake-up is lost to a rest within it.
    pub(super) fn polling<R>(&self, poll: impl FnOnce() -> R) -> R {
        struct Polling<'a>(&'a Task);

        impl Drop for Polling<'_> {
            fn drop(&mut self) {
                self.0.polls.set(self.0.polls.get() - 1);
                if self.0.owed.take() {
                    self.0.woken.set(true);
                }
            }
        }

        self.polls.set(self.polls.get() + 1);
        let _polling = Polling(self);
        poll()
    }
}
