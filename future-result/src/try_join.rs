//! Waiting for all of several handles, or for the first error.

use std::error::Error;
use std::fmt;
use std::iter;

use crate::{FutureResult, TaskError, as_completed};

/// Waits for all `handles` and returns their values, in the order of the handles; or, at the first
/// error, cancels the others and returns that error at once.
///
/// Handles of any pool will do; [box](FutureResult::boxed) mixed ones. It waits as its context
/// waits; a worker runs queued tasks of its own pool in place meanwhile. After an error, what has not
/// started never will; what is running is asked to stop, and not waited for.
///
/// The tasks' own errors are values here. If they should end the wait, too,
/// use [`try_join_all_with`].
///
/// # Errors
///
/// [`FirstError`] with the first error in the order of completion, and the index of its handle.
/// Handles that are already done count as completed in their own order. A handle that somebody else
/// cancelled has no value, so that is an error, too.
///
/// # Panics
///
/// If the outcome of a handle was taken before, by polling, or if the iterator of the handles
/// panics. Then, too, the handles are cancelled.
///
/// # Examples
///
/// ```
/// use future_result::{pair, task, try_join_all, TaskError};
///
/// let (tasks, handles): (Vec<_>, Vec<_>) = (1..=3).map(|n| task(move || n * n)).unzip();
/// std::thread::spawn(|| tasks.into_iter().for_each(|task| task.run()));
/// assert_eq!(try_join_all(handles)?, [1, 4, 9]);
///
/// let (slow, slow_handle) = pair::<u32>();
/// let (lost, lost_handle) = pair();
/// drop(lost);
/// let first = try_join_all([slow_handle, lost_handle]).unwrap_err();
/// assert_eq!(first.index, 1);
/// assert!(matches!(first.error, TaskError::Lost(_)));
/// assert!(slow.is_cancelled());
/// # Ok::<(), future_result::FirstError>(())
/// ```
pub fn try_join_all<I, F>(handles: I) -> Result<Vec<F::Value>, FirstError>
where
    I: IntoIterator<Item = F>,
    F: FutureResult,
{
    try_join_all_with(handles, |result| result)
}

/// Like [`try_join_all`], for what `judge` makes of each outcome as it completes.
///
/// With [`TryError::flatten`](crate::TryError::flatten) as the judge, a task that returned an error
/// counts as one that failed.
///
/// # Errors
///
/// [`FirstError`] with the first error that `judge` returned, in the order of completion.
///
/// # Panics
///
/// As [`try_join_all`], and if `judge` panics.
///
/// # Examples
///
/// ```
/// use future_result::{task, try_join_all_with, TryError};
///
/// let parse = |text: &'static str| {
///     let (task, handle) = task(|| text.parse::<u32>());
///     task.run();
///     handle
/// };
/// let numbers = try_join_all_with(["1", "2"].map(parse), TryError::flatten)?;
/// assert_eq!(numbers, [1, 2]);
///
/// let first = try_join_all_with(["1", "two"].map(parse), TryError::flatten).unwrap_err();
/// assert_eq!(first.index, 1);
/// assert!(matches!(first.error, TryError::Returned(_)));
/// # Ok::<(), future_result::FirstError<TryError<std::num::ParseIntError>>>(())
/// ```
pub fn try_join_all_with<I, F, T, E>(
    handles: I,
    mut judge: impl FnMut(Result<F::Value, TaskError>) -> Result<T, E>,
) -> Result<Vec<T>, FirstError<E>>
where
    I: IntoIterator<Item = F>,
    F: FutureResult,
{
    // Dropping what is left cancels it, however this ends.
    let handles = handles.into_iter().map(FutureResult::cancel_on_drop);
    let completed = as_completed(handles);
    let mut values: Vec<Option<T>> = iter::repeat_with(|| None)
        .take(completed.pending())
        .collect();
    for (index, result) in completed {
        match judge(result) {
            Ok(value) => values[index] = Some(value),
            Err(error) => return Err(FirstError { index, error }),
        }
    }
    // All of them: each handle is yielded once.
    Ok(values.into_iter().flatten().collect())
}

/// The error that ended [`try_join_all`], and the handle that had it.
///
/// # Examples
///
/// ```
/// use future_result::{task, try_join_all};
///
/// let [fine, wrong] = [1, 0].map(|divisor| {
///     let (task, handle) = task(move || 100 / divisor);
///     task.run();
///     handle
/// });
/// let first = try_join_all([fine, wrong]).unwrap_err();
/// assert_eq!(first.to_string(), "task 1: the task panicked: attempt to divide by zero");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FirstError<E = TaskError> {
    /// The index of its handle among those that were waited for.
    pub index: usize,
    /// The error itself.
    pub error: E,
}

impl<E: fmt::Display> fmt::Display for FirstError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}: {}", self.index, self.error)
    }
}

impl<E: Error> Error for FirstError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
