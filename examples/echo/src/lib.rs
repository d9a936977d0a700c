#![doc = include_str!("../README.md")]

pub mod cli;
pub mod latency;
pub mod limit;
pub mod load;
pub mod report;
pub mod server;
pub mod token;
