//! Waiting for many descriptors at once, and being woken from it: epoll and eventfd.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use future_result::sync::atomic::{AtomicBool, Ordering};
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

/// The longest wait at a time: before Linux 5.11 the system counts it in milliseconds, in 32 bits. Whoever
/// waits for longer looks again then.
const LIMIT_MAX: Duration = Duration::from_secs(1_000_000);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
}

/// A descriptor that is ready, by the number that it was added with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event(pub(crate) u64);

/// A set of descriptors to wait for. A descriptor is reported as long as it is ready.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll })
    }

    /// Adds a descriptor, which leaves by [`remove`](Self::remove).
    pub(crate) fn add(&self, fd: impl AsFd, number: u64, interest: Interest) -> io::Result<()> {
        let flags = match interest {
            Interest::Read => epoll::EventFlags::IN,
            Interest::Write => epoll::EventFlags::OUT,
        };
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(number), flags)?;
        Ok(())
    }

    /// Takes a descriptor out. A descriptor must not be closed before, since a process that was forked
    /// off may keep what is behind it open, and in the set.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        // It can only fail for one that is not there.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something is ready, or for so long.
    pub(crate) fn wait(&self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        events.clear();
        let limit = limit.map(|limit| {
            let limit = limit.min(LIMIT_MAX);
            Timespec {
                tv_sec: limit.as_secs().try_into().unwrap_or(0),
                tv_nsec: limit.subsec_nanos().into(),
            }
        });
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

/// Wakes the thread that waits in a [`Poller`].
#[derive(Debug)]
pub(crate) struct Notifier {
    event: OwnedFd,
    /// Somebody wants a task to stop that is running.
    cancels: AtomicBool,
}

impl Notifier {
    pub(crate) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            event,
            cancels: AtomicBool::new(false),
        })
    }

    /// What to add to the poller.
    pub(crate) fn fd(&self) -> impl AsFd + '_ {
        self.event.as_fd()
    }

    pub(crate) fn notify(&self) {
        // It fails only if there are more wake-ups already than can be counted.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    /// Takes the wake-ups back. To be called before looking at what they are for.
    pub(crate) fn reset(&self) {
        let _ = rustix::io::read(&self.event, &mut [0_u8; 8]);
    }

    /// As [`notify`](Self::notify), about a task that is to stop.
    pub(crate) fn notify_cancel(&self) {
        // ORDERING: Release pairs with the Acquire in `take_cancels`.
        self.cancels.store(true, Ordering::Release);
        self.notify();
    }

    /// Whether somebody has cancelled since the last call.
    pub(crate) fn take_cancels(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `notify_cancel`: the cancelling is seen after it.
        self.cancels.swap(false, Ordering::Acquire)
    }
}
