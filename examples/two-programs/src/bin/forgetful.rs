//! For the tests: a program that is not a worker. It says nothing, ends at once, or starts workers itself, which
//! are this program again.

#![forbid(unsafe_code)]

use process_pool::ProcessPoolExecutor;

fn main() {
    // One line for each process that gets this far.
    println!("started");
    if std::env::var_os("TWO_PROGRAMS_SILENT").is_some() {
        loop {
            std::thread::park();
        }
    }
    if let Some(executable) = std::env::var_os("TWO_PROGRAMS_WORKER") {
        let builder = ProcessPoolExecutor::builder().worker_executable(executable);
        if let Err(error) = builder.build() {
            println!("{error}");
        }
    }
}
