//! What the shop counts while it sells.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::shop::Refusal;
use crate::stock::Fate;

/// A number that any thread may increment.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more; gives the new number.
    pub fn add(&self) -> u64 {
        // ORDERING: Relaxed, a number alone; what it decides needs nothing but the number.
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        // ORDERING: Relaxed, as above; the last values are read when all who count have ended.
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts of a sale. They are for people to look at: what is true is in the database.
#[derive(Debug, Default)]
pub struct Tally {
    /// Orders that got a unit.
    pub accepted: Count,
    /// Orders that got none, by the reason.
    pub refused: [Count; Refusal::ALL.len()],
    /// Accepted orders that came to an end, by which.
    pub settled: [Count; Fate::ALL.len()],
    /// Reservations that found another version of the stock than they had read.
    pub conflicts: Count,
    /// Checks that were submitted, each attempt for itself.
    pub checks: Count,
    /// Checks whose worker died under them.
    pub died: Count,
    /// Workers that were killed.
    pub killed: Count,
    /// Product pages that were asked for.
    pub pages: Count,
    /// Those that the cache did not have.
    pub page_loads: Count,
    /// The first thing that should not have happened.
    pub trouble: OnceLock<String>,
}

impl Tally {
    /// Orders that got no unit, for whatever reason.
    #[must_use]
    pub fn all_refused(&self) -> u64 {
        self.refused.iter().map(Count::get).sum()
    }

    /// Keeps what happened if it is the first; the others are likely its consequences.
    pub fn note(&self, what: &dyn std::fmt::Display) {
        self.trouble.get_or_init(|| what.to_string());
    }
}
