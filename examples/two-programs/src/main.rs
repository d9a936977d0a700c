//! Has a worker executable that lies beside it square numbers.

#![forbid(unsafe_code)]

use std::error::Error;

use process_pool::ProcessPoolExecutor;
use two_programs::SQUARE;

fn main() -> Result<(), Box<dyn Error>> {
    let worker = std::env::current_exe()?.with_file_name("two-programs-worker");
    let pool = ProcessPoolExecutor::builder()
        .worker_executable(worker)
        .build()?;
    for square in pool.map_named(&SQUARE, 1..=10) {
        println!("{}", square?);
    }
    Ok(())
}
