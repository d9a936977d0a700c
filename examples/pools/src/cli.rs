//! The options of the command line, with their limits and defaults.

use std::path::PathBuf;

use clap::{Parser, value_parser};
use lab::compute::rounds_per_milli;

use crate::kind::{Kind, Setting};
use crate::server::Server;

/// Runs jobs that compute, that wait, and that do both, on every pool and one by one, and shows which way is the
/// fastest for which job.
///
/// Tasks wait for a server that the program starts on loopback. Each way's time includes starting and ending its
/// pool. The exit code is 0 if all ways agree on every number, 1 if one failed, 2 if an option is invalid.
#[derive(Clone, Debug, Parser)]
#[command(name = "pools", version, max_term_width = 100)]
pub struct Options {
    /// Only jobs of this kind; may be repeated
    #[arg(long, value_enum, value_name = "KIND")]
    pub kind: Vec<Kind>,

    /// How often each way runs each job, 1 to 100; the median time counts
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(1..=100))]
    pub times: u32,

    /// How much a job computes in total, in milliseconds, 1 to 10000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 200,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(1..=10_000))]
    pub compute_ms: u32,

    /// How many tasks wait at once in the largest job, 1 to 10000; mixed jobs have a quarter of that
    #[arg(
        long,
        value_name = "N",
        default_value_t = 400,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(1..=10_000))]
    pub tasks: u32,

    /// How long a task waits for the server, in microseconds, 100 to 1000000; a mixed task takes as long in total
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5_000,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(100..=1_000_000))]
    pub wait_us: u32,

    /// How many threads or processes run mixed jobs, 1 to 256 [default: eight for each CPU]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = value_parser!(u32).range(1..=256))]
    pub mixed_workers: Option<u32>,

    /// The most processes to use, 1 to 256
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        allow_negative_numbers = true
    )]
    #[arg(value_parser = value_parser!(u32).range(1..=256))]
    pub processes: u32,

    /// Where to write the plot, an SVG file
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

impl Options {
    /// The requested kinds of jobs.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        let is_meant = |kind: &Kind| self.kind.is_empty() || self.kind.contains(kind);
        Kind::ALL.into_iter().filter(is_meant).collect()
    }

    /// The settings of the jobs; measures how fast this machine computes.
    #[must_use]
    pub fn setting(&self, server: &Server) -> Setting {
        let cpus = num_cpus::get();
        Setting {
            server: server.address(),
            rounds_per_milli: rounds_per_milli(),
            cpus,
            tasks: self.tasks as usize,
            compute_millis: self.compute_ms.into(),
            wait_micros: self.wait_us,
            mixed_workers: self
                .mixed_workers
                .map_or(8 * cpus, |workers| workers as usize),
            most_processes: self.processes as usize,
        }
    }
}
