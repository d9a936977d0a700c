//! The futures of a pool that wait for something, so that whoever cancels one, and the pool's end, find it.
//!
//! | who | does | under the lock |
//! |---|---|---|
//! | a future, after its first poll that was not ready | enters its waker, then looks whether it is cancelled | unless the end has come |
//! | a canceller | says so in the cell, then wakes what was entered | |
//! | a future that ends | takes its waker out | |
//! | whoever wakes a future that the pool refuses | keeps it here until the end | unless the end has come |
//! | the end of the pool | takes all wakers and what is kept, and lets no more in | |
//!
//! Canceller and future: whichever takes the lock later sees what the other did before it. Either the
//! canceller finds the waker, or the future sees that it is cancelled. So no cancellation is missed.
//!
//! Future and end: entered before it, a future is woken by the end, and comes back refused, to be dropped;
//! later, it is told that there is no use in waiting. So nobody waits in a pool that is gone.
//!
//! Wakers and futures are users' code: nothing of them runs, or is dropped, under a lock.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::task::Waker;

use future_result::sync::Mutex;
use future_result::sync::atomic::{AtomicU64, Ordering};
use future_result::{Rejection, Task, contain};
use thread_pool::Companion;

/// More than one lock, so that workers are seldom in each other's way.
const SHARDS: usize = 16;

pub(super) struct Waiting {
    next_key: AtomicU64,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    entries: HashMap<u64, Entry, BuildHasherDefault<KeyHasher>>,
    /// What was woken when the pool accepted nothing more.
    kept: Vec<Task>,
    has_ended: bool,
}

/// Keys are numbers that nobody chooses, so nothing has to be kept from guessing where they lie.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    /// By 2⁶⁴ over the golden ratio, which spreads what is in sequence over the upper bits, too.
    fn write_u64(&mut self, key: u64) {
        self.0 = (self.0 ^ key).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

enum Entry {
    /// It was not ready yet.
    Waits(Waker),
    /// It is about to be dropped, for this reason.
    Refused(Rejection),
}

/// The pool has ended, and nothing in it will be polled again.
pub(super) struct HasEnded;

impl Waiting {
    /// A key that no other future of this pool has.
    pub(super) fn next_key(&self) -> u64 {
        // ORDERING: Relaxed; the number itself is all.
        self.next_key.fetch_add(1, Ordering::Relaxed)
    }

    fn shard(&self, key: u64) -> &Mutex<Shard> {
        &self.shards[key as usize % SHARDS]
    }

    /// Enters a future, which looks afterwards whether it is cancelled.
    pub(super) fn enter(&self, key: u64, waker: Waker) -> Result<(), HasEnded> {
        let mut shard = self.shard(key).lock();
        if shard.has_ended {
            drop(shard);
            drop(waker);
            return Err(HasEnded);
        }
        shard.entries.insert(key, Entry::Waits(waker));
        Ok(())
    }

    /// Takes it out, and says why the pool has refused it, if it has.
    pub(super) fn leave(&self, key: u64) -> Option<Rejection> {
        let entry = self.shard(key).lock().entries.remove(&key);
        match entry {
            Some(Entry::Refused(reason)) => Some(reason),
            Some(Entry::Waits(_)) | None => None,
        }
    }

    /// Notes why a future is about to be dropped that was never polled.
    pub(super) fn refuse(&self, key: u64, reason: Rejection) {
        let mut shard = self.shard(key).lock();
        shard.entries.insert(key, Entry::Refused(reason));
    }

    /// Wakes a future, if it is here.
    pub(super) fn wake(&self, key: u64) {
        let waker = match self.shard(key).lock().entries.get(&key) {
            Some(Entry::Waits(waker)) => Some(waker.clone()),
            Some(Entry::Refused(_)) | None => None,
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Keeps what would poll a future until the pool ends; drops it if it has.
    pub(super) fn keep(&self, key: u64, task: Task) {
        let mut shard = self.shard(key).lock();
        if shard.has_ended {
            drop(shard);
            contain(|| drop(task));
        } else {
            shard.kept.push(task);
        }
    }
}

impl Companion for Waiting {
    fn pool_has_ended(&self) {
        for shard in &self.shards {
            let (entries, kept) = {
                let mut shard = shard.lock();
                shard.has_ended = true;
                (
                    std::mem::take(&mut shard.entries),
                    std::mem::take(&mut shard.kept),
                )
            };
            for task in kept {
                contain(|| drop(task));
            }
            for (_, entry) in entries {
                if let Entry::Waits(waker) = entry {
                    // It comes to `keep`, which drops it.
                    contain(|| waker.wake());
                }
            }
        }
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            next_key: AtomicU64::new(0),
            shards: std::array::from_fn(|_| Mutex::new(Shard::default())),
        }
    }
}
