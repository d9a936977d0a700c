//! Registering sockets and fetching events, through the poller alone.
#![expect(unsafe_code, reason = "lends sockets to the poller")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use polling::{Event, Events, PollMode, Poller};

use super::Ready;

/// Fetched events.
pub(super) struct Fetched(Events);

/// Watches a socket, for both directions and in edge mode.
///
/// # Safety
///
/// The poller deletes it before it is closed.
pub(super) unsafe fn enter(poller: &Poller, socket: BorrowedFd<'_>, key: usize) -> io::Result<()> {
    // SAFETY: passed on to the caller.
    unsafe { poller.add_with_mode(socket.as_raw_fd(), Event::all(key), PollMode::Edge) }
}

impl Fetched {
    pub(super) fn new() -> Self {
        Self(Events::new())
    }

    /// Waits until there is an event, somebody notifies the poller, or the time is over.
    pub(super) fn fetch(&mut self, poller: &Poller, timeout: Option<Duration>) {
        self.0.clear();
        // An error is a signal, or permanent; either way, whoever waits looks again.
        let _ = poller.wait(&mut self.0, timeout);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Ready> {
        self.0.iter().map(Ready::told_by_poller)
    }
}
