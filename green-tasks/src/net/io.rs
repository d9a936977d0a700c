//! What all sockets have in common: try, and wait if that would block.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use future_result::sync::now;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;
use rustix::net::{AddressFamily, SocketType};
#[cfg(not(target_vendor = "apple"))]
use rustix::net::{SocketFlags, socket_with};

use crate::reactor::{Interest, Source, block};
use crate::scheduler::{Ends, Rest, Scheduler, current};
use crate::time::{Alarm, Armed, sleep};

/// How long an accept waits that found no descriptor left.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(5);

/// How long async code waits before it tries again, where nobody reports room.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(1);

/// A socket that does not block its thread.
pub struct Io<T> {
    source: Source<T>,
    /// Whether the system reports when writing is worth another try.
    tells_room: bool,
    /// Whether reads accept connections, which need a descriptor each.
    accepts: bool,
    /// Until when async code does not try, after it found none left.
    shortage: Cell<Option<Instant>>,
    pub(super) read_limit: Cell<Option<Duration>>,
    pub(super) write_limit: Cell<Option<Duration>>,
}

impl<T: AsFd> Io<T> {
    /// Wraps a socket, and makes it nonblocking.
    pub(super) fn new(socket: T) -> io::Result<Self> {
        ioctl_fionbio(&socket, true)?;
        Ok(Self {
            source: Source::new(socket),
            tells_room: true,
            accepts: false,
            shortage: Cell::new(None),
            read_limit: Cell::new(None),
            write_limit: Cell::new(None),
        })
    }

    /// Like [`new`](Self::new), for a listener.
    pub(super) fn listening(socket: T) -> io::Result<Self> {
        Ok(Self {
            accepts: true,
            ..Self::new(socket)?
        })
    }

    /// Like [`new`](Self::new), for a socket that may send to another address each time. To the system it is then
    /// always writable, whether the other end has room or not, and a failed attempt is an event.
    pub(super) fn unaware_of_room(socket: T) -> io::Result<Self> {
        Ok(Self {
            tells_room: false,
            ..Self::new(socket)?
        })
    }

    pub(super) fn socket(&self) -> &T {
        self.source.socket()
    }

    /// The socket, made blocking again.
    pub(super) fn into_inner(self) -> io::Result<T> {
        let socket = self.source.into_inner();
        ioctl_fionbio(&socket, false)?;
        Ok(socket)
    }

    pub(super) fn read<R>(
        &self,
        at: &'static Location<'static>,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let limit = self.read_limit.get();
        self.repeat(Interest::Read, at, limit, operation)
    }

    /// Like [`read`](Self::read), from a TCP stream into buffers with room for `len` bytes. On other streams a
    /// short read means nothing: on Unix sockets, a read also ends where descriptors were sent along.
    pub(super) fn read_tcp(
        &self,
        at: &'static Location<'static>,
        len: usize,
        operation: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let read = self.read(at, operation)?;
        if 0 < read
            && read < len
            && let Some(scheduler) = current::get()
        {
            self.source.note_short_read(&scheduler);
        }
        Ok(read)
    }

    /// Like [`read`](Self::read), from a listener. Without a descriptor or memory for it, a connection stays
    /// queued, and each accept fails at once: a caller that just tried again would do nothing else. So the error
    /// comes only after a short wait, in which others may release something.
    pub(super) fn accept<R>(
        &self,
        at: &'static Location<'static>,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let accepted = self.read(at, operation);
        let may_wait = || current::get().is_none_or(|scheduler| !scheduler.current().is_pinned());
        if accepted.as_ref().is_err_and(is_shortage) && may_wait() {
            sleep(SHORTAGE_PAUSE);
        }
        accepted
    }

    pub(super) fn write<R>(
        &self,
        at: &'static Location<'static>,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let limit = self.write_limit.get();
        self.repeat(Interest::Write, at, limit, operation)
    }

