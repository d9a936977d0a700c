//! The program's one promise: that its tasks may be stackful.
#![expect(
    unsafe_code,
    reason = "promises that the tasks may run on stacks of their own"
)]

use green_tasks::{Runtime, RuntimeError, Stackful};

/// A runtime for the tasks of this program.
///
/// # Errors
/// Never, with these settings.
pub fn runtime() -> Result<Runtime, RuntimeError> {
    // SAFETY: the tasks call this crate, `green_tasks`, std's vectors and a progress bar. None of it waits in
    // the initializer of a thread-local, or within a call that keeps a pointer into its frame in one.
    let token = unsafe { Stackful::assume() };
    Runtime::builder().stackful(token).build()
}
