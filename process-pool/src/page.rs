//! The page of memory that a worker and its pool share: which tasks have begun.
//!
//! Without it, when a worker dies, nobody could tell whether its task was what killed it or had not even
//! been looked at; and what waits behind a slow task could only be had back by asking a worker that is
//! busy.
//!
//! # Protocol
//!
//! Tasks of a worker are numbered from 0 up. `next` is the number of the task that may begin next.
//!
//! | from → to | who | meaning |
//! |---|---|---|
//! | *n* → *n* + 1 | the worker ([`Page::claim`]) | task *n* begins |
//! | *n* → *m* > *n* | the pool ([`Page::take_back`]) | tasks *n* to *m* − 1 will never begin here |
//!
//! Both are one compare-and-swap, so each task either begins or is taken back, never both. The worker
//! finds out about a task that was taken back when its claim fails, and passes over it. The pool knows
//! which numbers it has taken back; every other number below `next` has begun.
//!
//! `done` counts up to the task that has ended last. It says whether a worker died in a task, or on the
//! way of the answer.
//!
//! `full` is set by a worker that has more memory than it is to keep, before it sends an answer. Then the
//! pool gives it nothing more.

#![expect(unsafe_code, reason = "memory that is shared with another process")]

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{self, NonNull};

use future_result::sync::atomic::{AtomicU64, Ordering};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// One page, which is the least that can be mapped.
const SIZE: usize = 4096;

#[repr(C)]
struct Words {
    next: AtomicU64,
    done: AtomicU64,
    full: AtomicU64,
}

/// One process's view of the page.
pub(crate) struct Page {
    words: NonNull<Words>,
}

// SAFETY: the memory stays mapped as long as the value lives, and there are only atomics in it.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// A new page, and the descriptor by which the worker gets it.
    pub(crate) fn create() -> io::Result<(Self, OwnedFd)> {
        let memory = memfd_create(
            "process-pool",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        ftruncate(&memory, SIZE as u64)?;
        // So that nobody can make it shorter, and accesses to it fail.
        fcntl_add_seals(
            &memory,
            SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
        )?;
        Ok((Self::open(&memory)?, memory))
    }

    /// The page behind a descriptor from [`Page::create`].
    pub(crate) fn open(memory: impl AsFd) -> io::Result<Self> {
        // SAFETY: a new mapping at an address that the system chooses touches nothing that is there.
        let address = unsafe {
            mmap(
                ptr::null_mut(),
                SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                memory,
                0,
            )
        }?;
        let words = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { words })
    }

    fn words(&self) -> &Words {
        // SAFETY: mapped until `self` is dropped, page-aligned, large enough, zeroed or written as
        // atomics, and only ever used as atomics by both processes.
        unsafe { self.words.as_ref() }
    }

    /// The worker begins this task. False if it was taken back.
    pub(crate) fn claim(&self, sequence: u64) -> bool {
        // ORDERING: Release pairs with the Acquire in `take_back`: whoever sees that this task has begun sees
        // that the one before has ended. The task itself came through the pipe.
        let claimed = self.words().next.compare_exchange(
            sequence,
            sequence.wrapping_add(1),
            Ordering::Release,
            Ordering::Relaxed,
        );
        claimed.is_ok()
    }

    /// The worker has ended this task.
    pub(crate) fn finish(&self, sequence: u64) {
        // ORDERING: Relaxed; it publishes nothing by itself. The next `claim` publishes it.
        self.words()
            .done
            .store(sequence.wrapping_add(1), Ordering::Relaxed);
    }

    /// The worker wants to leave.
    pub(crate) fn set_full(&self) {
        // ORDERING: Relaxed; it publishes nothing, and the answer that is sent afterwards orders it.
        self.words().full.store(1, Ordering::Relaxed);
    }

    /// Whether the worker wants to leave. Whoever has read an answer sees what was set before that.
    pub(crate) fn is_full(&self) -> bool {
        // ORDERING: Relaxed; nothing is read by it.
        self.words().full.load(Ordering::Relaxed) != 0
    }

    /// The pool takes back what has not begun of the tasks below `end`. Says which is the first of them:
    /// all from that one on are the pool's again. Of the tasks before it, [`done`](Self::done) then tells of
    /// all but the last whether they have ended.
    pub(crate) fn take_back(&self, end: u64) -> u64 {
        // ORDERING: Acquire pairs with the Release in `claim`.
        let mut next = self.words().next.load(Ordering::Acquire);
        while next < end {
            match self.words().next.compare_exchange_weak(
                next,
                end,
                // ORDERING: Acquire, as above; the worker reads nothing by what is stored.
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => return next,
                Err(seen) => next = seen,
            }
        }
        end
    }

    /// How many tasks have ended, with those that were taken back before the last of them.
    pub(crate) fn done(&self) -> u64 {
        // ORDERING: Relaxed; after `take_back`, whose Acquire orders it, or when the worker is dead.
        self.words().done.load(Ordering::Relaxed)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `open` with this size; nothing borrows from it any more. It cannot fail then,
        // and if it did, the mapping would stay.
        let _ = unsafe { munmap(self.words.as_ptr().cast(), SIZE) };
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDERING: Relaxed; for show.
        let next = self.words().next.load(Ordering::Relaxed);
        f.debug_struct("Page")
            .field("next", &next)
            .field("done", &self.done())
            .finish()
    }
}

#[cfg(test)]
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
