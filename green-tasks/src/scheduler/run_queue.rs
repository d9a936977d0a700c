//! Whose turn is next: first in, first out; or, in a deterministic runtime, as the seed says.
//!
//! Where many wait for their turn, what each needs has left the nearest cache since its last one. The order is
//! known, so it is prefetched during others' turns: of the task after next, the [`Task`], and of the next, what
//! that points to: its fiber and the frames on its stack.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::task::Task;

/// If at least so many are queued, they are prefetched: fewer stay in the nearest cache.
const MANY: usize = 32;

/// The tasks that can go on.
pub(super) struct RunQueue {
    tasks: RefCell<VecDeque<Rc<Task>>>,
    /// The state of the random choice, if the first is not always next.
    seed: Option<Cell<u64>>,
}

impl RunQueue {
    pub(super) fn new(seed: Option<u64>) -> Self {
        Self {
            tasks: RefCell::new(VecDeque::new()),
            seed: seed.map(Cell::new),
        }
    }

    #[inline]
    pub(super) fn push(&self, task: Rc<Task>) {
        self.tasks.borrow_mut().push_back(task);
    }

    #[inline]
    pub(super) fn pop(&self) -> Option<Rc<Task>> {
        let mut tasks = self.tasks.borrow_mut();
        if let Some(seed) = &self.seed
            && tasks.len() > 1
        {
            let place = random(seed) % tasks.len() as u64;
            // The first one moves to its place.
            return tasks.swap_remove_front(place as usize);
        }
        let first = tasks.pop_front();
        if tasks.len() >= MANY {
            fetch_next(&tasks);
        }
        first
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.borrow().len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.borrow().is_empty()
    }
}

/// Prefetches the task after next, and what the next one points to.
#[inline(always)]
fn fetch_next(tasks: &VecDeque<Rc<Task>>) {
    if let Some(task) = tasks.get(1) {
        Task::fetch(task);
    }
    if let Some(task) = tasks.front() {
        task.fetch_stack();
    }
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
fn random(state: &Cell<u64>) -> u64 {
    let next = state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
    state.set(next);
    let mixed = (next ^ (next >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
