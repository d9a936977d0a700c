//! A task: what the scheduler knows of it. See [the protocol](super) for who changes what.

use std::cell::{Cell, OnceCell, RefCell};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;

use future_result::CellId;

use super::inbox::Inbox;
use super::interrupt::Interrupts;
use super::job::{FutureJob, Job};
use super::waker::WakeHandle;
use crate::engine::{Fiber, Suspender};
use crate::local::Locals;

/// Identifies a task, also to latecomers: no other task ever has the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In the run queue. An unstarted task begins here.
    Queued,
    /// Its code runs, or has called something that runs.
    Running,
    /// It rests until it is woken.
    Resting,
    /// It rested on the thread's own stack and its turn has come; whoever drives there continues it.
    Due,
    /// It has ended.
    Ended,
}

/// What runs at a task's turn.
#[derive(Default)]
pub(crate) enum Body {
    /// A closure that has not started.
    Unstarted(Box<dyn Job>),
    /// A future between two polls.
    Future(Pin<Box<dyn FutureJob>>),
    /// A closure that has suspended at least once, and how to resume it.
    Fiber(Fiber),
    /// None of these: it is running, or rests on the thread's own stack, or has ended.
    #[default]
    Elsewhere,
}

/// What a resting task rests for, as reports show it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    /// As in "task 1 *waits for a lock*".
    pub(crate) what: &'static &'static str,
    /// Where that call was made, if known.
    pub(crate) at: Option<&'static Location<'static>>,
    /// Who can end it.
    pub(crate) ends: Ends,
}

impl Rest {
    /// A future waits for whatever it gave its waker to.
    pub(super) const AWAITS: Self = Self {
        what: &"awaits something",
        at: None,
        ends: Ends::Elsewhere,
    };
    /// A task waits for handles.
    pub(super) const HANDLES: Self = Self {
        what: &"waits for a result",
        at: None,
        ends: Ends::Ask,
    };
}

/// What a task does.
pub(crate) enum Doing {
    /// Its code is running.
    Runs,
    /// It only waits for its turn.
    IsReady,
    /// It waits for this.
    Rests(Rest),
}

/// Who can end a task's rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Only this runtime.
    Here,
    /// The tasks of one or more handles: the task itself can find out.
    Ask,
    /// Others, or nobody knows.
    Elsewhere,
}

/// What only few tasks have.
#[derive(Default)]
pub(super) struct Rare {
    pub(super) interrupts: Interrupts,
    /// Its task-local values.
    locals: Locals,
    /// It was asked to find out whom it waits for.
    asked: Cell<bool>,
    /// Whom it found.
    awaited: RefCell<Vec<CellId>>,
    waker: OnceCell<Waker>,
}

/// A task of a scheduler. Never leaves its thread.
///
/// The order puts all that each turn needs into the first two cache lines, along with the `Rc`'s counts.
#[repr(C)]
pub(crate) struct Task {
    pub(super) phase: Cell<Phase>,
    /// It was woken while it was running, so its next rest is short.
    pub(super) woken: Cell<bool>,
    /// It is polling a future or handles.
    is_polling: Cell<bool>,
    /// A rest within a poll consumed a wake-up that may have been meant for the poll.
    owed: Cell<bool>,
    /// It was given what it waits for; see [`WaitQueue`](crate::sync::WaitQueue).
    pub(crate) granted: Cell<bool>,
    /// It is in the scheduler's list of tasks that may be unwinding.
    pub(super) is_unsure: Cell<bool>,
    /// Its closure or future has ended, so it unwinds no more.
    pub(super) is_closed: Cell<bool>,
    /// Who can end its rest, if it rests.
    ends: Cell<Ends>,
    pub(super) body: Cell<Body>,
    /// Set while it runs on a stack of its own.
    pub(super) suspender: Cell<Option<Suspender>>,
    /// Boxed, and allocated when first needed.
    rare: OnceCell<Box<Rare>>,
    /// What it rests for and where that call was made, if it rests.
    resting: Cell<Option<(&'static &'static str, Option<&'static Location<'static>>)>>,
    /// When its last rest began, as the scheduler [counts](super::Scheduler::since).
    pub(super) since: Cell<u64>,
    pub(crate) key: Key,
    /// Its number, in the order of spawning on one thread; no other task of the run has it.
    pub(crate) serial: u64,
    pub(crate) spawned_at: &'static Location<'static>,
    /// Its outcome's cell, if it has one.
    pub(crate) cell: Option<CellId>,
}

/// With the `Rc`'s counts and the allocator's word, that makes two cache lines; the checkers' types are
/// larger.
#[cfg(all(
    target_pointer_width = "64",
    not(any(pool_loom, pool_sim, pool_unpooled))
))]
const _: () = assert!(size_of::<Task>() <= 104);

