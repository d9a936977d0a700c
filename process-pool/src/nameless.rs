//! Names of functions, without the feature `named`: there are none, and errors say why.

use std::path::PathBuf;

use crate::Builder;
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
            "it is another executable than the pool's, and was built without the feature `named` of \
             process-pool, by which it would know functions; enable that in its dependencies"
                .to_owned(),
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

/// Implemented by nothing: the compiler's error says what to do.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "workers of another executable need the feature `named` of process-pool",
    label = "this needs the feature `named`",
    note = "turn it on by `process-pool = {{ version = \"…\", features = [\"named\"] }}` in Cargo.toml"
)]
pub trait WithFeatureNamed: Into<PathBuf> {}

impl Builder {
    /// Stands where the real one is with the feature `named`, so that the compiler's error can name it.
    ///
    /// ```compile_fail,E0277
    /// let builder = process_pool::ProcessPoolExecutor::builder().worker_executable("/usr/libexec/my-worker");
    /// ```
    #[doc(hidden)]
    pub fn worker_executable(self, _: impl WithFeatureNamed) -> Self {
        self
    }
}

/// Stands where the real one is with the feature `named`, so that the compiler's error can name it.
///
/// ```compile_fail
/// process_pool::named! {
///     static SQUARE: fn(u64) -> u64 = |n| n * n;
/// }
/// # fn main() {}
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! named {
    ($($anything:tt)*) => {
        ::core::compile_error!(
            "functions by name need the feature `named` of process-pool: turn it on by \
             `process-pool = { version = \"…\", features = [\"named\"] }` in Cargo.toml"
        );
    };
}
