//! A blocking iterator as a stream.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use future_result::{CancelOnDrop, FutureResult, JoinHandle, TaskError};
use futures_core::Stream;
use thread_pool::{Submitter, ThreadPoolExecutor};

use super::items::Items;
use super::turn::Turn;
use super::{ITEMS, submit};

/// A blocking iterator, such as one over a directory, as a [`Stream`]: workers of a
/// thread pool advance it, some items ahead. No worker is held while there is no room for more.
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
/// let mut entries = UnblockIter::new(&pool, entries);
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
    items: Arc<Items<I::Item>>,
    /// Those that are yielded next.
    taken: VecDeque<I::Item>,
    capacity: usize,
}

enum State<I> {
    /// The iterator is here.
    Idle(I),
    /// A job has it, and gives it back unless it has ended.
    Filling(CancelOnDrop<JoinHandle<Option<I>>>),
    /// Yielded after all items.
    Failed(TaskError),
    Ended,
}

// The iterator is moved, and never pinned.
impl<I: Iterator> Unpin for UnblockIter<I> {}

impl<I> UnblockIter<I>
where
    I: Iterator + Send + 'static,
    I::Item: Send + 'static,
{
    /// At most 1,024 items are read ahead of the consumer. Nothing happens before the first poll.
    pub fn new(pool: &ThreadPoolExecutor, iter: impl IntoIterator<IntoIter = I>) -> Self {
        Self::with_capacity(ITEMS, pool, iter)
    }

    /// At most `items` are read ahead of the consumer; 0 counts as 1. Nothing happens before the first poll.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    /// use futures_lite_bridge::{block_on, UnblockIter};
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// // Large items: one ahead is enough.
    /// let pages = ["one", "three"].map(|name| name.repeat(10_000));
    /// let mut pages = UnblockIter::with_capacity(1, &pool, pages);
    /// let bytes = pages.try_fold(0, |bytes, page| Ok(bytes + page.len()));
    /// assert_eq!(block_on(bytes)?, 80_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_capacity(
        items: usize,
        pool: &ThreadPoolExecutor,
        iter: impl IntoIterator<IntoIter = I>,
    ) -> Self {
        Self {
            submitter: pool.submitter(),
            state: State::Idle(iter.into_iter()),
            items: Arc::new(Items::new()),
            taken: VecDeque::new(),
            capacity: items.max(1),
        }
    }

    /// Starts a job. The iterator is here.
    fn start(&mut self) {
        if let State::Idle(iter) = std::mem::replace(&mut self.state, State::Ended) {
            let (items, capacity) = (Arc::clone(&self.items), self.capacity);
            let handle = submit(&self.submitter, move || {
                let mut turn = Turn::begin();
                items.fill(iter, capacity, |took_long| turn.is_over_after(took_long))
            });
            self.state = State::Filling(handle.cancel_on_drop());
        }
    }

    /// Starts a job when half of the room is free, so that there are few.
    fn go_on(&mut self, context: &mut Context<'_>) {
        if matches!(&self.state, State::Filling(handle) if handle.is_done()) {
            let _ = self.poll_idle(context);
        }
        if matches!(self.state, State::Idle(_))
            && self.items.is_half_empty(self.taken.len(), self.capacity)
        {
            self.start();
        }
    }

    /// Ready when no job has the iterator.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let State::Filling(handle) = &mut self.state {
            self.state = match ready!(Pin::new(handle).poll(context)) {
                Ok(Some(iter)) => State::Idle(iter),
                Ok(None) => State::Ended,
                Err(error) => State::Failed(error),
            };
        }
        Poll::Ready(())
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
        if let Some(item) = this.taken.pop_front() {
            if this.taken.len() == this.capacity / 2 {
                this.go_on(context);
            }
            return Poll::Ready(Some(Ok(item)));
        }
        loop {
            // Before looking at the items: those of a job that has ended are there by then.
            let polled = this.poll_idle(context);
            if this.items.take(&mut this.taken, context.waker()) {
                let item = this.taken.pop_front();
                if this.taken.len() <= this.capacity / 2 {
                    this.go_on(context);
                }
                return Poll::Ready(item.map(Ok));
            }
            ready!(polled);
            match std::mem::replace(&mut this.state, State::Ended) {
                State::Failed(error) => return Poll::Ready(Some(Err(error))),
                State::Ended => return Poll::Ready(None),
                here => this.state = here,
            }
            this.start();
        }
    }
}

impl<I: Iterator> fmt::Debug for UnblockIter<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnblockIter")
            .field("is_filling", &matches!(self.state, State::Filling(_)))
            .field("ahead", &(self.taken.len() + self.items.len()))
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
