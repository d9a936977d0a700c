//! The one promise of the program.
#![expect(
    unsafe_code,
    reason = "declares that what runs in the tasks is fit for stacks of their own"
)]

use green_tasks::{Runtime, RuntimeError, Stackful};

/// A runtime on so many threads, 0 counting as 1, for the tasks of this program.
///
/// # Errors
/// Never with these settings.
pub fn runtime(threads: usize) -> Result<Runtime, RuntimeError> {
    // SAFETY: the tasks call this crate, `green_tasks`, `lab`, which only computes, std's vectors and its formatting
    // of errors. None of it waits in the initializer of a thread-local, or within a call that keeps a pointer into
    // its frame in one.
    let token = unsafe { Stackful::assume() };
    Runtime::builder().stackful(token).threads(threads).build()
}
