//! Squares numbers with a worker executable in the same folder.

#![forbid(unsafe_code)]

use std::error::Error;
use std::process::ExitCode;

use process_pool::ProcessPoolExecutor;
use two_programs::SQUARE;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "two-programs: {error}; was the worker built with `cargo build -p two-programs`?"
            );
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let worker = std::env::current_exe()?.with_file_name("two-programs-worker");
    let pool = ProcessPoolExecutor::builder()
        .worker_executable(worker)
        .build()?;
    for square in pool.map_named(&SQUARE, 1..=10) {
        println!("{}", square?);
    }
    Ok(())
}
