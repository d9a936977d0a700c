//! For how long one job goes on.
//!
//! A job that ends after each buffer pays a hand-over for each: a wake-up costs as much as a buffer is worth. One
//! that never ends keeps a worker from whoever else is in the pool's queue. So a job goes on while it has something to
//! do, until its turn is over; then its adapter's next one goes to the back of that queue. Where a single call takes
//! longer than a turn, each job makes one.

use std::time::{Duration, Instant};

use future_result::CancelToken;

/// Some fifty times what a hand-over costs at the worst.
const LENGTH: Duration = Duration::from_millis(1);

/// So many short steps are made between two looks at the clock, which take as long as such a step.
const STEPS: u32 = 16;

/// Of the job that the calling thread runs.
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

    /// Whether the job is to end, also since its adapter was dropped.
    pub(super) fn is_over(&self) -> bool {
        self.token.is_cancelled() || self.begin.elapsed() >= LENGTH
    }

    /// As [`is_over`](Self::is_over), after one of many steps, most of which are short. One that took longer, since
    /// somebody waits for it, ends a turn that is over at once.
    pub(super) fn is_over_after(&mut self, took_long: bool) -> bool {
        self.steps = self.steps.wrapping_add(1);
        if took_long || self.steps.is_multiple_of(STEPS) {
            self.is_over()
        } else {
            self.token.is_cancelled()
        }
    }
}
