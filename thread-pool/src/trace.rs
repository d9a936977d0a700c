//! A span for each task if the feature `tracing` is on; otherwise nothing, at no cost.

#[cfg(not(feature = "tracing"))]
mod off;
#[cfg(feature = "tracing")]
mod on;

#[cfg(not(feature = "tracing"))]
pub(crate) use self::off::{IS_ON, Origin, Span};
#[cfg(feature = "tracing")]
pub(crate) use self::on::{IS_ON, Origin, Span};
