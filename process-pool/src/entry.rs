//! How a worker begins: the same executable, started again, that does not come to `main`; or another one that
//! this library is linked into.
//!
//! The loader calls a function of this library before `main`, as it does for C++'s global objects. In a
//! worker it does not return. So nothing has to be done for a program to have workers, and it works in
//! tests, benchmarks, examples and documentation tests too, whose `main` is not the user's.
//!
//! # How a worker is told from a program
//!
//! A worker's environment has the variable [`ROLE`], and its descriptor 0 is a socket, whose number that
//! variable names. What a task starts inherits the variable, but not the socket, since the worker closes
//! that first of all. So a worker's child is an ordinary program, even if it is the same executable, even
//! if a task replaces its own worker by `exec`; and a worker whose pool has died before it began is none.
//!
//! A worker does what it is told, with whatever rights its executable has. So a process is no worker if the
//! socket was made by another user than it runs as, nor if the executable gives more rights than its
//! starter has (set-user-ID, capabilities). In such a program [`build`](crate::Builder::build) refuses.
//!
//! # How a program cannot start itself without end
//!
//! [`build`](crate::Builder::build) refuses in a process that was started as a worker and has come to
//! `main` all the same, and where pools are nested deeper than [`DEPTH_MAX`].

#![expect(
    unsafe_code,
    reason = "a function that is called before main, and signal dispositions"
)]

use std::ffi::{c_char, c_int};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::ptr;

use rustix::fs::{FileType, fstat};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{getegid, geteuid};
use rustix::stdio::{dup2_stdin, stdin};

use crate::image::Image;
use crate::sys::{Passed, private, receive};
use crate::worker;

/// The variable that makes a process a worker.
pub(crate) const ROLE: &str = "PROCESS_POOL_WORKER";
/// The variable that counts how deep pools are nested.
pub(crate) const DEPTH: &str = "PROCESS_POOL_DEPTH";

/// So many pools may be nested in each other's workers.
pub(crate) const DEPTH_MAX: u32 = 8;

type Constructor = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: Constructor = construct;

/// Becomes a worker, if this process was started as one; otherwise does nothing.
///
/// On Linux nobody has to call this, since the loader does it before `main`. A program that is meant for
/// other systems too calls it first of all in its `main`. So does an executable that is there for the workers of
/// another program: what uses nothing of this library is linked without it.
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
    if is_worker_to_be() {
        become_worker(|| ());
    }
}

/// Makes sure that the linker keeps the constructor: it takes from a library only what is referred to.
pub(crate) fn keep_constructor() {
    // SAFETY: a static can be read at any time.
    let _ = unsafe { ptr::read_volatile(&raw const CONSTRUCTOR) };
}

/// The value of [`ROLE`] for a worker whose descriptor 0 is this socket. With the version, so that a
/// program with two versions of this library in it starts the right one.
pub(crate) fn role_for(socket: impl AsFd) -> io::Result<String> {
    let number = fstat(socket)?.st_ino;
    Ok(format!("{} {number}", env!("CARGO_PKG_VERSION")))
}

/// Whether this process was started as a worker and is none yet.
pub(crate) fn is_worker_to_be() -> bool {
    let Some(role) = std::env::var_os(ROLE) else {
        return false;
    };
    let is_socket = fstat(stdin())
        .is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::Socket);
    is_socket
        && role_for(stdin()).is_ok_and(|expected| *role == *expected)
        && socket_peercred(stdin()).is_ok_and(|pool| pool.uid == geteuid() && pool.gid == getegid())
        && !is_privileged()
}

/// Whether the executable has rights that whoever starts it has not.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: reads a number that the system has given to this process.
    let secure = unsafe { libc::getauxval(libc::AT_SECURE) };
    secure != 0
}

/// How deep this process is nested in workers of pools.
pub(crate) fn depth() -> u32 {
    let depth = std::env::var(DEPTH).ok();
    depth.and_then(|depth| depth.parse().ok()).unwrap_or(0)
}

/// Called by the loader, among the last: those with a priority, the standard library's among them, come
/// first.
extern "C" fn construct(
    count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    if is_worker_to_be() {
        become_worker(|| construct_rest(count, arguments, environment));
    }
}

fn become_worker(prepare: impl FnOnce()) -> ! {
    // First of all, so that nothing can take the socket for its own, or this for a worker to be.
    let passed = receive(stdin());
    let closed = File::open("/dev/null").and_then(|null| Ok(dup2_stdin(null)?));
    if closed.is_err() {
        // Then at least nobody reads from the socket.
        std::process::exit(worker::BROKEN);
    }
    let Ok(passed) = passed.map(make_private) else {
        // The pool has died, or there are no descriptors left: it will be told by the exit.
        std::process::exit(worker::BROKEN);
    };
    set_signals();
    prepare();
    worker::serve(passed)
}

fn make_private(passed: Passed) -> Passed {
    Passed {
        tasks: private(passed.tasks),
        results: private(passed.results),
        arguments: private(passed.arguments),
        values: private(passed.values),
        ..passed
    }
}

/// As tasks may expect them. Before `main` the standard library has not done its part yet; and what the
/// pool's program does with its children is no business of the tasks'.
fn set_signals() {
    // SAFETY: the disposition is one of the two that need no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Calls the constructors that come after ours, since `serve` does not return to the loader: what they
/// register must be there when tasks run.
fn construct_rest(
    count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    let table = Image::get().constructors();
    let mut found = false;
    for address in table.step_by(size_of::<usize>()) {
        // SAFETY: the loader's own table of constructors, which it is just going through: mapped, aligned
        // and relocated.
        let entry = unsafe { *(address as *const usize) };
        if found && entry != 0 && entry != usize::MAX {
            // SAFETY: an entry of the table that is neither of the two marks is the address of a function
            // to be called once, like this, before `main`; and the loader will not come to it.
            let constructor = unsafe { std::mem::transmute::<usize, Constructor>(entry) };
            constructor(count, arguments, environment);
        }
        found |= entry == construct as Constructor as usize;
    }
}
