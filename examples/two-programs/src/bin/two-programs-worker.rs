//! The worker executable: only the functions.

#![forbid(unsafe_code)]

// Without it the library would not be linked, and its functions would be missing.
use two_programs as _;

fn main() {
    process_pool::init();
    eprintln!("this is started by two-programs");
}
