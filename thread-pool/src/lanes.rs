//! Priorities: a lane before the injector and one behind it, and how each lane gets its turn.
//!
//! The injector and the workers' deques together are the lane of normal tasks. The other two are
//! injectors as well, but nobody looks at them until one has been given a task: so a pool that does
//! not use priorities pays one load of a line that nobody writes.
//!
//! A worker chooses a lane before each task, even if its own deques hold some. So a batch of
//! normal tasks that it took from the injector can still be overtaken, and what a task submits
//! with a priority goes to its lane, not to a deque.
//!
//! One more lane holds what running tasks add to their scopes after the pool has [given up](super::abandoned)
//! what is queued. It goes first, and is not swept.
//!
//! # Ageing
//!
//! Each worker counts how many tasks in a row it took while it passed over a lower lane that had
//! some. After [`PATIENCE`] of them that lane gets a turn. So about every 17th of a worker's tasks comes
//! from each of the lower lanes, however many there are above.

use std::cell::Cell;

use future_result::sync::atomic::{AtomicBool, Ordering, fence};
use future_result::{Rejection, Task, TaskList};

use crate::injector::Injector;
use crate::tally::Totals;

/// After this many tasks from above, a lane gets its turn.
const PATIENCE: u32 = 16;

/// Which tasks go first, for [`TaskBuilder::priority`](crate::TaskBuilder::priority).
///
/// A worker takes from the highest lane that has a task, and within a lane the oldest. What is running
/// is never interrupted. So that nothing starves, a worker that has taken 16 tasks in a row while a
/// lower lane had some takes one from there.
///
/// # Examples
///
/// ```
/// use thread_pool::{FutureResult, Priority, ThreadPoolExecutor};
///
/// let pool = ThreadPoolExecutor::new(2)?;
/// let urgent = pool.task().priority(Priority::High).submit(|| "soon");
/// let clean_up = pool.task().priority(Priority::Low).submit(|| "when there is time");
/// assert_eq!((urgent.result()?, clean_up.result()?), ("soon", "when there is time"));
/// assert!(Priority::Low < Priority::High);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// After all others.
    Low,
    /// What [`submit`](crate::ThreadPoolExecutor::submit) and the others give.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// The tasks that are not of normal priority. On a line that is not written while nobody uses them.
#[repr(align(128))]
pub(crate) struct Lanes {
    /// Whether there have ever been any.
    in_use: AtomicBool,
    high: Injector,
    low: Injector,
    /// Parts of running tasks.
    parts: Injector,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        Self {
            in_use: AtomicBool::new(false),
            high: Injector::new(),
            low: Injector::new(),
            parts: Injector::new(),
        }
    }

    fn open_for_use(&self) {
        // ORDERING: Relaxed; a worker going to sleep or to leave has a fence, or an Acquire that pairs
        // with the closing, before it looks. The fence after it is the producer's in the proof of
        // `sleep`: the push that follows has none that would order this.
        if !self.are_in_use() {
            self.in_use.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
        }
    }

    /// Whether anybody has to look here.
    #[inline]
    pub(crate) fn are_in_use(&self) -> bool {
        // ORDERING: Relaxed, as in `open_for_use`.
        self.in_use.load(Ordering::Relaxed)
    }

    /// Adds an urgent task. It comes back if the lanes are closed. The caller then issues a fence,
    /// and wakes a worker if needed.
    pub(crate) fn push_high(&self, task: Task) -> Result<(), Task> {
        self.open_for_use();
        self.high.push(task)
    }

    /// Like [`Lanes::push_high`], for a task that can wait.
    pub(crate) fn push_low(&self, task: Task) -> Result<(), Task> {
        self.open_for_use();
        self.low.push(task)
    }

    /// Adds a part of a running task, even if the lanes are closed. The caller then issues a fence,
    /// and wakes a worker if needed.
    #[cold]
    pub(crate) fn push_part(&self, part: Task) {
        self.open_for_use();
        let mut parts = TaskList::new();
        parts.push_back(part);
        self.parts.overflow(parts);
    }

    /// Whether there is nothing to take. Misses what somebody is just moving.
    #[inline]
    pub(crate) fn are_empty(&self) -> bool {
        !self.are_in_use() || (self.high.is_empty() && self.low.is_empty() && self.parts.is_empty())
    }

    /// Takes a task, if it is the turn of one of these lanes, for a worker that may have a normal task
    /// instead. The caller then issues a fence, and checks for more.
    pub(crate) fn take(&self, turns: &Turns, has_normal: bool) -> Option<Task> {
        if let Some(part) = self.parts.pop() {
            return Some(part);
        }
        match turns.choose(!self.high.is_empty(), has_normal, !self.low.is_empty())? {
            Priority::High => self.high.pop(),
            Priority::Normal => None,
            Priority::Low => self.low.pop(),
        }
    }

    /// Like [`Injector::close`].
    pub(crate) fn close(&self, reason: Rejection) {
        self.high.close(reason);
        self.low.close(reason);
    }

    /// Takes everything but the parts of running tasks, to give it up.
    pub(crate) fn take_all(&self) -> TaskList {
        let mut tasks = self.high.take_all();
        tasks.append(&mut self.low.take_all());
        tasks
    }

    /// How many tasks are queued here, tombstones included.
    pub(crate) fn len(&self) -> usize {
        if self.are_in_use() {
            self.high.len() + self.low.len() + self.parts.len()
        } else {
            0
        }
    }

    /// Adds what became of the swept tombstones.
    pub(crate) fn add_swept(&self, totals: &mut Totals) {
        if self.are_in_use() {
            totals.add_tasks(&self.high.swept());
            totals.add_tasks(&self.low.swept());
            totals.add_tasks(&self.parts.swept());
        }
    }
}

