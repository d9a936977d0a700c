//! Nothing is traced.

pub(crate) const IS_ON: bool = false;

/// Where a job was submitted: nobody asks.
#[derive(Clone, Copy)]
pub(crate) struct Origin;

impl Origin {
    #[inline]
    pub(crate) const fn here() -> Self {
        Self
    }
}

/// No span.
pub(crate) struct Span;

impl Span {
    #[inline]
    pub(crate) const fn new(_origin: Origin) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn enter<T>(self, job: impl FnOnce() -> T) -> T {
        job()
    }
}
