//! The program: options, then every way in turn, then the table. What it does is told in the library's docs.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use crawl::cli::Options;
use crawl::job::Site;
use crawl::report::Report;
use crawl::ways::WARM_UP;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crawl: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every page came in every way.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let site = Site::open(options)?;
    writeln!(io::stdout(), "{site}\n")?;

    // Thrown away: what is done once for a host is not to be paid by the first way.
    let _untimed = WARM_UP.run(&site.job().one_page_per_host());
    let rows = options.ways().map(|way| way.run(&site.job())).collect();

    let report = Report::new(site.urls(), rows);
    write!(io::stdout(), "{report}")?;
    Ok(report.is_complete())
}
