//! The options of the command line, with their limits and defaults.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use clap::{Parser, value_parser};

use crate::call::Policy;
use crate::services::{Plan, SERVICES};

/// Builds pages from five unreliable HTTP services, with and without hedged requests.
///
/// The program starts the services itself, on loopback. --seed decides which request meets which fault: the same
/// number gives the same faults. The exit code is 0 if no view failed, 1 if one did, 2 if an option is invalid.
#[derive(Clone, Debug, Parser)]
#[command(name = "fan-out", version, max_term_width = 100)]
pub struct Options {
    /// How many views (pages) to build, 1 to 100000
    #[arg(long, value_name = "N", default_value_t = 400)]
    #[arg(value_parser = value_parser!(u32).range(1..=100_000))]
    pub views: u32,

    /// Build only the view with this number, as in the list of failed views; the first is 0
    #[arg(long, value_name = "N", conflicts_with = "views")]
    #[arg(value_parser = value_parser!(u32).range(..100_000))]
    pub only: Option<u32>,

    /// How many views to build at the same time, 1 to 32
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = value_parser!(u32).range(1..=32))]
    pub at_once: u32,

    /// The percentage of requests that meet their service's fault, 0 to 100
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = value_parser!(u32).range(..=100))]
    pub trouble: u32,

    /// The seed of the faults
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// How long a whole view may take, in milliseconds, 10 to 60000
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    #[arg(value_parser = value_parser!(u32).range(10..=60_000))]
    pub deadline_ms: u32,

    /// How long one request may take, in milliseconds, 10 to 60000
    #[arg(long, value_name = "N", default_value_t = 400)]
    #[arg(value_parser = value_parser!(u32).range(10..=60_000))]
    pub request_ms: u32,

    /// How often to ask a service before giving up on it, 1 to 10
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = value_parser!(u32).range(1..=10))]
    pub attempts: u32,

    /// How long the pause before the first retry may be, in milliseconds, 0 to 10000; it doubles for each later one
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = value_parser!(u32).range(..=10_000))]
    pub backoff_ms: u32,

    /// After how many milliseconds to send a second request [default: 95th percentile of that service's answers in the
    /// run without hedging]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = value_parser!(u32).range(..=60_000))]
    pub hedge_ms: Option<u32>,
}

impl Options {
    /// The numbers of the views.
    #[must_use]
    pub fn range(&self) -> Range<u32> {
        self.only.map_or(0..self.views, |only| only..only + 1)
    }

    /// The faults.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan::new(self.seed, self.trouble)
    }

    /// How to ask services, without hedging.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            deadline: millis(self.deadline_ms),
            request_limit: millis(self.request_ms),
            attempts: self.attempts,
            backoff: millis(self.backoff_ms),
            seed: self.seed,
            hedge_after: [None; SERVICES.len()],
        }
    }
}

fn millis(number: u32) -> Duration {
    Duration::from_millis(number.into())
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.only {
            Some(only) => write!(f, "view {only}; ")?,
            None => write!(f, "{} views, {} at once; ", self.views, self.at_once)?,
        }
        write!(
            f,
            "faults in {} % of the requests, from seed {}; deadline {} ms",
            self.trouble, self.seed, self.deadline_ms
        )
    }
}
