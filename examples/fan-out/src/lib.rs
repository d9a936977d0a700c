#![doc = include_str!("../README.md")]

pub mod call;
pub mod cli;
pub mod client;
pub mod report;
pub mod run;
pub mod server;
pub mod services;
pub mod tally;
pub mod view;
