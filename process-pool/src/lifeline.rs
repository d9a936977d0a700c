//! A worker's thread that notices the death of the pool's process, however busy the worker is, and
//! ends the worker with all that it started.
//!
//! There is a signal for that, `PR_SET_PDEATHSIG`, but it comes when the *thread* that started the
//! worker ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use future_result::sync::{Mutex, thread};

use crate::sys::{Descriptor, await_pool, kill_own_group, parent, pool_of_this_worker, private};

/// How often to look, if there is nothing left to wait on.
const INTERVAL: Duration = Duration::from_millis(50);

/// Runs `work`, and meanwhile a thread that watches the pool. For a process that can only watch its parent,
/// which is the pool, or was.
pub(crate) fn during<R>(work: impl FnOnce() -> R) -> io::Result<R> {
    let before = parent();
    let is_over = Arc::new(Mutex::new(false));
    let theirs = Arc::clone(&is_over);
    let builder = thread::Builder::new().name("process-pool lifeline".to_owned());
    let thread = builder.spawn(move || {
        while !*theirs.lock() {
            if parent() != before {
                kill_own_group();
            }
            std::thread::park_timeout(INTERVAL);
        }
    })?;
    let result = work();
    // Set before the unpark, so that the thread sees it when it looks.
    *is_over.lock() = true;
    thread.thread().unpark();
    // It does not panic.
    let _ = thread.join();
    Ok(result)
}

/// Starts the thread. `tasks` is the task pipe, which has no writer once the pool is gone.
pub(crate) fn start(pool: u32, tasks: Descriptor) -> io::Result<()> {
    let before = parent();
    let process = pool_of_this_worker(pool);
    let tasks = private(tasks);
    let builder = thread::Builder::new().name("process-pool lifeline".to_owned());
    builder.spawn(move || {
        if !await_pool(process.as_ref(), &tasks) {
            // A task closed the descriptors, or put something else in their place.
            while parent() == before {
                std::thread::park_timeout(INTERVAL);
            }
        }
        kill_own_group()
    })?;
    Ok(())
}
