//! How much memory a waiting task takes, compared with the peers.
//!
//! ```text
//! cargo run --release -p benches --bin memory
//! ```

use std::env;
use std::process::ExitCode;

use benches::{MEMORY_CHILD, footprints, measure_footprint};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [] => {
            compare();
            Ok(())
        }
        // Only from the parent process.
        [child, name, tasks] if child == MEMORY_CHILD => measure_footprint(name, tasks),
        _ => Err("this program takes no options".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("memory: {message}");
            ExitCode::FAILURE
        }
    }
}

fn compare() {
    println!(
        "{:28}{:>10}{:>14}{:>14}{:>10}",
        "", "tasks", "bytes a task", "page tables", "mappings"
    );
    for footprint in footprints() {
        print!("{:28}{:>10}", footprint.row, footprint.tasks);
        match footprint.result {
            Ok(memory) => {
                let optional =
                    |value: Option<usize>| value.map_or_else(|| "?".to_owned(), |n| n.to_string());
                println!(
                    "{:>14}{:>14}{:>10}",
                    memory.bytes,
                    optional(memory.page_tables),
                    optional(memory.mappings)
                );
            }
            Err(reason) => println!("  failed: {reason}"),
        }
    }
}
