//! Blocking readers, writers and iterators as async ones: the blocking calls are made on a thread pool.
//!
//! Each adapter owns what it adapts, and lends it to one job at a time. A job exists only while it has something to
//! do: a reader reads when bytes are wanted and none are left, or a few buffers ahead if reads fill them; an
//! iterator advances while there is room for its items; a writer writes what it was given. So slow async code
//! holds no worker. A job goes on while there is more to do, for the length of a [turn], since each hand-over costs
//! as much as a buffer.
//!
//! A bound of the pool's queue is ignored, since async code cannot wait for room there; each adapter has at most
//! one job.

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

/// The first size of a reader's or a writer's buffers by default, in bytes.
const CAPACITY: usize = 64 * 1024;
/// How far a writer's buffers then grow while they are too small: a job for each 64 KiB costs more than copying it.
const WRITE_MAX: usize = 512 * 1024;
/// How far a reader's do. Both should fit in a cache.
const READ_MAX: usize = 256 * 1024;
/// How many items an iterator reads ahead by default.
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

/// Repeats what a signal interrupted.
fn retry<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The job that had the adapted value has failed.
fn lost(error: TaskError) -> io::Error {
    io::Error::other(error)
}

/// The adapted value is gone: it was closed, or lost with an earlier job.
fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "it was closed, or lost with a job that panicked or that its pool did not run; make another one",
    )
}
