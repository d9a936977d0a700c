//! Cancelling: the token by which a running task learns of it, and the handle that cancels when
//! dropped.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::cell::{Listener, RawToken};
use crate::sync::now;
use crate::{Awaited, Cancel, FutureResult, InPlace, Status, TaskError, block_until};

/// Tells a running task whether somebody wants it to stop.
///
/// Nothing stops a running thread from outside; a long task checks its token from time to time,
/// and returns when told to. Cloning is cheap, and clones may go to other threads that take
/// part in the work. They are counted in few bits: more than four million tokens of one task at a time
/// are taken for a leak, and abort the process, as too many clones of an [`Arc`](std::sync::Arc) do.
///
/// # Examples
///
/// ```
/// use future_result::{task, Cancel, CancelToken, FutureResult};
/// use std::sync::mpsc;
///
/// let (started, wait_for_start) = mpsc::channel();
/// let (task, handle) = task(move || {
///     let token = CancelToken::current();
///     started.send(()).unwrap();
///     let mut steps = 0_u64;
///     while !token.is_cancelled() {
///         steps += 1;
///     }
///     steps
/// });
/// std::thread::spawn(|| task.run());
/// wait_for_start.recv().unwrap();
/// assert_eq!(handle.cancel(), Cancel::Requested);
/// println!("it stopped after {} steps", handle.result()?);
/// # Ok::<(), future_result::TaskError>(())
/// ```
#[derive(Clone)]
pub struct CancelToken(Option<RawToken>);

impl CancelToken {
    pub(crate) const fn new(raw: RawToken) -> Self {
        Self(Some(raw))
    }

    /// The token of the task that runs on this thread; outside a task, one that is never cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, CancelToken, FutureResult};
    ///
    /// let (task, handle) = task(|| while !CancelToken::current().is_cancelled() {});
    /// let worker = std::thread::spawn(|| task.run());
    /// let _ = handle.cancel();
    /// worker.join().unwrap();
    /// assert!(!CancelToken::current().is_cancelled()); // No task runs here.
    /// ```
    #[must_use]
    pub fn current() -> Self {
        Self(RawToken::current())
    }

    /// Whether the task's handle has cancelled it, or its deadline has passed. Once true, it stays so.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{pair, FutureResult};
    ///
    /// let (completer, handle) = pair::<()>();
    /// let token = completer.token();
    /// assert!(!token.is_cancelled());
    /// let _ = handle.cancel();
    /// assert!(token.is_cancelled());
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.as_ref().is_some_and(RawToken::is_cancelled)
    }
}

impl CancelToken {
    /// Pauses for `limit`, or until the task is cancelled if that is earlier. True if it is cancelled.
    ///
    /// It waits as its context waits: see [`Blocker`](crate::Blocker).
    ///
    /// # Examples
    ///
    /// A task that does something every minute, and ends at once when it is cancelled.
    ///
    /// ```
    /// use future_result::{task, CancelToken, FutureResult};
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    ///
    /// let (first, wait_for_first) = mpsc::channel();
    /// let (task, handle) = task(move || {
    ///     let mut rounds = 0;
    ///     loop {
    ///         rounds += 1;
    ///         first.send(()).ok();
    ///         if CancelToken::current().wait_timeout(Duration::from_secs(60)) {
    ///             return rounds;
    ///         }
    ///     }
    /// });
    /// std::thread::spawn(|| task.run());
    /// wait_for_first.recv().unwrap();
    /// let _ = handle.cancel();
    /// assert_eq!(handle.result()?, 1);
    /// # Ok::<(), future_result::TaskError>(())
    /// ```
    #[must_use = "whether the task is cancelled decides what it does next"]
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        let mut cancelled = self.cancelled();
        let deadline = now().checked_add(limit);
        block_until(deadline, |context| Pin::new(&mut cancelled).poll(context)).is_ok()
    }

    /// A future that is ready when the task is cancelled, to wait for that or something else.
    ///
    /// If the task ends without having been cancelled, it is never ready. May be dropped at any time.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{block_until, pair, FutureResult};
    /// use std::future::Future;
    /// use std::pin::Pin;
    /// use std::task::Poll;
    ///
    /// let (outer, handle) = pair::<()>();
    /// let (_inner, mut awaited) = pair::<u32>();
    /// let _ = handle.cancel();
    ///
    /// let mut cancelled = outer.token().cancelled();
    /// let value = block_until(None, |context| match Pin::new(&mut cancelled).poll(context) {
    ///     Poll::Ready(()) => Poll::Ready(None),
    ///     Poll::Pending => Pin::new(&mut awaited).poll(context).map(Some),
    /// });
    /// assert!(value?.is_none());
    /// # Ok::<(), future_result::WaitTimedOut>(())
    /// ```
    pub fn cancelled(&self) -> Cancelled {
        Cancelled(self.0.clone().map(Listener::new))
    }
}

/// Ready when a task is cancelled; from [`CancelToken::cancelled`].
///
/// # Examples
///
/// ```
/// use future_result::CancelToken;
/// use std::future::Future;
/// use std::pin::pin;
/// use std::task::{Context, Waker};
///
/// // No task runs here, so nobody can cancel it.
/// let mut never = pin!(CancelToken::current().cancelled());
/// assert!(never.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
/// ```
#[must_use = "a future does nothing unless polled"]
pub struct Cancelled(Option<Listener>);

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(listener) => listener.poll(context.waker()),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled").finish_non_exhaustive()
    }
}

// Through a token there is only a flag to be read.
impl UnwindSafe for CancelToken {}
impl RefUnwindSafe for CancelToken {}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

/// A handle that cancels its work when dropped, from [`FutureResult::cancel_on_drop`].
///
/// # Examples
///
/// ```
/// use future_result::{task, FutureResult};
///
/// let (task, handle) = task(|| ());
/// drop(handle.cancel_on_drop());
/// assert!(task.is_stale());
/// ```
#[derive(Debug)]
#[must_use = "dropping it cancels the work"]
pub struct CancelOnDrop<F: FutureResult> {
    handle: F,
}

impl<F: FutureResult> CancelOnDrop<F> {
    pub(crate) const fn new(handle: F) -> Self {
        Self { handle }
    }
}

impl<F: FutureResult> Drop for CancelOnDrop<F> {
    fn drop(&mut self) {
        // Too late if the outcome was taken.
        let _ = self.handle.cancel();
    }
}

impl<F: FutureResult> FutureResult for CancelOnDrop<F> {
    type Value = F::Value;

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.handle.poll_done(context)
    }

    fn status(&self) -> Status {
        self.handle.status()
    }

    fn cancel(&self) -> Cancel {
        self.handle.cancel()
    }

    fn run_in_place(&mut self) -> InPlace {
        self.handle.run_in_place()
    }

    fn awaited(&self) -> Option<Awaited> {
        self.handle.awaited()
    }

    fn give_up(&mut self, error: TaskError) {
        // Letting go of the work cancels it.
        let _ = self.handle.cancel();
        self.handle.give_up(error);
    }
}

impl<F: FutureResult> Future for CancelOnDrop<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut self.handle).poll(context)
    }
}
