//! A first-in-first-out deque for loom: what its owner adds, the owner and the thieves take from the
//! front. Atomics alone, no lock and no fence: it orders its users no more than crossbeam's does.
#![expect(
    clippy::disallowed_types,
    reason = "loom must not see the slots' locks, which would order what a real deque does not"
)]

use std::array;
use std::sync::{Arc, Mutex, PoisonError};

use future_result::sync::atomic::{AtomicU32, Ordering};

/// More pushes than any model makes to one deque.
const CAPACITY: usize = 16;

/// What came of an attempt to steal.
pub(crate) enum Steal<T> {
    Empty,
    Success(T),
    Retry,
}

/// The owner's end.
pub(crate) struct Worker<T>(Arc<Ring<T>>);

/// A thief's end.
pub(crate) struct Stealer<T>(Arc<Ring<T>>);

struct Ring<T> {
    head: AtomicU32,
    tail: AtomicU32,
    /// Looked into by the owner, and by the one who has won the place from `head`.
    slots: [Mutex<Option<T>>; CAPACITY],
}

impl<T> Ring<T> {
    fn len(&self) -> usize {
        let head = self.head.load(Ordering::Acquire);
        let tail = self.tail.load(Ordering::Acquire);
        tail.saturating_sub(head) as usize
    }

    /// Takes up to `most` from the front, at once.
    fn take(&self, most: usize) -> Steal<Vec<T>> {
        let head = self.head.load(Ordering::Acquire);
        let tail = self.tail.load(Ordering::Acquire);
        let count = (tail.saturating_sub(head) as usize).min(most) as u32;
        if count == 0 {
            return Steal::Empty;
        }
        let won = self.head.compare_exchange(
            head,
            head + count,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        if won.is_err() {
            return Steal::Retry;
        }
        let places = head..head + count;
        Steal::Success(places.filter_map(|place| self.slot(place).take()).collect())
    }

    fn slot(&self, place: u32) -> std::sync::MutexGuard<'_, Option<T>> {
        self.slots[place as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Worker<T> {
    pub(crate) fn new_fifo() -> Self {
        Self(Arc::new(Ring {
            head: AtomicU32::new(0),
            tail: AtomicU32::new(0),
            slots: array::from_fn(|_| Mutex::new(None)),
        }))
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(Arc::clone(&self.0))
    }

    pub(crate) fn push(&self, value: T) {
        let tail = self.0.tail.load(Ordering::Relaxed);
        *self.0.slot(tail) = Some(value);
        self.0.tail.store(tail + 1, Ordering::Release);
    }

    pub(crate) fn pop(&self) -> Option<T> {
        loop {
            match self.0.take(1) {
                Steal::Success(mut taken) => return taken.pop(),
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Stealer<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        match self.0.take(1) {
            Steal::Success(mut taken) => taken.pop().map_or(Steal::Empty, Steal::Success),
            Steal::Empty => Steal::Empty,
            Steal::Retry => Steal::Retry,
        }
    }

    pub(crate) fn steal_batch_and_pop(&self, to: &Worker<T>) -> Steal<T> {
        match self.0.take(self.0.len().div_ceil(2)) {
            Steal::Success(taken) => {
                let mut taken = taken.into_iter();
                let first = taken.next();
                taken.for_each(|value| to.push(value));
                first.map_or(Steal::Empty, Steal::Success)
            }
            Steal::Empty => Steal::Empty,
            Steal::Retry => Steal::Retry,
        }
    }
}
