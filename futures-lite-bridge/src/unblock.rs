//! Blocking readers, writers and iterators as async ones: the blocking calls are made on a thread pool.
//!
//! Each adapter owns what it adapts, and lends it to one job at a time. A job is there only while there is
//! something to do for it: a reader reads when somebody wants bytes and none are left, or a few buffers ahead of
//! that if reading fills them, an iterator is advanced while there is room for its items, a writer writes what it was given. So whoever is slow
//! holds no worker. A job goes on while there is more of that, for the length of a [turn], since each
//! hand-over costs as much as a buffer.
//!
//! A bound of the pool's queue is not heeded, since async code cannot wait for room there; it is at most
//! one job for each adapter.

mod ahead;
mod gathered;
mod items;
mod iter;
#[cfg(all(test, pool_loom))]
mod model;
mod reader;
mod turn;
mod writer;

use std::io;

use future_result::{JoinHandle, TaskError, task_in};
use thread_pool::Submitter;

pub use self::iter::UnblockIter;
pub use self::reader::UnblockReader;
pub use self::writer::UnblockWriter;

/// How much a reader or a writer has in a buffer at first, unless it is told otherwise.
const CAPACITY: usize = 64 * 1024;
/// Up to which a writer's buffers grow then, while they are too small: a job for each 64 KiB costs more than copying
/// that.
const WRITE_MAX: usize = 512 * 1024;
/// Up to which a reader's do. Both of them are to stay in a cache.
const READ_MAX: usize = 256 * 1024;
/// How many items an iterator is ahead, unless it is told otherwise.
const ITEMS: usize = 1024;

/// Runs a job of an adapter.
fn submit<T: Send + 'static>(
    submitter: &Submitter,
    job: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let (task, handle) = task_in(submitter.pool(), job);
    submitter.submit(task);
    handle
}

/// Repeats what a signal has interrupted.
fn retry<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// What became of the job that had the adapted value.
fn lost(error: TaskError) -> io::Error {
    io::Error::other(error)
}

/// The adapted value is gone, with a job that has failed before, or since it was closed.
fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "it was closed, or lost with a job that panicked or that its pool did not run; make another one",
    )
}
