//! What travels with a job from its submission to its start, if somebody watches.

use std::time::Instant;

use future_result::PoolId;
use future_result::sync::now;

use crate::core::Core;
use crate::current;
use crate::trace::{Origin, Span};

/// When and where a job was submitted.
pub(crate) struct Watch {
    /// With the pool that counts it, if that measures delays.
    submitted: Option<(Instant, PoolId)>,
    span: Span,
}

impl Watch {
    /// Begins now. Runs a subscriber's code, so not under a lock.
    pub(crate) fn new(core: &Core, origin: Origin) -> Self {
        let submitted = core.threads.measures_delays.then(|| (now(), core.id));
        Self {
            submitted,
            span: Span::new(origin),
        }
    }

    /// Runs the job, recorded as what was submitted.
    pub(crate) fn run<T>(self, job: impl FnOnce() -> T) -> T {
        if let Some((submitted, pool)) = self.submitted {
            let delay = now().saturating_duration_since(submitted);
            current::with(|local| {
                if let Some(local) = local.filter(|local| local.core().id == pool) {
                    local.tally().record_delay(delay);
                }
            });
        }
        self.span.enter(job)
    }
}
