//! When each task is due. The same seed gives the same plan.

use std::fmt;
use std::time::Duration;

use crate::work::{Kind, Work};

/// What a way needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The tasks, in the order in which they are due.
    pub arrivals: Vec<Arrival>,
    /// What they do.
    pub kind: Kind,
    /// How long a short one takes by itself.
    pub short: Duration,
    /// How long a long one takes.
    pub long: Duration,
    /// How many workers there are.
    pub workers: usize,
    /// How many workers the way with more of them has.
    pub more_workers: usize,
    /// How many tasks a worker gets in advance with a fixed prefetch.
    pub prefetch: usize,
    /// How many rounds of computing take a millisecond.
    pub rounds_per_milli: u64,
}

/// A task of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it is due, from the start.
    pub at: Duration,
    /// Whether it is one of the long ones.
    pub is_long: bool,
}

/// How often tasks are due, and how many of them are long.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// How many tasks.
    pub tasks: u32,
    /// One in this many is long.
    pub every: u32,
    /// How much of the workers' time the tasks take, in percent.
    pub load: u32,
    /// The seed of all randomness.
    pub seed: u64,
}

impl Traffic {
    /// Tasks arrive independently of each other and of how earlier ones fare: the gaps between them are exponentially
    /// distributed. Of each `every` tasks in a row, one at a random position is long.
    #[must_use]
    pub fn arrivals(&self, short: Duration, long: Duration, workers: usize) -> Vec<Arrival> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let every = f64::from(self.every);
        let mean = (short.as_secs_f64() * (every - 1.0) + long.as_secs_f64()) / every;
        let gap = mean / (workers as f64 * f64::from(self.load) / 100.0);
        let (mut at, mut place) = (0.0, 0);
        let arrival = |number: u32| {
            // Above 0 and up to 1, so that it has a logarithm.
            at -= gap * (1.0 - random.f64()).ln();
            if number.is_multiple_of(self.every) {
                place = random.u32(..self.every);
            }
            Arrival {
                at: Duration::from_secs_f64(at),
                is_long: number % self.every == place,
            }
        };
        (0..self.tasks).map(arrival).collect()
    }
}

impl Plan {
    /// What a task has to do.
    #[must_use]
    pub fn work(&self, arrival: Arrival) -> Work {
        Work::new(self.kind, self.time(arrival), self.rounds_per_milli)
    }

    /// How long that takes by itself.
    #[must_use]
    pub fn time(&self, arrival: Arrival) -> Duration {
        if arrival.is_long {
            self.long
        } else {
            self.short
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let long = self.arrivals.iter().filter(|it| it.is_long).count();
        let (short, verb) = (self.arrivals.len() - long, self.kind.verb());
        let end = self.arrivals.last().map_or(0.0, |it| it.at.as_secs_f64());
        write!(
            f,
            "{short} short tasks, which {verb} for {:?}, and {long} long ones, for {:?}, come within {end:.1} s",
            self.short, self.long
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SHORT: Duration = Duration::from_millis(2);
    const LONG: Duration = Duration::from_millis(200);

    fn traffic(seed: u64) -> Traffic {
        Traffic {
            tasks: 10_000,
            every: 50,
            load: 60,
            seed,
        }
    }

    #[test]
    fn same_seed_gives_the_same_plan_and_another_one_another() {
        let plan = |seed| traffic(seed).arrivals(SHORT, LONG, 2);
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
    }

    #[test]
    fn one_of_each_fifty_is_long_and_they_come_in_order() {
        let arrivals = traffic(3).arrivals(SHORT, LONG, 2);
        for tasks in arrivals.chunks(50) {
            assert_eq!(tasks.iter().filter(|it| it.is_long).count(), 1);
        }
        let places = arrivals
            .chunks(50)
            .map(|tasks| tasks.iter().position(|it| it.is_long));
        assert!(BTreeSet::from_iter(places).len() > 25);
        assert!(arrivals.is_sorted_by_key(|it| it.at));
        let all_long = Traffic {
            every: 1,
            ..traffic(3)
        };
        let arrivals = all_long.arrivals(SHORT, LONG, 2);
        assert!(arrivals.iter().all(|it| it.is_long));
    }

    #[test]
    fn workers_are_as_busy_as_asked_for() {
        let arrivals = traffic(4).arrivals(SHORT, LONG, 3);
        let work: Duration = arrivals
            .iter()
            .map(|it| if it.is_long { LONG } else { SHORT })
            .sum();
        let end = arrivals.last().unwrap().at;
        let load = work.as_secs_f64() / (3.0 * end.as_secs_f64());
        assert!((0.57..0.63).contains(&load), "{load}");
    }
}
