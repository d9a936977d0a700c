//! The lazy map that ends at the first error.

use std::fmt;
use std::iter::FusedIterator;
use std::time::Duration;

use crate::{CancelToken, FutureResult, Map, TaskError, TryError, contain, panic};

/// A [`Map`] over a function that may fail, which stops at the first error; from a pool's `try_map`.
///
/// It yields values in the order of the input, up to the first item whose function returned an
/// error or whose task has none. That error comes last: before it is yielded, submitted tasks that
/// have not started are cancelled, running ones are asked to stop, and the input is dropped.
/// `collect::<Result<Vec<_>, _>>()` gives all the values or that error.
///
/// To hear of an error as soon as it happens, however long the items before it take, use
/// [`unordered`](Self::unordered).
///
/// # Panics
///
/// `next` panics if the input does.
///
/// # Cancel safety
///
/// As for [`Map`]: dropping the iterator cancels, unless it is [detached](Self::detach).
///
/// # Examples
///
/// Any way to submit will do; a pool's `try_map` fills it in:
///
/// ```
/// use future_result::{task, try_run_chunk, TryError, TryMap};
///
/// let submit = |texts: Vec<&'static str>| {
///     let (task, handle) = task(|| try_run_chunk(&|text: &str| text.parse::<u32>(), texts));
///     std::thread::spawn(|| task.run());
///     handle
/// };
/// let numbers = TryMap::new(["1", "2", "3"], submit, 8).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(numbers, [1, 2, 3]);
///
/// let mut numbers = TryMap::new(["1", "two", "3"], submit, 8);
/// assert_eq!(numbers.next().unwrap()?, 1);
/// assert!(matches!(numbers.next(), Some(Err(TryError::Returned(_)))));
/// assert!(numbers.next().is_none());
/// # Ok::<(), TryError<std::num::ParseIntError>>(())
/// ```
#[must_use = "iterators are lazy: nothing is submitted before the first `next`"]
pub struct TryMap<I, S, F: FutureResult, R, E> {
    /// `None` once it has yielded an error: dropping the map is what cancels.
    map: Option<Map<I, S, F, Result<R, E>>>,
}

impl<I, S, F, R, E> TryMap<I, S, F, R, E>
where
    I: Iterator,
    S: FnMut(Vec<I::Item>) -> F,
    F: FutureResult<Value = Vec<Result<Result<R, E>, TaskError>>>,
{
    /// As [`Map::new`]; but of the results that `submit` gives a handle to, those after the first
    /// error may be missing. See [`try_run_chunk`].
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, try_run_chunk, TryError, TryMap};
    ///
    /// let submit = |items| {
    ///     let less_one = |n: u32| n.checked_sub(1).ok_or("nothing left");
    ///     let (task, handle) = task(move || try_run_chunk(&less_one, items));
    ///     task.run();
    ///     handle
    /// };
    /// let result = TryMap::new([2, 1, 0], submit, 8).collect::<Result<Vec<_>, _>>();
    /// assert!(matches!(result, Err(TryError::Returned("nothing left"))));
    /// ```
    pub fn new(input: impl IntoIterator<IntoIter = I>, submit: S, buffer_size: usize) -> Self {
        Self {
            map: Some(Map::new(input, submit, buffer_size)),
        }
    }

    /// See [`Map::buffer_size`]; also how many tasks may have been started in vain when there is an
    /// error.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, try_run_chunk, TryMap};
    ///
    /// let mut submitted = 0;
    /// let submit = |items| {
    ///     submitted += 1;
    ///     let (task, handle) = task(|| try_run_chunk(&|n: u32| Err::<(), _>(n), items));
    ///     task.run();
    ///     handle
    /// };
    /// assert_eq!(TryMap::new(1.., submit, 8).buffer_size(3).count(), 1);
    /// assert_eq!(submitted, 3);
    /// ```
    pub fn buffer_size(self, tasks: usize) -> Self {
        self.with(|map| map.buffer_size(tasks))
    }

    /// See [`Map::chunk_size`]. An error ends its task, too: the rest of the chunk is not run.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, try_run_chunk, TryMap};
    ///
    /// let mut submitted = 0;
    /// let submit = |items| {
    ///     submitted += 1;
    ///     let less_one = |n: u32| n.checked_sub(1).ok_or("nothing left");
    ///     let (task, handle) = task(move || try_run_chunk(&less_one, items));
    ///     task.run();
    ///     handle
    /// };
    /// let less = TryMap::new(1..=100, submit, 8).chunk_size(50);
    /// assert_eq!((less.count(), submitted), (100, 2));
    /// ```
    pub fn chunk_size(self, items: usize) -> Self {
        self.with(|map| map.chunk_size(items))
    }

    /// Yields values as they complete, and the error that completes first; see [`Map::unordered`],
    /// also on how to tell which item a result is of.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, try_run_chunk, TryError, TryMap};
    ///
    /// let mut late = None;
    /// let submit = |items: Vec<u32>| {
    ///     let is_first = items == [1];
    ///     let (task, handle) = task(|| try_run_chunk(&|n: u32| Err::<(), _>(n), items));
    ///     if is_first { late = Some(task) } else { task.run() }
    ///     handle
    /// };
    /// let results: Vec<_> = TryMap::new(1..=2, submit, 8).unordered().collect();
    /// assert!(matches!(results[..], [Err(TryError::Returned(2))]));
    /// assert!(late.is_some_and(|task| task.is_stale())); // Cancelled.
    /// ```
    pub fn unordered(self) -> Self {
        self.with(Map::unordered)
    }

    /// See [`Map::timeout`]. The first [`TaskError::TimedOut`] is an error like any other: the last
    /// item.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use future_result::{task, try_run_chunk, TaskError, TryError, TryMap};
    ///
    /// let submit = |items| {
    ///     let (task, handle) = task(|| try_run_chunk(&|n: u32| n.checked_add(1).ok_or(n), items));
    ///     task.run();
    ///     handle
    /// };
    /// let result = TryMap::new(1.., submit, 8).timeout(Duration::ZERO).collect::<Result<Vec<_>, _>>();
    /// assert!(matches!(result, Err(TryError::Task(TaskError::TimedOut))));
    /// ```
    pub fn timeout(self, limit: Duration) -> Self {
        self.with(|map| map.timeout(limit))
    }

    /// Ends the iteration, and lets what was submitted run on; see [`Map::detach`].
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, try_run_chunk, TryError, TryMap};
    ///
    /// let mut late = None;
    /// let submit = |items: Vec<u32>| {
    ///     let is_first = items == [1];
    ///     let (task, handle) = task(|| try_run_chunk(&|n: u32| n.checked_sub(1).ok_or(n), items));
    ///     if is_first { task.run() } else { late = Some(task) }
    ///     handle
    /// };
    /// let mut less = TryMap::new(1..=2, submit, 8);
    /// assert_eq!(less.next().unwrap()?, 0);
    /// less.detach();
    /// assert!(late.is_some_and(|task| !task.is_stale())); // Not cancelled.
    /// # Ok::<(), TryError<u32>>(())
    /// ```
    pub fn detach(self) {
        if let Some(map) = self.map {
            map.detach();
        }
    }

    fn with(
        self,
        change: impl FnOnce(Map<I, S, F, Result<R, E>>) -> Map<I, S, F, Result<R, E>>,
    ) -> Self {
        Self {
            map: self.map.map(change),
        }
    }
}

