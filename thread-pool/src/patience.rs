//! How long a worker that is out of work looks for more before it sleeps, learnt from past success.
//!
//! Waking a sleeper costs the submitter far more than a look does, so it pays to look for some time; but
//! only if something comes. And a look too soon after a submission steals the cache lines that the
//! submitter needs for the next one, all for a single task: so where tasks come in a stream, it pays
//! to let some of them add up.

use std::cell::Cell;

use future_result::sync::{PAUSES, SEARCHES, SEARCHES_MIN};

/// Fewer tasks at a time than this are hardly worth fetching.
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
        self.set_looks(self.looks.get() / 2);
        self.pauses.set(0);
    }

    /// This many tasks were there from outside.
    pub(crate) fn has_found(&self, tasks: usize) {
        let pauses = self.pauses.get();
        self.pauses.set(match tasks {
            0 | 1 => 0,
            _ if tasks < BATCH_MIN => (pauses + 1).clamp(0, PAUSES),
            _ if tasks > 4 * BATCH_MIN => pauses.saturating_sub(1),
            _ => pauses,
        });
    }

    /// Work was there after this many looks.
    pub(crate) fn has_paid(&self, looks: usize) {
        if 2 * looks > self.looks.get() {
            self.set_looks(2 * self.looks.get());
        }
    }

    fn set_looks(&self, looks: usize) {
        // Under a checker both bounds may be equal.
        self.looks.set(looks.clamp(SEARCHES_MIN, SEARCHES));
    }
}

#[cfg(all(test, not(any(pool_loom, pool_sim))))]
mod tests {
    use super::*;

    #[test]
    fn looks_in_vain_get_fewer_and_those_that_pay_come_back() {
        let patience = Patience::new();
        assert_eq!(patience.looks(), SEARCHES);
        for _ in 0..10 {
            patience.was_in_vain();
        }
        assert_eq!(patience.looks(), SEARCHES_MIN);
        patience.has_paid(SEARCHES_MIN / 2);
        assert_eq!(
            patience.looks(),
            SEARCHES_MIN,
            "fewer would have been enough"
        );
        for _ in 0..10 {
            patience.has_paid(patience.looks());
        }
        assert_eq!(patience.looks(), SEARCHES);
    }

    #[test]
    fn a_stream_of_small_batches_is_given_time_and_a_lone_task_none() {
        let patience = Patience::new();
        patience.has_found(1);
        assert_eq!(patience.pauses(), 0);
        for _ in 0..100 {
            patience.has_found(BATCH_MIN - 1);
        }
        assert_eq!(patience.pauses(), PAUSES);
        patience.has_found(BATCH_MIN);
        assert_eq!(patience.pauses(), PAUSES, "just right");
        patience.has_found(1000);
        assert_eq!(patience.pauses(), PAUSES - 1);
        patience.has_found(1);
        assert_eq!(patience.pauses(), 0);
        patience.has_found(2);
        patience.was_in_vain();
        assert_eq!(patience.pauses(), 0);
    }
}
