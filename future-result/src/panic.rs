//! The whole panic policy: where user code's panics are caught, and what becomes of them.
//!
//! User code is a task's closure, a callback, a waker, and the destructor of a closure, a value or a
//! panic's payload. A closure's panic becomes its task's outcome ([`catch`]). Any other reaches nobody:
//! the panic hook has reported it, and it ends here ([`contain`]), so that a worker lives on and no
//! transition is left half-made. Neither runs under a lock.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::TaskError;
use crate::sync::Mutex;

/// Runs a task's closure; its panic is its outcome.
#[inline]
pub(crate) fn catch<T>(task: impl FnOnce() -> T) -> Result<T, TaskError> {
    // Unwind safety: the closure is consumed, and what it shares with others is in the same state
    // as if its thread had panicked, which is what the waiter is told.
    catch_unwind(AssertUnwindSafe(task))
        .map_err(|payload| TaskError::Panicked(Panic::from_payload(payload)))
}

/// Runs user code whose panic has nobody to go to.
#[doc(hidden)]
pub fn contain(code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(code)) {
        drop_payload(payload);
    }
}

/// Drops a payload, whose destructor may panic, then the payload of that, and so on. What still panics
/// after some rounds is leaked.
fn drop_payload(mut payload: Box<dyn Any + Send>) {
    for _ in 0..8 {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    std::mem::forget(payload);
}

/// Runs code that must not unwind half-way, since others would see a half-made transition: a panic
/// that crosses it aborts the process.
#[doc(hidden)]
pub fn abort_on_unwind<R>(code: impl FnOnce() -> R) -> R {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::process::abort();
        }
    }

    let bomb = Bomb;
    let result = code();
    std::mem::forget(bomb);
    result
}

/// A panic that ended a task, kept for whoever waits for it.
///
/// Clones share one payload: the first to [`resume`](Self::resume) it or to take it gets the
/// original, later ones the message.
///
/// # Examples
///
/// ```
/// use future_result::{task, FutureResult, TaskError};
///
/// let (task, handle) = task(|| -> u32 { panic!("no luck today") });
/// task.run();
/// let Err(TaskError::Panicked(panic)) = handle.result() else { unreachable!() };
/// assert_eq!(panic.message(), "no luck today");
/// let again = std::panic::catch_unwind(|| panic.resume());
/// assert_eq!(*again.unwrap_err().downcast::<&str>().unwrap(), "no luck today");
/// ```
#[derive(Clone)]
pub struct Panic(Arc<Inner>);

struct Inner {
    message: Cow<'static, str>,
    /// Where it was, if it is known.
    location: Option<Box<str>>,
    /// Behind a lock only to be `Sync`; no user code runs under it.
    payload: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Panic {
    /// Keeps what [`catch_unwind`] gave.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::Panic;
    ///
    /// let payload = std::panic::catch_unwind(|| panic!("{} left", 0)).unwrap_err();
    /// assert_eq!(Panic::from_payload(payload).message(), "0 left");
    /// ```
    #[must_use]
    pub fn from_payload(payload: Box<dyn Any + Send>) -> Self {
        let message = match payload.downcast_ref::<&'static str>() {
            Some(text) => Cow::Borrowed(*text),
            None => match payload.downcast_ref::<String>() {
                Some(text) => Cow::Owned(text.clone()),
                None => Cow::Borrowed("a panic whose payload is not text"),
            },
        };
        Self(Arc::new(Inner {
            message,
            location: None,
            payload: Mutex::new(Some(payload)),
        }))
    }

    /// A panic that happened elsewhere, where its payload stays: for executors whose tasks run in
    /// other processes. Its payload here is the message, as a `String`.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::Panic;
    ///
    /// let panic = Panic::from_elsewhere("no luck today", Some("src/luck.rs:7:5"));
    /// assert_eq!(panic.message(), "no luck today");
    /// assert_eq!(panic.location(), Some("src/luck.rs:7:5"));
    /// ```
    #[must_use]
    pub fn from_elsewhere(message: impl Into<String>, location: Option<&str>) -> Self {
        let message = message.into();
        Self(Arc::new(Inner {
            payload: Mutex::new(Some(Box::new(message.clone()))),
            message: Cow::Owned(message),
            location: location.map(Into::into),
        }))
    }

    /// Where it happened in the source, if that was in another process. For a panic in this process, the
    /// panic hook has reported it.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{Panic, TaskError};
    ///
    /// let panic = Panic::from_elsewhere("no luck today", Some("src/luck.rs:7:5"));
    /// assert_eq!(panic.location(), Some("src/luck.rs:7:5"));
    /// let error = TaskError::Panicked(panic);
    /// assert_eq!(error.to_string(), "the task panicked at src/luck.rs:7:5: no luck today");
    /// ```
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// What the panic said, if its payload is text, as `panic!` makes it.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::Panic;
    ///
    /// let text = Panic::from_payload(Box::new("no luck today"));
    /// assert_eq!(text.message(), "no luck today");
    /// let number = Panic::from_payload(Box::new(404));
    /// assert_eq!(number.message(), "a panic whose payload is not text");
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Panics with the same payload, without a second report by the panic hook.
    ///
    /// # Panics
    ///
    /// Always; that is its purpose.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::Panic;
    ///
    /// let panic = Panic::from_payload(Box::new(404));
    /// let again = std::panic::catch_unwind(|| panic.resume());
    /// assert_eq!(*again.unwrap_err().downcast::<i32>().unwrap(), 404);
    /// ```
    pub fn resume(self) -> ! {
        resume_unwind(self.into_payload())
    }

    /// The payload, to be downcast; the message as a `String` if a clone has already taken it.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::Panic;
    ///
    /// let panic = Panic::from_payload(Box::new(404));
    /// let clone = panic.clone();
    /// assert_eq!(*panic.into_payload().downcast::<i32>().unwrap(), 404);
    /// assert!(clone.into_payload().is::<String>());
    /// ```
    #[must_use]
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        let payload = self.0.payload.lock().take();
        payload.unwrap_or_else(|| Box::new(self.message().to_owned()))
    }
}

// The payload is only ever moved out whole, so nobody can see it half-changed.
impl UnwindSafe for Panic {}
impl RefUnwindSafe for Panic {}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("Panic");
        tuple.field(&self.message());
        if let Some(place) = self.location() {
            tuple.field(&place);
        }
        tuple.finish()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Taken first: the lock is released before the payload's destructor runs.
        let payload = self.payload.lock().take();
        if let Some(payload) = payload {
            drop_payload(payload);
        }
    }
}
