//! The program: options, then every way in turn, then the table. The library's docs say what it does.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use primes::cli::Options;
use primes::kill::kill_one;
use primes::report::Report;
use primes::ways::WAYS;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("primes: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all ways agree, even after the death of a worker.
fn run(options: &Options) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let job = options.job();
    writeln!(io::stdout(), "{job} of {} bits\n", options.bits)?;

    let report = Report::new(&job.numbers, WAYS.iter().map(|way| way.run(&job)).collect());
    write!(io::stdout(), "{report}")?;
    if !options.kill {
        return Ok(report.is_agreed());
    }

    let aftermath = kill_one(&job)?;
    let is_unharmed = report.confirms(&aftermath.answers);
    write!(io::stdout(), "\n{aftermath}")?;
    let verdict = if is_unharmed { "those" } else { "NOT those" };
    writeln!(io::stdout(), "all answers are {verdict} of the other ways")?;
    Ok(is_unharmed)
}
