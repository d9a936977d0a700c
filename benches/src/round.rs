//! What one process measured, and the summary of several. All times are nanoseconds per task.

use std::time::Duration;

use crate::Run;

/// What one process measured of one row.
#[derive(Debug)]
pub(crate) struct Round {
    wall_per_task: f64,
    cpu_per_task: Option<f64>,
    each: Vec<u64>,
}

impl Round {
    pub(crate) fn of(runs: &[Run], cpu: Option<Duration>, tasks: u64) -> Self {
        let wall: Duration = runs.iter().map(|run| run.total).sum();
        let per_task = |time: Duration| time.as_nanos() as f64 / tasks as f64;
        let each = runs.iter().flat_map(|run| &run.each);
        Self {
            wall_per_task: per_task(wall),
            cpu_per_task: cpu.map(per_task),
            each: each.map(|time| time.as_nanos() as u64).collect(),
        }
    }

    /// Three lines: wall time, CPU time, and the time of each task that was timed.
    pub(crate) fn encode(&self) -> String {
        let cpu = self.cpu_per_task.map(|cpu| cpu.to_string());
        let each: Vec<_> = self.each.iter().map(u64::to_string).collect();
        format!(
            "{}\n{}\n{}\n",
            self.wall_per_task,
            cpu.unwrap_or_default(),
            each.join(" ")
        )
    }

    pub(crate) fn decode(text: &str) -> Result<Self, String> {
        let decoded = || {
            let mut lines = text.lines();
            let wall_per_task = lines.next()?.parse().ok()?;
            let cpu_per_task = lines.next()?.parse().ok();
            let each = lines.next()?.split(' ');
            let each = each.filter_map(|time| time.parse().ok()).collect();
            Some(Self {
                wall_per_task,
                cpu_per_task,
                each,
            })
        };
        decoded().ok_or_else(|| format!("a child printed {text:?}"))
    }
}

/// All rounds of one row.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How many rounds.
    pub rounds: usize,
    /// The median of the rounds.
    pub median: f64,
    /// Their minimum.
    pub minimum: f64,
    /// The median CPU time of all threads; `None` if the system does not report it.
    pub cpu: Option<f64>,
    /// The 99th percentile of all tasks that were timed.
    pub p99: Option<f64>,
}

impl Summary {
    pub(crate) fn of(rounds: &[Round]) -> Self {
        let wall = sorted(rounds.iter().map(|round| round.wall_per_task));
        let cpu = sorted(rounds.iter().filter_map(|round| round.cpu_per_task));
        let each = rounds.iter().flat_map(|round| &round.each);
        let each = sorted(each.map(|&time| time as f64));
        Self {
            rounds: rounds.len(),
            median: quantile(&wall, 0.5).unwrap_or(f64::NAN),
            minimum: quantile(&wall, 0.0).unwrap_or(f64::NAN),
            cpu: quantile(&cpu, 0.5),
            p99: quantile(&each, 0.99),
        }
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The value below which this part of the sorted values lies; the upper of two middle ones.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let index = (sorted.len() as f64 * part) as usize;
    sorted.get(index).or(sorted.last()).copied()
}

/// Nanoseconds with three digits and a unit.
#[must_use]
pub fn human_time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns => (ns / 1e6, "ms"),
    };
    let decimals = match value {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}