    /// Tries; if that would block, the context's waker is woken when it is worth trying again. As in
    /// [`accept`](Self::accept), a lack of descriptors is reported only after a short wait and one more attempt.
    pub(super) fn poll<R>(
        &self,
        interest: Interest,
        context: &mut Context<'_>,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let Some(scheduler) = current::get() else {
            return Poll::Ready(Err(io::Error::other(
                "polled outside of a runtime of green tasks, where nobody looks at the socket; \
                 await it in `Runtime::block_on`, `spawn_future` or `await_future` of green-tasks",
            )));
        };
        if !scheduler.may_use_io() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let left = self.shortage.take().map(|until| {
            // By another run's clock it may be more.
            let left = until.saturating_duration_since(scheduler.timers.now());
            left.min(SHORTAGE_PAUSE)
        });
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            return self.pause(&scheduler, left, context);
        }
        // The reactor needs descriptors, too.
        let attempt = scheduler.reactor().map(|reactor| {
            let looks = reactor.looks();
            (reactor, looks, retry(|| operation(self.socket())))
        });
        let error = match &attempt {
            Ok((.., result)) => result.as_ref().err(),
            Err(error) => Some(error),
        };
        if self.accepts && left.is_none() && error.is_some_and(is_shortage) {
            return self.pause(&scheduler, SHORTAGE_PAUSE, context);
        }
        let (reactor, looks, result) = attempt?;
        if !would_block(&result) {
            return Poll::Ready(result);
        }
        if interest == Interest::Write && !self.tells_room && is_writable(self.socket().as_fd()) {
            let waker = context.waker().clone();
            scheduler.timers.ring(NO_ROOM_PAUSE, Alarm::Poll(waker));
            return Poll::Pending;
        }
        self.source.arm(reactor, interest, context.waker())?;
        if reactor.looks() != looks {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Makes the accepting code poll again after some time.
    fn pause<R>(
        &self,
        scheduler: &Scheduler,
        left: Duration,
        context: &Context<'_>,
    ) -> Poll<io::Result<R>> {
        self.shortage.set(scheduler.timers.after(left));
        let waker = context.waker().clone();
        scheduler.timers.ring(left, Alarm::Poll(waker));
        Poll::Pending
    }

    fn repeat<R>(
        &self,
        interest: Interest,
        at: &'static Location<'static>,
        limit: Option<Duration>,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let scheduler = current::get();
        if let Some(scheduler) = &scheduler {
            scheduler.spend_io();
        }
        let is_drained = |scheduler: &Rc<Scheduler>| {
            // A task that must not wait tries, since data may have come that nobody has reported yet.
            let may_wait = !scheduler.current().is_pinned();
            self.source.is_drained(scheduler) && may_wait
        };
        if interest == Interest::Write || !scheduler.as_ref().is_some_and(is_drained) {
            let first = retry(|| operation(self.socket()));
            if !would_block(&first) {
                return first;
            }
        }
        let Some(scheduler) = scheduler else {
            let deadline = limit.and_then(|limit| now().checked_add(limit));
            loop {
                block(self.socket().as_fd(), interest, deadline)?;
                let result = retry(|| operation(self.socket()));
                if !would_block(&result) {
                    return result;
                }
                if deadline.is_some_and(|deadline| now() >= deadline) {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        };
        let task = scheduler.current();
        let alarm = limit
            .and_then(|limit| scheduler.timers.after(limit))
            .map(|at| scheduler.timers.arm(at, Alarm::Wake(Rc::clone(&task))));
        let is_over = || alarm.as_ref().is_some_and(Armed::is_over);
        let rest = Rest {
            what: match interest {
                Interest::Read => &"waits to read from a socket",
                Interest::Write => &"waits to write to a socket",
            },
            at: Some(at),
            ends: Ends::Elsewhere,
        };
        loop {
            self.source.wait(&scheduler, interest, rest, is_over)?;
            let result = retry(|| operation(self.socket()));
            if !would_block(&result) {
                return result;
            }
            if is_over() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Waits until the socket may be writable, in any case.
    pub(super) fn wait_writable(&self, at: &'static Location<'static>) -> io::Result<()> {
        let mut has_waited = false;
        self.write(at, |_| {
            if std::mem::replace(&mut has_waited, true) {
                Ok(())
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            }
        })
    }
}

/// Whether it is for lack of something that others may release.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| shortages.contains(&error))
}

/// Whether the system calls the socket writable.
fn is_writable(socket: BorrowedFd<'_>) -> bool {
    let mut socket = [PollFd::from_borrowed_fd(socket, PollFlags::OUT)];
    poll(&mut socket, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

fn would_block<R>(result: &io::Result<R>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Io<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket().fmt(f)
    }
}

/// Repeats what a signal interrupted.
fn retry<R>(mut operation: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Repeats what would block, where the system does not report when it no longer would, or reports it wrongly at
/// once. The pauses grow to some milliseconds.
#[track_caller]
pub(super) fn insist<R>(mut operation: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    let mut pause = Duration::from_micros(100);
    loop {
        let result = retry(&mut operation);
        if !would_block(&result) {
            return result;
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// A limit as std's sockets take it: none, or more than zero.
pub(super) fn check_limit(limit: Option<Duration>) -> io::Result<Option<Duration>> {
    if limit == Some(Duration::ZERO) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a time limit of zero would never let anything happen",
        ));
    }
    Ok(limit)
}

/// An unconnected socket, which child processes do not inherit.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn new_socket(family: AddressFamily, kind: SocketType) -> io::Result<OwnedFd> {
    // Atomically: another thread may start a program at any moment.
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
}

/// An unconnected socket, which child processes started later do not inherit.
#[cfg(target_vendor = "apple")]
pub(super) fn new_socket(family: AddressFamily, kind: SocketType) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket(family, kind, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}
