//! What a task does, and how its outcome gets to its handle.

#![expect(unsafe_code, reason = "looks into a pinned future")]

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use future_result::{Completer, Panic, SlimCompleter, TaskError, contain};

use super::interrupt::Unwind;
use super::task::Task;

/// A closure and where its value goes.
pub(crate) trait Job {
    /// Whether to run it: false if its handle has cancelled it.
    fn start(&mut self) -> bool;

    /// Runs it to its end. Does not unwind.
    fn run(self: Box<Self>, task: &Task);

    /// Drops the closure and gives its handle an error. Does not unwind.
    fn refuse(self: Box<Self>, error: TaskError);
}

/// A future and where its value goes.
pub(crate) trait FutureJob {
    /// Polls it. Does not unwind.
    fn poll(self: Pin<&mut Self>, task: &Task) -> Poll<()>;

    /// Drops the future and gives its handle an error, unless it is done. Does not unwind.
    fn refuse(self: Pin<Box<Self>>, error: TaskError);
}

pub(crate) struct Call<F, T> {
    pub(crate) closure: F,
    pub(crate) completer: Completer<T>,
}

impl<F: FnOnce() -> T, T> Job for Call<F, T> {
    fn start(&mut self) -> bool {
        self.completer.start()
    }

    fn run(self: Box<Self>, task: &Task) {
        let Self { closure, completer } = *self;
        // Unwind safety: the closure is consumed, and whoever waits gets its panic.
        let result = catch_unwind(AssertUnwindSafe(closure));
        task.close();
        finish(completer, result, task);
    }

    fn refuse(self: Box<Self>, error: TaskError) {
        let Self { closure, completer } = *self;
        contain(|| drop(closure));
        completer.fail(error);
    }
}

pub(crate) struct Polled<F, T> {
    future: F,
    /// `None` once completed. It was made with a waker.
    completer: Option<SlimCompleter<T>>,
}

impl<F, T> Polled<F, T> {
    pub(crate) fn new(future: F, completer: Completer<T>) -> Self {
        Self {
            future,
            completer: Some(completer.into_slim()),
        }
    }

    /// The future, which stays pinned, and the completer, which never is.
    fn project(self: Pin<&mut Self>) -> (Pin<&mut F>, &mut Option<SlimCompleter<T>>) {
        // SAFETY: nothing is moved out of `future` through this, here or below.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: `future` is pinned as long as the whole is: it is only dropped in place, and no `Drop` or `Unpin`
        // says otherwise.
        let future = unsafe { Pin::new_unchecked(&mut this.future) };
        (future, &mut this.completer)
    }
}

impl<F: Future<Output = T>, T> FutureJob for Polled<F, T> {
    fn poll(self: Pin<&mut Self>, task: &Task) -> Poll<()> {
        let (future, place) = self.project();
        if !place.as_mut().is_some_and(SlimCompleter::start) {
            return Poll::Ready(());
        }
        let Some(waker) = place.as_ref().and_then(SlimCompleter::waker) else {
            return Poll::Ready(());
        };
        let mut context = Context::from_waker(&waker);
        let poll = AssertUnwindSafe(|| task.polling(|| future.poll(&mut context)));
        let result = match catch_unwind(poll) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Ok(value),
            Err(payload) => Err(payload),
        };
        task.close();
        if let Some(completer) = place.take() {
            finish(completer.into_completer(), result, task);
        }
        Poll::Ready(())
    }

    fn refuse(mut self: Pin<Box<Self>>, error: TaskError) {
        let completer = self.as_mut().project().1.take();
        contain(|| drop(self));
        if let Some(completer) = completer {
            completer.into_completer().fail(error);
        }
    }
}

/// Hands the outcome over.
fn finish<T>(completer: Completer<T>, result: Result<T, Box<dyn Any + Send>>, task: &Task) {
    match result {
        Ok(value) => {
            if let Err(unwanted) = completer.complete(value) {
                contain(|| drop(unwanted));
            }
        }
        // Without a reason to stop, it unwound with a payload that it caught in another task.
        Err(payload) if payload.is::<Unwind>() => {
            completer.fail(task.reason().unwrap_or(TaskError::Cancelled));
        }
        Err(payload) => completer.fail(TaskError::Panicked(Panic::from_payload(payload))),
    }
}
