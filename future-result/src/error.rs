//! What a waiter gets when there is no value: one error type for every pool.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::Panic;

/// Why a task has no value.
///
/// One type for every pool, so that code which waits need not know where the work was done. A
/// task's own `Result` is not part of this type: it is the value.
///
/// Cloning is cheap: every clone shares the same details.
///
/// # Examples
///
/// ```
/// use future_result::{pair, FutureResult, TaskError};
///
/// let (completer, handle) = pair::<u32>();
/// drop(completer);
/// match handle.result() {
///     Ok(value) => println!("got {value}"),
///     Err(TaskError::Cancelled) => println!("somebody cancelled it"),
///     Err(TaskError::Panicked(panic)) => println!("it panicked: {}", panic.message()),
///     Err(other) => assert!(matches!(other, TaskError::Lost(_))),
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// The task was cancelled before it started, or an executor that can stop running work did so.
    Cancelled,
    /// The task panicked; see [`Panic::resume`] to panic in turn.
    Panicked(Panic),
    /// The pool did not accept the task; it never ran.
    Rejected(Rejection),
    /// Whatever was to produce the value is gone, and did not.
    Lost(Cause),
    /// The task did not finish within a time limit of its own, or of the `map` that submitted it. A
    /// wait that times out gives [`WaitTimedOut`] instead.
    TimedOut,
    /// Tasks wait for each other in a circle, so that none of them could ever go on. The wait that
    /// closed the circle ends with this, and the text names the tasks; the task that was waited for
    /// is not affected. See [waiting inside a pool](crate::FutureResult#waiting-inside-a-pool).
    /// Break the circle, or wait with a time limit.
    Deadlock(Cause),
    /// An argument or a result could not be turned into bytes, or back.
    Codec(Cause),
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the task was cancelled"),
            Self::Panicked(panic) => {
                f.write_str("the task panicked")?;
                if let Some(place) = panic.location() {
                    write!(f, " at {place}")?;
                }
                write!(f, ": {}", panic.message())
            }
            Self::Rejected(rejection) => write!(f, "the pool rejected the task: {rejection}"),
            Self::Lost(cause) => write!(f, "the task was lost: {cause}"),
            Self::TimedOut => f.write_str("the task was not done within its time limit"),
            Self::Deadlock(cause) => write!(f, "the task waits for itself: {cause}"),
            Self::Codec(cause) => {
                write!(
                    f,
                    "the task's argument or result could not be sent: {cause}"
                )
            }
        }
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Lost(cause) | Self::Deadlock(cause) | Self::Codec(cause) => cause.0.source(),
            _ => None,
        }
    }
}

/// Why a fallible function gave no value: its task failed, or it returned an error of its own.
///
/// # Examples
///
/// ```
/// use future_result::{task, FutureResult, TryError};
///
/// let (task, handle) = task(|| "one".parse::<u32>());
/// task.run();
/// match TryError::flatten(handle.result()) {
///     Ok(number) => println!("got {number}"),
///     Err(TryError::Task(error)) => println!("the task failed: {error}"),
///     Err(TryError::Returned(error)) => println!("not a number: {error}"),
///     Err(other) => println!("{other}"),
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TryError<E> {
    /// The task has no result at all.
    Task(TaskError),
    /// The task finished, and returned this error.
    Returned(E),
}

impl<E> TryError<E> {
    /// Merges a task's outcome and the `Result` in it into one `Result`.
    ///
    /// # Errors
    ///
    /// Either of the two errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, FutureResult, TryError};
    ///
    /// let (task, handle) = task(|| "1".parse::<u32>());
    /// task.run();
    /// assert_eq!(TryError::flatten(handle.result())?, 1);
    /// # Ok::<(), TryError<std::num::ParseIntError>>(())
    /// ```
    pub fn flatten<T>(result: Result<Result<T, E>, TaskError>) -> Result<T, Self> {
        match result {
            Ok(result) => result.map_err(Self::Returned),
            Err(error) => Err(Self::Task(error)),
        }
    }
}

impl<E: fmt::Display> fmt::Display for TryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(error) => error.fmt(f),
            Self::Returned(error) => error.fmt(f),
        }
    }
}

impl<E: Error> Error for TryError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Task(error) => error.source(),
            Self::Returned(error) => error.source(),
        }
    }
}

/// Why a pool did not accept a task.
///
/// # Examples
///
/// ```
/// use future_result::Rejection;
///
/// assert_eq!(
///     Rejection::Full.to_string(),
///     "its queue is full; wait for results before submitting more, or raise its bound",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The pool is shutting down, or has shut down. Submit to another one.
    ShutDown,
    /// The pool's queue is at its bound. Try again when something has finished.
    Full,
    /// The pool's workers cannot start: their initializer fails, or the system has no room for them. Fix
    /// that, and build another pool.
    Broken,
    /// This process is a fork, and the pool's threads exist only in its parent. Build a pool in the
    /// child, or let the child exec.
    Forked,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ShutDown => "it is shutting down; submit to another pool",
            Self::Full => {
                "its queue is full; wait for results before submitting more, or raise its bound"
            }
            Self::Broken => {
                "its workers cannot start, because their initializer fails (what it printed tells why) or \
                 the system has no memory, processes or file descriptors left for them; fix that, and \
                 build another pool"
            }
            Self::Forked => {
                "this process was forked, and the pool's threads exist only in its parent; build a pool \
                 in the child, or let the child exec"
            }
        })
    }
}

impl Error for Rejection {}

/// The details behind a [`TaskError`], shared by its clones.
///
/// # Examples
///
/// An executor supplies its own error type, and a waiter that cares gets it back.
///
/// ```
/// use future_result::Cause;
///
/// let cause = Cause::new(std::io::Error::other("the cable was cut"));
/// assert_eq!(cause.to_string(), "the cable was cut");
/// assert!(cause.get_ref().is::<std::io::Error>());
///
/// assert_eq!(Cause::new("just text").to_string(), "just text");
/// ```
#[derive(Clone, Debug)]
pub struct Cause(
    /// Boxed as well, so that it is one pointer and a `Result` with a word in it stays two words.
    Arc<Box<dyn Error + Send + Sync>>,
);

impl Cause {
    /// Wraps an error, or a text.
    #[must_use]
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::new(error.into()))
    }

    /// The error itself, to be downcast by whoever knows the executor.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &**self.0
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A wait reached its limit before the work was done; the work goes on.
///
/// Not a [`TaskError`], so that a task's own time limit and a waiter's can never be confused.
///
/// # Examples
///
/// ```
/// use std::task::Poll;
/// use std::time::Instant;
/// use future_result::{block_until, WaitTimedOut};
///
/// let never = block_until(Some(Instant::now()), |_| Poll::<()>::Pending);
/// assert_eq!(never, Err(WaitTimedOut));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WaitTimedOut;

impl fmt::Display for WaitTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the wait timed out; the work goes on")
    }
}

impl Error for WaitTimedOut {}
