//! What the workers count, each on its own: how tasks ended, and how long they were queued.
//!
//! Nothing is ever decided from these numbers.

use std::time::Duration;

use future_result::Status;
use future_result::sync::Counter;

use crate::Histogram;
use crate::histogram::Recorder;

/// What one worker counted. It alone writes here, and touches no other worker's cache line.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Tally {
    done: Counter,
    cancelled: Counter,
    panicked: Counter,
    helpers: Counter,
    /// Only if the pool measures them.
    delays: Option<Box<Recorder>>,
}

impl Tally {
    pub(crate) fn new(measures_delays: bool) -> Self {
        Self {
            done: Counter::new(),
            cancelled: Counter::new(),
            panicked: Counter::new(),
            helpers: Counter::new(),
            delays: measures_delays.then(Box::default),
        }
    }

    /// Counts a task that left the queue; one without a status was a helper.
    #[inline]
    pub(crate) fn count(&self, status: Option<Status>) {
        let counter = match status {
            Some(Status::Failed) => &self.panicked,
            Some(Status::Cancelled) => &self.cancelled,
            // A pending one is being run in place, and its outcome is not known yet.
            Some(_) => &self.done,
            None => &self.helpers,
        };
        counter.add(1);
    }

    /// Records how long a task was queued.
    pub(crate) fn record_delay(&self, delay: Duration) {
        if let Some(recorder) = &self.delays {
            recorder.record(delay);
        }
    }
}

/// What several workers counted together, or a thread that is no worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) done: u64,
    pub(crate) cancelled: u64,
    pub(crate) panicked: u64,
    /// Helpers that left the queue; they are no tasks of the user's.
    pub(crate) helpers: u64,
    /// Helpers that were queued.
    pub(crate) announced: u64,
    pub(crate) delays: Histogram,
}

impl Totals {
    /// Like [`Tally::count`].
    pub(crate) fn count(&mut self, status: Option<Status>) {
        match status {
            Some(Status::Failed) => self.panicked += 1,
            Some(Status::Cancelled) => self.cancelled += 1,
            Some(_) => self.done += 1,
            None => self.helpers += 1,
        }
    }

    /// Adds what a worker counted.
    pub(crate) fn add(&mut self, tally: &Tally) {
        self.done += tally.done.get();
        self.cancelled += tally.cancelled.get();
        self.panicked += tally.panicked.get();
        self.helpers += tally.helpers.get();
        if let Some(recorder) = &tally.delays {
            self.delays.add(recorder);
        }
    }

    /// How many helpers are queued, as far as these numbers tell.
    pub(crate) fn helpers_queued(&self) -> usize {
        usize::try_from(self.announced.saturating_sub(self.helpers)).unwrap_or(0)
    }

    /// Adds the tasks of other totals, which have no delays.
    pub(crate) fn add_tasks(&mut self, other: &Self) {
        self.done += other.done;
        self.cancelled += other.cancelled;
        self.panicked += other.panicked;
        self.helpers += other.helpers;
    }
}
