//! Registering sockets and fetching events, where the poller is an epoll instance.
//!
//! The poller's own wait takes five system calls, to set its timer and its notification anew. So this waits on the
//! instance itself, and leaves only notifications to the poller. It also asks to hear whether the peer has sent its
//! last byte.
#![expect(
    unsafe_code,
    reason = "has the same contract where the system is another"
)]

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use polling::{Events, Poller};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Ready;

/// At most this many are fetched at a time.
const MOST: usize = 1024;
/// How the poller marks its own events.
const POLLERS_OWN: u64 = usize::MAX as u64;

/// Fetched events.
pub(super) struct Fetched {
    ours: Vec<epoll::Event>,
    pollers: Events,
}

/// Watches a socket, for both directions and in edge mode.
///
/// # Safety
///
/// The poller deletes it before it is closed.
pub(super) unsafe fn enter(poller: &Poller, socket: BorrowedFd<'_>, key: usize) -> io::Result<()> {
    let flags =
        EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::PRI | EventFlags::ET;
    Ok(epoll::add(
        poller,
        socket,
        EventData::new_u64(key as u64),
        flags,
    )?)
}

impl Fetched {
    pub(super) fn new() -> Self {
        Self {
            ours: Vec::with_capacity(MOST),
            pollers: Events::new(),
        }
    }

    /// Waits until there is an event, somebody notifies the poller, or the time is over.
    pub(super) fn fetch(&mut self, poller: &Poller, timeout: Option<Duration>) {
        self.ours.clear();
        self.pollers.clear();
        let until = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        // An error is a signal, or permanent; either way, whoever waits looks again.
        if timeout.is_some_and(|timeout| !timeout.is_zero()) {
            // Its own timeout is in milliseconds, that of poll in nanoseconds.
            let _ = poll(&mut [PollFd::new(poller, PollFlags::IN)], until.as_ref());
        }
        let at_once = timeout.map(|_| Timespec::default());
        let _ = epoll::wait(poller, spare_capacity(&mut self.ours), at_once.as_ref());
        let is_pollers_own = |event: &epoll::Event| {
            let data = event.data;
            data.u64() == POLLERS_OWN
        };
        if self.ours.iter().any(is_pollers_own) {
            // Reported once, until the poller has seen it.
            let _ = poller.wait(&mut self.pollers, Some(Duration::ZERO));
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Ready> {
        let ours = self.ours.iter().map(|event| {
            let (data, flags) = (event.data, event.flags);
            let is = |which| flags.intersects(which);
            let is_over = is(EventFlags::HUP | EventFlags::ERR);
            let is_odd = is_over || is(EventFlags::RDHUP | EventFlags::PRI);
            Ready {
                // The poller's own event belongs to no socket.
                key: data.u64() as usize,
                readable: is_odd || is(EventFlags::IN),
                writable: is_over || is(EventFlags::OUT),
                is_plain: !is_odd,
            }
        });
        ours.chain(self.pollers.iter().map(Ready::told_by_poller))
    }
}
