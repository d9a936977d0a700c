//! The workers that exist, as the others see them: whom to steal from.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use future_result::sync::Mutex;
use future_result::sync::atomic::{AtomicU32, Ordering};
use future_result::{Task, TaskDeque, TaskStealer};

use crate::join::{Slots, Stolen};
use crate::mailbox::Mailbox;
use crate::tally::{Tally, Totals};

/// All workers of a pool.
pub(crate) struct Roster {
    /// A copy made at another version is out of date.
    version: AtomicU32,
    inner: Mutex<Inner>,
}

struct Inner {
    /// By the worker's number.
    seats: Vec<Option<Arc<Seat>>>,
    /// What was counted by workers that have left, and by other threads.
    departed: Totals,
}

/// What a worker shows the others.
pub(crate) struct Seat {
    /// What its own tasks submitted.
    pub(crate) own: TaskStealer,
    /// What it took from outside.
    pub(crate) batch: TaskStealer,
    pub(crate) slots: Slots,
    pub(crate) mailbox: Mailbox,
    pub(crate) tally: Tally,
}

impl Seat {
    /// Whether there is anything to steal.
    fn has_tasks(&self) -> bool {
        !self.own.is_empty() || !self.batch.is_empty()
    }

    /// Takes one of its tasks.
    pub(crate) fn steal(&self) -> Option<Task> {
        self.batch.steal().or_else(|| self.own.steal())
    }
}

/// A worker's own copy of the roster.
pub(crate) struct Others {
    version: Cell<u32>,
    seats: RefCell<Vec<Arc<Seat>>>,
    /// Where the next theft begins, so that not all pick the same victim.
    next: Cell<usize>,
}

impl Roster {
    pub(crate) fn new() -> Self {
        Self {
            version: AtomicU32::new(1),
            inner: Mutex::new(Inner {
                seats: Vec::new(),
                departed: Totals::default(),
            }),
        }
    }

    /// Gives a worker that is about to start the lowest free number.
    pub(crate) fn enter(&self, seat: &Arc<Seat>) -> usize {
        let seats = &mut self.inner.lock().seats;
        let index = seats.iter().position(Option::is_none);
        let index = index.unwrap_or_else(|| {
            seats.push(None);
            seats.len() - 1
        });
        seats[index] = Some(Arc::clone(seat));
        self.changed();
        index
    }

    /// The worker of this number has left, or was not started.
    pub(crate) fn leave(&self, index: usize) {
        let inner = &mut *self.inner.lock();
        if let Some(seat) = inner.seats[index].take() {
            inner.departed.add(&seat.tally);
        }
        self.changed();
    }

    /// Called under the lock.
    fn changed(&self) {
        // ORDERING: Release pairs with the Acquire in `refresh`; the seats themselves come by the
        // lock. It may wrap.
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// The seats of all workers.
    pub(crate) fn all(&self) -> Vec<Arc<Seat>> {
        self.inner.lock().seats.iter().flatten().cloned().collect()
    }

    /// The seats of all workers, with their numbers.
    pub(crate) fn numbered(&self) -> Vec<(usize, Arc<Seat>)> {
        let inner = self.inner.lock();
        let seats = inner.seats.iter().enumerate();
        let seats = seats.filter_map(|(index, seat)| Some((index, Arc::clone(seat.as_ref()?))));
        seats.collect()
    }

    /// Counts what a thread that is no worker did.
    pub(crate) fn count(&self, count: impl FnOnce(&mut Totals)) {
        count(&mut self.inner.lock().departed);
    }

    /// What all counted together.
    pub(crate) fn totals(&self) -> Totals {
        let inner = self.inner.lock();
        let mut totals = inner.departed.clone();
        for seat in inner.seats.iter().flatten() {
            totals.add(&seat.tally);
        }
        totals
    }
}

impl Others {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            version: Cell::new(0),
            seats: RefCell::new(Vec::new()),
            next: Cell::new(index + 1),
        }
    }

    fn refresh(&self, roster: &Roster) {
        // ORDERING: Acquire pairs with the Release in `changed`.
        let version = roster.version.load(Ordering::Acquire);
        if version != self.version.get() {
            self.version.set(version);
            *self.seats.borrow_mut() = roster.all();
        }
    }

    /// Whether no worker has anything to steal, the caller included.
    pub(crate) fn are_idle(&self, roster: &Roster) -> bool {
        self.refresh(roster);
        let seats = self.seats.borrow();
        seats
            .iter()
            .all(|seat| !seat.has_tasks() && seat.slots.are_empty())
    }

    /// Whether somebody offers a join.
    pub(crate) fn offer_joins(&self, roster: &Roster) -> bool {
        self.refresh(roster);
        self.seats
            .borrow()
            .iter()
            .any(|seat| !seat.slots.are_empty())
    }

    /// Steals a join that one of the others offers.
    pub(crate) fn steal_join(&self, roster: &Roster) -> Option<Stolen> {
        self.refresh(roster);
        let seats = self.seats.borrow();
        let start = self.next.get();
        let offers = (0..seats.len()).map(|offset| &seats[(start + offset) % seats.len()].slots);
        offers
            .into_iter()
            .find_map(|slots| Stolen::from_slots(slots, 0))
    }

    /// Steals a join that this worker offers, on this level or above.
    pub(crate) fn steal_join_from(
        &self,
        roster: &Roster,
        worker: usize,
        level: usize,
    ) -> Option<Stolen> {
        self.refresh(roster);
        let seats = self.seats.borrow();
        let seat = seats.iter().find(|seat| seat.slots.are_of(worker))?;
        Stolen::from_slots(&seat.slots, level)
    }

    /// Steals half of what one of the others has; the rest of it goes into `deque`.
    pub(crate) fn steal(&self, roster: &Roster, deque: &TaskDeque) -> Option<Task> {
        self.refresh(roster);
        let seats = self.seats.borrow();
        let start = self.next.get();
        for offset in 0..seats.len() {
            let place = (start + offset) % seats.len();
            let seat = &seats[place];
            // The older ones first.
            let stolen = seat.batch.steal_into(deque);
            if let Some(task) = stolen.or_else(|| seat.own.steal_into(deque)) {
                // There may be more there next time.
                self.next.set(place);
                return Some(task);
            }
        }
        self.next.set(start.wrapping_add(1));
        None
    }
}
