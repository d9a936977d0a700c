//! How long one job goes on.
//!
//! A job that ends after each buffer pays a hand-over for each, and a wake-up costs as much as a buffer. One that
//! never ends keeps its worker from the other tasks in the pool's queue. So a job goes on while it has something to
//! do, until its turn is over; then its adapter's next one goes to the back of that queue. If a single call takes
//! longer than a turn, each job makes one; where such calls follow many short ones, it may be 16.

use std::time::{Duration, Instant};

use future_result::CancelToken;

/// About fifty times the worst cost of a hand-over.
const LENGTH: Duration = Duration::from_millis(1);

/// Short steps between two looks at the clock, which take as long as such a step.
const STEPS: u32 = 16;

/// The turn of the job that the calling thread runs.
pub(super) struct Turn {
    token: CancelToken,
    begin: Instant,
    steps: u32,
}

impl Turn {
    pub(super) fn begin() -> Self {
        Self {
            token: CancelToken::current(),
            begin: Instant::now(),
            steps: 0,
        }
    }

    /// Whether the job must end, also because its adapter was dropped.
    pub(super) fn is_over(&self) -> bool {
        self.token.is_cancelled() || self.begin.elapsed() >= LENGTH
    }

    /// As [`is_over`](Self::is_over), after one of many mostly short steps, so the clock is not read each time; but it
    /// is after the first ones, and after one that somebody waited for.
    pub(super) fn is_over_after(&mut self, took_long: bool) -> bool {
        self.steps = self.steps.wrapping_add(1);
        if took_long || self.steps.is_power_of_two() || self.steps.is_multiple_of(STEPS) {
            self.is_over()
        } else {
            self.token.is_cancelled()
        }
    }
}

#[cfg(all(test, not(pool_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_first_step_that_is_longer_than_a_turn_ends_it_though_nobody_waited() {
        let mut turn = Turn::begin();
        turn.begin = turn.begin.checked_sub(LENGTH).unwrap();
        assert!(turn.is_over_after(false));
    }
}
