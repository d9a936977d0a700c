//! Asking one service until it answers: **retries and hedged requests; read this first**.
//!
//! ```text
//! attempt 0          pause           attempt 1
//! ├─ request ───✗    back-off        ├─ request ─────────────────── loser, cancelled
//! │                  with jitter     └─ after a while: a second ──✓ the first answer wins
//! ```
//!
//! A call is a task of the `calls` pool, each of its requests a task of the `requests` pool. They must not share a
//! pool: a worker that waits for a queued task of its own pool runs it in place, and could not send a second
//! request while it is busy with the first.
//!
//! **Cancelling.** A request that has not started never will. One on the wire is a thread in a system call,
//! which nothing can stop from outside: it runs on until it is answered or reaches its own time limit, and its
//! answer is dropped. The report counts those. A call itself stops waiting once nobody wants its answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use future_result::block_until;
use futures_core::Stream;
use thread_pool::{
    CancelOnDrop, CancelToken, CompletionSet, FutureResult, JoinHandle, ThreadPoolExecutor,
    TryError,
};
use ureq::Agent;

use crate::client::{CallError, fetch};
use crate::services::{Question, SERVICES};
use crate::tally::Tally;

/// A time for each service.
pub type HedgeAfter = [Option<Duration>; SERVICES.len()];

/// How services are asked.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How long a whole view may take.
    pub deadline: Duration,
    /// How long one request may take.
    pub request_limit: Duration,
    /// How often a service is asked; 0 counts as 1.
    pub attempts: u32,
    /// The longest pause before the first retry; each later one is twice as long.
    pub backoff: Duration,
    /// The seed of the pauses' jitter.
    pub seed: u64,
    /// After how long each service gets a second request, if at all.
    pub hedge_after: HedgeAfter,
}

impl Policy {
    /// The pause after this question failed: half fixed, half random ("equal jitter"), so that clients that failed
    /// together do not come back together.
    ///
    /// # Examples
    ///
    /// ```
    /// use clap::Parser;
    /// use fan_out::{cli::Options, services::Question};
    /// use std::time::Duration;
    ///
    /// let policy = Options::parse_from(["fan-out", "--backoff-ms", "100"]).policy();
    /// let mut question = Question { service: 0, view: 1, attempt: 0, is_second: false };
    /// let first = policy.pause(&question);
    /// assert!((50..=100).contains(&first.as_millis()));
    /// assert_eq!(policy.pause(&question), first, "replayed");
    ///
    /// question.attempt = 3;
    /// assert!((400..=800).contains(&policy.pause(&question).as_millis()));
    /// ```
    #[must_use]
    pub fn pause(&self, question: &Question) -> Duration {
        let longest = self
            .backoff
            .saturating_mul(2_u32.saturating_pow(question.attempt));
        longest.mul_f64(0.5 + question.rng(self.seed).f64() / 2.0)
    }
}

/// A good answer, and how it was obtained.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What the service said.
    pub body: String,
    /// The attempt that brought it, from 0.
    pub attempt: u32,
    /// Whether the second request of a hedged pair brought it.
    pub by_second: bool,
}

/// What a call needs.
#[derive(Debug)]
pub struct Caller {
    /// How services are asked.
    pub policy: Policy,
    /// Their URL, without a slash at the end.
    pub url: String,
    /// The client. Clones share its connections.
    pub agent: Agent,
    /// The pool that the requests run on.
    pub requests: ThreadPoolExecutor,
    /// The counts.
    pub tally: Arc<Tally>,
}

type Sent = CancelOnDrop<JoinHandle<Result<String, CallError>>>;

impl Caller {
    /// Asks until there is an answer, no attempt is left, the deadline is too near for another one, or nobody wants
    /// the answer any more.
    ///
    /// # Errors
    /// The error of the last attempt.
    pub fn call(
        &self,
        service: usize,
        view: u32,
        deadline: Instant,
    ) -> Result<Answered, CallError> {
        let token = CancelToken::current();
        let mut question = Question {
            service,
            view,
            attempt: 0,
            is_second: false,
        };
        loop {
            let error = match self.attempt(question, deadline, &token) {
                Ok(answered) => return Ok(answered),
                Err(error) => error,
            };
            let pause = self.policy.pause(&question);
            question.attempt += 1;
            let is_last = question.attempt >= self.policy.attempts;
            let is_too_late = Instant::now() + pause >= deadline;
            if is_last || is_too_late || !error.may_pass() {
                return Err(error);
            }
            if token.wait_timeout(pause) {
                return Err(CallError::Unwanted);
            }
            self.tally.retries.add();
        }
    }

    /// Sends a request, and a second one if the first is not answered in time. The first good answer wins; dropping
    /// the set cancels the other request.
    fn attempt(
        &self,
        first: Question,
        deadline: Instant,
        token: &CancelToken,
    ) -> Result<Answered, CallError> {
        let mut racing = CompletionSet::new();
        racing.insert(false, self.send(first, deadline));
        let mut hedge_at =
            self.policy.hedge_after[first.service].map(|after| Instant::now() + after);
        loop {
            let now = Instant::now();
            if hedge_at.is_some_and(|at| at <= now) {
                hedge_at = None;
                self.tally.hedges.add();
                let second = Question {
                    is_second: true,
                    ..first
                };
                racing.insert(true, self.send(second, deadline));
            }
            let mut unwanted = token.cancelled();
            // An answer, a cancellation, or the time for the second request.
            let next = block_until(hedge_at, |context| {
                match Pin::new(&mut unwanted).poll(context) {
                    Poll::Ready(()) => Poll::Ready(None),
                    Poll::Pending => Pin::new(&mut racing).poll_next(context),
                }
            });
            match next {
                Ok(Some((by_second, result))) => match TryError::flatten(result) {
                    Ok(body) => {
                        return Ok(Answered {
                            body,
                            attempt: first.attempt,
                            by_second,
                        });
                    }
                    // The other one may still succeed.
                    Err(_) if !racing.is_empty() => {}
                    Err(error) => return Err(error.into()),
                },
                Err(_timed_out) => {}
                // The deadline cancels too.
                Ok(None) if Instant::now() >= deadline => return Err(CallError::TimedOut),
                Ok(None) => return Err(CallError::Unwanted),
            }
        }
    }

    fn send(&self, question: Question, deadline: Instant) -> Sent {
        let url = format!("{}{}", self.url, question.path());
        let (agent, tally) = (self.agent.clone(), Arc::clone(&self.tally));
        let limit = self.policy.request_limit;
        let request = move || {
            tally.requests.add();
            let start = Instant::now();
            let answer = fetch(&agent, &url, limit, deadline);
            if answer.is_ok() {
                tally.answered(question.service, start.elapsed());
            }
            // The deadline cancels too, but then the request has ended by its own limit.
            if CancelToken::current().is_cancelled() && Instant::now() < deadline {
                tally.ran_on.add();
            }
            answer
        };
        self.requests
            .task()
            .deadline(deadline)
            .submit(request)
            .cancel_on_drop()
    }
}
