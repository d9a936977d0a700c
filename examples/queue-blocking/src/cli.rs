//! The options of the command line, with their limits and defaults.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum, value_parser};
use lab::compute::rounds_per_milli;

use crate::plan::{Plan, Traffic};
use crate::work::Kind;

/// Queues short tasks and some long ones, and shows how long the short ones wait behind the long ones: with a fixed
/// prefetch, a fair or an adaptive one, more workers, a pool for the long ones, and on green tasks.
///
/// Every way gets the same tasks at the same times. The exit code is 0 if every way finished, 1 if one did not, 2 if
/// an option is invalid.
#[derive(Clone, Debug, Parser)]
#[command(name = "queue-blocking", version, max_term_width = 100)]
pub struct Options {
    /// Only tasks of this kind [default: one kind after another]
    #[arg(long, value_enum, value_name = "KIND")]
    pub kind: Option<Kind>,

    /// How many tasks there are, 1 to 1000000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1_000,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub tasks: u32,

    /// One task in this many is long, 1 to 1000000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 50,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub every: u32,

    /// How long a short task takes, in microseconds, 1 to 10000000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2_000,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub short_us: u32,

    /// How long a long task takes, in microseconds, 1 to 10000000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 200_000,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub long_us: u32,

    /// How busy the tasks keep the workers, in percent, 1 to 99
    #[arg(
        long,
        value_name = "N",
        default_value_t = 60,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(1..=99))]
    pub load: u32,

    /// How many workers there are, 1 to 64 [default: one for each CPU]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = value_parser!(u32).range(1..=64))]
    pub workers: Option<u32>,

    /// How many times as many workers the way "more workers" has, 2 to 16
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(2..=16))]
    pub more: u32,

    /// How many tasks a worker gets in advance with a fixed prefetch, 1 to 1024
    #[arg(
        long,
        value_name = "N",
        default_value_t = 8,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(1..=1_024))]
    pub prefetch: u32,

    /// The seed of all randomness: the same number gives the same tasks at the same times
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Where to write the plot, an SVG file
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

impl Options {
    /// The tasks of these options, with a plan for each kind; measures how fast this machine computes.
    #[must_use]
    pub fn plans(&self) -> Vec<Plan> {
        let (short, long) = (micros(self.short_us), micros(self.long_us));
        let workers = self
            .workers
            .map_or_else(num_cpus::get, |workers| workers as usize);
        let traffic = Traffic {
            tasks: self.tasks,
            every: self.every,
            load: self.load,
            seed: self.seed,
        };
        let rounds_per_milli = rounds_per_milli();
        let plan = |&kind: &Kind| Plan {
            arrivals: traffic.arrivals(short, long, workers),
            kind,
            short,
            long,
            workers,
            more_workers: workers * self.more as usize,
            prefetch: self.prefetch as usize,
            rounds_per_milli,
        };
        let kinds = Kind::value_variants().iter();
        let is_meant = |kind: &&Kind| self.kind.is_none_or(|meant| meant == **kind);
        kinds.filter(is_meant).map(plan).collect()
    }
}

fn micros(micros: u32) -> Duration {
    Duration::from_micros(micros.into())
}
