#![doc = include_str!("../README.md")]

pub mod cli;
pub mod flow;
pub mod generate;
pub mod log;
pub mod memory;
pub mod progress;
pub mod report;
pub mod stage;
