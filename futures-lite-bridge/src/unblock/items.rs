//! Items of an iterator, between the job that advances it and the stream.
//!
//! | who | does | under the lock |
//! |---|---|---|
//! | the job, after each item | adds it, then wakes the waiter, and goes on | if there is room |
//! | the job, when there is no room or its turn is over | ends with the iterator, which its handle carries | |
//! | the stream, when it has no items left | polls the handle; then takes all items at once, or leaves a waker | |
//! | the stream, before it starts a job | says how many of the items that it took are left | if half of the room is free |
//!
//! The stream polls the handle before it looks here. So items added later wake it, and those added before an end
//! that it has seen are here.
//!
//! Items are taken in batches: the stream takes the lock and looks at the job once for each batch.

use std::collections::VecDeque;
use std::task::Waker;

use future_result::sync::Mutex;

pub(super) struct Items<T>(Mutex<Inner<T>>);

struct Inner<T> {
    items: VecDeque<T>,
    /// How many more the stream had when it last said so. They are ahead of its consumer, too.
    taken: usize,
    /// The stream's, while it waits for an item.
    waker: Option<Waker>,
}

impl<T> Items<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Inner {
            items: VecDeque::new(),
            taken: 0,
            waker: None,
        }))
    }

    /// The job: gives the iterator back unless it has ended. `is_over` is told for each item whether the stream
    /// waited for it.
    pub(super) fn fill<I: Iterator<Item = T>>(
        &self,
        mut iter: I,
        capacity: usize,
        mut is_over: impl FnMut(bool) -> bool,
    ) -> Option<I> {
        loop {
            let item = iter.next()?;
            let mut inner = self.0.lock();
            inner.items.push_back(item);
            let is_full = inner.items.len() + inner.taken >= capacity;
            let waker = inner.waker.take();
            drop(inner);
            let was_awaited = waker.is_some();
            if let Some(waker) = waker {
                waker.wake();
            }
            if is_over(was_awaited) || is_full {
                return Some(iter);
            }
        }
    }

    /// Exchanges all items for an empty queue, and says whether there are any. If not, the next one wakes the waker.
    pub(super) fn take(&self, empty: &mut VecDeque<T>, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut inner = self.0.lock();
        std::mem::swap(&mut inner.items, empty);
        // Except for the one that is yielded now.
        inner.taken = empty.len().saturating_sub(1);
        let before = if empty.is_empty() {
            inner.waker.replace(waker)
        } else {
            inner.waker.take()
        };
        drop(inner);
        drop(before);
        !empty.is_empty()
    }

    /// Whether half of the room is free if the stream has `taken` items left.
    pub(super) fn is_half_empty(&self, taken: usize, capacity: usize) -> bool {
        let mut inner = self.0.lock();
        inner.taken = taken;
        inner.items.len() + taken <= capacity / 2
    }

    /// How many items the stream has not taken.
    pub(super) fn len(&self) -> usize {
        self.0.lock().items.len()
    }
}
