//! Mail from other threads to a scheduler: that a task is to be woken, or cancelled.
//!
//! One lock guards the mail and how the scheduler sleeps, so their order needs no proof: the scheduler lies down
//! only if there is no mail, and whoever adds mail sees whether it sleeps. A flag outside tells a scheduler that is
//! awake whether a look is worth the lock.
//!
//! A task that was woken and not yet received is not added again, so wake-ups never outnumber the tasks, whatever
//! others do.

use std::sync::Arc;
use std::time::Instant;

use future_result::WakeRef;
use future_result::sync::Mutex;
use future_result::sync::atomic::{AtomicBool, Ordering};
use future_result::sync::{now, thread};
use polling::Poller;

use super::inquest::Verdict;
use super::task::Key;
use super::waker::WakeHandle;
use crate::dump::Asked;

/// The way into a scheduler from other threads.
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// Whether there may be mail.
    has_mail: AtomicBool,
}

/// What others want of a scheduler.
pub(crate) enum Mail {
    Wake(WakeRef<WakeHandle>),
    Cancel(Key),
    /// There is work that nobody has started.
    Search,
    /// The run ends.
    Close,
    /// Nothing can ever go on, and the scheduler must say what it knows.
    Testify,
    /// What follows from what all said.
    Verdict(Verdict),
    /// Somebody asks what its tasks do.
    Dump(Asked),
}

struct State {
    mail: Vec<Mail>,
    /// How to wake the scheduler, while it sleeps.
    sleeper: Option<Sleeper>,
    /// The scheduler is gone.
    is_closed: bool,
}

/// How a scheduler sleeps.
#[derive(Clone)]
pub(crate) enum Sleeper {
    /// It parks.
    Parked(thread::Thread),
    /// It waits for sockets.
    Polling(Arc<Poller>),
}

impl Sleeper {
    fn wake(&self) {
        match self {
            Self::Parked(thread) => thread.unpark(),
            Self::Polling(poller) => {
                // Fails only if the system is out of memory; then the next event wakes it.
                let _ = poller.notify();
            }
        }
    }
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                mail: Vec::new(),
                sleeper: None,
                is_closed: false,
            }),
            has_mail: AtomicBool::new(false),
        }
    }

    /// Adds mail, and wakes the scheduler if it sleeps.
    pub(crate) fn send(&self, mail: Mail) {
        let mut state = self.state.lock();
        if state.is_closed {
            drop(state);
            return;
        }
        state.mail.push(mail);
        let sleeper = state.sleeper.take();
        // ORDERING: Relaxed; a hint. The lock publishes the mail.
        self.has_mail.store(true, Ordering::Relaxed);
        drop(state);
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    /// Whether it is worth taking the mail. May lag behind, but not forever.
    #[inline]
    pub(crate) fn may_have_mail(&self) -> bool {
        // ORDERING: Relaxed; a hint, as above.
        self.has_mail.load(Ordering::Relaxed)
    }

    /// Takes the mail.
    pub(crate) fn take(&self) -> Vec<Mail> {
        let mut state = self.state.lock();
        // ORDERING: Relaxed; a hint. Written under the lock, so it is true while there is mail.
        self.has_mail.store(false, Ordering::Relaxed);
        std::mem::take(&mut state.mail)
    }

    /// Whether there is no mail, which stays true only while nobody can send any.
    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().mail.is_empty()
    }

    /// Lies down; false if there is mail. Only the scheduler calls this.
    pub(crate) fn lie_down(&self, sleeper: Sleeper) -> bool {
        let mut state = self.state.lock();
        if !state.mail.is_empty() {
            return false;
        }
        let former = state.sleeper.replace(sleeper);
        drop(state);
        drop(former);
        true
    }

    /// Gets up again, whoever caused it.
    pub(crate) fn get_up(&self) {
        let sleeper = self.state.lock().sleeper.take();
        drop(sleeper);
    }

    /// Whether somebody has woken the scheduler since it lay down.
    fn is_woken(&self) -> bool {
        self.state.lock().sleeper.is_none()
    }

    /// Parks the calling thread, which is the scheduler's, until there is mail or the deadline has come.
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        if !self.lie_down(Sleeper::Parked(thread::current())) {
            return;
        }
        // The thread's own token may have been set or consumed by others: the lock knows.
        while !self.is_woken() {
            match deadline {
                None => thread::park(),
                Some(deadline) if now() < deadline => thread::park_deadline(deadline),
                Some(_) => break,
            }
        }
        self.get_up();
    }

    /// Refuses mail from now on.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let mail = std::mem::take(&mut state.mail);
        drop(state);
        drop(mail);
    }
}
