//! A worker that is forked ahead of time, so that nobody has to wait for the fork when it is wanted.
//!
//! It has the number of the next worker, and all its channels, and waits for its first message. The pool's
//! state knows nothing of it: it says [whether one may be kept](crate::state::State::spare), and gets it from the
//! [system](crate::system::System) like a worker that was only then started.
//!
//! | it | when |
//! |---|---|
//! | is made | the pool's thread is about to sleep, or has not for some rounds; one may be kept, and there is none |
//! | is taken | the next worker is wanted; from then on it is an ordinary one |
//! | is lost | its process ends before that; the pool's state is not told |
//! | is doomed | none may be kept any more: it is killed, and soon lost, so that nobody has to wait for its end |
//!
//! If spares are lost again and again, no other is made until a worker is wanted. One that is there when the pool
//! ends is killed and waited for, like the workers.

use crate::sys::Event;
use crate::token::{self, Source};

/// How many may be lost before a worker is wanted.
const LOSSES_MAX: u32 = 5;

/// The place for a spare. `T` is what the system has of it.
#[derive(Debug)]
pub(crate) struct Spare<T> {
    kept: Option<Kept<T>>,
    /// How many were lost, or could not be made, since a worker was wanted.
    losses: u32,
}

#[derive(Debug)]
struct Kept<T> {
    number: u64,
    it: T,
    /// It was killed, and its end is about to be reported.
    is_doomed: bool,
}

/// A spare that was taken, and whether it can be used.
#[derive(Debug)]
pub(crate) enum Taken<T> {
    Good(T),
    /// It was killed.
    Doomed(T),
}

impl<T> Spare<T> {
    pub(crate) const fn new() -> Self {
        Self {
            kept: None,
            losses: 0,
        }
    }

    /// Whether another one is worth a try.
    pub(crate) const fn has_room(&self) -> bool {
        self.kept.is_none() && self.losses < LOSSES_MAX
    }

    pub(crate) const fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Keeps a new one, if it could be made.
    pub(crate) fn keep(&mut self, number: u64, made: Option<T>) {
        self.losses += u32::from(made.is_none());
        self.kept = made.map(|it| Kept {
            number,
            it,
            is_doomed: false,
        });
    }

    /// A worker is wanted.
    pub(crate) fn take(&mut self) -> Option<Taken<T>> {
        self.losses = 0;
        let Kept { it, is_doomed, .. } = self.kept.take()?;
        Some(if is_doomed {
            Taken::Doomed(it)
        } else {
            Taken::Good(it)
        })
    }

    /// None may be kept. Returns the one that there is, if it can be killed, once.
    pub(crate) fn doom(&mut self, can_be: impl FnOnce(&T) -> bool) -> Option<&T> {
        let kept = self.kept.as_mut()?;
        if kept.is_doomed || !can_be(&kept.it) {
            return None;
        }
        kept.is_doomed = true;
        Some(&kept.it)
    }

    /// Takes the end of its process out of these events. Returns what to reap.
    pub(crate) fn lose(&mut self, events: &mut Vec<Event>) -> Option<T> {
        let end = token::new(self.kept.as_ref()?.number, Source::Process);
        let before = events.len();
        events.retain(|&Event(token)| token != end);
        if events.len() == before {
            return None;
        }
        let Kept { it, is_doomed, .. } = self.kept.take()?;
        self.losses += u32::from(!is_doomed);
        Some(it)
    }
}
