//! The page of memory by which a worker and its pool share the worker's [`Claims`].

#![expect(unsafe_code, reason = "memory that is shared with another process")]

use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{self, NonNull};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::claims::Claims;

/// One page, which is the least that can be mapped.
const SIZE: usize = 4096;
const _: () = assert!(size_of::<Claims>() <= SIZE);

/// One process's view of the page.
pub(crate) struct Page {
    claims: NonNull<Claims>,
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
        let claims = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { claims })
    }
}

impl Deref for Page {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        // SAFETY: mapped until `self` is dropped, page-aligned, large enough, zeroed or written as
        // atomics, and only ever used as atomics by both processes. An atomic of the facade is the
        // number itself, outside of models, where no page is ever made.
        unsafe { self.claims.as_ref() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `open` with this size; nothing borrows from it any more. It cannot fail then,
        // and if it did, the mapping would stay.
        let _ = unsafe { munmap(self.claims.as_ptr().cast(), SIZE) };
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
