//! The program: a sale in a temporary folder, then the report.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use flash_sale::cli::Options;
use flash_sale::progress::Progress;
use flash_sale::report::Report;
use flash_sale::run::{SaleError, sell};

fn main() -> ExitCode {
    process_pool::init();
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("flash-sale: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every promise was kept.
fn run(options: &Options) -> Result<bool, Box<dyn Error + Send + Sync>> {
    writeln!(io::stdout(), "{options}\n")?;
    let folder = tempfile::tempdir().map_err(SaleError::from)?;
    let (plan, rush) = (options.plan(), options.rush());
    let view = |tally| Progress::expect(rush.buyers, tally);
    let report = Report::new(sell(folder.path(), options.units, &plan, &rush, view)?);
    write!(io::stdout(), "{report}")?;
    Ok(report.is_good())
}
