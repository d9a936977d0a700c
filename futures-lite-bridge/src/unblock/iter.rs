//! A blocking iterator as a stream.
//!
//! Job and consumer share the items. The job pushes one and wakes the consumer; it ends when there is no
//! room, and gives the iterator back. The consumer starts another when half of the room is free again.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use future_result::sync::Mutex;
use future_result::{CancelOnDrop, CancelToken, FutureResult, JoinHandle, TaskError};
use futures_core::Stream;
use thread_pool::{Submitter, ThreadPoolExecutor};

use super::submit;

/// A blocking iterator, such as one over a directory, as a [`Stream`]: workers of a
/// thread pool advance it, up to `capacity` items ahead.
///
/// Its items are `Result`s: if the iterator panics, or the pool is shut down, the last one is that
/// [`TaskError`].
///
/// # Cancel safety
///
/// Dropping a future that awaits the next item loses nothing. Dropping the stream itself cancels its job, or
/// ends it after the current item; items that were read ahead are dropped.
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
/// use futures_lite_bridge::{block_on, UnblockIter};
/// use thread_pool::ThreadPoolExecutor;
///
/// let pool = ThreadPoolExecutor::new(1)?;
/// let entries = std::fs::read_dir(env!("CARGO_MANIFEST_DIR"))?;
/// let mut entries = UnblockIter::new(&pool, 16, entries);
/// block_on(async {
///     while let Some(entry) = entries.next().await {
///         println!("{}", entry??.path().display());
///     }
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "streams do nothing unless they are polled"]
pub struct UnblockIter<I: Iterator> {
    submitter: Submitter,
    state: State<I>,
    ahead: Arc<Ahead<I::Item>>,
    capacity: usize,
}

enum State<I> {
    /// The iterator is here.
    Idle(I),
    /// A job has it, and gives it back unless it has come to the end.
    Filling(CancelOnDrop<JoinHandle<Option<I>>>),
    /// Yielded after what is ahead.
    Failed(TaskError),
    Ended,
}

/// What the iterator has given and the consumer has not taken.
struct Ahead<T>(Mutex<Items<T>>);

struct Items<T> {
    items: VecDeque<T>,
    /// Of the consumer, if it waits.
    waker: Option<Waker>,
}

// The iterator is moved about, and never pinned.
impl<I: Iterator> Unpin for UnblockIter<I> {}

impl<I> UnblockIter<I>
where
    I: Iterator + Send + 'static,
    I::Item: Send + 'static,
{
    /// At most `capacity` items are read ahead of the consumer; 0 counts as 1. Nothing happens before the first
    /// poll.
    pub fn new(
        pool: &ThreadPoolExecutor,
        capacity: usize,
        iter: impl IntoIterator<IntoIter = I>,
    ) -> Self {
        let items = Items {
            items: VecDeque::new(),
            waker: None,
        };
        Self {
            submitter: pool.submitter(),
            state: State::Idle(iter.into_iter()),
            ahead: Arc::new(Ahead(Mutex::new(items))),
            capacity: capacity.max(1),
        }
    }

    /// Starts a job if the iterator is here.
    fn fill(&mut self) {
        if !matches!(self.state, State::Idle(_)) {
            return;
        }
        if let State::Idle(iter) = std::mem::replace(&mut self.state, State::Ended) {
            let (ahead, capacity) = (Arc::clone(&self.ahead), self.capacity);
            let handle = submit(&self.submitter, move || ahead.fill(iter, capacity));
            self.state = State::Filling(handle.cancel_on_drop());
        }
    }

    /// Takes the iterator back if its job has ended.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let State::Filling(handle) = &mut self.state {
            self.state = match Pin::new(handle).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(Some(iter))) => State::Idle(iter),
                Poll::Ready(Ok(None)) => State::Ended,
                Poll::Ready(Err(error)) => State::Failed(error),
            };
        }
        Poll::Ready(())
    }
}

impl<T> Ahead<T> {
    /// The job: gives the iterator back when there is no room left.
    fn fill<I: Iterator<Item = T>>(&self, mut iter: I, capacity: usize) -> Option<I> {
        let token = CancelToken::current();
        while !token.is_cancelled() {
            let item = iter.next()?;
            let (is_full, waker) = {
                let mut ahead = self.0.lock();
                ahead.items.push_back(item);
                (ahead.items.len() >= capacity, ahead.waker.take())
            };
            if let Some(waker) = waker {
                waker.wake();
            }
            if is_full {
                return Some(iter);
            }
        }
        None
    }

    /// The next item, and how many are left. If there is none, the waker will be woken by the next.
    fn take(&self, waker: &Waker) -> Option<(T, usize)> {
        let waker = waker.clone();
        let mut ahead = self.0.lock();
        if let Some(item) = ahead.items.pop_front() {
            let left = ahead.items.len();
            drop(ahead);
            return Some((item, left));
        }
        let before = ahead.waker.replace(waker);
        drop(ahead);
        drop(before);
        None
    }
}

impl<I> Stream for UnblockIter<I>
where
    I: Iterator + Send + 'static,
    I::Item: Send + 'static,
{
    type Item = Result<I::Item, TaskError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            // Before the look at what is ahead: what a job that has ended gave is there then.
            let polled = this.poll_idle(context);
            if let Some((item, left)) = this.ahead.take(context.waker()) {
                if left <= this.capacity / 2 {
                    this.fill();
                }
                return Poll::Ready(Some(Ok(item)));
            }
            if polled.is_pending() {
                return Poll::Pending;
            }
            match std::mem::replace(&mut this.state, State::Ended) {
                State::Failed(error) => return Poll::Ready(Some(Err(error))),
                State::Ended => return Poll::Ready(None),
                here => this.state = here,
            }
            this.fill();
        }
    }
}

impl<I: Iterator> fmt::Debug for UnblockIter<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnblockIter")
            .field("is_filling", &matches!(self.state, State::Filling(_)))
            .field("ahead", &self.ahead.0.lock().items.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
