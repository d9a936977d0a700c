//! What is known of one job, and what must never be.

#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// It was submitted before anybody began to close the pool, and not given back.
    pub(crate) accepted: bool,
    pub(crate) given_back: bool,
    /// It has a time limit.
    pub(crate) limited: bool,
    /// It is one of several items of a task.
    pub(crate) shares_task: bool,
    /// The pool may have refused it, and it was run all the same.
    pub(crate) may_be_refused: bool,
    pub(crate) runs: u32,
    /// It started after a cancelling shutdown had swept the queues.
    pub(crate) starts_late: bool,
    /// It is part of something that runs, and so not ended by such a shutdown.
    pub(crate) is_part: bool,
    /// Its handle cancelled it before it started.
    pub(crate) prevented: bool,
    /// How it ended, to whoever was told.
    pub(crate) told: Vec<End>,
    pub(crate) closures_dropped: u32,
    pub(crate) values: u32,
    pub(crate) values_dropped: u32,
    pub(crate) callbacks: u32,
    pub(crate) callbacks_called: u32,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Ran,
    Cancelled,
    Rejected,
    TimedOut,
    /// There was no thread to enforce its time limit.
    Lost,
}

impl End {
    /// Its code in the digest of a run.
    pub(crate) const fn code(self) -> u64 {
        10 + self as u64
    }
}

impl Record {
    /// What holds at any moment.
    pub(crate) fn check_so_far(&self) -> Result<(), &'static str> {
        let told = |end| self.told.contains(&end);
        let rules = [
            (self.runs <= 1, "it ran twice"),
            (!self.starts_late, "it started after the queues were swept"),
            (
                self.closures_dropped <= 1,
                "its closure was dropped more than once",
            ),
            (
                self.values_dropped <= self.values,
                "its value was dropped more than once",
            ),
            (
                self.callbacks_called <= self.callbacks,
                "a callback was called more than once",
            ),
            (
                !(self.given_back && self.runs > 0),
                "it was given back and ran",
            ),
            (
                !(self.prevented && self.runs > 0),
                "it was cancelled and ran",
            ),
            (
                self.told
                    .iter()
                    .all(|&end| (end == End::Ran) == (self.runs > 0)),
                "it did not end as its handle was told",
            ),
            (
                !self.prevented || self.told.iter().all(|&end| end == End::Cancelled),
                "it was cancelled, but its handle was told something else",
            ),
            (
                self.limited || !(told(End::TimedOut) || told(End::Lost)),
                "it has no time limit, but timed out",
            ),
        ];
        first_broken(&rules)
    }

    /// What holds when nothing is left of the run.
    pub(crate) fn check_at_the_end(&self, cancels: bool) -> Result<(), &'static str> {
        self.check_so_far()?;
        let rules = [
            (self.closures_dropped == 1, "its closure was not dropped"),
            (
                self.values == self.values_dropped,
                "its value was not dropped",
            ),
            (
                self.callbacks == self.callbacks_called,
                "a callback was not called",
            ),
            (!self.is_lost(cancels), "it was lost"),
        ];
        first_broken(&rules)
    }

    /// It was accepted, but has not ended.
    pub(crate) fn is_lost(&self, cancels: bool) -> bool {
        let has_ended = self.runs > 0 || self.prevented || cancels || !self.told.is_empty();
        // If it has a time limit and nobody asks for it, only its closure tells.
        let is_late = self.limited && self.closures_dropped == 1;
        self.accepted && !has_ended && !is_late
    }

    /// The pool may have counted it.
    pub(crate) fn is_a_task(&self) -> bool {
        !self.shares_task && !self.given_back
    }

    /// The pool must have counted it, once all is over.
    pub(crate) fn was_queued(&self) -> bool {
        let ran = self.runs > 0 && !self.may_be_refused;
        ran || self.prevented || self.told.contains(&End::Cancelled)
    }
}

fn first_broken(rules: &[(bool, &'static str)]) -> Result<(), &'static str> {
    let broken = rules.iter().find(|rule| !rule.0);
    broken.map_or(Ok(()), |rule| Err(rule.1))
}
