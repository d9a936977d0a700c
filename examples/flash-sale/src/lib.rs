#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod audit;
pub mod cli;
pub mod fraud;
pub mod front;
pub mod load;
pub mod progress;
pub mod report;
pub mod run;
pub mod shop;
pub mod stock;
pub mod tally;
