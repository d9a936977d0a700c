#![doc = include_str!("../README.md")]

pub mod cli;
pub mod kind;
pub mod measure;
pub mod report;
pub mod server;
pub mod task;
pub mod token;
pub mod ways;
