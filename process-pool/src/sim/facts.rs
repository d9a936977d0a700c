//! What really happened, and whether the pool says so.

use std::time::{Duration, Instant};

use future_result::sync::now;
use future_result::{Cancel, Rejection, TaskError};
use serde::{Deserialize, Serialize};

use crate::retry::Retries;
use crate::{Bytes, WorkerDied};

/// What a task does, sent in its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum How {
    /// It takes so many microseconds, and returns its number.
    Value(u64),
    Panics,
    /// Its result cannot be encoded.
    Fails,
    Endless,
    /// It kills its worker.
    Crashes,
    /// It ends, and its worker dies before the answer is written.
    CrashesAfterwards,
}

/// A task's argument.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) task: usize,
    pub(super) how: How,
    pub(super) padding: Bytes,
    /// How many bytes come back besides the number.
    pub(super) result: usize,
}

/// Bytes, none of which is that of another task.
pub(super) fn padding(task: usize, length: usize) -> Bytes {
    let bytes = (0..length).map(|at| (at % 7 + task * 7) as u8);
    bytes.collect::<Vec<_>>().into()
}

/// What the worker with this pid prints before it dies.
pub(super) fn last_words(pid: u32) -> String {
    format!("the last words of {pid}")
}

/// The peak memory of the worker with this pid.
pub(super) fn peak_rss(pid: u32) -> u64 {
    u64::from(pid) << 12
}

/// The life of one task.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) how: How,
    pub(super) limit: Option<Duration>,
    pub(super) retries: Retries,
    /// When the latest attempt ended, however.
    pub(super) ended_at: Option<Instant>,
    pub(super) submitted: Instant,
    /// How often it began.
    pub(super) attempts: u32,
    pub(super) is_running: bool,
    /// The latest attempt has ended, whatever became of the answer.
    pub(super) has_ended: bool,
    /// The whole answer is in the pipe, and nothing before it breaks the protocol.
    pub(super) is_answered: bool,
    /// The pool has it.
    pub(super) is_submitted: bool,
    /// It must not be retried any more.
    pub(super) is_final: bool,
    /// All were cancelled when the pool already had it: it must not begin any more.
    pub(super) is_over: bool,
    /// What cancelling it returned.
    pub(super) cancel: Option<Cancel>,
}

/// What was done to the pool.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    pub(super) closes: bool,
    pub(super) cancels_queued: bool,
    pub(super) kills: bool,
    /// The system could no longer wait.
    pub(super) breaks: bool,
    /// How many workers could not be started, or died through their own fault.
    pub(super) failures: u32,
}

impl Fact {
    pub(super) fn new(how: How, limit: Option<Duration>, retries: Retries) -> Self {
        Self {
            how,
            limit,
            retries,
            ended_at: None,
            submitted: now(),
            attempts: 0,
            is_running: false,
            has_ended: false,
            is_answered: false,
            is_submitted: false,
            is_final: false,
            is_over: false,
            cancel: None,
        }
    }

    pub(super) fn begin(&mut self) {
        assert!(!self.is_running, "a task runs twice at once");
        assert!(!self.is_answered, "a task that has an answer is retried");
        assert!(
            self.attempts == 0 || !self.is_final,
            "a task is retried after all were cancelled"
        );
        assert!(!self.is_over, "a task that was cancelled with all begins");
        assert!(self.attempts <= self.retries.left, "a task runs too often");
        if let Some(at) = self.ended_at {
            // Doubled each time, and at least half of that.
            let least = self.retries.pause * 2_u32.pow(self.attempts - 1) / 2;
            assert!(now() >= at + least, "a task is retried too soon");
        }
        self.attempts += 1;
        self.is_running = true;
        self.has_ended = false;
    }

    /// It ended, or its worker died in it.
    pub(super) fn end(&mut self) {
        self.is_running = false;
        self.ended_at = Some(now());
    }

    /// Checks that the task may have this outcome.
    pub(super) fn check(&self, task: usize, result: &Result<usize, TaskError>, deeds: &Deeds) {
        let is_natural = match result {
            Ok(value) => {
                assert_eq!(*value, task, "another task's value");
                assert!(matches!(self.how, How::Value(_)));
                true
            }
            Err(TaskError::Panicked(_)) => self.how == How::Panics,
            Err(TaskError::Codec(_)) => self.how == How::Fails,
            Err(_) => false,
        };
        let has_begun = self.attempts > 0;
        // A task that has begun may be requeued.
        let may_be_queued = !has_begun || self.retries.left > 0;
        let wants_stop = self.cancel.is_some() || deeds.kills || deeds.breaks;
        let is_right = match result {
            _ if is_natural => has_begun && self.has_ended,
            Err(TaskError::Lost(_)) => {
                let died = result.as_ref().err().and_then(WorkerDied::of);
                let is_given_up = wants_stop || deeds.cancels_queued || deeds.failures >= 5;
                died.is_some_and(|died| {
                    assert_eq!(
                        died.stderr(),
                        last_words(died.pid()),
                        "another's last words"
                    );
                    assert_eq!(
                        died.peak_rss(),
                        Some(peak_rss(died.pid())),
                        "another's peak"
                    );
                    died.finished() == self.has_ended
                        && died.attempts() == self.attempts
                        && (self.attempts > self.retries.left || (has_begun && is_given_up))
                })
            }
            Err(TaskError::Cancelled) => wants_stop || (deeds.cancels_queued && may_be_queued),
            Err(TaskError::TimedOut) => {
                let is_late = |limit| now().saturating_duration_since(self.submitted) >= limit;
                has_begun && self.limit.is_some_and(is_late)
            }
            Err(TaskError::Rejected(Rejection::ShutDown)) => {
                !has_begun && (deeds.closes || deeds.kills || deeds.breaks)
            }
            Err(TaskError::Rejected(Rejection::Broken)) => may_be_queued && deeds.failures >= 5,
            _ => false,
        };
        assert!(is_right, "{result:?} of {self:?}, {deeds:?}");
        assert!(
            is_natural || wants_stop || !self.is_answered,
            "an answer was overlooked: {result:?} of {self:?}"
        );
        if self.cancel == Some(Cancel::Prevented) {
            assert!(!has_begun, "a task that was cancelled before runs");
            assert!(matches!(result, Err(TaskError::Cancelled)));
        }
    }
}
