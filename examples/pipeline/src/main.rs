//! The program: options, generated files if requested, all files through the stages, then the report.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use pipeline::cli::Options;
use pipeline::flow;
use pipeline::progress::Progress;
use pipeline::report::Report;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("pipeline: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every file succeeded.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let place = options.place()?;
    let job = options.job(&place)?;
    writeln!(io::stdout(), "{job}\n")?;

    let progress = Progress::expect(job.files.len());
    let outcome = flow::run(&job, &progress)?;
    progress.finish();

    let report = Report::new(&job, &outcome);
    write!(io::stdout(), "{report}")?;
    Ok(outcome.failed.is_empty())
}
