//! The lazy map of every pool: one adaptor over any way to submit.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::time::{Duration, Instant};

use crate::sync::now;
use crate::{CompletionSet, FutureResult, TaskError, WaitTimedOut, panic};

/// An iterator over the results of a function that runs elsewhere, from a pool's `map`.
///
/// It is lazy: nothing is submitted before the first `next`, and then only
/// [`buffer_size`](Self::buffer_size) tasks ahead of what was taken, so the input may be endless.
/// Results come in the order of the input, each a `Result` of its own; after an error the others go
/// on. [`TryMap`](crate::TryMap) stops at the first error instead.
///
/// # Panics
///
/// `next` panics if the input does.
///
/// # Cancel safety
///
/// Dropping the iterator cancels submitted tasks that have not started, and asks running ones
/// to stop. To let them all run instead, use [`detach`](Self::detach).
///
/// # Examples
///
/// Any way to submit will do; a pool's `map` fills it in:
///
/// ```
/// use future_result::{run_chunk, task, Map};
///
/// let submit = |items: Vec<u32>| {
///     let (task, handle) = task(move || run_chunk(&|n| n * n, items));
///     std::thread::spawn(|| task.run());
///     handle
/// };
/// let squares: Vec<u32> = Map::new(1..=4, submit, 8).collect::<Result<_, _>>()?;
/// assert_eq!(squares, [1, 4, 9, 16]);
/// # Ok::<(), future_result::TaskError>(())
/// ```
#[must_use = "iterators are lazy: nothing is submitted before the first `next`"]
pub struct Map<I, S, F: FutureResult, R> {
    /// `None` once exhausted, or cut off by the deadline.
    input: Option<I>,
    submit: S,
    in_flight: InFlight<F>,
    /// Results that were computed together with one already yielded.
    ready: VecDeque<Result<R, TaskError>>,
    buffer_size: usize,
    chunk_size: usize,
    deadline: Option<Instant>,
}

