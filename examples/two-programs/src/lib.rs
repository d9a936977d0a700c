//! The functions that the program's workers run. Both executables link this library.

#![forbid(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

static GREETING: OnceLock<String> = OnceLock::new();

/// How often [`HALVE`] was called in this process.
static HALVED: AtomicU64 = AtomicU64::new(0);

fn square(n: u64) -> u64 {
    n * n
}

process_pool::named! {
    /// Squares a number.
    pub static SQUARE: fn(u64) -> u64 = square;
    /// Halves an even number.
    pub static HALVE: fn(u64) -> Result<u64, String> = |n| {
        HALVED.fetch_add(1, Ordering::Relaxed);
        if n.is_multiple_of(2) { Ok(n / 2) } else { Err(format!("{n} is odd")) }
    };
    /// How often [`HALVE`] was called in the worker that runs this.
    pub static TIMES_HALVED: fn(()) -> u64 = |()| HALVED.load(Ordering::Relaxed);
    /// The path of the worker's executable.
    pub static EXECUTABLE: fn(()) -> String = |()| {
        let path = std::env::current_exe().unwrap_or_default();
        path.display().to_string()
    };
    /// Panics with this message.
    pub static PANIC: fn(String) = |message| panic!("{message}");
    /// Ends the process.
    pub static ABORT: fn(()) = |()| std::process::abort();
    /// Sets what [`GREET`] says.
    pub static SET_GREETING: fn(String) = |text| {
        let _ = GREETING.set(text);
    };
    /// Greets, if [`SET_GREETING`] was called in this process.
    pub static GREET: fn(String) -> Option<String> = |name| Some(format!("{}, {name}", GREETING.get()?));
}
