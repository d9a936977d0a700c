//! Asking one service until it answers: **retries and hedged requests; read this first**.
//!
//! ```text
//! attempt 0          pause           attempt 1
//! ├─ request ───✗    back-off        ├─ request ─────────────────── loser, cancelled
//! │                  with jitter     └─ after a while: a second ──✓ the first answer wins
//! ```
//!
//! A call is a task of the `calls` pool, each of its requests one of the `requests` pool. They must not be tasks of
//! one pool: a worker that waits for a queued task of its own pool runs it in place, and could not send
//! a second request while it is in the first.
//!
//! **Cancelling.** A request that has not begun never will. One on the wire is a thread in a system call,
//! which nothing stops from outside: it runs on until it is answered or its own time limit ends it, and its answer is
//! dropped. The report counts those. The waits of a call itself end with whoever wants it.

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
    /// The longest first pause before asking again; each later one is twice as long.
    pub backoff: Duration,
    /// What the jitter of the pauses is drawn from.
    pub seed: u64,
    /// After what time each service is sent a second request, if at all.
    pub hedge_after: HedgeAfter,
}

impl Policy {
    /// The pause after this question was asked in vain: half of it fixed, half drawn ("equal jitter"), so that
    /// clients that failed together do not come back together.
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

/// A good answer, and how it was come by.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What the service said.
    pub body: String,
    /// The attempt that brought it, from 0.
    pub attempt: u32,
    /// Whether the second request of a hedged pair brought it.
    pub by_second: bool,
}

/// All that a call needs.
#[derive(Debug)]
pub struct Caller {
    /// How services are asked.
    pub policy: Policy,
    /// Where they are, without a slash at the end.
    pub url: String,
    /// The client. Clones share its connections.
    pub agent: Agent,
    /// The pool that the requests run on.
    pub requests: ThreadPoolExecutor,
    /// What is counted.
    pub tally: Arc<Tally>,
}

type Sent = CancelOnDrop<JoinHandle<Result<String, CallError>>>;

impl Caller {
    /// Asks until there is an answer, the attempts are used up, the deadline is too near for another, or nobody
    /// wants the answer any more.
    ///
    /// # Errors
    /// What the last attempt met with.
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

    /// Sends a request, and a second one if the first is not answered soon. The first good answer wins; dropping the
    /// set cancels the other request.
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
            // An answer, that nobody wants one any more, or that it is time for the second request.
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
                    // The other one may still make it.
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