impl<I, S, F, R> Map<I, S, F, R>
where
    I: Iterator,
    S: FnMut(Vec<I::Item>) -> F,
    F: FutureResult<Value = Vec<Result<R, TaskError>>>,
{
    /// Feeds `input` to `submit`, which gets the items of a task and returns a handle to as many
    /// results; see [`run_chunk`]. `buffer_size` is as in the method of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{run_chunk, task, Map};
    ///
    /// let submit = |items| {
    ///     let (task, handle) = task(|| run_chunk(&|n: u32| n * n, items));
    ///     task.run();
    ///     handle
    /// };
    /// let mut squares = Map::new([2, 3], submit, 8);
    /// assert_eq!(squares.next().unwrap()?, 4);
    /// assert_eq!(squares.next().unwrap()?, 9);
    /// assert!(squares.next().is_none());
    /// # Ok::<(), future_result::TaskError>(())
    /// ```
    pub fn new(input: impl IntoIterator<IntoIter = I>, submit: S, buffer_size: usize) -> Self {
        Self {
            input: Some(input.into_iter()),
            submit,
            in_flight: InFlight::Ordered(VecDeque::new()),
            ready: VecDeque::new(),
            buffer_size: buffer_size.max(1),
            chunk_size: 1,
            deadline: None,
        }
    }

    /// How many tasks may be submitted but not yet yielded: it bounds the memory that a slow consumer
    /// costs, and how far others get ahead of a slow task. 0 counts as 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{run_chunk, task, Map};
    ///
    /// let mut submitted = 0;
    /// let submit = |items| {
    ///     submitted += 1;
    ///     let (task, handle) = task(|| run_chunk(&|n: u32| n * n, items));
    ///     task.run();
    ///     handle
    /// };
    /// let first = Map::new(1.., submit, 8).buffer_size(3).next().unwrap();
    /// assert_eq!((first?, submitted), (1, 3));
    /// # Ok::<(), future_result::TaskError>(())
    /// ```
    pub fn buffer_size(mut self, tasks: usize) -> Self {
        self.buffer_size = tasks.max(1);
        self
    }

    /// How many items make a task, for items that take less than a few microseconds each. By default
    /// 1; 0 counts as 1. A panic still costs only its own item; cancelling works by task.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{run_chunk, task, Map};
    ///
    /// let mut submitted = 0;
    /// let submit = |items| {
    ///     submitted += 1;
    ///     let (task, handle) = task(|| run_chunk(&|n: u32| n * n, items));
    ///     task.run();
    ///     handle
    /// };
    /// let squares = Map::new(1..=100, submit, 8).chunk_size(50);
    /// assert_eq!((squares.count(), submitted), (100, 2));
    /// ```
    pub fn chunk_size(mut self, items: usize) -> Self {
        self.chunk_size = items.max(1);
        self
    }

    /// Yields results as they complete, instead of in the order of the input.
    ///
    /// They do not say which item they belong to. Where that matters, let the function return it too:
    /// give it an [enumerated](Iterator::enumerate) input, as below. (An item that panicked has no
    /// result to return it in.)
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{run_chunk, task, Map};
    ///
    /// let mut late = None;
    /// let submit = |items: Vec<u32>| {
    ///     let is_first = items == [1];
    ///     let (task, handle) = task(|| run_chunk(&|n| n * n, items));
    ///     if is_first { late = Some(task) } else { task.run() }
    ///     handle
    /// };
    /// let mut squares = Map::new(1..=2, submit, 8).unordered();
    /// assert_eq!(squares.next().unwrap()?, 4);
    /// # Ok::<(), future_result::TaskError>(())
    /// ```
    ///
    /// ```
    /// use future_result::{run_chunk, task, Map};
    ///
    /// let submit = |items| {
    ///     let (task, handle) = task(|| run_chunk(&|(index, n): (usize, u32)| (index, n * n), items));
    ///     std::thread::spawn(|| task.run());
    ///     handle
    /// };
    /// let numbers = [7, 8, 9];
    /// for square in Map::new(numbers.into_iter().enumerate(), submit, 8).unordered() {
    ///     let (index, square) = square?;
    ///     assert_eq!(square, numbers[index] * numbers[index]);
    /// }
    /// # Ok::<(), future_result::TaskError>(())
    /// ```
    pub fn unordered(mut self) -> Self {
        let mut set = CompletionSet::new();
        for (items, handle) in self.in_flight.take_all() {
            set.insert(items, handle);
        }
        self.in_flight = InFlight::Unordered(set);
        self
    }

    /// Gives the whole map until `limit` after this call. What is submitted but not done by then is
    /// cancelled and yields [`TaskError::TimedOut`]; all that was not even submitted yields one more such
    /// error, as the last item. (An input that does not know its size yields it even if it was at
    /// its end.)
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use future_result::{run_chunk, task, Map, TaskError};
    ///
    /// let submit = |items| {
    ///     let (task, handle) = task(|| run_chunk(&|n: u32| n * n, items));
    ///     task.run();
    ///     handle
    /// };
    /// let mut squares = Map::new(1.., submit, 8).timeout(Duration::ZERO);
    /// assert!(matches!(squares.next(), Some(Err(TaskError::TimedOut))));
    /// assert!(squares.next().is_none());
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.deadline = now().checked_add(limit);
        self
    }

    /// Ends the iteration, and lets what was submitted run on.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{run_chunk, task, Map};
    ///
    /// let mut late = None;
    /// let submit = |items: Vec<u32>| {
    ///     let is_first = items == [1];
    ///     let (task, handle) = task(|| run_chunk(&|n| n * n, items));
    ///     if is_first { task.run() } else { late = Some(task) }
    ///     handle
    /// };
    /// let mut squares = Map::new(1..=2, submit, 8);
    /// assert_eq!(squares.next().unwrap()?, 1);
    /// squares.detach();
    /// assert!(late.is_some_and(|task| !task.is_stale())); // Not cancelled.
    /// # Ok::<(), future_result::TaskError>(())
    /// ```
    pub fn detach(mut self) {
        for (_, handle) in self.in_flight.take_all() {
            panic::contain(|| drop(handle));
        }
    }
}

impl<I, S, F, R> Map<I, S, F, R>
where
    I: Iterator,
    S: FnMut(Vec<I::Item>) -> F,
    F: FutureResult<Value = Vec<Result<R, TaskError>>>,
{
    /// Submits until the buffer is full or the input ends.
    fn fill(&mut self) {
        while self.in_flight.len() < self.buffer_size
            && let Some(input) = &mut self.input
        {
            let chunk: Vec<I::Item> = input.by_ref().take(self.chunk_size).collect();
            if chunk.len() < self.chunk_size {
                self.input = None;
            }
            if !chunk.is_empty() {
                self.in_flight.push(chunk.len(), (self.submit)(chunk));
            }
        }
    }

    fn is_expired(&self) -> bool {
        self.deadline.is_some_and(|deadline| now() >= deadline)
    }

    /// The time is up: what is not done is cancelled, and everything left becomes ready.
    fn expire(&mut self) {
        for (items, handle) in self.in_flight.take_all() {
            if handle.is_done() {
                self.unpack(items, handle.result());
            } else {
                abandon(handle);
                self.unpack(items, Err(TaskError::TimedOut));
            }
        }
        // Not asked for another item, which might make it wait.
        let input = self.input.take();
        if input.is_some_and(|input| input.size_hint().1 != Some(0)) {
            self.ready.push_back(Err(TaskError::TimedOut));
        }
    }

    fn unpack(&mut self, items: usize, results: Result<F::Value, TaskError>) {
        match results {
            Ok(results) => self.ready.extend(results),
            Err(error) => {
                let errors = std::iter::repeat_with(|| Err(error.clone()));
                self.ready.extend(errors.take(items));
            }
        }
    }
}

