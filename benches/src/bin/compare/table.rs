//! What the children measured, and the table of it.

use std::time::Duration;

use benches::{Group, Kind, Run};

use crate::options::{Contender, Options};

/// What one child measured, in nanoseconds.
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

    /// Three lines: wall, CPU, and every task that was timed.
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
            let each = lines
                .next()?
                .split(' ')
                .filter_map(|time| time.parse().ok());
            Some(Self {
                wall_per_task,
                cpu_per_task,
                each: each.collect(),
            })
        };
        decoded().ok_or_else(|| format!("a child printed {text:?}"))
    }
}

/// One line of the table.
struct Line {
    median: f64,
    minimum: f64,
    cpu: Option<f64>,
    p99: Option<f64>,
}

impl Line {
    fn of(rounds: &[Round]) -> Self {
        let wall = sorted(rounds.iter().map(|round| round.wall_per_task));
        let cpu = sorted(rounds.iter().filter_map(|round| round.cpu_per_task));
        let each = sorted(
            rounds
                .iter()
                .flat_map(|round| &round.each)
                .map(|&time| time as f64),
        );
        Self {
            median: quantile(&wall, 0.5).unwrap_or(f64::NAN),
            minimum: quantile(&wall, 0.0).unwrap_or(f64::NAN),
            cpu: quantile(&cpu, 0.5),
            p99: quantile(&each, 0.99),
        }
    }
}

pub(crate) fn print(
    group: &Group,
    rows: &[Contender<'_>],
    results: &[Result<Vec<Round>, String>],
    options: &Options,
) {
    let (name, pin, rounds) = (group.name, options.pin.name(), options.rounds);
    println!(
        "\n{name}: time per task, {} a run, pin {pin}, rounds {rounds}",
        group.tasks
    );
    println!(
        "{:32}{:>10}{:>10}{:>10}{:>10}",
        "", "median", "min", "CPU", "p99"
    );
    let mut ours = None;
    let mut best: Option<(f64, String)> = None;
    for (row, result) in rows.iter().zip(results) {
        let line = match result {
            Ok(rounds) => Line::of(rounds),
            Err(message) => {
                println!("{:32}failed: {message}", row.name());
                continue;
            }
        };
        println!(
            "{:32}{:>10}{:>10}{:>10}{:>10}",
            row.name(),
            time(line.median),
            time(line.minimum),
            line.cpu.map_or_else(|| "?".to_owned(), time),
            line.p99.map(time).unwrap_or_default(),
        );
        match row.kind() {
            Kind::Ours => ours = Some(line.median),
            Kind::Peer if best.as_ref().is_none_or(|(least, _)| line.median < *least) => {
                best = Some((line.median, row.name()));
            }
            Kind::Peer | Kind::Reference => {}
        }
    }
    if let Some((ours, (best, name))) = ours.zip(best) {
        println!("ours / best peer: {:.2} ({name})", ours / best);
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The value below which this part of the sorted values lies; of two in the middle, the upper one.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let index = (sorted.len() as f64 * part) as usize;
    sorted.get(index).or(sorted.last()).copied()
}

/// Nanoseconds with three digits and a unit.
fn time(nanoseconds: f64) -> String {
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
