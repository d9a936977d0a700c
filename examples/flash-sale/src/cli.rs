//! The options of the command line, with their limits and defaults.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use clap::{Parser, value_parser};

use crate::load::Rush;
use crate::shop::Plan;

/// Sells limited stock to a rush of buyers over HTTP, and proves that nothing was oversold, lost, or paid twice.
///
/// The shop and its buyers are both in this program; the database is in a temporary folder, which is removed at the
/// end. The exit code is 0 if every promise was kept and every request answered, 1 if not or if there was no sale, 2
/// if an option is invalid.
#[derive(Clone, Debug, Parser)]
#[command(name = "flash-sale", version, max_term_width = 100)]
pub struct Options {
    /// How many units there are, 1 to 1000000
    #[arg(long, value_name = "N", default_value_t = 500)]
    #[arg(value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub units: u32,

    /// How many buyers come, 1 to 1000000
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    #[arg(value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub buyers: u32,

    /// How many buyers arrive each second, 1 to 1000000
    #[arg(long, value_name = "N", default_value = "1000")]
    #[arg(value_parser = in_range::<NonZeroU32>)]
    pub rate: NonZeroU32,

    /// How many accounts they share, 1 to 1000000; a fifth of the buyers are a robot's, with one account
    #[arg(long, value_name = "N", default_value = "2000")]
    #[arg(value_parser = in_range::<NonZeroU32>)]
    pub accounts: NonZeroU32,

    /// How many buyers may be in the shop at once, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = value_parser!(u32).range(1..=1_000))]
    pub clients: u32,

    /// How many orders an account may send each second, 1 to 1000000
    #[arg(long, value_name = "N", default_value = "5")]
    #[arg(value_parser = in_range::<NonZeroU32>)]
    pub user_rate: NonZeroU32,

    /// How many orders may wait for a thread before more are refused, 1 to 100000
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = value_parser!(u32).range(1..=100_000))]
    pub queue: u32,

    /// How many threads reserve units, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = value_parser!(u32).range(1..=64))]
    pub front: u32,

    /// How many accepted orders to check at once, each on a thread, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = value_parser!(u32).range(1..=64))]
    pub back: u32,

    /// How many processes check for fraud, 1 to 64 [default: one for each CPU]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = value_parser!(u32).range(1..=64))]
    pub checkers: Option<u32>,

    /// How long a check takes, in thousands of rounds of a few nanoseconds, 1 to 1000000
    #[arg(long, value_name = "N", default_value_t = 500)]
    #[arg(value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub work: u32,

    /// Kill a worker process at every Nth check, 2 to 1000000 [without a number: 10]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "10")]
    #[arg(value_parser = value_parser!(u32).range(2..=1_000_000))]
    pub kill: Option<u32>,

    /// The seed of the buyers: the same number gives the same buyers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// Like clap's own range, for numbers that are never 0.
fn in_range<T: TryFrom<u32>>(text: &str) -> Result<T, String> {
    let number = text.parse::<u32>().map_err(|error| error.to_string())?;
    let number = Some(number).filter(|number| (1..=1_000_000).contains(number));
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("{text} is not in 1..=1000000"))
}

impl Options {
    /// How the shop is staffed.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan {
            front_workers: self.front as usize,
            queue: self.queue as usize,
            back_workers: self.back as usize,
            checkers: self
                .checkers
                .map_or_else(num_cpus::get, |workers| workers as usize),
            work: self.work,
            kill_every: self.kill.and_then(|every| NonZeroU64::new(every.into())),
            user_rate: self.user_rate,
        }
    }

    /// Who comes.
    #[must_use]
    pub const fn rush(&self) -> Rush {
        Rush {
            buyers: self.buyers,
            rate: self.rate,
            accounts: self.accounts,
            clients: self.clients as usize,
            seed: self.seed,
        }
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan();
        write!(
            f,
            "{} units, {} buyers at {} a second; {} threads reserve, with {} in the queue; {} processes check",
            self.units, self.buyers, self.rate, plan.front_workers, plan.queue, plan.checkers
        )?;
        match self.kill {
            Some(every) => write!(f, ", of which one is killed at every {every} checks"),
            None => Ok(()),
        }
    }
}
