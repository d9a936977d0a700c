//! How a worker begins: as the same executable, started again, which does not get to `main`; or as another one
//! that links this library.
//!
//! The loader calls a function of this library before `main`, as it does for C++'s global objects. In a
//! worker it does not return. So a program need not do anything to have workers, and it also works in
//! tests, benchmarks, examples and doctests, whose `main` is not the user's.
//!
//! # How a worker is told from a program
//!
//! A worker's environment has the variable [`ROLE`], and its descriptor 0 is a socket, whose number the
//! variable names. A task's children inherit the variable, but not the socket, which the worker closes
//! first of all. So a worker's child is an ordinary program, even if it is the same executable, even
//! if a task replaces its own worker by `exec`; and a process whose pool died before it began is no worker.
//!
//! A worker does what it is told, with whatever rights its executable has. So a process is no worker if the
//! socket was made by another user than it runs as, nor if the executable gives more rights than its
//! starter has (set-user-ID, capabilities). In such a program [`build`](crate::Builder::build) fails.
//!
//! # How a program cannot start itself without end
//!
//! [`build`](crate::Builder::build) fails in a process that was started as a worker and got to `main`
//! all the same, and if pools are nested deeper than [`DEPTH_MAX`].

use crate::sys::{self, Start, receive_at_start, set_signals, starting_socket};
use crate::worker::{self, Origin};
use crate::zygote;

/// The variable that makes a process a worker.
pub(crate) const ROLE: &str = "PROCESS_POOL_WORKER";
/// The variable that counts how deep pools are nested.
pub(crate) const DEPTH: &str = "PROCESS_POOL_DEPTH";

/// How many pools may be nested in each other's workers.
pub(crate) const DEPTH_MAX: u32 = 8;

/// Becomes a worker, if this process was started as one; otherwise does nothing.
///
/// On Linux you need not call this, since the loader does it before `main`. A program for
/// other systems, too, calls it first in its `main`. So does an executable that serves as the worker of
/// another program: an executable that uses nothing of this library is linked without it.
///
/// # Examples
///
/// ```
/// use process_pool::{FutureResult, ProcessPoolExecutor};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     process_pool::init();
///     let pool = ProcessPoolExecutor::new(1)?;
///     assert_eq!(pool.submit(|n: u32| n + 1, 41).result()?, 42);
///     Ok(())
/// }
/// ```
pub fn init() {
    begin(|| ());
}

/// Becomes a worker, if this process was started as one; calls `prepare` before that.
pub(crate) fn begin(prepare: impl FnOnce()) {
    if is_worker_to_be() {
        become_worker(prepare);
    }
}

/// The value of [`ROLE`] for a worker whose descriptor 0 is the socket with this number. It has the version, so
/// that a program with two versions of this library in it starts the right one.
pub(crate) fn role(socket: u64) -> String {
    format!("{} {socket}", env!("CARGO_PKG_VERSION"))
}

/// Whether this process was started as a worker and is not one yet.
pub(crate) fn is_worker_to_be() -> bool {
    let Some(expected) = std::env::var_os(ROLE) else {
        return false;
    };
    starting_socket().is_some_and(|socket| *role(socket) == *expected) && !sys::is_privileged()
}

/// How deep this process is nested in workers of pools.
pub(crate) fn depth() -> u32 {
    let depth = std::env::var(DEPTH).ok();
    depth.and_then(|depth| depth.parse().ok()).unwrap_or(0)
}

fn become_worker(prepare: impl FnOnce()) -> ! {
    // First of all, so that nothing takes the socket for its own, or this for a worker to be.
    let Ok((start, socket)) = receive_at_start() else {
        // The exit tells the pool, unless that has died.
        std::process::exit(worker::BROKEN);
    };
    set_signals();
    prepare();
    match start {
        Start::Worker(passed) => {
            drop(socket);
            worker::serve(passed.into_private(), Origin::Program)
        }
        Start::Zygote { setup, pool } => zygote::serve(socket, &setup, pool),
    }
}
