//! The write half of a pair, for results that do not come from a closure.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::cell::{SlimWriter, WakerRef, Wakes, Writer};
use crate::{CancelToken, CellId, JoinHandle, PoolId, TaskError};

/// Makes a result to be supplied by hand, and the handle that receives it.
///
/// # Examples
///
/// ```
/// use future_result::{pair, FutureResult};
///
/// let (completer, handle) = pair();
/// std::thread::spawn(move || completer.complete(42));
/// assert_eq!(handle.result()?, 42);
/// # Ok::<(), future_result::TaskError>(())
/// ```
#[inline]
pub fn pair<T>() -> (Completer<T>, JoinHandle<T>) {
    let (writer, reader) = Writer::new(None);
    (Completer { writer }, JoinHandle::new(reader))
}

/// As [`pair`], for a pool that can stop running work: `hook` is called by whoever asks the handle to
/// stop it, each time; by then the request [is visible](Completer::is_cancelled).
///
/// It is called on any thread, even when the work has just ended, and is dropped with the cell.
#[doc(hidden)]
#[inline]
pub fn pair_with_hook<T, H>(pool: PoolId, hook: H) -> (Completer<T>, JoinHandle<T>)
where
    H: Fn() + Send + Sync + 'static,
{
    let (writer, reader) = Writer::hooked(Some(pool), move |_| hook());
    (Completer { writer }, JoinHandle::new(reader))
}

/// As [`pair_with_hook`], for a pool whose tasks are woken: the hook does that, too, so that a task's
/// [waker](Completer::waker) lies in its cell.
#[doc(hidden)]
#[inline]
pub fn pair_with_waker<T, H: Wakes>(pool: PoolId, hook: H) -> (Completer<T>, JoinHandle<T>) {
    let (writer, reader) = Writer::waking(Some(pool), hook);
    (Completer { writer }, JoinHandle::new(reader))
}

/// The write half of a [`pair`].
///
/// Dropped without an outcome, it completes its handle with [`TaskError::Lost`], so nobody
/// waits forever.
///
/// # Examples
///
/// An executor that respects cancelling:
///
/// ```
/// use future_result::{pair, Completer, FutureResult};
///
/// fn execute(mut completer: Completer<u64>) {
///     if !completer.start() {
///         return; // Cancelled while it was queued.
///     }
///     let sum = (1..=10).take_while(|_| !completer.is_cancelled()).sum();
///     let _unwanted = completer.complete(sum);
/// }
///
/// let (completer, handle) = pair();
/// execute(completer);
/// assert_eq!(handle.result()?, 55);
/// # Ok::<(), future_result::TaskError>(())
/// ```
#[must_use = "dropping a completer ends its handle's wait with an error"]
pub struct Completer<T> {
    writer: Writer<T>,
}

impl<T> Completer<T> {
    #[inline]
    pub(crate) fn new(writer: Writer<T>) -> Self {
        Self { writer }
    }

    /// Declares that the work begins: from now on cancelling is a request. False if the handle has
    /// already cancelled, so there is nothing left to do.
    ///
    /// Optional before completing; it is for work that takes long.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{pair, Cancel, FutureResult};
    ///
    /// let (mut completer, handle) = pair::<()>();
    /// assert!(completer.start());
    /// assert_eq!(handle.cancel(), Cancel::Requested);
    ///
    /// let (mut completer, handle) = pair::<()>();
    /// assert_eq!(handle.cancel(), Cancel::Prevented);
    /// assert!(!completer.start());
    /// ```
    #[must_use = "work that was cancelled need not begin"]
    pub fn start(&mut self) -> bool {
        self.writer.start()
    }

    /// Gives the value to the handle.
    ///
    /// # Errors
    ///
    /// Gives the value back if nobody can take it any more: the handle has cancelled, or was
    /// dropped without leaving a callback.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{pair, FutureResult};
    ///
    /// let (completer, handle) = pair();
    /// assert_eq!(completer.complete("wanted"), Ok(()));
    /// assert_eq!(handle.result()?, "wanted");
    ///
    /// let (completer, handle) = pair();
    /// drop(handle);
    /// assert_eq!(completer.complete("unwanted"), Err("unwanted"));
    /// # Ok::<(), future_result::TaskError>(())
    /// ```
    #[inline]
    pub fn complete(self, value: T) -> Result<(), T> {
        self.writer.complete(value)
    }

    /// Gives the handle an error instead of a value. Nothing happens if nobody can take it.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{pair, FutureResult, Rejection, TaskError};
    ///
    /// let (completer, handle) = pair::<()>();
    /// completer.fail(TaskError::Rejected(Rejection::ShutDown));
    /// assert!(matches!(handle.result(), Err(TaskError::Rejected(_))));
    /// ```
    pub fn fail(self, error: TaskError) {
        self.writer.fail(error);
    }

    /// Whether the handle has cancelled, or asked to.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{pair, FutureResult};
    ///
    /// let (completer, handle) = pair::<()>();
    /// assert!(!completer.is_cancelled());
    /// let _ = handle.cancel();
    /// assert!(completer.is_cancelled());
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.writer.is_cancelled()
    }

    /// Its identity, for as long as this or its handle exists.
    #[doc(hidden)]
    #[must_use]
    pub fn id(&self) -> CellId {
        self.writer.id()
    }

    /// The waker that lies in the cell, if it has one.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn waker(&self) -> Option<WakerRef<'_>> {
        self.writer.waker()
    }

    /// The same in one pointer, for those who have many.
    #[doc(hidden)]
    #[inline]
    pub fn into_slim(self) -> SlimCompleter<T> {
        SlimCompleter {
            writer: self.writer.into_slim(),
        }
    }

    /// A token that says the same, for others that take part in the work.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{pair, FutureResult};
    ///
    /// let (completer, handle) = pair::<()>();
    /// let token = completer.token();
    /// let helper = std::thread::spawn(move || while !token.is_cancelled() {});
    /// let _ = handle.cancel();
    /// assert!(helper.join().is_ok());
    /// ```
    #[must_use]
    pub fn token(&self) -> CancelToken {
        CancelToken::new(self.writer.token())
    }
}

/// A [`Completer`] in one pointer.
#[doc(hidden)]
#[must_use = "dropping a completer ends its handle's wait with an error"]
pub struct SlimCompleter<T> {
    writer: SlimWriter<T>,
}

impl<T> SlimCompleter<T> {
    /// As [`Completer::start`].
    #[inline]
    #[must_use = "work that was cancelled need not begin"]
    pub fn start(&mut self) -> bool {
        self.writer.start()
    }

    /// As [`Completer::waker`].
    #[inline]
    #[must_use]
    pub fn waker(&self) -> Option<WakerRef<'_>> {
        self.writer.waker()
    }

    /// Undoes [`Completer::into_slim`].
    #[inline]
    pub fn into_completer(self) -> Completer<T> {
        let writer = self.writer.into_writer();
        Completer { writer }
    }
}

impl<T> fmt::Debug for SlimCompleter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlimCompleter").finish_non_exhaustive()
    }
}

// A value is only ever moved in whole, so nobody can see it half-changed.
impl<T> UnwindSafe for Completer<T> {}
impl<T> RefUnwindSafe for Completer<T> {}

impl<T> fmt::Debug for Completer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completer")
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}
