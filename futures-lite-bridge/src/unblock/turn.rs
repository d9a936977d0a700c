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

/// Of the job that the calling thread runs.
pub(super) struct Turn {
    token: CancelToken,
    begin: Instant,
}

impl Turn {
    pub(super) fn begin() -> Self {
        Self {
            token: CancelToken::current(),
            begin: Instant::now(),
        }
    }

    /// Whether the job is to end, also since its adapter was dropped.
    pub(super) fn is_over(&self) -> bool {
        self.token.is_cancelled() || self.begin.elapsed() >= LENGTH
    }
}
