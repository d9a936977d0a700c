//! The one place that names atomics, locks, threads and raw allocation.
//!
//! Everything else in the workspace's libraries takes them from here, so that a build with
//! `--cfg pool_loom` runs the same code on loom's model of memory and scheduling. Public for the
//! sibling crates alone, and exempt from semantic versioning.

#[cfg(pool_loom)]
mod model;
#[cfg(not(pool_loom))]
mod real;

#[cfg(pool_loom)]
pub use model::*;
#[cfg(not(pool_loom))]
pub use real::*;

use std::num::NonZeroU32;

/// A number that one thread counts up, and that others look at: for show.
///
/// It publishes nothing and nothing is decided from it, so it is a std atomic in a model, too, where it
/// is no step.
#[expect(
    clippy::disallowed_types,
    reason = "a step of the model for each count would tell nothing and cost much"
)]
#[derive(Debug, Default)]
pub struct Counter(std::sync::atomic::AtomicU64);

impl Counter {
    /// At zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(std::sync::atomic::AtomicU64::new(0))
    }

    /// Adds `more`. Only the counter's owner may: what two threads add at once can get lost.
    #[inline]
    pub fn add(&self, more: u64) {
        // ORDERING: Relaxed, as the type says; a store, since there is one writer.
        let before = self.0.load(std::sync::atomic::Ordering::Relaxed);
        let after = before.wrapping_add(more);
        self.0.store(after, std::sync::atomic::Ordering::Relaxed);
    }

    /// What was counted up to some moment.
    #[must_use]
    pub fn get(&self) -> u64 {
        // ORDERING: Relaxed, as the type says.
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// A number that no other call in this process returns; `None` once all are used up.
///
/// An identity and nothing else: it publishes nothing, so it is a std atomic in a model, too.
#[expect(
    clippy::disallowed_types,
    reason = "loom's atomics cannot be statics, and this one orders nothing"
)]
#[must_use]
pub fn unique_id() -> Option<NonZeroU32> {
    use std::sync::atomic::{AtomicU32, Ordering};

    static LAST: AtomicU32 = AtomicU32::new(0);
    // ORDERING: Relaxed; only uniqueness matters, and atomicity gives it.
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
        last.checked_add(1)
    });
    last.ok().and_then(|last| NonZeroU32::new(last + 1))
}
