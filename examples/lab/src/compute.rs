//! Work for a CPU, and how long it takes.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Only computes; the compiler cannot skip any of it. The result depends on both numbers.
///
/// # Examples
///
/// ```
/// use lab::compute::compute;
///
/// assert_eq!(compute(7, 0), 7);
/// assert_ne!(compute(7, 1_000), compute(8, 1_000));
/// ```
#[must_use]
pub fn compute(mut number: u64, rounds: u64) -> u64 {
    for round in 0..black_box(rounds) {
        number = (number ^ round)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29);
    }
    number
}

/// How many rounds take a millisecond here: the best of some short tries, since disturbances only slow it down.
///
/// # Examples
///
/// ```
/// assert!(lab::compute::rounds_per_milli() > 0);
/// ```
#[must_use]
pub fn rounds_per_milli() -> u64 {
    const ROUNDS: u64 = 1_000_000;
    let tries = (0..20).map(|number| {
        let start = Instant::now();
        black_box(compute(number, ROUNDS));
        start.elapsed()
    });
    let best = tries.min().unwrap_or_default().max(Duration::from_nanos(1));
    ((ROUNDS as f64 / best.as_secs_f64() / 1e3) as u64).max(1)
}
