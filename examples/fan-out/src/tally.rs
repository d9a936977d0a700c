//! The counts of all requests, whether or not anybody still waits for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lab::quantile::quantile;

use crate::services::SERVICES;

/// A number that any thread may increment.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds one.
    pub fn add(&self) {
        // ORDERING: Relaxed, it is only a number; it is read when all that count have ended.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        // ORDERING: Relaxed, as above.
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts of a run.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were sent.
    pub requests: Count,
    /// Attempts after the first.
    pub retries: Count,
    /// Second requests of hedged pairs.
    pub hedges: Count,
    /// Requests that were on the wire when their answer was no longer wanted.
    pub ran_on: Count,
    /// How long the good answers of each service took.
    answers: [Mutex<Vec<Duration>>; SERVICES.len()],
}

impl Tally {
    /// Records a good answer.
    pub fn answered(&self, service: usize, after: Duration) {
        let mut answers = self.answers[service]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        answers.push(after);
    }

    /// The time that this part of the service's good answers did not exceed; `None` if there are none.
    #[must_use]
    pub fn answer_time(&self, service: usize, part: f64) -> Option<Duration> {
        let mut answers = self.answers[service]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        answers.sort_unstable();
        quantile(&answers, part)
    }
}
