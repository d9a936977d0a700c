//! The first moments of a worker: what it was handed, and whether its pool did that.

#![expect(unsafe_code, reason = "a number that the system gave to this process")]

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{FileType, fstat};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{getegid, geteuid};
use rustix::stdio::{dup2_stdin, stdin};

use super::Descriptor;
use super::pass::{Start, private, receive_start};

/// A number that no other socket has.
pub(crate) fn socket_number(socket: impl AsFd) -> io::Result<u64> {
    Ok(fstat(socket)?.st_ino)
}

/// The number of the socket with which this process was started, if there is one, and if whoever made it runs
/// as the same user and group.
pub(crate) fn starting_socket() -> Option<u64> {
    let status = fstat(stdin()).ok()?;
    if FileType::from_raw_mode(status.st_mode) != FileType::Socket {
        return None;
    }
    let pool = socket_peercred(stdin()).ok()?;
    (pool.uid == geteuid() && pool.gid == getegid()).then_some(status.st_ino)
}

/// Takes what was handed to this process through that socket, which is then no longer descriptor 0. Also returns the
/// socket, for a process that goes on using it.
///
/// # Errors
///
/// If there is nothing, because the pool has died, or no descriptors are left.
pub(crate) fn receive_at_start() -> io::Result<(Start, Descriptor)> {
    let start = receive_start(stdin());
    let socket = stdin().try_clone_to_owned();
    // Even on an error, so that nobody else reads from the socket.
    dup2_stdin(File::open("/dev/null")?)?;
    Ok((start?, private(socket?)))
}

/// Whether the executable has rights that whoever started it does not have.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: reads a number that the system gave to this process.
    let secure = unsafe { libc::getauxval(libc::AT_SECURE) };
    secure != 0
}
