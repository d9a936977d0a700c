//! A future with a place for its value, as `async-task` polls it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use future_result::{CellId, Completer, Panic, PoolId, TaskError, contain};
use pin_project_lite::pin_project;
use thread_pool::Submitter;

use super::waiting::Waiting;

pin_project! {
    /// Completes its handle, however it ends.
    pub(super) struct Spawned<F: Future> {
        // `None` once dropped.
        #[pin]
        future: Option<F>,
        // `None` once completed.
        completer: Option<Completer<F::Output>>,
        pool: PoolId,
        // Its key in `Waiting`, while it is there.
        entered: Option<CellId>,
    }

    impl<F: Future> PinnedDrop for Spawned<F> {
        fn drop(this: Pin<&mut Self>) {
            this.drop_unfinished();
        }
    }
}

impl<F: Future> Spawned<F> {
    pub(super) fn new(future: F, completer: Completer<F::Output>, pool: PoolId) -> Self {
        Self {
            future: Some(future),
            completer: Some(completer),
            pool,
            entered: None,
        }
    }

    /// Its `Runnable` is dropped, since the pool will not poll it again.
    fn drop_unfinished(self: Pin<&mut Self>) {
        if self.completer.is_some() {
            self.finish(Err(TaskError::Cancelled));
        }
    }

    /// Drops the future first, so that it is gone when its waiter wakes.
    fn finish(self: Pin<&mut Self>, outcome: Result<F::Output, TaskError>) {
        let mut this = self.project();
        let dropped = catch_unwind(AssertUnwindSafe(|| this.future.set(None)));
        if let Some(cell) = this.entered.take() {
            Submitter::companion_of(*this.pool, |waiting: &Waiting| waiting.leave(cell));
        }
        let Some(completer) = this.completer.take() else {
            return;
        };
        match (outcome, dropped) {
            (Ok(value), Ok(())) => {
                if let Err(unwanted) = completer.complete(value) {
                    contain(|| drop(unwanted));
                }
            }
            // As with a closure whose captures panic when they are dropped.
            (Ok(value), Err(payload)) => {
                contain(|| drop(value));
                completer.fail(TaskError::Panicked(Panic::from_payload(payload)));
            }
            (Err(error), dropped) => {
                if let Err(payload) = dropped {
                    contain(|| drop(payload));
                }
                completer.fail(error);
            }
        }
    }

    /// Whether its handle has cancelled it.
    fn is_cancelled(&self) -> bool {
        self.completer.as_ref().is_none_or(Completer::is_cancelled)
    }

    /// Makes sure that a cancellation, or the end of the pool, ends the wait. False if either has happened.
    fn wait(self: Pin<&mut Self>, context: &Context<'_>) -> bool {
        let this = self.project();
        let Some(completer) = this.completer else {
            return false;
        };
        if this.entered.is_some() {
            return true;
        }
        let cell = completer.id();
        let waker = context.waker().clone();
        let result =
            Submitter::companion_of(*this.pool, |waiting: &Waiting| waiting.enter(cell, waker));
        if !matches!(result, Some(Ok(()))) {
            return false;
        }
        *this.entered = Some(cell);
        // Only now: a canceller that did not find it here had already cancelled.
        !completer.is_cancelled()
    }
}

impl<F: Future> Future for Spawned<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.is_cancelled() {
            self.finish(Err(TaskError::Cancelled));
            return Poll::Ready(());
        }
        let Some(future) = self.as_mut().project().future.as_pin_mut() else {
            return Poll::Ready(());
        };
        // Unwind safety: the future is not polled again after a panic, and the waiter is told.
        let outcome = match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(Poll::Pending) if self.as_mut().wait(context) => return Poll::Pending,
            Ok(Poll::Pending) => Err(TaskError::Cancelled),
            Ok(Poll::Ready(value)) => Ok(value),
            Err(payload) => Err(TaskError::Panicked(Panic::from_payload(payload))),
        };
        self.finish(outcome);
        Poll::Ready(())
    }
}
