//! What the shop counts while it sells.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::shop::Refusal;
use crate::stock::Fate;

/// A number that any thread may increment.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds one, and returns the new number.
    pub fn add(&self) -> u64 {
        // ORDERING: Relaxed, it is only a number, and so is all that callers decide by.
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        // ORDERING: Relaxed, as above; the last values are read when all that count have ended.
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts of a sale. They are only for people to read: the truth is in the database.
#[derive(Debug, Default)]
pub struct Tally {
    /// Orders that got a unit.
    pub accepted: Count,
    /// Orders that got none, by the reason.
    pub refused: [Count; Refusal::ALL.len()],
    /// Accepted orders that ended, by how.
    pub settled: [Count; Fate::ALL.len()],
    /// Reservations that found a newer version of the stock than they had read.
    pub conflicts: Count,
    /// Checks that were submitted, counting each attempt.
    pub checks: Count,
    /// Checks whose worker died.
    pub died: Count,
    /// Workers that were killed.
    pub killed: Count,
    /// Requests for the product page.
    pub pages: Count,
    /// Those that missed the cache.
    pub page_loads: Count,
    /// The first thing that should not have happened.
    pub trouble: OnceLock<String>,
}

impl Tally {
    /// Orders that got no unit, for any reason.
    #[must_use]
    pub fn all_refused(&self) -> u64 {
        self.refused.iter().map(Count::get).sum()
    }

    /// Keeps it if it is the first; later ones are likely its consequences.
    pub fn note(&self, what: &dyn std::fmt::Display) {
        self.trouble.get_or_init(|| what.to_string());
    }
}
