//! Sends one request, and returns the answer or the reason why there is none.

use std::time::{Duration, Instant};

use thiserror::Error;
use thread_pool::{TaskError, TryError};
use ureq::Agent;

/// Why a service gave no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CallError {
    /// It answered, but with a status other than success.
    #[error("it answered with status {0}")]
    Status(u16),
    /// There was no answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// It could not be reached or did not speak HTTP.
    #[error("{0}")]
    Failed(String),
    /// Nobody wants the answer any more.
    #[error("no longer wanted")]
    Unwanted,
    /// The task that should have asked failed.
    #[error("the task failed: {0}")]
    Task(#[source] TaskError),
}

impl CallError {
    /// Whether asking again may help: not if the question is at fault.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Status(status) => *status >= 500,
            Self::TimedOut | Self::Failed(_) => true,
            Self::Unwanted | Self::Task(_) => false,
        }
    }
}

impl From<TryError<Self>> for CallError {
    fn from(error: TryError<Self>) -> Self {
        match error {
            TryError::Returned(error) => error,
            TryError::Task(TaskError::TimedOut) => Self::TimedOut,
            TryError::Task(TaskError::Cancelled) => Self::Unwanted,
            TryError::Task(error) => Self::Task(error),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// A client that keeps this many connections for reuse.
#[must_use]
pub fn agent(connections: usize) -> Agent {
    let config = Agent::config_builder()
        .max_idle_connections(connections)
        .max_idle_connections_per_host(connections)
        // The services are on loopback.
        .proxy(None)
        .build();
    config.into()
}

/// Asks once, for at most `limit`, and not beyond the deadline.
///
/// # Errors
/// Whatever kept the answer from arriving, including a status of 400 or above.
pub fn fetch(
    agent: &Agent,
    url: &str,
    limit: Duration,
    deadline: Instant,
) -> Result<String, CallError> {
    let limit = limit.min(deadline.saturating_duration_since(Instant::now()));
    if limit.is_zero() {
        return Err(CallError::TimedOut);
    }
    let request = agent.get(url).config().timeout_global(Some(limit)).build();
    let answer = request
        .call()
        .and_then(|mut answer| answer.body_mut().read_to_string());
    answer.map_err(|error| match error {
        ureq::Error::StatusCode(status) => CallError::Status(status),
        ureq::Error::Timeout(_) => CallError::TimedOut,
        other => CallError::Failed(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_asked_again() {
        for (error, may_pass) in [
            (CallError::Status(503), true),
            (CallError::Status(500), true),
            (CallError::Status(404), false),
            (CallError::TimedOut, true),
            (CallError::Failed("connection refused".to_owned()), true),
            (CallError::Unwanted, false),
            (CallError::Task(TaskError::Cancelled), false),
        ] {
            assert_eq!(error.may_pass(), may_pass, "{error}");
        }
    }
}