impl Task {
    #[inline]
    pub(super) fn new(
        key: Key,
        serial: u64,
        spawned_at: &'static Location<'static>,
        cell: Option<CellId>,
        now: u64,
        body: Body,
    ) -> Self {
        Self {
            key,
            serial,
            spawned_at,
            cell,
            phase: Cell::new(Phase::Queued),
            woken: Cell::new(false),
            is_polling: Cell::new(false),
            owed: Cell::new(false),
            granted: Cell::new(false),
            is_unsure: Cell::new(false),
            is_closed: Cell::new(false),
            ends: Cell::new(Ends::Here),
            resting: Cell::new(None),
            since: Cell::new(now),
            body: Cell::new(body),
            suspender: Cell::new(None),
            rare: OnceCell::new(),
        }
    }

    /// Its rare part, if it has one.
    #[inline]
    pub(super) fn get_rare(&self) -> Option<&Rare> {
        self.rare.get().map(Box::as_ref)
    }

    #[inline]
    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    /// Its interrupts, to raise one or to hold it off.
    pub(crate) fn interrupts(&self) -> &Interrupts {
        &self.rare().interrupts
    }

    /// Its task-local values, to enter one.
    pub(crate) fn locals(&self) -> &Locals {
        &self.rare().locals
    }

    /// The same, if there may be any.
    pub(crate) fn get_locals(&self) -> Option<&Locals> {
        self.get_rare().map(|rare| &rare.locals)
    }

    /// Its waker, which other threads may hold.
    pub(super) fn waker(&self, inbox: &Arc<Inbox>) -> &Waker {
        let waker = &self.rare().waker;
        waker.get_or_init(|| WakeHandle::waker(Arc::clone(inbox), self.key))
    }

    /// Makes its next rest end as soon as the others have had a turn.
    #[inline]
    pub(crate) fn wake_self(&self) {
        self.woken.set(true);
    }

    /// What it rests for, if it rests.
    pub(crate) fn rest(&self) -> Option<Rest> {
        let (what, at) = self.resting.get()?;
        let ends = self.ends.get();
        Some(Rest { what, at, ends })
    }

    /// Who can end its rest, if it rests.
    #[inline]
    pub(super) fn rest_ends(&self) -> Option<Ends> {
        self.resting.get().map(|_| self.ends.get())
    }

    #[inline]
    pub(super) fn begin_rest(&self, rest: Rest, now: u64) {
        self.resting.set(Some((rest.what, rest.at)));
        self.ends.set(rest.ends);
        self.since.set(now);
    }

    /// Its rest is over.
    #[inline]
    pub(super) fn end_rest(&self) {
        self.resting.set(None);
        self.note_owed();
    }

    /// It was suspended. If that was within a poll, the poll may have to be repeated.
    #[inline]
    pub(super) fn note_owed(&self) {
        if self.is_polling.get() {
            self.owed.set(true);
        }
    }

    /// A future is about to be polled. True if it rested.
    #[inline]
    pub(super) fn stop_awaiting(&self) -> bool {
        self.resting.take().is_some()
    }

    /// What it does, for dumps.
    pub(crate) fn doing(&self) -> Doing {
        match (self.phase.get(), self.rest()) {
            (Phase::Resting, Some(rest)) => Doing::Rests(rest),
            (Phase::Running, _) => Doing::Runs,
            _ => Doing::IsReady,
        }
    }

    /// Whom it waits for, if it rests and was asked.
    pub(crate) fn awaited(&self) -> Vec<CellId> {
        let awaited = self.get_rare().map(|rare| rare.awaited.borrow().clone());
        awaited.unwrap_or_default()
    }

    /// Notes whom it waits for.
    pub(super) fn set_awaited(&self, awaited: Vec<CellId>) {
        self.rare().awaited.replace(awaited);
    }

    /// It waits for nobody any more.
    pub(super) fn forget_awaited(&self) {
        self.set_awaited(Vec::new());
    }

    /// Asks it whom it waits for.
    pub(super) fn ask(&self) {
        self.rare().asked.set(true);
    }

    /// Whether it was asked since the last call.
    pub(super) fn take_asked(&self) -> bool {
        self.get_rare().is_some_and(|rare| rare.asked.take())
    }

    /// Its body rests again, or has not begun.
    #[inline]
    pub(super) fn put_back(&self, body: Body) {
        let former = self.body.replace(body);
        debug_assert!(matches!(former, Body::Elsewhere));
        // Or the compiler would check for a destructor to run.
        std::mem::forget(former);
    }

    /// Runs `poll`; a wake-up that a rest within it consumed is passed on.
    pub(super) fn polling<R>(&self, poll: impl FnOnce() -> R) -> R {
        struct Polling<'a> {
            task: &'a Task,
            is_inner: bool,
        }

        impl Drop for Polling<'_> {
            #[inline]
            fn drop(&mut self) {
                self.task.is_polling.set(self.is_inner);
                if self.task.owed.take() {
                    self.task.woken.set(true);
                }
            }
        }

        let _polling = Polling {
            task: self,
            is_inner: self.is_polling.replace(true),
        };
        poll()
    }
}
