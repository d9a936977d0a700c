//! What wakes a task, or asks it to stop: its scheduler's inbox, and the task's key.
//!
//! It owns nothing of the task: the last waker may be dropped on any thread and at any time, what is on a task's
//! stack may not. It lives in the cell of the task's outcome, which exists as long as somebody needs it. A future
//! that waits has no other waker. A closure's cell belongs to its handle alone once it has ended, though its
//! destructors may still wait; and the main task has no cell. These get a separate cell for it when they first wait
//! for something that needs a waker.

use std::sync::Arc;
use std::task::Waker;

use future_result::sync::atomic::{AtomicBool, Ordering};
use future_result::{WakeRef, Wakes, contain, waker_of};

use super::inbox::{Inbox, Mail};
use super::task::Key;
use super::{Scheduler, current};
use crate::dump;

/// What a waker points to.
pub(crate) struct WakeHandle {
    inbox: Arc<Inbox>,
    key: Key,
    /// It is in the inbox, not yet received.
    is_sent: AtomicBool,
}

impl WakeHandle {
    #[inline]
    pub(super) fn new(inbox: Arc<Inbox>, key: Key) -> Self {
        Self {
            inbox,
            key,
            is_sent: AtomicBool::new(false),
        }
    }

    /// In a separate cell.
    pub(super) fn waker(inbox: Arc<Inbox>, key: Key) -> Waker {
        waker_of(Self::new(inbox, key))
    }

    /// Whom to wake. From now on, another wake-up is sent again.
    pub(super) fn receive(&self) -> Key {
        // ORDERING: Acquire pairs with the Release in `send`, also with those of calls that found it set and sent
        // nothing: the woken task sees what was done before each wake-up.
        self.is_sent.swap(false, Ordering::Acquire);
        self.key
    }

    fn send(this: &WakeRef<Self>) {
        // ORDERING: Release pairs with the Acquire in `receive`. If it was set, that `receive` comes later, and
        // reads this swap or one that continues its release sequence.
        if !this.is_sent.swap(true, Ordering::Release) {
            this.inbox.send(Mail::Wake(WakeRef::clone(this)));
        }
    }
}

impl Wakes for WakeHandle {
    fn cancel(&self) {
        cancel(&self.inbox, self.key);
    }

    fn wake(this: &WakeRef<Self>) {
        match current::of_inbox(&this.inbox) {
            Some(scheduler) => scheduler.wake_key(this.key),
            None => Self::send(this),
        }
    }

    fn another(&self) -> Self {
        Self::new(Arc::clone(&self.inbox), self.key)
    }
}

/// Tells a task to stop, from any thread.
pub(super) fn cancel(inbox: &Arc<Inbox>, key: Key) {
    match current::of_inbox(inbox) {
        Some(scheduler) => scheduler.cancel_key(key),
        None => inbox.send(Mail::Cancel(key)),
    }
}

impl Scheduler {
    /// Does what other threads asked for.
    pub(super) fn read_mail(&self) {
        if !self.inbox.may_have_mail() {
            return;
        }
        for mail in self.inbox.take() {
            match mail {
                Mail::Wake(handle) => self.wake_key(handle.receive()),
                Mail::Cancel(key) => self.cancel_key(key),
                // It looked for work when it got up.
                Mail::Search => {}
                Mail::Close => self.close(),
                Mail::Testify => self.testify(),
                Mail::Verdict(verdict) => self.obey(verdict),
                Mail::Dump(asked) => {
                    // The answer may call anybody's code; see `ring`.
                    let current = self.current();
                    let _pin = current.interrupts().pin();
                    let tasks = dump::of(self);
                    contain(|| asked.answer(tasks));
                }
            }
        }
    }

    fn wake_key(&self, key: Key) {
        if let Some(task) = self.tasks.get(key) {
            self.wake(&task);
        }
    }

    fn cancel_key(&self, key: Key) {
        if let Some(task) = self.tasks.get(key) {
            self.cancel(&task);
        }
    }
}
