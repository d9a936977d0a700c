//! What an iterator has given: between the job that advances it and whoever takes the items.
//!
//! | who | does | under the lock |
//! |---|---|---|
//! | the job, after each item | adds it, then wakes whoever waits, and goes on | if there is room |
//! | the job, where there is no room or its turn is over | ends with the iterator, which its handle brings | |
//! | the stream, where it has no item left | polls the handle; then takes all items at once, or leaves a waker | |
//! | the stream, before it starts a job | says how many items it still has of those that it took | if half of the room is free |
//!
//! The stream leaves its waker with the handle before it looks here. So what is added later wakes it, and what was
//! added before an end that it has seen is here.
//!
//! Items change hands by the lot: the stream takes the lock and looks at the job once for all that there is.

use std::collections::VecDeque;
use std::task::Waker;

use future_result::sync::Mutex;

pub(super) struct Items<T>(Mutex<Inner<T>>);

struct Inner<T> {
    items: VecDeque<T>,
    /// How many more the stream had, when it last said so. They are ahead of its consumer, too.
    taken: usize,
    /// Of whoever waits for an item.
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

    /// The job: gives the iterator back unless that has come to its end. `is_over` is told of each item whether
    /// somebody waited for it.
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

    /// Exchanges all items for a queue that is empty, and says whether there are any. If there are none, the next one
    /// wakes the waker.
    pub(super) fn take(&self, empty: &mut VecDeque<T>, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut inner = self.0.lock();
        std::mem::swap(&mut inner.items, empty);
        // But for the one that is yielded now.
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

    /// Whether half of the room is free, where the stream has so many items.
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
