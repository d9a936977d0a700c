//! What several examples need and no pool should offer: work that only computes, a socket for many clients at once,
//! figures and plots of measurements, and running programs in tests.
//!
//! | file | what it does |
//! |---|---|
//! | [`chart`] | curves as SVG |
//! | [`mod@compute`] | work for a CPU, and how long it takes |
//! | [`mod@listen`] | a socket for many clients at once |
//! | [`program`] | running a program, for tests |
//! | [`mod@quantile`] | quantiles of measured times |
#![forbid(unsafe_code)]

pub mod chart;
pub mod compute;
pub mod listen;
pub mod program;
pub mod quantile;
