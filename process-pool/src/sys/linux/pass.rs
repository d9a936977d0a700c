//! Handing descriptors to a worker at its start.
//!
//! A worker's descriptor 0 is one end of a pair of sockets, in which a message with the descriptors lies
//! already. Nothing is inherited by accident that way, neither by a worker nor by any process that the
//! program starts at the same moment: every descriptor closes on exec, but for the three that the
//! standard library hands over.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::Descriptor;

/// What a worker is given.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) tasks: Descriptor,
    pub(crate) results: Descriptor,
    pub(crate) page: Descriptor,
    /// Stores: to read from, and to write to.
    pub(crate) arguments: Descriptor,
    pub(crate) values: Descriptor,
    /// The pool's process.
    pub(crate) pool: u32,
}

/// Puts the descriptors into a new socket, whose other end becomes the worker's descriptor 0. The first
/// one returned must be kept until the worker has started.
pub(crate) fn pass(fds: [&Descriptor; 5]) -> io::Result<(Descriptor, Descriptor)> {
    let fds = fds.map(AsFd::as_fd);
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(5))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    if !message.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let pool = std::process::id().to_le_bytes();
    sendmsg(
        &ours,
        &[IoSlice::new(&pool)],
        &mut message,
        SendFlags::NOSIGNAL,
    )?;
    Ok((ours, theirs))
}

/// The worker's side of [`pass`].
pub(super) fn receive(socket: impl AsFd) -> io::Result<Passed> {
    let mut pool = [0; 4];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(5))];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut pool)],
        &mut message,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut fds = message.drain().filter_map(|part| match part {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let fds: Vec<OwnedFd> = fds.next().into_iter().flatten().collect();
    match <[OwnedFd; 5]>::try_from(fds) {
        Ok([tasks, results, page, arguments, values]) if received.bytes == 4 => Ok(Passed {
            tasks: private(tasks),
            results: private(results),
            page,
            arguments: private(arguments),
            values: private(values),
            pool: u32::from_le_bytes(pool),
        }),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A worker's own descriptors get numbers from here up, where there are so many: out of the way of loops
/// over the first hundred, and of programs that expect the lowest numbers to be free.
const PRIVATE: [i32; 3] = [512, 128, 32];

/// The same behind another number, out of the way of tasks.
pub(crate) fn private(fd: Descriptor) -> Descriptor {
    let mut above = PRIVATE.into_iter();
    let moved = above.find_map(|number| fcntl_dupfd_cloexec(&fd, number).ok());
    moved.unwrap_or(fd)
}
