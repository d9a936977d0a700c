//! One view from all services: **fan-out, deadline, cancelling on the first error, fallbacks; read this second**.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use thread_pool::{
    BuildError, CancelOnDrop, FutureResult, JoinHandle, ThreadPoolExecutor, TryError,
    try_join_all_with,
};

use crate::call::{Answered, Caller, Policy};
use crate::client::{CallError, agent};
use crate::services::{REQUIRED, SERVICES};
use crate::tally::Tally;

/// A view: its services' answers, in order. The page leaves out missing answers of optional ones.
pub type View = Vec<Result<Answered, CallError>>;

/// Why there is no view: a required service gave no answer.
#[derive(Debug, Error)]
#[error("no {}: {error}", SERVICES[*.service].name)]
pub struct ViewError {
    /// Its index in [`SERVICES`].
    pub service: usize,
    /// The error of its call.
    #[source]
    pub error: CallError,
}

/// Builds views, with a pool for the calls and one for their requests.
///
/// Views wait for calls, and calls for requests, never the other way round; so with enough workers in each pool
/// nothing waits for a free one.
#[derive(Debug)]
pub struct Assembler {
    // Dropped first, since its calls wait for requests.
    calls: ThreadPoolExecutor,
    caller: Arc<Caller>,
}

impl Assembler {
    /// Builds up to this many views at once, from the services at this URL.
    ///
    /// # Errors
    /// When the pools cannot be started.
    pub fn new(
        policy: Policy,
        url: String,
        at_once: usize,
        tally: Arc<Tally>,
    ) -> Result<Self, BuildError> {
        let calls = at_once * SERVICES.len();
        // A hedged call has two requests, and some outlive their call.
        let requests = 4 * calls;
        Ok(Self {
            calls: pool("calls", calls)?,
            caller: Arc::new(Caller {
                policy,
                url,
                agent: agent(requests),
                requests: pool("requests", requests)?,
                tally,
            }),
        })
    }

    /// Builds a view, and measures how long that took.
    pub fn timed(&self, view: u32) -> (Result<View, ViewError>, Duration) {
        let start = Instant::now();
        let made = self.view(view);
        (made, start.elapsed())
    }

    /// Builds a view: asks all services at the same time. The first required one that fails for good ends the view,
    /// and the other calls are cancelled.
    ///
    /// # Errors
    /// If a required service gave no answer.
    pub fn view(&self, view: u32) -> Result<View, ViewError> {
        let deadline = Instant::now() + self.caller.policy.deadline;
        let mut calls = (0..SERVICES.len()).map(|service| self.call(service, view, deadline));
        let required: Vec<_> = calls.by_ref().take(REQUIRED).collect();
        // If this returns early, dropping these cancels them.
        let optional: Vec<_> = calls.collect();

        let required = try_join_all_with(required, TryError::flatten).map_err(|first| {
            let (service, error) = (first.index, first.error.into());
            ViewError { service, error }
        })?;
        let optional = optional.into_iter().map(|call| {
            let rest = deadline.saturating_duration_since(Instant::now());
            // Dropping an abandoned call cancels it.
            call.result_timeout(rest).map_or_else(
                |_late| Err(CallError::TimedOut),
                |result| TryError::flatten(result).map_err(CallError::from),
            )
        });
        Ok(required.into_iter().map(Ok).chain(optional).collect())
    }

    /// Waits until every call has ended. Abandoned requests may still be running; dropping the returned value waits
    /// for them.
    #[must_use]
    pub fn end_calls(self) -> Arc<Caller> {
        drop(self.calls);
        self.caller
    }

    fn call(
        &self,
        service: usize,
        view: u32,
        deadline: Instant,
    ) -> CancelOnDrop<JoinHandle<Result<Answered, CallError>>> {
        let caller = Arc::clone(&self.caller);
        let call = move || caller.call(service, view, deadline);
        self.calls
            .task()
            .deadline(deadline)
            .submit(call)
            .cancel_on_drop()
    }
}

/// A pool with as many threads as needed, up to this number.
fn pool(name: &str, workers: usize) -> Result<ThreadPoolExecutor, BuildError> {
    ThreadPoolExecutor::builder()
        .workers(workers)
        .min_workers(1)
        .name(name)
        .build()
}
