//! The waiting futures of a pool, where their cancellers and the pool's end find them.
//!
//! | who | does | under the lock |
//! |---|---|---|
//! | a future, after its first pending poll | enters its waker, then checks whether it is cancelled | unless the pool has ended |
//! | a canceller | says so in the cell, then wakes what was entered | |
//! | a future that ends | takes its waker out | |
//! | a thread that wakes a future that the pool refuses | keeps it here until the end | unless the pool has ended |
//! | the end of the pool | takes all wakers and what is kept, and lets no more in | |
//!
//! Canceller and future: whichever takes the lock later sees what the other did before. Either the
//! canceller finds the waker, or the future sees that it is cancelled. So no cancellation is missed.
//!
//! Future and end: a future that entered earlier is woken by the end, refused by the pool, and dropped;
//! a later one is told not to wait. So no future waits in a pool that is gone.
//!
//! Wakers and futures are user code: they never run, and are never dropped, under a lock.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::task::Waker;

use future_result::sync::Mutex;
use future_result::{CellId, Task, contain};
use thread_pool::Companion;

/// Several locks, so that workers seldom contend.
const SHARDS: usize = 16;

/// Keyed by cell, which a future keeps until it has left.
pub(super) struct Waiting {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    wakers: HashMap<CellId, Waker, BuildHasherDefault<CellHasher>>,
    /// Woken when the pool accepted nothing more.
    kept: Vec<Task>,
    has_ended: bool,
}

/// Nobody can choose the addresses of cells, so no attack by collisions has to be prevented.
#[derive(Default)]
struct CellHasher(u64);

impl Hasher for CellHasher {
    /// Mixes the upper bits into the lower ones, since a table uses both.
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(byte.into());
        }
    }

    /// Multiplies by 2⁶⁴ over the golden ratio: then the upper bits depend on the whole address.
    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// The pool has ended, and nothing in it will be polled again.
pub(super) struct HasEnded;

impl Waiting {
    fn shard(&self, cell: CellId) -> &Mutex<Shard> {
        let hash = BuildHasherDefault::<CellHasher>::default().hash_one(cell);
        // Not the bits that choose the place within the shard.
        &self.shards[(hash >> 48) as usize % SHARDS]
    }

    /// Enters a future, which then checks whether it is cancelled.
    pub(super) fn enter(&self, cell: CellId, waker: Waker) -> Result<(), HasEnded> {
        let mut shard = self.shard(cell).lock();
        if shard.has_ended {
            drop(shard);
            drop(waker);
            return Err(HasEnded);
        }
        shard.wakers.insert(cell, waker);
        Ok(())
    }

    /// Takes it out.
    pub(super) fn leave(&self, cell: CellId) {
        let waker = self.shard(cell).lock().wakers.remove(&cell);
        drop(waker);
    }

    /// Wakes a future, if it is here.
    pub(super) fn wake(&self, cell: CellId) {
        let waker = self.shard(cell).lock().wakers.get(&cell).cloned();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Keeps the task that polls a future until the pool ends; drops it if it has.
    pub(super) fn keep(&self, task: Task) {
        let mut shard = self.shards[0].lock();
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
            let (wakers, kept) = {
                let mut shard = shard.lock();
                shard.has_ended = true;
                (
                    std::mem::take(&mut shard.wakers),
                    std::mem::take(&mut shard.kept),
                )
            };
            for task in kept {
                contain(|| drop(task));
            }
            for waker in wakers.into_values() {
                // Its task ends up in `keep`, which drops it.
                contain(|| waker.wake());
            }
        }
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard::default())),
        }
    }
}
