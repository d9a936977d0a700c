//! Numbers for show.
#![expect(
    clippy::disallowed_types,
    reason = "a model's step for each count would show nothing and cost much"
)]

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread counts up and others look at.
///
/// It publishes nothing and nothing is decided from it, so even in a model it is a std atomic, which is no step.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// At zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds `more`. Only the counter's owner may: concurrent additions can get lost.
    #[inline]
    pub fn add(&self, more: u64) {
        // ORDERING: Relaxed, as the type says. A store does, since there is one writer.
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(more), Ordering::Relaxed);
    }

    /// The count at some moment.
    #[must_use]
    pub fn get(&self) -> u64 {
        // ORDERING: Relaxed, as the type says.
        self.0.load(Ordering::Relaxed)
    }
}
