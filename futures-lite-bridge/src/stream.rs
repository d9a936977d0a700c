//! Streams of results: handles in the order of their completion, and a function over a stream on a pool.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use future_result::{CancelOnDrop, CompletionSet, FutureResult, JoinHandle, TaskError, task_in};
use futures_core::Stream;
use pin_project_lite::pin_project;
use thread_pool::{Submitter, ThreadPoolExecutor};

/// Handles from any pools as a stream of outcomes in order of completion, each with its handle's index in `handles`.
///
/// It is the set that [`as_completed`](future_result::as_completed) iterates over, so more can be
/// inserted at any time. Dropping it detaches what it has not yielded.
///
/// # Cancel safety
///
/// Dropping a future that awaits the next item loses nothing.
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
/// use futures_lite_bridge::{block_on, completed};
/// use thread_pool::ThreadPoolExecutor;
///
/// let pool = ThreadPoolExecutor::new(2)?;
/// let mut lengths = completed(["one", "three"].map(|word| pool.submit(move || word.len())));
/// let sum = block_on(async {
///     let mut sum = 0;
///     while let Some((_index, length)) = lengths.next().await {
///         sum += length?;
///     }
///     Ok::<_, thread_pool::TaskError>(sum)
/// })?;
/// assert_eq!(sum, 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn completed<I>(handles: I) -> CompletionSet<usize, I::Item>
where
    I: IntoIterator<Item: FutureResult>,
{
    let mut set = CompletionSet::new();
    for (index, handle) in handles.into_iter().enumerate() {
        set.insert(index, handle);
    }
    set
}

/// Applies `function` to every item of a stream on the workers of a pool, and returns a stream of the
/// results, in the order of the input.
///
/// The input is pulled only [`buffer_size`](MapStream::buffer_size) tasks ahead of what was taken, 8 for
/// each worker unless set otherwise; so a slow consumer slows the input down. A bound of the pool's queue
/// is ignored, since async code cannot wait for room there: the buffer is the bound.
///
/// Its cancel safety is that of [`MapStream`].
///
/// It is [`ThreadPoolExecutor::map`] for streams. For futures, or other pools, use `buffered` of
/// `futures-util` over their handles.
///
/// # Examples
///
/// ```
/// use futures_lite::{stream, StreamExt};
/// use futures_lite_bridge::{block_on, map_stream};
/// use thread_pool::ThreadPoolExecutor;
///
/// let pool = ThreadPoolExecutor::new(2)?;
/// let squares = map_stream(&pool, stream::iter(1..=4), |n: u32| n * n);
/// let squares: Vec<u32> = block_on(squares.try_collect())?;
/// assert_eq!(squares, [1, 4, 9, 16]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn map_stream<S, F, R>(pool: &ThreadPoolExecutor, stream: S, function: F) -> MapStream<S, F, R>
where
    S: Stream,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    MapStream {
        input: Some(stream),
        submitter: pool.submitter(),
        function: Arc::new(function),
        in_flight: InFlight::Ordered(VecDeque::new()),
        buffer_size: pool.workers().saturating_mul(8).max(1),
    }
}

pin_project! {
    /// The stream that [`map_stream`] returns. Each item is a `Result` of its own; after an error the others
    /// go on.
    ///
    /// # Panics
    ///
    /// Polling it panics if the input does.
    ///
    /// # Cancel safety
    ///
    /// Dropping a future that awaits the next item loses nothing. Dropping the stream itself cancels what
    /// has not started; what is running is asked to stop.
    ///
    /// # Examples
    ///
    /// See [`map_stream`].
    #[must_use = "streams do nothing unless they are polled"]
    pub struct MapStream<S, F, R> {
        // `None` once exhausted.
        #[pin]
        input: Option<S>,
        submitter: Submitter,
        function: Arc<F>,
        in_flight: InFlight<R>,
        buffer_size: usize,
    }
}

