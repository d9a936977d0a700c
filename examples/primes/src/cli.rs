//! The options of the command line, with their limits and defaults.

use clap::{Parser, value_parser};

use crate::numbers;
use crate::ways::Job;

/// Tests large numbers for primality one by one, on threads and on processes, and compares the times.
///
/// Half of the numbers are prime, the others are products of two primes of the same size, so that
/// trial division takes equally long for each. The exit code is 0 if all ways agree, 1 if not, 2 if an
/// option is invalid.
#[derive(Clone, Debug, Parser)]
#[command(name = "primes", version, max_term_width = 100)]
pub struct Options {
    /// How many numbers to test, 1 to 1000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(1..=1_000))]
    pub numbers: u32,

    /// How many bits the numbers have, 32 to 62; two more bits make each test twice as long
    #[arg(
        long,
        value_name = "N",
        default_value_t = 52,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(32..=62))]
    pub bits: u32,

    /// How many threads or processes a pool has, 1 to 256 [default: one for each CPU]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = value_parser!(u32).range(1..=256))]
    pub workers: Option<u32>,

    /// Then kill a worker process in the middle of the work, and show what happens
    #[arg(long)]
    pub kill: bool,
}

impl Options {
    /// The work that these options ask for.
    #[must_use]
    pub fn job(&self) -> Job {
        Job {
            numbers: numbers::pick(self.numbers as usize, self.bits),
            workers: self
                .workers
                .map_or_else(num_cpus::get, |workers| workers as usize),
        }
    }
}
