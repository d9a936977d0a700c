//! The page of memory in which a worker and its pool share the worker's [`Claims`].

#![expect(unsafe_code, reason = "memory shared with another process")]

use std::fmt;
use std::io;
use std::ops::Deref;

use crate::claims::Claims;
use crate::sys::{Descriptor, Mapping, create_memory};

/// One page, the least that can be mapped.
const SIZE: usize = 4096;
const _: () = assert!(size_of::<Claims>() <= SIZE);

/// One process's view of the page.
pub(crate) struct Page {
    mapping: Mapping,
}

impl Page {
    /// A new page, and the descriptor that gives it to the worker.
    pub(crate) fn create() -> io::Result<(Self, Descriptor)> {
        let memory = create_memory(SIZE as u64)?;
        Ok((Self::open(&memory)?, memory))
    }

    /// The page behind a descriptor from [`Page::create`].
    pub(crate) fn open(memory: &Descriptor) -> io::Result<Self> {
        let mapping = Mapping::new(memory, SIZE)?;
        Ok(Self { mapping })
    }
}

impl Deref for Page {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        // SAFETY: mapped until `self` is dropped, page-aligned, large enough (the file keeps that size for
        // good), zeroed or written as atomics, and only ever used as atomics by both processes. The facade's
        // atomics have the layout of the number, except in models, which never make a page.
        unsafe { self.mapping.address().cast().as_ref() }
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
#[cfg(not(any(pool_loom, pool_sim)))]
mod tests {
    use super::*;

    #[test]
    fn each_task_begins_or_is_taken_back() {
        let (pool, memory) = Page::create().unwrap();
        let worker = Page::open(&memory).unwrap();
        assert!(worker.claim(0));
        worker.finish(0);
        assert!(worker.claim(1));
        assert_eq!(pool.take_back(5), 2);
        assert!((2..5).all(|sequence| !worker.claim(sequence)));
        assert_eq!(pool.take_back(5), 5);
        assert!(worker.claim(5));
        assert_eq!(pool.done(), 1);
    }

    #[test]
    fn taking_back_races_claiming_and_every_task_has_one_owner() {
        const TASKS: u64 = 20_000;
        let (pool, memory) = Page::create().unwrap();
        let worker = Page::open(&memory).unwrap();
        let claimer = std::thread::spawn(move || {
            (0..TASKS)
                .filter(|&task| worker.claim(task))
                .collect::<Vec<_>>()
        });
        let mut taken = Vec::new();
        for end in (0..=TASKS).step_by(16) {
            taken.extend(pool.take_back(end)..end);
        }
        let claimed = claimer.join().unwrap();
        let mut all = [claimed, taken].concat();
        all.sort_unstable();
        assert_eq!(all, (0..TASKS).collect::<Vec<_>>());
    }
}
