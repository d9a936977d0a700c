//! How long a thread looks for what is about to come before it sleeps, learnt from whether it came.
//!
//! Waking a sleeping thread costs ten times as much as all the rest of a short task's way. So whoever
//! waits for another process looks for a moment first, and yields its CPU between two looks, in case the
//! two share one. If nothing came several times in a row, it sleeps at once, and looks only now and
//! then; so a pool that rests between its tasks burns next to nothing, and an idle one nothing at all.

use std::time::Duration;

use future_result::sync::{now, thread};

/// How long to look at a time: several round trips, and no more than the cost of two wake-ups.
const LIMIT: Duration = Duration::from_micros(50);
/// After so many waits in vain, a thread stops looking.
const VAIN_MAX: u32 = 3;
/// Even then it looks in one wait out of so many.
const TRY_EACH: u32 = 32;

/// One thread's patience.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// Waits in a row in which nothing came in time.
    vain: u32,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Self { vain: 0 }
    }

    /// Looks until something is there, or looking is no longer worth it. Returns whether it is there.
    pub(crate) fn look(&mut self, mut is_there: impl FnMut() -> bool) -> bool {
        if is_there() {
            return true;
        }
        if self.vain >= VAIN_MAX && !self.vain.is_multiple_of(TRY_EACH) {
            self.vain = self.vain.wrapping_add(1).max(VAIN_MAX);
            return false;
        }
        let end = now() + LIMIT;
        loop {
            thread::yield_now();
            if is_there() {
                self.vain = 0;
                return true;
            }
            if now() >= end {
                self.vain = self.vain.wrapping_add(1).max(1);
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it looks for something that never comes.
    fn looks(patience: &mut Patience) -> u32 {
        let mut looks = 0;
        assert!(!patience.look(|| {
            looks += 1;
            false
        }));
        looks
    }

    #[test]
    fn who_looks_in_vain_stops_it_and_tries_again_now_and_then() {
        let mut patience = Patience::new();
        for _ in 0..VAIN_MAX {
            assert!(looks(&mut patience) > 1);
        }
        let patient = (0..10 * TRY_EACH).filter(|_| looks(&mut patience) > 1);
        assert_eq!(patient.count(), 10);
    }

    #[test]
    fn once_it_pays_it_is_patient_again() {
        let mut patience = Patience::new();
        let comes_at_the_second_look = |patience: &mut Patience| {
            let mut looks = 0;
            patience.look(|| {
                looks += 1;
                looks == 2
            })
        };
        for _ in 0..=VAIN_MAX {
            let _ = looks(&mut patience);
        }
        assert!(!comes_at_the_second_look(&mut patience));
        assert!((0..TRY_EACH).any(|_| comes_at_the_second_look(&mut patience)));
        assert!(looks(&mut patience) > 1);
    }
}
