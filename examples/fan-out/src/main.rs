//! The program: the services, all views without and with hedging, then the report.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use fan_out::cli::Options;

use fan_out::report::Report;
use fan_out::run::both;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fan-out: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether no view failed.
fn run(options: &Options) -> Result<bool, Box<dyn Error + Send + Sync>> {
    writeln!(io::stdout(), "{options}\n")?;
    let report = Report::new(options.plan(), both(options)?);
    write!(io::stdout(), "{report}")?;
    Ok(report.is_good())
}
