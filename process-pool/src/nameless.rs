//! Names of functions, where the feature `named` is off: there are none.

use crate::run::{Outcome, Way};

/// The names and types of this executable's functions.
#[expect(clippy::unnecessary_wraps, reason = "with names it may fail")]
pub(crate) const fn all() -> Result<Vec<(&'static str, &'static str)>, String> {
    Ok(Vec::new())
}

/// Takes the names of the pool's functions, in a worker.
pub(crate) fn agree(_: &[(&str, &str)], is_elsewhere: bool) -> Result<(), String> {
    if is_elsewhere {
        return Err(
            "it is another executable, and was built without the feature `named`".to_owned(),
        );
    }
    Ok(())
}

/// Whether the pool is of another executable.
pub(crate) const fn is_elsewhere() -> bool {
    false
}

/// Calls the function with this number.
pub(crate) fn run(_: u64, _: Way, _: &[u8], _: &mut Vec<u8>) -> Result<Outcome, String> {
    Err("the worker was built without the feature `named`, and knows no names".to_owned())
}
