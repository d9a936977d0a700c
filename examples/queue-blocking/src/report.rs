//! The table, and the plot of the waits.

use std::fmt;
use std::time::{Duration, Instant};

use lab::chart::{Axis, Curve, Panel, draw};

use crate::plan::Plan;
use crate::waits::Waits;
use crate::ways::{Way, WayError};

/// The outcome of a way: a row of the table.
#[derive(Debug)]
pub struct Row {
    /// The name of the way.
    pub way: &'static str,
    /// How many processes or threads it had.
    pub workers: usize,
    /// The waits of the short tasks and of the long ones, or why the way did not finish.
    pub waits: Result<(Waits, Waits), WayError>,
    /// The time of the whole way, including starting and ending its pool.
    pub elapsed: Duration,
}

impl Row {
    /// Runs one way.
    #[must_use]
    pub fn of(way: &Way, plan: &Plan) -> Self {
        let start = Instant::now();
        let waits = way.run(plan);
        let elapsed = start.elapsed();
        Self {
            way: way.name,
            workers: way.workers(plan),
            waits: waits.map(|waits| sorted(&waits, plan)),
            elapsed,
        }
    }
}

fn sorted(waits: &[Duration], plan: &Plan) -> (Waits, Waits) {
    let of = |is_long| {
        let all = waits.iter().zip(&plan.arrivals);
        Waits::new(all.filter_map(move |(&wait, it)| (it.is_long == is_long).then_some(wait)))
    };
    (of(false), of(true))
}

/// The outcome of all ways with the tasks of one plan.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    rows: Vec<Row>,
}

impl Report {
    /// A report on these rows.
    #[must_use]
    pub fn new(plan: Plan, rows: Vec<Row>) -> Self {
        Self { plan, rows }
    }

    /// Whether every way finished.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(|row| row.waits.is_ok())
    }

    fn panel(&self) -> Panel {
        let verb = self.plan.kind.verb();
        // A task that was hardly late is drawn at the bottom.
        let millis = |wait: Duration| (wait.as_secs_f64() * 1e3).max(0.01);
        let curve = |row: &Row| {
            let points = row.waits.iter().flat_map(|(short, _)| short.tail());
            Curve {
                name: row.way.to_owned(),
                points: points.map(|(of, wait)| (of, millis(wait))).collect(),
            }
        };
        let curves: Vec<_> = self.rows.iter().map(curve).collect();
        let values = curves.iter().flat_map(|curve| &curve.points);
        let y = Axis::around(
            "waiting time of short tasks, ms",
            values.map(|point| point.1),
            |it| it.to_string(),
        );
        let short = self.plan.arrivals.iter().filter(|it| !it.is_long).count();
        let end = short.max(4) as f64;
        let ticks = [
            (2.0, "p50"),
            (10.0, "p90"),
            (100.0, "p99"),
            (1_000.0, "p99.9"),
        ];
        // Not so close to the end that their labels would overlap.
        let inner = ticks.into_iter().filter(|&(of, _)| of * 1.5 < end);
        let ticks = inner
            .chain([(end, "max")])
            .map(|(of, name)| (of, name.to_owned()));
        let Plan { short, long, .. } = self.plan;
        Panel {
            title: format!("Short tasks {verb} for {short:?}, long ones for {long:?}"),
            x: Axis::logarithmic("part of the short tasks that waited no longer", ticks),
            y,
            curves,
        }
    }
}

/// The text of an SVG file with the waits of all these reports.
#[must_use]
pub fn plot(reports: &[Report]) -> String {
    let panels: Vec<_> = reports.iter().map(Report::panel).collect();
    draw("How long short tasks wait behind long ones", &panels)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.plan)?;
        let [way, workers, half, most, all] = ["way", "workers", "p50", "p99", "max"];
        writeln!(
            f,
            "{way:20} {workers:>7}  {half:>8} {most:>8} {all:>8}   {half:>8} {all:>8}  {:>7}",
            "seconds"
        )?;
        for row in &self.rows {
            write!(f, "{:20} {:>7}  ", row.way, row.workers)?;
            let (short, long) = match &row.waits {
                Ok(waits) => waits,
                Err(error) => {
                    writeln!(f, "did not finish: {error}")?;
                    continue;
                }
            };
            let millis = |wait: Duration| format!("{:.2}", wait.as_secs_f64() * 1e3);
            let [half, most, all] = [0.5, 0.99, 1.0].map(|part| millis(short.quantile(part)));
            write!(f, "{half:>8} {most:>8} {all:>8}   ")?;
            let [half, all] = [0.5, 1.0].map(|part| millis(long.quantile(part)));
            writeln!(f, "{half:>8} {all:>8}  {:>7.2}", row.elapsed.as_secs_f64())?;
        }
        writeln!(
            f,
            "waiting times in ms: three columns of short tasks, two of long ones"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Arrival;
    use crate::work::Kind;

    fn report(waits: Vec<Result<&[u64], &str>>) -> Report {
        let arrival = |is_long| Arrival {
            at: Duration::ZERO,
            is_long,
        };
        let plan = Plan {
            arrivals: [false, true, false, true].map(arrival).into(),
            kind: Kind::Wait,
            short: Duration::from_millis(2),
            long: Duration::from_millis(200),
            workers: 2,
            more_workers: 4,
            prefetch: 4,
            rounds_per_milli: 1,
        };
        let row = |waits: Result<&[u64], &str>| {
            let millis = |waits: &[u64]| -> Vec<_> {
                waits.iter().copied().map(Duration::from_millis).collect()
            };
            Row {
                way: "some way",
                workers: 2,
                waits: waits
                    .map(|waits| sorted(&millis(waits), &plan))
                    .map_err(WayError::from),
                elapsed: Duration::from_millis(1500),
            }
        };
        let rows = waits.into_iter().map(row).collect();
        Report::new(plan.clone(), rows)
    }

    #[test]
    fn short_and_long_tasks_are_told_apart() {
        let report = report(vec![Ok(&[5, 100, 1, 50])]);
        assert!(report.is_good());
        let text = report.to_string();
        let row = "some way                   2      1.00     5.00     5.00      50.00   100.00     1.50\n";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn way_that_did_not_end_says_why_and_has_no_curve() {
        let report = report(vec![Err("no processes"), Ok(&[0, 0, 0, 0])]);
        assert!(!report.is_good());
        let text = report.to_string();
        assert!(text.contains("did not finish: no processes\n"), "{text}");
        let picture = plot(&[report]);
        assert!(
            picture.contains(">p50<") && picture.contains(">max<"),
            "{picture}"
        );
    }
}
