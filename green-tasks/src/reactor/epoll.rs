//! Entering sockets and fetching events, where the poller is an epoll instance.
//!
//! The poller's own wait is five calls of the system, to set its timer and its notification anew. So this waits
//! at the instance itself, and leaves to the poller its notifications. And it asks to be told, along with
//! what can be read, whether that is the last.
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

/// As many are fetched at a time.
const MOST: usize = 1024;
/// By which the poller knows its own events.
const POLLERS_OWN: u64 = usize::MAX as u64;

/// Events that have been fetched.
pub(super) struct Fetched {
    ours: Vec<epoll::Event>,
    pollers: Events,
}

/// Has a socket looked after, for both directions and in edge mode.
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

    /// Waits until there is an event, or somebody notifies the poller, or the time is over.
    pub(super) fn fetch(&mut self, poller: &Poller, timeout: Option<Duration>) {
        self.ours.clear();
        self.pollers.clear();
        let until = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        // An error is a signal, or lasts; either way, whoever waits looks again.
        if timeout.is_some_and(|timeout| !timeout.is_zero()) {
            // The instance counts milliseconds, and can itself be waited for.
            let _ = poll(&mut [PollFd::new(poller, PollFlags::IN)], until.as_ref());
        }
        let at_once = timeout.map(|_| Timespec::default());
        let _ = epoll::wait(poller, spare_capacity(&mut self.ours), at_once.as_ref());
        let is_pollers_own = |event: &epoll::Event| {
            let data = event.data;
            data.u64() == POLLERS_OWN
        };
        if self.ours.iter().any(is_pollers_own) {
            // It is told once, until the poller has seen it.
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
                // The poller's own is nobody's.
                key: data.u64() as usize,
                readable: is_odd || is(EventFlags::IN),
                writable: is_over || is(EventFlags::OUT),
                is_plain: !is_odd,
            }
        });
        ours.chain(self.pollers.iter().map(Ready::told_by_poller))
    }
}
