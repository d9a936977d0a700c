//! The tables, the list of winners, and the plot.

use std::fmt;
use std::time::Duration;

use lab::chart::{Axis, Curve, Panel, draw};

use crate::kind::{Kind, Setting};
use crate::measure::Grid;
use crate::ways::WAYS;

/// The outcome of all kinds.
#[derive(Debug)]
pub struct Report {
    setting: Setting,
    grids: Vec<Grid>,
    starts: [Option<Duration>; WAYS.len()],
}

impl Report {
    /// A report on these kinds.
    #[must_use]
    pub fn new(setting: Setting, grids: Vec<Grid>, starts: [Option<Duration>; WAYS.len()]) -> Self {
        Self {
            setting,
            grids,
            starts,
        }
    }

    /// Whether every way finished, with the same numbers.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.grids.iter().all(|grid| grid.failures.is_empty())
    }

    /// The text of an SVG file.
    #[must_use]
    pub fn plot(&self) -> String {
        let panels: Vec<_> = self.grids.iter().map(panel).collect();
        draw(
            "Which pool when: how many times as fast as one by one",
            &panels,
        )
    }

    /// What the jobs of a kind have in common.
    fn about(&self, kind: Kind) -> String {
        let Setting {
            tasks,
            cpus,
            compute_millis,
            wait_micros,
            mixed_workers,
            most_processes,
            ..
        } = self.setting;
        let wait = f64::from(wait_micros) / 1e3;
        match kind {
            Kind::Cpu => {
                format!("{compute_millis} ms of computing in all; {cpus} threads or processes")
            }
            Kind::Io => format!(
                "each task waits {wait} ms for a server; a thread for each, and up to {most_processes} processes"
            ),
            Kind::Mixed => format!(
                "{} tasks of {wait} ms; {mixed_workers} threads or {} processes",
                tasks.div_ceil(4),
                mixed_workers.min(most_processes)
            ),
        }
    }

    fn table(&self, grid: &Grid, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, what) = (grid.kind.name(), grid.kind.what());
        writeln!(f, "{name}: {}", self.about(grid.kind))?;
        write!(f, "{what:31}")?;
        for size in &grid.sizes {
            write!(f, " {:>8}", size.name)?;
        }
        writeln!(f)?;
        for (index, way) in WAYS.iter().enumerate() {
            let unit = if index == 0 {
                ", ms"
            } else {
                ", times as fast"
            };
            write!(f, "{:31}", format!("{}{unit}", way.name))?;
            for (place, time) in grid.times[index].iter().enumerate() {
                let shown = if index == 0 {
                    time.map(|time| format!("{:.1}", millis(time)))
                } else {
                    grid.speed_up(index, place)
                        .map(|times| format!("{times:.2}"))
                };
                write!(f, " {:>8}", shown.as_deref().unwrap_or("-"))?;
            }
            writeln!(f)?;
        }
        for (place, size) in grid.sizes.iter().enumerate() {
            let winners = grid.winners(place).join(", ");
            writeln!(f, "fastest at {:>6}: {winners}", size.name)?;
        }
        writeln!(f)
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn panel(grid: &Grid) -> Panel {
    let ticks = grid
        .sizes
        .iter()
        .map(|size| (size.value, size.name.clone()));
    let what = grid.kind.what();
    let x = match grid.kind {
        Kind::Cpu | Kind::Io => Axis::logarithmic(what, ticks),
        Kind::Mixed => Axis::linear(what, ticks),
    };
    let curve = |index: usize| {
        let points = grid.sizes.iter().enumerate();
        let points =
            points.filter_map(|(place, size)| Some((size.value, grid.speed_up(index, place)?)));
        Curve {
            name: WAYS[index].name.to_owned(),
            points: points.collect(),
        }
    };
    let curves: Vec<_> = (0..WAYS.len()).map(curve).collect();
    let values = curves
        .iter()
        .flat_map(|curve| &curve.points)
        .map(|&(_, y)| y);
    Panel {
        title: grid.kind.name().to_owned(),
        x,
        y: Axis::around("times as fast", values, |value| value.to_string()),
        curves,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for grid in &self.grids {
            self.table(grid, f)?;
        }
        write!(f, "a pool for one task that does nothing, ms: ")?;
        let mut separator = "";
        for (way, start) in WAYS.iter().zip(self.starts).skip(1) {
            let start = start.map(|start| format!("{:.2}", millis(start)));
            write!(
                f,
                "{separator}{} {}",
                way.name,
                start.as_deref().unwrap_or("-")
            )?;
            separator = "; ";
        }
        writeln!(f)?;
        for failure in self.grids.iter().flat_map(|grid| &grid.failures) {
            writeln!(f, "FAILED {failure}")?;
        }
        if self.is_good() {
            writeln!(f, "all ways agree on every number")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Size;

    fn report(failures: Vec<String>) -> Report {
        let times = [200, 100, 105, 200, 400, 0].map(|millis| {
            let time = (millis > 0).then(|| Duration::from_millis(millis));
            vec![time]
        });
        let grid = Grid {
            kind: Kind::Cpu,
            sizes: vec![Size {
                name: "1 ms".to_owned(),
                value: 1e3,
            }],
            times,
            failures,
        };
        let setting = Setting {
            server: ([127, 0, 0, 1], 1).into(),
            rounds_per_milli: 1,
            cpus: 2,
            tasks: 100,
            compute_millis: 200,
            wait_micros: 5_000,
            mixed_workers: 16,
            most_processes: 32,
        };
        Report::new(
            setting,
            vec![grid],
            [Some(Duration::from_millis(3)); WAYS.len()],
        )
    }

    #[test]
    fn table_compares_with_one_by_one_and_names_those_that_are_close_to_the_fastest() {
        let text = report(Vec::new()).to_string();
        for line in [
            "one by one, ms                     200.0\n",
            "threads, times as fast              2.00\n",
            "green, all CPUs, times as fast      0.50\n",
            "async, times as fast                   -\n",
            "fastest at   1 ms: threads, processes\n",
            "all ways agree on every number\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn failures_are_told_and_spoil_the_report() {
        let report = report(vec!["async, CPU-bound, 1 ms: no threads".to_owned()]);
        assert!(!report.is_good());
        let text = report.to_string();
        assert!(
            text.ends_with("FAILED async, CPU-bound, 1 ms: no threads\n"),
            "{text}"
        );
        assert!(report.plot().contains(">CPU-bound<"));
    }
}
