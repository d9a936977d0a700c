//! The functions that the program has its workers run. Both executables link this library.

#![forbid(unsafe_code)]

use std::sync::OnceLock;

static GREETING: OnceLock<String> = OnceLock::new();

fn square(n: u64) -> u64 {
    n * n
}

process_pool::named! {
    /// Squares a number.
    pub static SQUARE: fn(u64) -> u64 = square;
    /// Where it runs.
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
    /// Greets somebody, if [`SET_GREETING`] was called in this process.
    pub static GREET: fn(String) -> Option<String> = |name| Some(format!("{}, {name}", GREETING.get()?));
}
