//! How long a thread looks for what is about to come before it sleeps, learnt from whether it came.
//!
//! To wake a thread that sleeps costs ten times as much as all the rest of a short task's way. So whoever
//! waits for another process looks for a moment, and yields its CPU between two looks, to the other one if
//! they share it. Where nothing came several times in a row, it sleeps at once, and tries again now and
//! then; so a pool that rests between its tasks burns next to nothing, and one that is idle nothing at all.

use std::time::Duration;

use future_result::sync::{now, thread};

/// So long at a time: some trips, and no more than two wake-ups cost.
const LIMIT: Duration = Duration::from_micros(50);
/// So often in vain, and looking is given up.
const VAIN_MAX: u32 = 3;
/// One wait in so many is tried with patience even then.
const TRY_EACH: u32 = 32;

/// Of one thread.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// Waits in a row in which nothing came in time.
    vain: u32,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Self { vain: 0 }
    }

    /// Looks until something is there, or it is not worth it any more. Says whether it is there.
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
