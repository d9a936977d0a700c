//! A handle that does as it is told.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use future_result::{Cancel, FutureResult, Status, TaskError};

/// A handle that reports its polls and wakers, and is done when told to.
#[derive(Clone, Default)]
pub(crate) struct Probe(Arc<Mutex<Probed>>);

#[derive(Default)]
pub(crate) struct Probed {
    pub(crate) done: bool,
    polls: usize,
    wakers: Vec<Waker>,
    /// How many more times it wakes its waker at once, and is pending all the same.
    pub(crate) self_wakes: usize,
}

impl Probe {
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Probed) -> R) -> R {
        f(&mut self.0.lock().unwrap())
    }

    pub(crate) fn polls(&self) -> usize {
        self.with(|probed| probed.polls)
    }

    pub(crate) fn latest_waker(&self) -> Waker {
        self.with(|probed| probed.wakers.last().unwrap().clone())
    }

    pub(crate) fn complete(&self) {
        self.with(|probed| probed.done = true);
        self.latest_waker().wake();
    }
}

impl Future for Probe {
    type Output = Result<(), TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let self_wake = self.with(|probed| {
            probed.polls += 1;
            probed.wakers.push(context.waker().clone());
            let self_wake = probed.self_wakes > 0;
            probed.self_wakes = probed.self_wakes.saturating_sub(1);
            self_wake
        });
        if self_wake {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.with(|probed| probed.done) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}

impl FutureResult for Probe {
    type Value = ();

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(self).poll(context).map(drop)
    }

    fn status(&self) -> Status {
        if self.with(|probed| probed.done) {
            Status::Succeeded
        } else {
            Status::Pending
        }
    }

    fn cancel(&self) -> Cancel {
        Cancel::Requested
    }
}
