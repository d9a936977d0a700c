//! The workers that are there, as the others see them: whom to steal from.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use future_result::{Task, TaskDeque, TaskStealer};
use future_result::sync::Mutex;
use future_result::sync::atomic::{AtomicU32, Ordering};

/// All workers of a pool.
pub(crate) struct Roster {
    /// A copy that was made at another version is out of date.
    version: AtomicU32,
    seats: Mutex<Vec<Option<Arc<Seat>>>>,
}

/// What a worker shows to the others.
pub(crate) struct Seat {
    pub(crate) stealer: TaskStealer,
}

/// A worker's own copy of the roster.
pub(crate) struct Others {
    version: Cell<u32>,
    seats: RefCell<Vec<Arc<Seat>>>,
    /// Where the next theft begins, so that not all go to the same victim.
    next: Cell<usize>,
}

impl Roster {
    pub(crate) fn new() -> Self {
        Self {
            version: AtomicU32::new(1),
            seats: Mutex::new(Vec::new()),
        }
    }

    /// The lowest number that no worker has, for a worker that is about to start.
    pub(crate) fn enter(&self, seat: &Arc<Seat>) -> usize {
        let mut seats = self.seats.lock();
        let index = seats.iter().position(Option::is_none);
        let index = index.unwrap_or_else(|| {
            seats.push(None);
            seats.len() - 1
        });
        seats[index] = Some(Arc::clone(seat));
        self.changed();
        index
    }

    /// The worker of this number is gone, or was not started.
    pub(crate) fn leave(&self, index: usize) {
        let mut seats = self.seats.lock();
        seats[index] = None;
        self.changed();
    }

    /// Called under the lock.
    fn changed(&self) {
        // ORDERING: Release pairs with the Acquire in `refresh`; the seats themselves come by the
        // lock. A swap of old for new would do, but one fetch_add wraps as well.
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Everybody who is there.
    pub(crate) fn all(&self) -> Vec<Arc<Seat>> {
        self.seats.lock().iter().flatten().cloned().collect()
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

    /// Whether nobody has anything to steal, the asking worker included.
    pub(crate) fn are_idle(&self, roster: &Roster) -> bool {
        self.refresh(roster);
        self.seats.borrow().iter().all(|seat| seat.stealer.is_empty())
    }

    /// Steals half of what one of the others has; the rest of it goes into `deque`.
    pub(crate) fn steal(&self, roster: &Roster, deque: &TaskDeque) -> Option<Task> {
        self.refresh(roster);
        let seats = self.seats.borrow();
        let start = self.next.get();
        for offset in 0..seats.len() {
            let place = (start + offset) % seats.len();
            if let Some(task) = seats[place].stealer.steal_into(deque) {
                // There may be more where that came from.
                self.next.set(place);
                return Some(task);
            }
        }
        self.next.set(start.wrapping_add(1));
        None
    }
}
