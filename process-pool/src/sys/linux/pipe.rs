//! Pipes, and reading and writing them.

use std::io::{self, IoSlice};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::stdio::stderr;

use super::Descriptor;

/// The size to request for pipes, in bytes: it measured fastest.
const PIPE_SIZE: usize = 256 * 1024;

/// A new pipe: its reading end and its writing end.
pub(crate) fn pipe() -> io::Result<(Descriptor, Descriptor)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}

/// From now on reading from this end, or writing to it, fails instead of waiting.
pub(crate) fn never_wait(end: &Descriptor) -> io::Result<()> {
    Ok(ioctl_fionbio(end, true)?)
}

/// Makes room for more in a pipe. Best effort: an ordinary user may only have so many pages in pipes.
pub(crate) fn widen(end: &Descriptor) {
    let _ = fcntl_setpipe_size(end, PIPE_SIZE);
}

/// Appends to `room` what is there, without growing it; returns the number of bytes. 0 is the end.
pub(crate) fn read(end: &Descriptor, room: &mut Vec<u8>) -> io::Result<usize> {
    Ok(rustix::io::read(end, spare_capacity(room))?)
}

/// Writes as much of `bytes` as it can; returns the number of bytes.
pub(crate) fn write(end: &Descriptor, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(end, bytes)?)
}

/// Writes as much of the `pieces` as it can, in order; returns the number of bytes.
pub(crate) fn write_pieces(end: &Descriptor, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(rustix::io::writev(end, pieces)?)
}

/// Writes all to the present standard error. If that is closed or broken, nobody misses anything.
pub(crate) fn write_to_stderr(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(stderr(), bytes) {
            Ok(0) => return,
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut fds = [PollFd::from_borrowed_fd(stderr(), PollFlags::OUT)];
                let _ = poll(&mut fds, None);
            }
            Err(_) => return,
        }
    }
}
