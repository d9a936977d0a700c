#![doc = include_str!("../README.md")]

pub mod cli;
pub mod drive;
pub mod plan;
pub mod report;
pub mod token;
pub mod waits;
pub mod ways;
pub mod work;
