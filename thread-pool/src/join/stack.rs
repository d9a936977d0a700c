//! The joins that a worker is in: most of them private, a few offered to the others.
//!
//! The worker keeps its joins on a private stack, where pushing and popping are plain memory
//! accesses. The oldest few, which are the largest parts of a recursive problem, are also in *slots*,
//! from where the others may steal them. Whoever swaps a job out of its slot has it.
//!
//! As many are offered as there are other workers, if there are so many joins: so the others find
//! something to do even if it is long until the worker pushes again. That no younger one can be
//! stolen before it does is the price for pushes without a fence. (Splitting a deque
//! into a public and a private part: Dinan et al., "Scalable Work Stealing", SC 2009. Offering the
//! oldest from time to time: Acar et al., "Heartbeat Scheduling", PLDI 2018.)
//!
//! # Levels
//!
//! A worker that waits for a stolen job helps its thief: it takes from its slots what was offered
//! there since the thief began that job, which are parts of the very job that it waits for, and
//! nothing else (Wagner and Calder, "Leapfrogging", PPoPP 1993). To tell them apart, a worker that
//! runs a job while it waits in a join does so on a higher *level*, and its slots say on which level
//! each job was offered. The job itself says on which level of which worker it is being run. What
//! is offered on that level or above, while the job is running, is a part of it.

#[cfg(all(test, pool_loom))]
mod model;

use std::cell::Cell;
use std::ptr::{self, NonNull};

use future_result::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use super::Header;

/// The most jobs that are offered.
const SLOTS: usize = 8;
/// The highest level; the tag of a pointer to a [`Header`] has room for it.
pub(super) const LEVEL_MAX: usize = 7;
/// How deep joins may be nested. Those further in are ordinary calls.
const DEPTH_MAX: usize = 1024;

/// What a worker offers to the others.
pub(crate) struct Slots {
    jobs: [AtomicPtr<Header>; SLOTS],
    /// Whose they are: 1 + the worker's number, once it has started.
    owner: AtomicU32,
}

/// A worker's private stack of joins.
pub(crate) struct Stack {
    /// All joins that it is in, the oldest first, up to `depth`.
    jobs: Box<[Cell<*mut Header>; DEPTH_MAX]>,
    depth: Cell<usize>,
    /// Those below this were offered at some time, each in the slot of its place modulo `SLOTS`.
    offered: Cell<usize>,
    /// Those below this are known to have been stolen.
    stolen: Cell<usize>,
    /// If enough are offered, the slot of one that must still be there. `None`: offer more.
    watched: Cell<Option<usize>>,
    /// How many to offer at a time.
    width: usize,
    level: Cell<usize>,
}

const _: () = assert!(align_of::<Header>() > LEVEL_MAX);

impl Slots {
    pub(crate) fn new() -> Self {
        Self {
            jobs: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            owner: AtomicU32::new(0),
        }
    }

    /// Notes whose they are.
    pub(crate) fn set_owner(&self, worker: usize) {
        // ORDERING: Relaxed; only a number.
        self.owner.swap(worker as u32 + 1, Ordering::Relaxed);
    }

    /// Whether they are this worker's.
    pub(crate) fn are_of(&self, worker: usize) -> bool {
        // ORDERING: Relaxed, as in `set_owner`.
        self.owner.load(Ordering::Relaxed) == worker as u32 + 1
    }

    fn at(&self, place: usize) -> &AtomicPtr<Header> {
        &self.jobs[place % SLOTS]
    }

    /// Whether nothing is offered.
    pub(crate) fn are_empty(&self) -> bool {
        // ORDERING: Relaxed; a worker going to sleep has a fence before this, as `sleep` explains.
        self.jobs
            .iter()
            .all(|slot| slot.load(Ordering::Relaxed).is_null())
    }

