//! When a task whose worker died is retried.

use std::time::Duration;

/// The longest pause before another attempt, unless the first is longer.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The first pause, unless the task says otherwise.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a task may be retried, and after which pause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retries {
    /// How many attempts are left after the present one.
    pub(crate) left: u32,
    /// The pause before the first of them.
    pub(crate) pause: Duration,
}

impl Retries {
    pub(crate) const NONE: Self = Self {
        left: 0,
        pause: PAUSE,
    };

    /// The pause after so many attempts: doubled each time, and shortened at random by up to a half, so
    /// that tasks that failed together are not retried together.
    pub(crate) fn pause_after(self, attempts: u32, random: u64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let whole = self.pause.saturating_mul(1 << doublings);
        let whole = whole.min(PAUSE_MAX.max(self.pause));
        // The upper half of a product with a large odd number depends on all bits of the other factor.
        let share = (random.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32;
        whole / 2 + (whole / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_are_shortened_by_less_than_a_half() {
        let retries = Retries {
            left: 9,
            pause: Duration::from_millis(100),
        };
        for random in (0..1000).chain([u64::MAX]) {
            for (attempts, millis) in [
                (1, 100),
                (2, 200),
                (3, 400),
                (8, 10_000),
                (u32::MAX, 10_000),
            ] {
                let pause = retries.pause_after(attempts, random);
                let whole = Duration::from_millis(millis);
                assert!((whole / 2..=whole).contains(&pause), "{pause:?}");
            }
        }
        let distinct: std::collections::BTreeSet<_> = (0..100)
            .map(|random| retries.pause_after(1, random))
            .collect();
        assert!(distinct.len() > 90);
        for pause in [Duration::ZERO, Duration::MAX] {
            let retries = Retries { left: 1, pause };
            let next = retries.pause_after(3, 5);
            assert!(next <= pause && next >= pause / 2);
        }
    }
}
