//! The program: options, every way on every job, then the tables and the plot.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use pools::cli::Options;
use pools::measure::{measure, starts};
use pools::report::Report;
use pools::server::Server;
use pools::ways::WAYS;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("pools: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all ways agree.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let server = Server::start()?;
    let setting = options.setting(&server);
    let times = options.times as usize;
    let kinds = options.kinds();

    let sizes: usize = kinds.iter().map(|kind| kind.sizes(&setting).len()).sum();
    let bar = ProgressBar::new((sizes * WAYS.len() * times) as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg:10} {bar:30} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    let mut grids = Vec::new();
    for kind in kinds {
        bar.set_message(kind.name());
        grids.push(measure(kind, &setting, times, || bar.inc(1)));
    }
    let starts = starts(&setting, times);
    bar.finish_and_clear();

    let report = Report::new(setting, grids, starts);
    write!(io::stdout(), "{report}")?;
    if let Some(path) = &options.plot {
        let told = |error| format!("cannot write {}: {error}", path.display());
        fs::write(path, report.plot()).map_err(told)?;
    }
    Ok(report.is_good())
}
