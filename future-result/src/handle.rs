//! The one concrete handle.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::cell::Reader;
use crate::{Awaited, Cancel, FutureResult, InPlace, PoolId, Status, TaskError};

/// The read half of a task or of a [`pair`](crate::pair), in one pointer.
///
/// Dropping it detaches: the work goes on, and its value is dropped where it was made.
///
/// # Examples
///
/// ```
/// use future_result::{task, FutureResult};
///
/// let (task, handle) = task(|| "done elsewhere");
/// std::thread::spawn(|| task.run());
/// assert_eq!(handle.result()?, "done elsewhere");
/// # Ok::<(), future_result::TaskError>(())
/// ```
///
/// # Panics
///
/// Polling it again once it was ready panics, as with most futures.
#[must_use = "dropping a handle detaches it: the result and its error will be lost"]
pub struct JoinHandle<T> {
    /// `None` once the outcome was taken by polling.
    reader: Option<Reader<T>>,
}

// Nothing is ever pinned inside: the value lives in the cell until it is moved out.
impl<T> Unpin for JoinHandle<T> {}

// The value is only ever moved out whole, so nobody can see it half-changed.
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    #[inline]
    pub(crate) const fn new(reader: Reader<T>) -> Self {
        Self {
            reader: Some(reader),
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_and_take(reader: Reader<T>) -> Result<T, TaskError> {
        let mut this = Self::new(reader);
        this.wait();
        this.result()
    }

    /// Calls `callback` with the outcome, before anybody who waits can take it.
    ///
    /// Callbacks run in the order in which they were added, even if one adds another, on the
    /// thread that completes or cancels the task; or right here if the outcome is already
    /// there. They run even if the handle has been dropped. Keep them short, since the
    /// outcome waits for them, and never wait for the same task in one. If a callback panics,
    /// the panic hook reports it, and nothing else happens.
    ///
    /// Nothing happens if the outcome was already taken by polling.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use future_result::{pair, FutureResult};
    ///
    /// let (completer, mut handle) = pair();
    /// let (log, seen) = mpsc::channel();
    /// handle.on_done(move |result| log.send(result.copied().ok()).unwrap_or(()));
    /// completer.complete(5).unwrap();
    /// assert_eq!(seen.recv().unwrap(), Some(5));
    /// assert_eq!(handle.result()?, 5);
    /// # Ok::<(), future_result::TaskError>(())
    /// ```
    pub fn on_done(&mut self, callback: impl FnOnce(Result<&T, &TaskError>) + Send + 'static) {
        if let Some(reader) = &mut self.reader {
            reader.on_done(Box::new(callback));
        }
    }

    /// One handle in 64: that of a task that [is sampled](crate::Task::is_sampled).
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.reader.as_ref().is_some_and(Reader::is_sampled)
    }
}

impl<T> FutureResult for JoinHandle<T> {
    type Value = T;

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.reader {
            Some(reader) => reader.poll_done(context.waker()),
            None => Poll::Ready(()),
        }
    }

    fn status(&self) -> Status {
        self.reader.as_ref().map_or(Status::Taken, Reader::status)
    }

    fn cancel(&self) -> Cancel {
        self.reader.as_ref().map_or(Cancel::TooLate, Reader::cancel)
    }

    fn run_in_place(&mut self) -> InPlace {
        let reader = self.reader.as_mut().filter(|reader| !reader.is_by_hand());
        // First, as coroutines mostly wait for pairs: whose worker this is need not be looked up then.
        let Some(reader) = reader else {
            return InPlace::Never;
        };
        match PoolId::current() {
            Some(pool) if reader.run_in_place(pool) => InPlace::Ran,
            _ => InPlace::Never,
        }
    }

    fn awaited(&self) -> Option<Awaited> {
        let reader = self.reader.as_ref();
        reader.map(|reader| Awaited::new(reader.token()))
    }

    fn give_up(&mut self, error: TaskError) {
        if self.reader.is_some() {
            // The former reader detaches: its callbacks stay with its task, which goes on.
            drop(self.reader.replace(Reader::failed(error)));
        }
    }

    #[inline]
    fn is_done(&self) -> bool {
        let reader = self.reader.as_ref();
        reader.is_none_or(|reader| reader.snapshot().is_done())
    }

    #[inline]
    fn result(self) -> Result<T, TaskError> {
        taken(self.reader).take_or_else(Self::wait_and_take)
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.poll_done(context).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(taken(this.reader.take()).take_or_else(Self::wait_and_take))
    }
}

/// The reader of a handle whose outcome must not have been taken.
#[inline]
fn taken<T>(reader: Option<Reader<T>>) -> Reader<T> {
    match reader {
        Some(reader) => reader,
        None => {
            panic!("the outcome was already taken: a handle must not be polled after it is ready")
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("JoinHandle");
        match &self.reader {
            Some(reader) => debug.field("state", &reader.snapshot()),
            None => debug.field("state", &Status::Taken),
        };
        debug.finish()
    }
}