/// How many tasks in a row one worker took from elsewhere while these lanes had some.
#[derive(Default)]
pub(crate) struct Turns {
    normal: Cell<u32>,
    low: Cell<u32>,
}

impl Turns {
    /// The lane to take from, of those that have something.
    fn choose(&self, has_high: bool, has_normal: bool, has_low: bool) -> Option<Priority> {
        let chosen = if has_normal && self.normal.get() >= PATIENCE {
            Priority::Normal
        } else if has_low && self.low.get() >= PATIENCE {
            Priority::Low
        } else if has_high {
            Priority::High
        } else if has_normal {
            Priority::Normal
        } else if has_low {
            Priority::Low
        } else {
            return None;
        };
        for (passed_over, has_some, lane) in [
            (&self.normal, has_normal, Priority::Normal),
            (&self.low, has_low, Priority::Low),
        ] {
            let waits = has_some && lane != chosen;
            passed_over.set(if waits { passed_over.get() + 1 } else { 0 });
        }
        Some(chosen)
    }
}

#[cfg(all(test, not(pool_loom)))]
mod tests {
    use super::*;

    /// The first letters of the lanes that `turns` chooses.
    fn chosen(turns: &Turns, has: [bool; 3], times: usize) -> String {
        let name = |lane| match lane {
            Some(Priority::High) => 'H',
            Some(Priority::Normal) => 'N',
            Some(Priority::Low) => 'L',
            None => '-',
        };
        let [high, normal, low] = has;
        (0..times)
            .map(|_| name(turns.choose(high, normal, low)))
            .collect()
    }

    #[test]
    fn a_lane_that_waits_gets_every_seventeenth_turn() {
        let turns = Turns::default();
        let round = format!("{}L", "H".repeat(16));
        assert_eq!(chosen(&turns, [true, false, true], 34), round.repeat(2));
        let turns = Turns::default();
        let round = format!("{}N", "H".repeat(16));
        assert_eq!(chosen(&turns, [true, true, false], 34), round.repeat(2));
        let turns = Turns::default();
        let round = format!("{}L", "N".repeat(16));
        assert_eq!(chosen(&turns, [false, true, true], 34), round.repeat(2));
    }

    #[test]
    fn with_all_lanes_full_each_lower_one_gets_its_turn() {
        let turns = Turns::default();
        let start = format!("{}NL", "H".repeat(16));
        assert_eq!(chosen(&turns, [true; 3], 18), start);
        let rest = chosen(&turns, [true; 3], 1700);
        for lane in ["N", "L"] {
            assert_eq!(rest.matches(lane).count(), 100, "of {lane}");
        }
    }

    #[test]
    fn a_lane_does_not_age_while_it_is_empty() {
        let turns = Turns::default();
        assert_eq!(chosen(&turns, [true, false, false], 100), "H".repeat(100));
        assert_eq!(chosen(&turns, [true, true, true], 1), "H");
        assert_eq!(chosen(&turns, [false; 3], 1), "-");
    }
}
