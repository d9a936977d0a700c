//! The list of `on_done` callbacks of one cell, made when the first is added.

use std::collections::VecDeque;
use std::fmt;
use std::task::Waker;

use crate::TaskError;
use crate::state::{Completion, Outcome, State};
use crate::sync::Mutex;

/// A callback, which sees the outcome before anybody can take it.
pub(crate) type Callback<T> = Box<dyn FnOnce(Result<&T, &TaskError>) + Send>;

/// Callbacks in the order they were added, and the waker that they displaced from the slot.
pub(super) struct Callbacks<T> {
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    queue: VecDeque<Callback<T>>,
    waker: Option<Waker>,
}

/// What a runner finds when it asks for the next callback.
pub(super) enum Next<T> {
    Run(Callback<T>),
    /// All have run, and the cell was completed with the lock still held.
    Completed(Completion, Option<Waker>),
}

impl<T> Callbacks<T> {
    pub(super) fn new(first: Callback<T>, waker: Option<Waker>) -> Self {
        Self {
            inner: Mutex::new(Inner {
                queue: VecDeque::from([first]),
                waker,
            }),
        }
    }

    /// Undoes [`Callbacks::new`].
    pub(super) fn take_back(&self) -> (Option<Callback<T>>, Option<Waker>) {
        let mut inner = self.inner.lock();
        (inner.queue.pop_front(), inner.waker.take())
    }

    /// Appends, unless the cell is done: then the callback comes back, for the caller to run.
    pub(super) fn add(&self, state: &State, callback: Callback<T>) -> Option<Callback<T>> {
        let mut inner = self.inner.lock();
        if state.load().is_done() {
            return Some(callback);
        }
        inner.queue.push_back(callback);
        None
    }

    /// Leaves `waker` to be woken, unless the cell is done: then it returns true.
    pub(super) fn register(&self, state: &State, waker: &Waker) -> bool {
        // Cloning and dropping wakers is user code, so both stand outside the lock.
        let waker = waker.clone();
        let mut inner = self.inner.lock();
        if state.load().is_done() {
            drop(inner);
            return true;
        }
        let before = inner.waker.replace(waker);
        drop(inner);
        drop(before);
        false
    }

    /// The next callback to run. If there is none, completes the cell under the same lock, so that a
    /// callback is either run by the runner or seen to be late by whoever adds it.
    pub(super) fn next(&self, state: &State, outcome: Outcome) -> Next<T> {
        let mut inner = self.inner.lock();
        match inner.queue.pop_front() {
            Some(callback) => Next::Run(callback),
            None => {
                let waker = inner.waker.take();
                Next::Completed(state.complete_after_callbacks(outcome), waker)
            }
        }
    }
}

impl<T> fmt::Debug for Callbacks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}
