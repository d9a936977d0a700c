//! Runs every way at every size, several times, and takes the median times.

use std::time::Duration;

use crate::kind::{Kind, Setting, Size};
use crate::ways::{Job, Run, WAYS};

/// The outcome of a kind of jobs.
#[derive(Clone, Debug)]
pub struct Grid {
    /// The kind.
    pub kind: Kind,
    /// Its sizes.
    pub sizes: Vec<Size>,
    /// For each way its median time for each size; `None` if it failed.
    pub times: [Vec<Option<Duration>>; WAYS.len()],
    /// The failures, each with its way and size.
    pub failures: Vec<String>,
}

impl Grid {
    /// How many times as fast as one by one a way was, if neither failed.
    #[must_use]
    pub fn speed_up(&self, way: usize, size: usize) -> Option<f64> {
        let [first, own] = [0, way].map(|way| self.times[way][size]);
        Some(first?.as_secs_f64() / own?.as_secs_f64().max(1e-9))
    }

    /// The fastest ways at this size: those that took at most a tenth longer than the best.
    #[must_use]
    pub fn winners(&self, size: usize) -> Vec<&'static str> {
        let times = || self.times.iter().map(move |times| times[size]);
        let Some(best) = times().flatten().min() else {
            return Vec::new();
        };
        let is_good = |time: Option<Duration>| time.is_some_and(|time| time <= best + best / 10);
        WAYS.iter()
            .zip(times())
            .filter_map(|(way, time)| is_good(time).then_some(way.name))
            .collect()
    }
}

/// Runs every way on every size of a kind, several times. The ways take turns, so that a temporary slowdown of the
/// machine affects all of them. Calls `tick` after each run.
#[must_use]
pub fn measure(kind: Kind, setting: &Setting, times: usize, tick: impl Fn()) -> Grid {
    let sizes = kind.sizes(setting);
    let mut grid = Grid {
        kind,
        times: WAYS.map(|_| Vec::new()),
        failures: Vec::new(),
        sizes: sizes.clone(),
    };
    for size in &sizes {
        let job = kind.job(size, setting);
        let mut runs = WAYS.map(|_| Vec::new());
        for _ in 0..times {
            let mut expected = None;
            for (way, runs) in WAYS.iter().zip(&mut runs) {
                match checked(way.run(&job), &mut expected) {
                    Ok(elapsed) => runs.push(elapsed),
                    Err(error) => {
                        let (way, kind, size) = (way.name, kind.name(), &size.name);
                        let failure = format!("{way}, {kind}, {size}: {error}");
                        grid.failures.push(failure);
                    }
                }
                tick();
            }
        }
        for (row, runs) in grid.times.iter_mut().zip(runs) {
            row.push(middle(runs));
        }
    }
    grid
}

/// How long each way takes for one empty task, from starting its pool to its end.
#[must_use]
pub fn starts(setting: &Setting, times: usize) -> [Option<Duration>; WAYS.len()] {
    let mut job = Kind::Cpu.job(
        &Size {
            name: String::new(),
            value: 1.0,
        },
        &Setting {
            rounds_per_milli: 0,
            ..*setting
        },
    );
    job.tasks.truncate(1);
    let elapsed = |job: &Job, way: usize| {
        let run = WAYS[way].run(job);
        run.numbers.is_ok().then_some(run.elapsed)
    };
    let ways: [usize; WAYS.len()] = std::array::from_fn(|way| way);
    ways.map(|way| middle((0..times).filter_map(|_| elapsed(&job, way)).collect()))
}

/// How long a run took, if it finished, with the numbers that the first way found.
fn checked(run: Run, expected: &mut Option<Vec<u64>>) -> Result<Duration, String> {
    let numbers = run.numbers.map_err(|error| error.to_string())?;
    if *expected.get_or_insert_with(|| numbers.clone()) != numbers {
        return Err("the numbers are not those of the first way".to_owned());
    }
    Ok(run.elapsed)
}

fn middle(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middle_of_several_is_neither_the_best_nor_the_worst() {
        let millis =
            |times: &[u64]| middle(times.iter().copied().map(Duration::from_millis).collect());
        assert_eq!(millis(&[9, 1, 5]), Some(Duration::from_millis(5)));
        assert_eq!(millis(&[7]), Some(Duration::from_millis(7)));
        assert_eq!(millis(&[]), None);
    }

    #[test]
    fn other_numbers_than_the_first_ones_are_a_failure() {
        let run = |numbers: &[u64]| Run {
            numbers: Ok(numbers.to_vec()),
            elapsed: Duration::from_millis(1),
        };
        let mut expected = None;
        assert!(checked(run(&[1, 2]), &mut expected).is_ok());
        assert!(checked(run(&[1, 2]), &mut expected).is_ok());
        let error = checked(run(&[2, 1]), &mut expected).unwrap_err();
        assert!(error.contains("not those of the first way"), "{error}");
    }
}
