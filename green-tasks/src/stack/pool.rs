//! Which stacks are free.
//!
//! The last stack given back is the next given out: its pages are in memory and still in the cache, so tasks that
//! do not suspend share one. Stacks are first used in the order of their places. The memory of those that were not
//! needed for a while goes back to the system, many at a time: not at once, since refaulting a page costs more than
//! all else that is done for a short task.
#![expect(unsafe_code, reason = "promises that nobody else has a stack")]

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use future_result::sync::now;

use super::Stack;
use super::slab::Slab;

/// So many free stacks keep their memory in any case.
const KEPT: usize = 256;
/// So many lose it at a time.
const BATCH: usize = 64;
/// For so long a stack must have been unneeded.
const PATIENCE: Duration = Duration::from_secs(1);

/// The stacks of a scheduler.
pub(crate) struct StackPool {
    slab: Rc<Slab>,
    /// Stacks that were used and are free; the last one is given out next.
    free: RefCell<Vec<u32>>,
    /// How many of them, from the front, have no memory.
    bare: Cell<usize>,
    /// How many have ever been used.
    used: Cell<u32>,
    /// How many of them, from the front, have been free since the last look.
    unneeded: Cell<usize>,
    since: Cell<Instant>,
    /// The last stack that was taken has not come back.
    in_a_row: Cell<bool>,
    /// The most that was used of one whose memory went back to the system; `None` if unknown.
    deepest: Cell<Option<usize>>,
}

/// Why there is no stack.
#[derive(Debug)]
pub(crate) enum NoStack {
    /// As many as were asked for are in use.
    InUse,
    /// So many are in use, and there may be no more mappings, of which each guard is one.
    Mappings(usize),
    /// The system refused to make a guard.
    Guard(io::Error),
}

impl fmt::Display for NoStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("all stacks are in use"),
            Self::Mappings(count) => write!(
                f,
                "{count} tasks have stacks, and the system allows no more mappings, of which each stack \
                 takes two; use Linux 6.13 or later, where it takes none, or raise `vm.max_map_count`"
            ),
            Self::Guard(error) => write!(
                f,
                "the system refused a guard for one more stack: {error}; other parts of the process \
                 may have used up its mappings (`vm.max_map_count`)"
            ),
        }
    }
}

impl Error for NoStack {}

impl StackPool {
    /// With all stacks of a slab, none of which has been used.
    pub(crate) fn new(slab: Slab) -> Self {
        Self {
            slab: Rc::new(slab),
            free: RefCell::new(Vec::new()),
            bare: Cell::new(0),
            used: Cell::new(0),
            unneeded: Cell::new(0),
            since: Cell::new(now()),
            in_a_row: Cell::new(false),
            deepest: Cell::new(Some(0)),
        }
    }

    /// A free stack.
    pub(crate) fn take(&self) -> Result<Stack, NoStack> {
        let index = match self.take_used() {
            Some(index) => index,
            None => self.use_another()?,
        };
        // SAFETY: the index was in `free` or is new, and is in neither now; its guard was made at its first use,
        // and it is less than the count.
        Ok(unsafe { Stack::new(Rc::clone(&self.slab), index) })
    }

    fn take_used(&self) -> Option<u32> {
        let mut free = self.free.borrow_mut();
        let index = free.pop()?;
        self.bare.set(self.bare.get().min(free.len()));
        self.unneeded.set(self.unneeded.get().min(free.len()));
        // Several tasks in a row started and now wait, so the next one needs the next stack.
        if self.in_a_row.replace(true)
            && let Some(&next) = free.last()
        {
            self.slab.fetch(next);
        }
        Some(index)
    }

    fn use_another(&self) -> Result<u32, NoStack> {
        let index = self.used.get();
        if index as usize >= self.slab.count() {
            return Err(if self.slab.lacks_mappings() {
                NoStack::Mappings(self.slab.count())
            } else {
                NoStack::InUse
            });
        }
        self.slab.guard(index).map_err(NoStack::Guard)?;
        self.used.set(index + 1);
        Ok(index)
    }

    /// The most bytes that any stack has used, in whole pages; `None` if the system does not tell.
    pub(crate) fn high_water(&self) -> Option<usize> {
        for index in 0..self.used.get() {
            self.measure(index);
        }
        self.deepest.get()
    }

    fn measure(&self, index: u32) {
        let depth = self.slab.depth(index);
        let deepest = self.deepest.get();
        self.deepest
            .set(deepest.zip(depth).map(|(one, other)| one.max(other)));
    }

    /// Takes back a stack that holds nothing any more.
    pub(crate) fn give_back(&self, stack: Stack) {
        debug_assert!(stack.is_of(&self.slab));
        self.in_a_row.set(false);
        self.free.borrow_mut().push(stack.index());
    }

