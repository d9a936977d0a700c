//! Which of these large numbers are prime? The same work one by one, on threads and on worker processes.
//!
//! ```text
//! cargo run --release -p primes                # 32 numbers of 52 bits, a worker for each CPU
//! cargo run --release -p primes -- --kill      # and then kill a worker process in the middle
//! cargo run --release -p primes -- --numbers 100 --bits 54 --workers 8
//! ```
//!
//! Testing a number by trial division only computes. So a pool's speed-up is at most the number of CPUs, and more
//! workers than CPUs do not help. Threads and processes hardly differ, since each number is a lot of work and
//! little to send. But a process may die: `--kill` shows what that costs.
//!
//! | file | what it does |
//! |---|---|
//! | [`cli`] | the options and their limits |
//! | [`numbers`] | the test, and numbers that keep it busy |
//! | [`ways`] | **the list of ways; this is the file to read** |
//! | [`report`] | the table, and whether all ways agree |
//! | [`kill`] | **what the death of a worker costs** |
//!
//! # Examples
//!
//! ```
//! use primes::ways::{Job, ONE_BY_ONE, PROCESSES};
//!
//! let job = Job { numbers: vec![1_000_003, 1_000_005], workers: 2 };
//! let row = PROCESSES.run(&job);
//! assert_eq!(row.answers(), [true, false]);
//! assert_eq!(row.answers(), ONE_BY_ONE.run(&job).answers());
//! ```

pub mod cli;
pub mod kill;
pub mod numbers;
pub mod report;
pub mod ways;
