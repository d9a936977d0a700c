//! Compares the pools, with a table for each group.

mod options;
mod table;

use std::env;
use std::process::ExitCode;

use benches::{Row, Trouble, groups, measure_child};

use crate::options::{Mode, Options, USAGE};

fn main() -> ExitCode {
    benches::init();
    let done = Mode::parse(env::args().skip(1)).and_then(|mode| match mode {
        Mode::Help => {
            print!("{USAGE}");
            Ok(())
        }
        Mode::List => {
            list();
            Ok(())
        }
        Mode::Compare(options) => compare(&options),
        Mode::Child { group, row, pin } => measure_child(&group, &row, pin),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("compare: {message}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    for group in groups() {
        println!("{}", group.name);
        for row in group.rows {
            println!("    {}", row.name);
        }
    }
}

fn compare(options: &Options) -> Result<(), String> {
    let mut failures = 0;
    for group in options.groups()? {
        let rows: Vec<&Row> = options.rows(&group).collect();
        let results = options.contest.run(&group, &rows);
        failures += results
            .iter()
            .filter(|result| matches!(result, Err(Trouble::Failed(_))))
            .count();
        table::print(&group, &rows, &results, options.contest);
    }
    match failures {
        0 => Ok(()),
        _ => Err(format!("{failures} rows failed")),
    }
}
