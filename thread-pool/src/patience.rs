//! How long a worker that has nothing left looks for work before it sleeps, learnt from what came of it.
//!
//! Waking a sleeper costs whoever submits far more than a look does, so it pays to look for some time; but
//! only if something comes. And whoever looks too soon after a submission takes the next one's cache
//! lines away from under the submitter, for one task at a time: so where tasks come in a stream, it pays
//! to let some of them add up.

use std::cell::Cell;

use future_result::sync::SEARCHES;

/// At least so many looks, if others were in vain.
const LOOKS_MIN: usize = 4;
/// A worker holds back for so many turns at most.
const PAUSES_MAX: usize = 6;
/// Fewer tasks at a time than this are hardly worth the way.
const BATCH_MIN: usize = 12;

pub(crate) struct Patience {
    looks: Cell<usize>,
    pauses: Cell<usize>,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Self {
            looks: Cell::new(SEARCHES),
            pauses: Cell::new(0),
        }
    }

    /// How often to yield and look again before sleeping.
    pub(crate) fn looks(&self) -> usize {
        self.looks.get()
    }

    /// How often to yield before the first look.
    pub(crate) fn pauses(&self) -> usize {
        self.pauses.get()
    }

    /// Nothing came.
    pub(crate) fn was_in_vain(&self) {
        let looks = (self.looks.get() / 2).max(LOOKS_MIN.min(SEARCHES));
        self.looks.set(looks);
        self.pauses.set(0);
    }

    /// So many tasks were there from outside.
    pub(crate) fn has_found(&self, tasks: usize) {
        let pauses = self.pauses.get();
        self.pauses.set(match tasks {
            0 | 1 => 0,
            _ if tasks < BATCH_MIN => (pauses + 1).min(PAUSES_MAX.min(SEARCHES)),
            _ if tasks > 4 * BATCH_MIN => pauses.saturating_sub(1),
            _ => pauses,
        });
    }

    /// Something was there after so many looks.
    pub(crate) fn has_paid(&self, looks: usize) {
        if 2 * looks > self.looks.get() {
            self.looks.set((2 * self.looks.get()).min(SEARCHES));
        }
    }
}
