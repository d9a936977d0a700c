//! Waiting for sockets: one poller for all that a scheduler's tasks wait for.
//!
//! A socket is entered once, when it first has to be waited for, in edge mode: the poller tells when it
//! becomes ready, and nothing is asked of the kernel for each wait. A task tries first, and waits
//! only after it was told that it would block. Whatever becomes ready after that is an event that this
//! thread has not looked at yet, since it alone looks: so no event is missed, and there is nothing to
//! remember. An event for which nobody waits is of no use, as whoever comes later tries first.
#![expect(unsafe_code, reason = "lends sockets to the poller")]

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use polling::{Event, Events, PollMode, Poller};

use crate::scheduler::{Rest, Scheduler};
use crate::sync::WaitQueue;

/// The sockets that tasks of a scheduler wait for.
pub(crate) struct Reactor {
    poller: Arc<Poller>,
    /// By their keys; and those of them that are free.
    entries: RefCell<Vec<Option<Rc<Entry>>>>,
    free: RefCell<Vec<usize>>,
    /// Taken out while it is being filled.
    events: Cell<Option<Events>>,
    /// How many tasks wait.
    waiting: Cell<usize>,
}

/// Who waits for a socket.
struct Entry {
    key: usize,
    readers: WaitQueue,
    writers: WaitQueue,
}

/// What a task wants to do with a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
}

impl Reactor {
    pub(crate) fn new() -> io::Result<Self> {
        let poller = Poller::new()?;
        if !poller.supports_edge() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "waiting for sockets needs epoll or kqueue, which this system does not have",
            ));
        }
        Ok(Self {
            poller: Arc::new(poller),
            entries: RefCell::default(),
            free: RefCell::default(),
            events: Cell::new(Some(Events::new())),
            waiting: Cell::new(0),
        })
    }

    /// By which others can wake a scheduler that waits here.
    pub(crate) fn poller(&self) -> Arc<Poller> {
        Arc::clone(&self.poller)
    }

    /// Wakes those whose sockets have become ready. Does not wait.
    pub(crate) fn look(&self) {
        if self.waiting.get() > 0 {
            self.poll(Some(Duration::ZERO));
        }
    }

    /// Waits for a socket, or until the deadline, or until somebody notifies the poller.
    pub(crate) fn wait(&self, deadline: Option<Instant>) {
        let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        self.poll(timeout);
    }

    fn poll(&self, timeout: Option<Duration>) {
        let Some(mut events) = self.events.take() else {
            return;
        };
        // An error is a signal, or lasts; either way, whoever waits looks again.
        let _ = self.poller.wait(&mut events, timeout);
        for event in events.iter() {
            let entry = self.entries.borrow().get(event.key).cloned().flatten();
            if let Some(entry) = entry {
                if event.readable {
                    entry.readers.grant_all();
                }
                if event.writable {
                    entry.writers.grant_all();
                }
            }
        }
        events.clear();
        self.events.set(Some(events));
    }

    /// Enters a socket.
    ///
    /// # Safety
    ///
    /// The result is dropped before the socket is closed.
    unsafe fn enter(self: &Rc<Self>, socket: BorrowedFd<'_>) -> io::Result<Registration> {
        let key = self.free.borrow_mut().pop();
        let key = key.unwrap_or_else(|| {
            let mut entries = self.entries.borrow_mut();
            entries.push(None);
            entries.len() - 1
        });
        // SAFETY: it is deleted when the registration is dropped, which is before the socket is closed,
        // says the caller.
        let added = unsafe {
            self.poller
                .add_with_mode(socket.as_raw_fd(), Event::all(key), PollMode::Edge)
        };
        if let Err(error) = added {
            self.free.borrow_mut().push(key);
            return Err(error);
        }
        let entry = Rc::new(Entry {
            key,
            readers: WaitQueue::new(),
            writers: WaitQueue::new(),
        });
        self.entries.borrow_mut()[key] = Some(Rc::clone(&entry));
        Ok(Registration {
            reactor: Rc::clone(self),
            entry,
            socket: socket.as_raw_fd(),
        })
    }
}

/// A socket's entry in a reactor.
struct Registration {
    reactor: Rc<Reactor>,
    entry: Rc<Entry>,
    socket: RawFd,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: still open, as `Reactor::enter` demands.
        let socket = unsafe { BorrowedFd::borrow_raw(self.socket) };
        // If it fails, the poller has forgotten the socket already.
        let _ = self.reactor.poller.delete(socket);
        let entry = self.reactor.entries.borrow_mut()[self.entry.key].take();
        self.reactor.free.borrow_mut().push(self.entry.key);
        drop(entry);
    }
}

/// A socket that does not block, and its entry in the reactor of whoever waited for it last.
pub(crate) struct Source<T> {
    /// Before the socket, so that it is dropped first.
    registration: RefCell<Option<Rc<Registration>>>,
    socket: T,
}

impl<T: AsFd> Source<T> {
    /// Takes a socket that has been set to not block.
    pub(crate) fn new(socket: T) -> Self {
        Self {
            registration: RefCell::new(None),
            socket,
        }
    }

    pub(crate) fn socket(&self) -> &T {
        &self.socket
    }

    pub(crate) fn into_inner(self) -> T {
        let Self {
            registration,
            socket,
        } = self;
        drop(registration);
        socket
    }

    /// Waits until the socket may have become ready for what is wanted, or until `is_over`.
    pub(crate) fn wait(
        &self,
        scheduler: &Scheduler,
        interest: Interest,
        rest: Rest,
        is_over: impl Fn() -> bool,
    ) -> io::Result<()> {
        let registration = self.register(scheduler)?;
        let queue = match interest {
            Interest::Read => &registration.entry.readers,
            Interest::Write => &registration.entry.writers,
        };
        let _waits = Waits::new(&registration.reactor);
        queue.wait_unless(scheduler, rest, || (), is_over);
        Ok(())
    }

    fn register(&self, scheduler: &Scheduler) -> io::Result<Rc<Registration>> {
        let reactor = scheduler.reactor()?;
        let mut place = self.registration.borrow_mut();
        if let Some(there) = &*place
            && Rc::ptr_eq(&there.reactor, reactor)
        {
            return Ok(Rc::clone(there));
        }
        // Of an earlier runtime.
        *place = None;
        // SAFETY: the registration is in `place` and in waits of `&self`: it is dropped before the
        // socket, which nobody can take out before.
        let registration = Rc::new(unsafe { reactor.enter(self.socket.as_fd()) }?);
        Ok(Rc::clone(place.insert(registration)))
    }
}

/// A task that waits for a socket.
struct Waits<'a>(&'a Reactor);

impl<'a> Waits<'a> {
    fn new(reactor: &'a Reactor) -> Self {
        reactor.waiting.set(reactor.waiting.get() + 1);
        Self(reactor)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

/// Blocks the calling thread until the socket is ready, or the deadline: how code waits outside of a
/// runtime.
pub(crate) fn block(
    socket: BorrowedFd<'_>,
    interest: Interest,
    deadline: Option<Instant>,
) -> io::Result<()> {
    let poller = Poller::new()?;
    let event = match interest {
        Interest::Read => Event::readable(0),
        Interest::Write => Event::writable(0),
    };
    // SAFETY: it is deleted below, while it is borrowed.
    unsafe { poller.add(socket.as_raw_fd(), event) }?;
    let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    let waited = poller.wait(&mut Events::new(), timeout);
    poller.delete(socket)?;
    waited.map(|_| ())
}
