//! Pairs of sockets that keep messages apart, and also carry descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::buffer::spare_capacity;
use rustix::cmsg_space;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, sendmsg, socketpair,
};

use super::Descriptor;

/// How many descriptors a message can carry.
const FDS_MAX: usize = 6;

/// The longest message, in bytes. The rest of a longer one is lost.
pub(crate) const MESSAGE_MAX: usize = 4096;

pub(crate) fn socket_pair() -> io::Result<(Descriptor, Descriptor)> {
    let (first, second) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok((first, second))
}

/// Sends a message without waiting for room, with some descriptors, which stay open here.
///
/// # Errors
///
/// If there is no room, nobody at the other end, or too many descriptors on their way for the system.
pub(crate) fn send(socket: &Descriptor, bytes: &[u8], fds: &[&Descriptor]) -> io::Result<()> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    send_with(socket, bytes, fds, flags)
}

/// Like [`send`], but waits for room.
pub(crate) fn send_and_wait(socket: &Descriptor, bytes: &[u8]) -> io::Result<()> {
    loop {
        match send_with(socket, bytes, &[], SendFlags::NOSIGNAL) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            sent => return sent,
        }
    }
}

fn send_with(
    socket: &Descriptor,
    bytes: &[u8],
    fds: &[&Descriptor],
    flags: SendFlags,
) -> io::Result<()> {
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FDS_MAX))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !message.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut message, flags)?;
    Ok(())
}

/// Waits for a message of exactly this many bytes, and the descriptors that come with it.
/// They close on exec.
///
/// # Errors
///
/// If nobody is at the other end any more, the message has another length, or there are no descriptors left.
pub(super) fn receive_exactly(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<Vec<Descriptor>> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FDS_MAX))];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    let expected = bytes.len();
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(bytes)],
        &mut message,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let fds = message.drain().filter_map(|part| match part {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let fds = fds.flatten().collect();
    if received.bytes != expected {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(fds)
}

/// Replaces `bytes` with a message without descriptors, without waiting. It is empty if
/// nobody is at the other end any more.
///
/// # Errors
///
/// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none.
pub(crate) fn receive(socket: &Descriptor, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.clear();
    bytes.reserve(MESSAGE_MAX);
    recv(socket, spare_capacity(bytes), RecvFlags::DONTWAIT)?;
    Ok(())
}
