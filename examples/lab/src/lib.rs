//! What several examples need and no pool should offer: work that only computes, a socket that many clients can come
//! to at once, figures and pictures of what was measured, and calls of programs in tests.
//!
//! | file | what it does |
//! |---|---|
//! | [`chart`] | curves as SVG |
//! | [`mod@compute`] | work for a CPU, and how much of it takes how long |
//! | [`mod@listen`] | a socket for many clients at once |
//! | [`program`] | a program as it is called, for tests |
//! | [`mod@quantile`] | how long most of them took |
#![forbid(unsafe_code)]

pub mod chart;
pub mod compute;
pub mod listen;
pub mod program;
pub mod quantile;
