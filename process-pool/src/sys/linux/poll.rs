//! Waits for many descriptors at once, and the bell that ends a wait: epoll and eventfd.

use std::io;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use rustix::io::Errno;

use super::Descriptor;
use crate::notifier::Bell;

/// The longest wait at a time: before Linux 5.11 the system counts it in milliseconds, in 32 bits. A caller
/// that waits for longer just looks again.
const LIMIT_MAX: Duration = Duration::from_secs(1_000_000);

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
}

/// A descriptor that is ready, by the number with which it was added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event(pub(crate) u64);

/// A set of descriptors to wait for. A descriptor is reported as long as it is ready.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: Descriptor,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll })
    }

    /// Adds a descriptor, until it is [removed](Self::remove).
    pub(crate) fn add(&self, fd: &Descriptor, number: u64, interest: Interest) -> io::Result<()> {
        let flags = match interest {
            Interest::Read => epoll::EventFlags::IN,
            Interest::Write => epoll::EventFlags::OUT,
        };
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(number), flags)?;
        Ok(())
    }

    /// Removes a descriptor. It must not be closed before, since a fork may keep what is behind it open,
    /// and so in the set.
    pub(crate) fn remove(&self, fd: &Descriptor) {
        // It can only fail for one that is not in the set.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something is ready, or the limit is over.
    pub(crate) fn wait(&self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        events.clear();
        let limit = limit.map(timespec);
        let mut ready = Vec::with_capacity(64);
        match epoll::wait(&self.epoll, spare_capacity(&mut ready), limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        events.extend(
            ready
                .iter()
                .map(|event: &epoll::Event| Event(event.data.u64())),
        );
        Ok(())
    }
}

fn timespec(limit: Duration) -> Timespec {
    let limit = limit.min(LIMIT_MAX);
    Timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(0),
        tv_nsec: limit.subsec_nanos().into(),
    }
}

/// Waits until one of these is ready or broken, or the limit is over; returns which are. One without an interest
/// counts only when broken.
///
/// # Errors
///
/// [`Interrupted`](io::ErrorKind::Interrupted) if the caller should retry.
pub(crate) fn wait_any<const N: usize>(
    fds: [(&Descriptor, Option<Interest>); N],
    limit: Duration,
) -> io::Result<[bool; N]> {
    let mut fds = fds.map(|(fd, interest)| {
        let flags = match interest {
            Some(Interest::Read) => PollFlags::IN,
            Some(Interest::Write) => PollFlags::OUT,
            None => PollFlags::empty(),
        };
        PollFd::new(fd, flags)
    });
    poll(&mut fds, Some(&timespec(limit)))?;
    Ok(fds.map(|fd| !fd.revents().is_empty()))
}

/// Ends the wait of the [`Poller`] to which it was added.
#[derive(Debug)]
pub(crate) struct EventFd(Descriptor);

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(event))
    }

    /// The descriptor to add to the poller.
    pub(crate) const fn fd(&self) -> &Descriptor {
        &self.0
    }
}

impl Bell for EventFd {
    fn ring(&self) {
        // It fails only if there are already more wake-ups than can be counted.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    fn silence(&self) {
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }
}
