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
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::task::Waker;

use future_result::sync::Mutex;
use future_result::{CellId, Task, contain};
use thread_pool::Companion;

/// More than one lock, so that workers are seldom in each other's way.
const SHARDS: usize = 16;

/// By the cell of each, which the future keeps until it has left.
pub(super) struct Waiting {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    wakers: HashMap<CellId, Waker, BuildHasherDefault<CellHasher>>,
    /// What was woken when the pool accepted nothing more.
    kept: Vec<Task>,
    has_ended: bool,
}

/// Nobody chooses where cells lie, so nothing has to be kept from guessing which come together.
#[derive(Default)]
struct CellHasher(u64);

impl Hasher for CellHasher {
    /// With what is in the upper bits in the lower ones, too, since a table looks at both.
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(byte.into());
        }
    }

    /// By 2⁶⁴ over the golden ratio, after which the upper bits depend on all of the address.
    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// The pool has ended, and nothing in it will be polled again.
pub(super) struct HasEnded;

impl Waiting {
    fn shard(&self, cell: CellId) -> &Mutex<Shard> {
        let hash = BuildHasherDefault::<CellHasher>::default().hash_one(cell);
        // Not by what chooses the place within the shard.
        &self.shards[(hash >> 48) as usize % SHARDS]
    }

    /// Enters a future, which looks afterwards whether it is cancelled.
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

    /// Keeps what would poll a future until the pool ends; drops it if it has.
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
                // It comes to `keep`, which drops it.
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
