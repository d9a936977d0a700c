//! How often the scheduler looks outside: after as many turns as take about a millisecond, or 61 if that is less.
//!
//! A look costs as much as several turns, so it must not follow each; and so does the clock, so turns are counted.
//! But users' code decides how long a turn is. How many make a millisecond is estimated from the last ones at each
//! look, which reads the clock anyway.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The scheduler looks outside after this many turns in any case.
const TURNS_MAX: u32 = 61;
/// And after this time, unless turns suddenly become longer. The timers' ticks are 65 µs.
#[cfg(not(any(pool_loom, pool_sim)))]
const TARGET: Duration = Duration::from_millis(1);
/// The checkers repeat a run, which must not depend on its duration.
#[cfg(any(pool_loom, pool_sim))]
const TARGET: Duration = Duration::MAX;

/// When a scheduler looks outside.
pub(super) struct Pace {
    /// How many turns there are from one look to the next.
    turns: Cell<u32>,
    /// How many of them have not begun.
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

    /// Counts a turn that begins; true if a look outside is due before it.
    #[inline(always)]
    pub(super) fn is_time(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.wrapping_sub(1));
        left == 0
    }

    /// The turns are over, except the one counted last, which has only begun. True if there will be fewer of them
    /// from now on than the maximum.
    pub(super) fn stop(&self, now: Instant) -> bool {
        let begun = self.turns.get().wrapping_sub(self.left.get());
        let elapsed = now.saturating_duration_since(self.since.get());
        if let Some(turns) = fitting(begun.wrapping_sub(1), elapsed) {
            self.turns.set(turns);
        }
        self.turns.get() < TURNS_MAX
    }

    /// Counts turns from now on, beginning with the one that has begun.
    pub(super) fn start(&self, now: Instant) {
        self.left.set(self.turns.get() - 1);
        self.since.set(now);
    }

    /// Counts turns from the next one on: the queue was empty until now.
    pub(super) fn start_with_next(&self, now: Instant) {
        self.left.set(self.turns.get());
        self.since.set(now);
    }
}

/// How many turns fit into the target time, if `taken` of them took `elapsed`. `None` if there were none.
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

    /// Takes turns of this length until the next look, and returns how many.
    fn turns_until_look(pace: &Pace, now: &mut Instant, length: Duration) -> u32 {
        let mut turns = 0;
        while !pace.is_time() {
            *now += length;
            turns += 1;
        }
        pace.stop(*now);
        pace.start(*now);
        // The one before which the look was due.
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
            // The first of these turns had the former length.
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
            // No task is left, for long.
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
            // The eleventh finds no task.
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
