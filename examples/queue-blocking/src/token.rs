//! The program's one promise: that its tasks may be stackful.
#![expect(
    unsafe_code,
    reason = "promises that the tasks may run on stacks of their own"
)]

use green_tasks::{Runtime, RuntimeError, Stackful};

/// A runtime on this many threads (0 counts as 1) for the tasks of this program.
///
/// # Errors
/// Never, with these settings.
pub fn runtime(threads: usize) -> Result<Runtime, RuntimeError> {
    // SAFETY: the tasks call this crate, `green_tasks` and `lab`, which only computes. None of them waits
    // in the initializer of a thread-local, or within a call that keeps a pointer into its frame in one.
    let token = unsafe { Stackful::assume() };
    Runtime::builder().stackful(token).threads(threads).build()
}