impl<I, S, F, R, E> Iterator for TryMap<I, S, F, R, E>
where
    I: Iterator,
    S: FnMut(Vec<I::Item>) -> F,
    F: FutureResult<Value = Vec<Result<Result<R, E>, TaskError>>>,
{
    type Item = Result<R, TryError<E>>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = TryError::flatten(self.map.as_mut()?.next()?);
        if result.is_err() {
            self.map = None;
        }
        Some(result)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let Some(map) = &self.map else {
            return (0, Some(0));
        };
        // The next one may be an error, after which there is nothing.
        let (least, most) = map.size_hint();
        (least.min(1), most)
    }
}

impl<I, S, F, R, E> FusedIterator for TryMap<I, S, F, R, E>
where
    I: Iterator,
    S: FnMut(Vec<I::Item>) -> F,
    F: FutureResult<Value = Vec<Result<Result<R, E>, TaskError>>>,
{
}

impl<I, S, F: FutureResult, R, E> fmt::Debug for TryMap<I, S, F, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryMap").field("map", &self.map).finish()
    }
}

/// Applies `function` to the items of one task, up to the first that fails or panics: where there
/// are fewer results than items, the last result is an error.
///
/// Between two items it asks the [`CancelToken`] of the running task, and ends with
/// [`TaskError::Cancelled`] if it is told to stop.
///
/// # Examples
///
/// ```
/// use future_result::try_run_chunk;
///
/// let results = try_run_chunk(&|text: &str| text.parse::<u32>(), vec!["1", "two", "3"]);
/// assert_eq!(results.len(), 2);
/// assert_eq!(results[0].as_ref().unwrap(), &Ok(1));
/// assert!(results[1].as_ref().unwrap().is_err());
/// ```
pub fn try_run_chunk<A, R, E>(
    function: &impl Fn(A) -> Result<R, E>,
    items: Vec<A>,
) -> Vec<Result<Result<R, E>, TaskError>> {
    let token = (items.len() > 1).then(CancelToken::current);
    let is_cancelled = || token.as_ref().is_some_and(CancelToken::is_cancelled);
    let mut results = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    while let Some(item) = items.next() {
        let result = panic::catch(|| function(item));
        let goes_on = matches!(result, Ok(Ok(_)));
        results.push(result);
        if !goes_on {
            break;
        }
        if items.len() > 0 && is_cancelled() {
            results.push(Err(TaskError::Cancelled));
            break;
        }
    }
    // A destructor that panics must not cost the results.
    contain(|| drop(items));
    results
}
