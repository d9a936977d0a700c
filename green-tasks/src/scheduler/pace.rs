//! How often the outside is looked at: after so many turns that it is about a millisecond, or 61 if that is
//! less.
//!
//! A look costs as much as some turns, so it must not come after each; and the clock does, so that turns
//! are counted. But the length of a turn is the user's. How many turns make a millisecond is what the last
//! ones took, and each look knows, since it looks at the clock anyway.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// After so many turns, the outside is looked at in any case.
const TURNS_MAX: u32 = 61;
/// And after this time, unless turns become longer all at once. The timers' ticks are 65 µs.
#[cfg(not(any(pool_loom, pool_sim)))]
const TARGET: Duration = Duration::from_millis(1);
/// The checkers repeat a run, which must not depend on how long it takes.
#[cfg(any(pool_loom, pool_sim))]
const TARGET: Duration = Duration::MAX;

/// When a scheduler looks outside.
pub(super) struct Pace {
    /// After so many turns from the last look on.
    turns: Cell<u32>,
    /// So many of them have not begun.
    left: Cell<u32>,
    /// When the first of them began.
    since: Cell<Instant>,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            turns: Cell::new(TURNS_MAX),
            left: Cell::new(TURNS_MAX),
            since: Cell::new(now),
        }
    }

    /// Counts a turn that begins; true if the outside is to be looked at before it.
    #[inline(always)]
    pub(super) fn is_time(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.wrapping_sub(1));
        left == 0
    }

    /// The turns are over, but for the one that was counted last: that has only begun. True if there are to
    /// be fewer of them from now on than there might be.
    pub(super) fn stop(&self, now: Instant) -> bool {
        let begun = self.turns.get().wrapping_sub(self.left.get());
        let elapsed = now.saturating_duration_since(self.since.get());
        if let Some(turns) = fitting(begun.wrapping_sub(1), elapsed) {
            self.turns.set(turns);
        }
        self.turns.get() < TURNS_MAX
    }

    /// Turns are counted from now on, beginning with the one that has begun.
    pub(super) fn start(&self, now: Instant) {
        self.left.set(self.turns.get() - 1);
        self.since.set(now);
    }

    /// Turns are counted from the next one on: it was nobody's turn until now.
    pub(super) fn start_with_next(&self, now: Instant) {
        self.left.set(self.turns.get());
        self.since.set(now);
    }
}

/// How many turns take as long as is aimed at, if so many took so long. `None` if there were none.
fn fitting(taken: u32, elapsed: Duration) -> Option<u32> {
    if taken == 0 {
        return None;
    }
    let turns = u128::from(taken) * TARGET.as_nanos() / elapsed.as_nanos().max(1);
    let turns = u32::try_from(turns).unwrap_or(TURNS_MAX);
    Some(turns.clamp(1, TURNS_MAX))
}

#[cfg(all(test, not(any(pool_loom, pool_sim))))]
mod tests {
    use super::*;

    /// Has turns of this length until the next look, and says how many they were.
    fn turns_until_look(pace: &Pace, now: &mut Instant, length: Duration) -> u32 {
        let mut turns = 0;
        while !pace.is_time() {
            *now += length;
            turns += 1;
        }
        pace.stop(*now);
        pace.start(*now);
        // The one before which it was looked.
        *now += length;
        turns + 1
    }

    #[test]
    fn short_turns_are_61_and_long_ones_as_many_as_take_a_millisecond() {
        let mut now = Instant::now();
        let pace = Pace::new(now);
        for (micros, turns) in [
            (1, 61),
            (16, 61),
            (100, 10),
            (400, 2),
            (1_000, 1),
            (50_000, 1),
        ] {
            let length = Duration::from_micros(micros);
            turns_until_look(&pace, &mut now, length);
            // The first turn of these was of the other kind.
            turns_until_look(&pace, &mut now, length);
            assert_eq!(
                turns_until_look(&pace, &mut now, length),
                turns,
                "{length:?}"
            );
        }
        turns_until_look(&pace, &mut now, Duration::ZERO);
        turns_until_look(&pace, &mut now, Duration::ZERO);
        assert_eq!(turns_until_look(&pace, &mut now, Duration::ZERO), 61);
    }

    #[test]
    fn time_in_which_it_was_nobodys_turn_is_not_that_of_turns() {
        let mut now = Instant::now();
        let pace = Pace::new(now);
        for _ in 0..200 {
            assert!(!pace.is_time(), "turns are short");
            now += Duration::from_micros(1);
            // Nobody is left, for long.
            assert!(!pace.is_time());
            assert!(!pace.stop(now));
            now += Duration::from_secs(1);
            pace.start_with_next(now);
        }
    }

    #[test]
    fn few_long_turns_between_rests_are_known_as_long() {
        let mut now = Instant::now();
        let pace = Pace::new(now);
        for round in 0..3 {
            let mut looks = 0;
            for _ in 0..10 {
                if pace.is_time() {
                    looks += 1;
                    pace.stop(now);
                    pace.start(now);
                }
                now += Duration::from_millis(1);
            }
            // The eleventh finds nobody.
            if pace.is_time() {
                pace.stop(now);
                pace.start(now);
            }
            pace.stop(now);
            pace.start_with_next(now);
            assert_eq!(looks, if round == 0 { 0 } else { 9 });
        }
    }
}
