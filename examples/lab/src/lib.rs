//! What several examples need and no pool should offer: work that only computes, a socket that many clients can come
//! to at once, and pictures of what was measured.
//!
//! | file | what it does |
//! |---|---|
//! | [`chart`] | curves as SVG |
//! | [`mod@compute`] | work for a CPU, and how much of it takes how long |
//! | [`mod@listen`] | a socket for many clients at once |
#![forbid(unsafe_code)]

pub mod chart;
pub mod compute;
pub mod listen;