    /// When [`trim`](Self::trim) has something to do; `None` if too few stacks are free.
    pub(crate) fn next_trim(&self) -> Option<Instant> {
        let free = self.free.borrow().len();
        (free >= self.bare.get() + KEPT + BATCH).then(|| self.since.get() + PATIENCE)
    }

    /// Gives back the memory of some stacks that were not needed for a while.
    pub(crate) fn trim(&self) {
        let is_time = |at| now() >= at;
        if !self.next_trim().is_some_and(is_time) {
            return;
        }
        let free = self.free.borrow();
        let bare = self.bare.get();
        let end = self.unneeded.get().min(free.len() - KEPT);
        let until = end.min(bare + BATCH);
        for &index in free.get(bare..until).unwrap_or_default() {
            self.measure(index);
            // SAFETY: it is free, so its `Stack` was given back.
            unsafe { self.slab.discard(index) };
        }
        self.bare.set(bare.max(until));
        if until == end {
            self.unneeded.set(free.len());
            self.since.set(now());
        }
    }
}

#[cfg(all(test, not(any(pool_loom, pool_sim))))]
mod tests {
    use super::super::slab::Guards;
    use super::*;

    #[test]
    fn the_last_one_given_back_is_the_first_given_out() {
        let pool = StackPool::new(Slab::reserve(64 << 10, 4, Guards::Installed).unwrap());
        let stacks: Vec<_> = std::iter::from_fn(|| pool.take().ok()).collect();
        assert_eq!(stacks.len(), 4);
        let indices: Vec<_> = stacks.iter().map(Stack::index).collect();
        assert_eq!(indices, [0, 1, 2, 3]);
        for stack in stacks {
            pool.give_back(stack);
        }
        assert_eq!(pool.take().unwrap().index(), 3);
    }

    #[test]
    fn stacks_lie_between_their_guards_and_have_their_size() {
        for guards in [Guards::Installed, Guards::Mapped] {
            let pool = StackPool::new(Slab::reserve(64 << 10, 40, guards).unwrap());
            let mut above = 0;
            for stack in std::iter::from_fn(|| pool.take().ok()) {
                assert!(above <= stack.limit().get());
                above = stack.base().get();
                assert_eq!((above % 16, stack.limit().get() % 4096), (0, 0));
                let room = above - stack.limit().get();
                assert!((64 << 10) - 4096 < room && room < 69 << 10);
            }
            assert!(above > 0);
        }
    }

    #[test]
    fn memory_of_stacks_that_are_free_for_long_goes_back_and_they_can_be_used_again() {
        let pool = StackPool::new(Slab::reserve(16 << 10, 1000, Guards::Mapped).unwrap());
        for _ in 0..2 {
            let stacks: Vec<_> = std::iter::from_fn(|| pool.take().ok()).collect();
            assert_eq!(stacks.len(), 1000);
            for stack in stacks {
                stack.set_label(super::super::Label::new(1, std::panic::Location::caller()));
                pool.give_back(stack);
            }
            pool.since.set(now());
            pool.trim();
            assert_eq!(pool.bare.get(), 0, "needed a moment ago");
            // They were needed since the last look.
            be_patient(&pool);
            pool.trim();
            assert_eq!(pool.bare.get(), 0);
            for _ in 0..1000 / BATCH {
                be_patient(&pool);
                pool.trim();
            }
            let bare = pool.bare.get();
            assert!(
                (1000 - KEPT - BATCH..=1000 - KEPT).contains(&bare),
                "{bare}"
            );
            assert!(pool.next_trim().is_none());
        }
    }

    /// Lets the time pass for which a stack must have been unneeded.
    fn be_patient(pool: &StackPool) {
        pool.since.set(pool.since.get() - PATIENCE);
    }

    #[test]
    fn stacks_that_are_needed_again_and_again_keep_their_memory() {
        let pool = StackPool::new(Slab::reserve(16 << 10, 1000, Guards::Installed).unwrap());
        for _ in 0..10 {
            let stacks: Vec<_> = std::iter::from_fn(|| pool.take().ok()).collect();
            stacks.into_iter().for_each(|stack| pool.give_back(stack));
            be_patient(&pool);
            pool.trim();
            assert_eq!(pool.bare.get(), 0);
        }
    }

    #[test]
    fn a_slab_that_is_too_large_is_made_smaller() {
        // No machine has so many addresses.
        let pool = StackPool::new(Slab::reserve(1 << 40, u32::MAX, Guards::Installed).unwrap());
        assert!(pool.slab.count() >= 1);
        assert!(pool.take().is_ok());
    }
}
