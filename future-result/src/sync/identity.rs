//! The numbers of pools, and which of them this process inherited by a fork.
//!
//! A forked child has a copy of the parent's pools and only one of its threads: whoever waited there for
//! a worker would wait forever. Numbers are given in order, so the child need only remember the last one
//! that its parent gave.
//!
//! None of this is published to other threads, and a model's executions share the numbers: so even in a
//! model these are std's atomics, which are no steps.
#![expect(
    clippy::disallowed_types,
    reason = "loom's atomics cannot be statics, and these order nothing"
)]

use std::num::NonZeroU32;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// The last number that was given.
static LAST: AtomicU32 = AtomicU32::new(0);

/// Numbers up to this one were given by a process that this one was forked from.
static INHERITED: AtomicU32 = AtomicU32::new(0);

static WATCH: Once = Once::new();

/// A number that no other call in this process returns; `None` once all are used up.
#[must_use]
pub fn unique_id() -> Option<NonZeroU32> {
    WATCH.call_once(watch_forks);
    // ORDERING: Relaxed; only uniqueness matters, and atomicity gives it.
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
        last.checked_add(1)
    });
    last.ok().and_then(|last| NonZeroU32::new(last + 1))
}

/// Whether a number was given before this process was forked.
#[inline]
#[must_use]
pub fn is_inherited(id: NonZeroU32) -> bool {
    // ORDERING: Relaxed; written before the process has a second thread.
    id.get() <= INHERITED.load(Ordering::Relaxed)
}

/// Whether there are such numbers.
#[inline]
#[must_use]
pub fn has_inherited() -> bool {
    // ORDERING: Relaxed, as in `is_inherited`.
    INHERITED.load(Ordering::Relaxed) != 0
}

#[cfg(all(unix, not(miri)))]
fn watch_forks() {
    // SAFETY: the handler may be called in any child process at any time: it only does two atomic
    // operations, which is allowed there.
    let failed = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    // Without memory for it, forks are not noticed.
    let _ = failed;
}

#[cfg(not(all(unix, not(miri))))]
fn watch_forks() {}

#[cfg(all(unix, not(miri)))]
extern "C" fn in_child() {
    // ORDERING: Relaxed; there is one thread.
    INHERITED.store(LAST.load(Ordering::Relaxed), Ordering::Relaxed);
}
