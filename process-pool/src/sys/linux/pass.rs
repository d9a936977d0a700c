//! Hands descriptors to a worker at its start.
//!
//! A worker's descriptor 0 is one end of a pair of sockets, in which a message with the descriptors is
//! already waiting. So nothing is inherited by accident, neither by a worker nor by any process that the
//! program starts at the same moment: every descriptor closes on exec, except the three that the
//! standard library hands over.

use std::io;
use std::os::fd::AsFd;

use rustix::io::fcntl_dupfd_cloexec;

use super::Descriptor;
use super::socket::{receive_exactly, send, socket_pair};

/// What a worker is given.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) tasks: Descriptor,
    pub(crate) results: Descriptor,
    pub(crate) page: Descriptor,
    /// The stores to read from and to write to.
    pub(crate) arguments: Descriptor,
    pub(crate) values: Descriptor,
    /// The pool's process.
    pub(crate) pool: u32,
}

/// What a new process becomes, with what it is passed.
#[derive(Debug)]
pub(crate) enum Start {
    Worker(Passed),
    /// A process that is forked into workers. It keeps the socket.
    Zygote {
        /// A file with the first message.
        setup: Descriptor,
        /// The pool's process.
        pool: u32,
    },
}

/// A request for a forked worker.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) passed: Passed,
    /// Where it prints to.
    pub(crate) printer: Descriptor,
}

/// Puts the descriptors into a new socket, whose other end becomes the process's descriptor 0. The first
/// end returned must be kept until the process has started.
pub(crate) fn pass(fds: &[&Descriptor]) -> io::Result<(Descriptor, Descriptor)> {
    let (ours, theirs) = socket_pair()?;
    send(&ours, &std::process::id().to_le_bytes(), fds)?;
    Ok((ours, theirs))
}

/// The new process's side of [`pass`].
pub(super) fn receive_start(socket: impl AsFd) -> io::Result<Start> {
    let mut pool = [0; 4];
    let fds = receive_exactly(socket, &mut pool)?;
    let pool = u32::from_le_bytes(pool);
    match <[Descriptor; 1]>::try_from(fds) {
        Ok([setup]) => Ok(Start::Zygote { setup, pool }),
        Err(fds) => Ok(Start::Worker(Passed::new(fds, pool)?)),
    }
}

/// Asks a zygote for a worker, with the number `id` of this request. The descriptors are those that a worker is
/// passed, and where it prints to.
///
/// # Errors
///
/// If it cannot be asked without waiting.
pub(crate) fn ask_for(socket: &Descriptor, id: u64, fds: [&Descriptor; 6]) -> io::Result<()> {
    send(socket, &id.to_le_bytes(), &fds)
}

/// The zygote's side of [`ask_for`]; waits for a request. `pool` is the pool's process.
pub(crate) fn receive_request(socket: &Descriptor, pool: u32) -> io::Result<Request> {
    let mut id = [0; 8];
    let mut fds = receive_exactly(socket, &mut id)?;
    let printer = fds.pop().ok_or(io::ErrorKind::InvalidData)?;
    Ok(Request {
        id: u64::from_le_bytes(id),
        passed: Passed::new(fds, pool)?,
        printer,
    })
}

impl Passed {
    fn new(fds: Vec<Descriptor>, pool: u32) -> io::Result<Self> {
        let fds = <[Descriptor; 5]>::try_from(fds);
        let [tasks, results, page, arguments, values] =
            fds.map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(Self {
            tasks,
            results,
            page,
            arguments,
            values,
            pool,
        })
    }

    /// Moves the descriptors to other numbers, out of the way of tasks.
    pub(crate) fn into_private(self) -> Self {
        Self {
            tasks: private(self.tasks),
            results: private(self.results),
            arguments: private(self.arguments),
            values: private(self.values),
            // It is closed as soon as it is mapped.
            page: self.page,
            pool: self.pool,
        }
    }
}

/// A worker's own descriptors get numbers from here up, if the limit allows: out of the way of loops
/// over the first hundred, and of programs that expect the lowest numbers to be free.
const PRIVATE: [i32; 3] = [512, 128, 32];

/// The same descriptor with another number, out of the way of tasks.
pub(crate) fn private(fd: Descriptor) -> Descriptor {
    let mut above = PRIVATE.into_iter();
    let moved = above.find_map(|number| fcntl_dupfd_cloexec(&fd, number).ok());
    moved.unwrap_or(fd)
}
