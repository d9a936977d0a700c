//! What one task does.

use std::time::Duration;

use clap::ValueEnum;
use lab::compute::compute;
use serde::{Deserialize, Serialize};

/// What tasks do for the time that they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// They wait, as if for another service
    Wait,
    /// They compute
    Compute,
}

impl Kind {
    /// What such tasks do, as a verb.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Compute => "compute",
        }
    }
}

/// Plain data, so that it can be sent to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Sleep.
    Wait(Duration),
    /// Compute, in pieces of some rounds.
    Compute {
        /// How many pieces; other tasks of the same thread may run between two of them.
        pieces: u32,
        /// How many rounds each has.
        rounds: u64,
    },
}

/// The longest that a green task computes before it lets others run: a new task waits for one turn of each of
/// them.
const PIECE: Duration = Duration::from_micros(100);

impl Work {
    /// Work of this kind that takes this long with a CPU to itself.
    #[must_use]
    pub fn new(kind: Kind, time: Duration, rounds_per_milli: u64) -> Self {
        match kind {
            Kind::Wait => Self::Wait(time),
            Kind::Compute => {
                let pieces = time.as_nanos().div_ceil(PIECE.as_nanos()).max(1) as u32;
                let rounds = time.as_secs_f64() * 1e3 * rounds_per_milli as f64;
                let rounds = (rounds / f64::from(pieces)) as u64;
                Self::Compute { pieces, rounds }
            }
        }
    }

    /// Does it in a worker process, as its only running task.
    #[must_use]
    pub fn run(self) -> u64 {
        self.run_with(std::thread::sleep, || ())
    }

    /// Does it as a green task: others run while it sleeps, and between the pieces.
    #[must_use]
    pub fn run_green(self) -> u64 {
        self.run_with(green_tasks::sleep, green_tasks::yield_now)
    }

    fn run_with(self, sleep: fn(Duration), between: fn()) -> u64 {
        match self {
            Self::Wait(time) => {
                sleep(time);
                0
            }
            Self::Compute { pieces, rounds } => (0..pieces).fold(1, |number, _| {
                between();
                compute(number, rounds)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computing_is_cut_into_pieces_that_are_short_enough() {
        let work = |micros| Work::new(Kind::Compute, Duration::from_micros(micros), 1_000);
        let compute = |pieces, rounds| Work::Compute { pieces, rounds };
        assert_eq!(work(50), compute(1, 50));
        assert_eq!(work(100), compute(1, 100));
        assert_eq!(work(250), compute(3, 83));
        assert_eq!(work(0), compute(1, 0));
    }

    #[test]
    fn computing_gives_the_same_everywhere_and_waiting_gives_nothing() {
        let work = Work::new(Kind::Compute, Duration::from_millis(2), 100);
        assert_ne!(work.run(), 1);
        assert_eq!(work.run(), work.run_green());
        assert_eq!(Work::new(Kind::Wait, Duration::ZERO, 100).run(), 0);
    }
}
