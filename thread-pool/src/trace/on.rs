//! Traces tasks with the `tracing` crate.

use std::panic::Location;

pub(crate) const IS_ON: bool = true;

/// Where a job was submitted.
#[derive(Clone, Copy)]
pub(crate) struct Origin(&'static Location<'static>);

impl Origin {
    #[inline]
    #[track_caller]
    pub(crate) fn here() -> Self {
        Self(Location::caller())
    }
}

/// A task's span, from its submission to its end; entered while it runs.
pub(crate) struct Span(tracing::Span);

impl Span {
    /// Its parent is the current span of the calling thread.
    pub(crate) fn new(Origin(location): Origin) -> Self {
        // The fields are those of OpenTelemetry's conventions for source code.
        Self(tracing::debug_span!(
            target: "thread_pool",
            "task",
            code.file.path = location.file(),
            code.line.number = location.line(),
            code.column.number = location.column(),
        ))
    }

    pub(crate) fn enter<T>(self, job: impl FnOnce() -> T) -> T {
        self.0.in_scope(job)
    }
}
