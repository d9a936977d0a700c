//! The program: options, then every way in turn, then the table. The library's docs say what it does.

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

/// Whether every way fetched every page.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let site = Site::open(options)?;
    writeln!(io::stdout(), "{site}\n")?;

    // Discarded: the first way should not pay for what is done once per host.
    let _untimed = WARM_UP.run(&site.job().one_page_per_host());
    let rows = options.ways().map(|way| way.run(&site.job())).collect();

    let report = Report::new(site.urls(), rows);
    write!(io::stdout(), "{report}")?;
    Ok(report.is_complete())
}
