//! A future with a place for its value, as `async-task` polls it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use future_result::{Completer, Panic, TaskError, contain};
use pin_project_lite::pin_project;

use super::Way;

pin_project! {
    /// Completes its handle, however it ends.
    pub(super) struct Spawned<F: Future> {
        // `None` once dropped.
        #[pin]
        future: Option<F>,
        // `None` once completed.
        completer: Option<Completer<F::Output>>,
        way: Arc<Way>,
        // Whether its waker is with those that wait.
        is_entered: bool,
    }

    impl<F: Future> PinnedDrop for Spawned<F> {
        fn drop(this: Pin<&mut Self>) {
            this.drop_unfinished();
        }
    }
}

impl<F: Future> Spawned<F> {
    pub(super) fn new(future: F, completer: Completer<F::Output>, way: Arc<Way>) -> Self {
        Self {
            future: Some(future),
            completer: Some(completer),
            way,
            is_entered: false,
        }
    }

    /// Its `Runnable` is dropped, since the pool will not poll it any more.
    fn drop_unfinished(self: Pin<&mut Self>) {
        let mut this = self.project();
        let Some(completer) = this.completer.take() else {
            return;
        };
        contain(|| this.future.set(None));
        let refusal = this.way.leave();
        completer.fail(refusal.map_or(TaskError::Cancelled, TaskError::Rejected));
    }

    /// Drops the future first, so that whoever waits knows that it is gone.
    fn finish(self: Pin<&mut Self>, outcome: Result<F::Output, TaskError>) {
        let mut this = self.project();
        let dropped = catch_unwind(AssertUnwindSafe(|| this.future.set(None)));
        if *this.is_entered {
            this.way.leave();
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

    /// Whether to poll it: not if its handle has cancelled it.
    fn start(self: Pin<&mut Self>) -> bool {
        match self.project().completer {
            Some(completer) => completer.start() && !completer.is_cancelled(),
            None => false,
        }
    }

    /// Makes sure that a cancellation, or the end of the pool, ends the wait. False if either has come.
    fn wait(mut self: Pin<&mut Self>, context: &Context<'_>) -> bool {
        let this = self.as_mut().project();
        if *this.is_entered {
            return true;
        }
        if !this.way.enter(context.waker()) {
            return false;
        }
        *this.is_entered = true;
        self.start()
    }
}

impl<F: Future> Future for Spawned<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.as_mut().start() {
            self.finish(Err(TaskError::Cancelled));
            return Poll::Ready(());
        }
        let Some(future) = self.as_mut().project().future.as_pin_mut() else {
            return Poll::Ready(());
        };
        // Unwind safety: the future is not polled again after a panic, and whoever waits is told.
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