impl<I, S, F, R> Iterator for Map<I, S, F, R>
where
    I: Iterator,
    S: FnMut(Vec<I::Item>) -> F,
    F: FutureResult<Value = Vec<Result<R, TaskError>>>,
{
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(result) = self.ready.pop_front() {
                return Some(result);
            }
            if !self.is_expired() {
                self.fill();
            }
            match self.in_flight.wait_next(self.deadline) {
                Ok(Some((items, results))) => self.unpack(items, results),
                Ok(None) if self.input.is_none() => return None,
                Ok(None) | Err(WaitTimedOut) => self.expire(),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let known = self.in_flight.items() + self.ready.len();
        let (least, most) = match &self.input {
            Some(input) => input.size_hint(),
            None => (0, Some(0)),
        };
        let least = if self.deadline.is_some() { 0 } else { least };
        (
            known.saturating_add(least),
            most.and_then(|most| known.checked_add(most)),
        )
    }
}

impl<I, S, F, R> FusedIterator for Map<I, S, F, R>
where
    I: Iterator,
    S: FnMut(Vec<I::Item>) -> F,
    F: FutureResult<Value = Vec<Result<R, TaskError>>>,
{
}

impl<I, S, F: FutureResult, R> Drop for Map<I, S, F, R> {
    fn drop(&mut self) {
        for (_, handle) in self.in_flight.take_all() {
            abandon(handle);
        }
    }
}

/// Cancels a task, or asks it to stop if it is running, and drops its result if there is one. A
/// destructor that panics must not keep other tasks from being cancelled, or cost their results.
fn abandon(handle: impl FutureResult) {
    panic::contain(|| {
        let _ = handle.cancel();
        drop(handle);
    });
}

impl<I, S, F: FutureResult, R> fmt::Debug for Map<I, S, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("in_flight", &self.in_flight.len())
            .field("buffer_size", &self.buffer_size)
            .field("chunk_size", &self.chunk_size)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// What was submitted and not yielded, each with its number of items.
enum InFlight<F: FutureResult> {
    Ordered(VecDeque<(usize, F)>),
    Unordered(CompletionSet<usize, F>),
}

impl<F: FutureResult> InFlight<F> {
    fn len(&self) -> usize {
        match self {
            Self::Ordered(queue) => queue.len(),
            Self::Unordered(set) => set.len(),
        }
    }

    fn items(&self) -> usize {
        match self {
            Self::Ordered(queue) => queue.iter().map(|(items, _)| items).sum(),
            Self::Unordered(set) => set.keys().sum(),
        }
    }

    fn push(&mut self, items: usize, handle: F) {
        match self {
            Self::Ordered(queue) => queue.push_back((items, handle)),
            Self::Unordered(set) => set.insert(items, handle),
        }
    }

    fn take_all(&mut self) -> Vec<(usize, F)> {
        match std::mem::replace(self, Self::Ordered(VecDeque::new())) {
            Self::Ordered(queue) => queue.into(),
            Self::Unordered(set) => set.into_pending().collect(),
        }
    }

    #[expect(
        clippy::type_complexity,
        reason = "an outcome with its number of items"
    )]
    fn wait_next(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<(usize, Result<F::Value, TaskError>)>, WaitTimedOut> {
        match self {
            Self::Unordered(set) => set.wait_deadline(deadline),
            Self::Ordered(queue) => {
                let Some((_, handle)) = queue.front_mut() else {
                    return Ok(None);
                };
                let in_time = match deadline {
                    None => {
                        handle.wait();
                        true
                    }
                    Some(deadline) => {
                        handle.wait_timeout(deadline.saturating_duration_since(now()))
                    }
                };
                if !in_time {
                    return Err(WaitTimedOut);
                }
                Ok(queue
                    .pop_front()
                    .map(|(items, handle)| (items, handle.result())))
            }
        }
    }
}

/// Applies `function` to the items of one task; a panic costs only its own item.
///
/// # Examples
///
/// ```
/// use future_result::run_chunk;
///
/// let results = run_chunk(&|n: u32| 100 / n, vec![20, 0, 50]);
/// assert_eq!(*results[0].as_ref().unwrap(), 5);
/// assert!(results[1].is_err());
/// assert_eq!(*results[2].as_ref().unwrap(), 2);
/// ```
pub fn run_chunk<A, R>(function: &impl Fn(A) -> R, items: Vec<A>) -> Vec<Result<R, TaskError>> {
    let results = items
        .into_iter()
        .map(|item| panic::catch(|| function(item)));
    results.collect()
}
