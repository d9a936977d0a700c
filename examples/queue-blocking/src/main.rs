//! The program: options, every way for each kind of tasks, then the tables and the plot.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use queue_blocking::cli::Options;
use queue_blocking::report::{Report, Row, plot};
use queue_blocking::ways::WAYS;

/// How often the bar is drawn during a way, which takes some seconds: seldom, so that it does not disturb the tasks.
const TICK: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("queue-blocking: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every way finished.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let plans = options.plans();
    let bar = ProgressBar::new((plans.len() * WAYS.len()) as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg:20} {bar:30} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    if !bar.is_hidden() {
        bar.enable_steady_tick(TICK);
    }
    let mut reports = Vec::new();
    for plan in plans {
        let rows = WAYS.iter().map(|way| {
            bar.set_message(way.name);
            let row = Row::of(way, &plan);
            bar.inc(1);
            row
        });
        let rows = rows.collect();
        reports.push(Report::new(plan, rows));
    }
    bar.finish_and_clear();

    for report in &reports {
        writeln!(io::stdout(), "{report}")?;
    }
    if let Some(path) = &options.plot {
        let told = |error| format!("cannot write {}: {error}", path.display());
        fs::write(path, plot(&reports)).map_err(told)?;
    }
    Ok(reports.iter().all(Report::is_good))
}