type Handle<R> = CancelOnDrop<JoinHandle<R>>;

enum InFlight<R> {
    Ordered(VecDeque<Handle<R>>),
    Unordered(CompletionSet<(), Handle<R>>),
}

impl<S, F, R> MapStream<S, F, R> {
    /// How many tasks may be submitted but not yet yielded. 0 counts as 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::{stream, StreamExt};
    /// use futures_lite_bridge::{block_on, map_stream};
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let mut pulled = 0;
    /// let numbers = stream::iter(1..).map(|n| {
    ///     pulled += 1;
    ///     n
    /// });
    /// let mut doubled = map_stream(&pool, numbers, |n: u32| 2 * n).buffer_size(3);
    /// assert_eq!(block_on(doubled.next()).unwrap()?, 2);
    /// drop(doubled);
    /// assert_eq!(pulled, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn buffer_size(mut self, tasks: usize) -> Self {
        self.buffer_size = tasks.max(1);
        self
    }

    /// Yields results as they complete, instead of in the order of the input.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::{stream, StreamExt};
    /// use futures_lite_bridge::{block_on, map_stream};
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let squares = map_stream(&pool, stream::iter(1..=4), |n: u32| n * n).unordered();
    /// let mut squares: Vec<u32> = block_on(squares.try_collect())?;
    /// squares.sort();
    /// assert_eq!(squares, [1, 4, 9, 16]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unordered(mut self) -> Self {
        if let InFlight::Ordered(handles) = &mut self.in_flight {
            let mut set = CompletionSet::new();
            for handle in handles.drain(..) {
                set.insert((), handle);
            }
            self.in_flight = InFlight::Unordered(set);
        }
        self
    }
}

impl<R> InFlight<R> {
    fn len(&self) -> usize {
        match self {
            Self::Ordered(handles) => handles.len(),
            Self::Unordered(set) => set.len(),
        }
    }

    fn push(&mut self, handle: Handle<R>) {
        match self {
            Self::Ordered(handles) => handles.push_back(handle),
            Self::Unordered(set) => set.insert((), handle),
        }
    }

    /// The next result; `None` if there is nothing to wait for.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<R, TaskError>>> {
        match self {
            Self::Ordered(handles) => {
                let Some(oldest) = handles.front_mut() else {
                    return Poll::Ready(None);
                };
                let result = ready!(Pin::new(oldest).poll(context));
                handles.pop_front();
                Poll::Ready(Some(result))
            }
            Self::Unordered(set) => {
                let next = ready!(Pin::new(set).poll_next(context));
                Poll::Ready(next.map(|((), result)| result))
            }
        }
    }
}

impl<S, F, R> Stream for MapStream<S, F, R>
where
    S: Stream,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    type Item = Result<R, TaskError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        while this.in_flight.len() < *this.buffer_size {
            let Some(input) = this.input.as_mut().as_pin_mut() else {
                break;
            };
            match input.poll_next(context) {
                Poll::Ready(Some(item)) => {
                    let function = Arc::clone(this.function);
                    let (task, handle) = task_in(this.submitter.pool(), move || function(item));
                    this.submitter.submit(task);
                    this.in_flight.push(handle.cancel_on_drop());
                }
                // An input must not be polled again after its end.
                Poll::Ready(None) => this.input.set(None),
                Poll::Pending => break,
            }
        }
        match this.in_flight.poll_next(context) {
            Poll::Ready(None) if this.input.is_some() => Poll::Pending,
            next => next,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let in_flight = self.in_flight.len();
        let (least, most) = self.input.as_ref().map_or((0, Some(0)), S::size_hint);
        let most = most.and_then(|most| most.checked_add(in_flight));
        (least.saturating_add(in_flight), most)
    }
}

impl<S, F, R> fmt::Debug for MapStream<S, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapStream")
            .field("in_flight", &self.in_flight.len())
            .field("buffer_size", &self.buffer_size)
            .finish_non_exhaustive()
    }
}