    /// Takes back a job that was offered in the slot of this place. False if it was stolen.
    fn take_back(&self, place: usize, job: NonNull<Header>) -> bool {
        let slot = self.at(place);
        // ORDERING: Relaxed; the exchange decides. Nobody but us puts anything into the slot.
        let tagged = slot.load(Ordering::Relaxed);
        tagged.map_addr(|address| address & !LEVEL_MAX) == job.as_ptr()
            && slot
                .compare_exchange(tagged, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    /// Takes a job that was offered on this level or above. It is the caller's to run.
    pub(super) fn steal(&self, level: usize) -> Option<NonNull<Header>> {
        for slot in &self.jobs {
            // ORDERING: Relaxed; nothing is read through the pointer before the exchange.
            let tagged = slot.load(Ordering::Relaxed);
            if tagged.is_null() || tagged.addr() & LEVEL_MAX < level {
                continue;
            }
            // ORDERING: Acquire pairs with the Release of `offer`: we see the job. Whatever job
            // lies at this address now, it was offered; it need not be the one that was seen first.
            let taken =
                slot.compare_exchange(tagged, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed);
            if taken.is_ok() {
                return NonNull::new(tagged.map_addr(|address| address & !LEVEL_MAX));
            }
        }
        None
    }
}

impl Stack {
    /// For a worker with this many others.
    pub(crate) fn new(others: usize) -> Self {
        Self {
            jobs: Box::new([const { Cell::new(ptr::null_mut()) }; DEPTH_MAX]),
            depth: Cell::new(0),
            offered: Cell::new(0),
            stolen: Cell::new(0),
            watched: Cell::new(None),
            width: others.min(SLOTS),
            level: Cell::new(0),
        }
    }

    pub(super) fn level(&self) -> usize {
        self.level.get()
    }

    /// Runs `f` on this level.
    pub(super) fn on_level<R>(&self, level: usize, f: impl FnOnce() -> R) -> R {
        let before = self.level.replace(level);
        let result = f();
        self.level.set(before);
        result
    }

    /// Adds a job, and offers one to the others if they have too few.
    #[inline]
    pub(super) fn push(&self, slots: &Slots, job: NonNull<Header>) -> Pushed {
        let depth = self.depth.get();
        let Some(place) = self.jobs.get(depth) else {
            return Pushed::No;
        };
        place.set(job.as_ptr());
        self.depth.set(depth + 1);
        if let Some(watched) = self.watched.get()
            // ORDERING: Relaxed; only whether it is still there, and the next push looks again.
            && !slots.at(watched).load(Ordering::Relaxed).is_null()
        {
            return Pushed::Kept;
        }
        self.offer(slots)
    }

    /// Offers the oldest of those not offered yet, until there are enough.
    #[cold]
    fn offer(&self, slots: &Slots) -> Pushed {
        let (mut stolen, mut offered) = (self.stolen.get(), self.offered.get());
        // ORDERING: Relaxed, as in `push`.
        while stolen < offered && slots.at(stolen).load(Ordering::Relaxed).is_null() {
            stolen += 1;
        }
        let before = offered;
        while offered < self.depth.get() && offered - stolen < self.width {
            let job = self.jobs[offered].get();
            if job.is_null() {
                // A hole: as good as stolen.
                offered += 1;
                continue;
            }
            let level = self.level.get();
            let tagged = job.map_addr(|address| address | level);
            // ORDERING: Release publishes the job to `steal`. (A swap where a store would do, since
            // loom treats stores next to exchanges as unordered.)
            slots.at(offered).swap(tagged, Ordering::AcqRel);
            offered += 1;
        }
        self.stolen.set(stolen);
        self.offered.set(offered);
        self.watch();
        if offered > before {
            Pushed::Offered
        } else {
            Pushed::Kept
        }
    }

    fn watch(&self) {
        let (stolen, offered) = (self.stolen.get(), self.offered.get());
        let is_enough = self.width > 0 && offered - stolen >= self.width;
        self.watched.set(is_enough.then_some(stolen % SLOTS));
    }

    /// Takes back the youngest job. False if it was stolen.
    #[inline]
    pub(super) fn pop(&self, slots: &Slots, job: NonNull<Header>) -> bool {
        let place = self.depth.get().wrapping_sub(1);
        if self.jobs.get(place).map(Cell::get) != Some(job.as_ptr()) {
            return self.pop_out_of_turn(slots, job);
        }
        self.depth.set(place);
        place >= self.offered.get() || self.pop_offered(slots, place, job)
    }

    fn pop_offered(&self, slots: &Slots, place: usize, job: NonNull<Header>) -> bool {
        self.offered.set(place);
        self.stolen.set(self.stolen.get().min(place));
        self.watch();
        slots.take_back(place, job)
    }

    /// Like [`Stack::pop`], for any job: joins on coroutines need not end in reverse order.
    #[cold]
    fn pop_out_of_turn(&self, slots: &Slots, job: NonNull<Header>) -> bool {
        let jobs = &self.jobs[..self.depth.get()];
        let Some(place) = jobs.iter().rposition(|other| other.get() == job.as_ptr()) else {
            // Popped by another join, which cannot be while each pops its own.
            return false;
        };
        // Leaves a hole, unless there are only holes above.
        jobs[place].set(ptr::null_mut());
        let is_back = place >= self.offered.get() || slots.take_back(place, job);
        let depth = jobs.iter().rposition(|other| !other.get().is_null());
        let depth = depth.map_or(0, |last| last + 1);
        self.depth.set(depth);
        self.offered.set(self.offered.get().min(depth));
        self.stolen.set(self.stolen.get().min(depth));
        self.watch();
        is_back
    }
}

/// What became of a job to be added.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Not added, as there are too many already.
    No,
    /// Added, and nobody need be told.
    Kept,
    /// Added, and there is a new offer for the others.
    Offered,
}
