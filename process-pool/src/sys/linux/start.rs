//! The first moments of a worker: what its pool has handed to it, and whether it was its pool.

#![expect(
    unsafe_code,
    reason = "a number that the system has given to this process"
)]

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{FileType, fstat};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{getegid, geteuid};
use rustix::stdio::{dup2_stdin, stdin};

use super::pass::{Passed, receive};

/// A number that no other socket has.
pub(crate) fn socket_number(socket: impl AsFd) -> io::Result<u64> {
    Ok(fstat(socket)?.st_ino)
}

/// The number of the socket that this process was started with, if there is one, and if whoever has made it runs
/// as the same user and group.
pub(crate) fn starting_socket() -> Option<u64> {
    let status = fstat(stdin()).ok()?;
    if FileType::from_raw_mode(status.st_mode) != FileType::Socket {
        return None;
    }
    let pool = socket_peercred(stdin()).ok()?;
    (pool.uid == geteuid() && pool.gid == getegid()).then_some(status.st_ino)
}

/// Takes what was handed to this process by that socket, which is closed then.
///
/// # Errors
///
/// If there is nothing, since the pool has died, or no descriptors are left.
pub(crate) fn receive_at_start() -> io::Result<Passed> {
    let passed = receive(stdin());
    // Whatever came of it, so that nobody else reads from the socket.
    dup2_stdin(File::open("/dev/null")?)?;
    passed
}

/// Whether the executable has rights that whoever starts it has not.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: reads a number that the system has given to this process.
    let secure = unsafe { libc::getauxval(libc::AT_SECURE) };
    secure != 0
}
