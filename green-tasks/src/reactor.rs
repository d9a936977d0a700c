//! Waiting for sockets: one poller for all sockets of a scheduler's tasks.
//!
//! A socket is registered once, when it first has to be waited for, in edge mode: the poller reports when it
//! becomes ready, and a task's wait needs no system call of its own. A task tries first, and waits only after the
//! attempt would have blocked. If the socket becomes ready after that, this thread has yet to see the event, since
//! only this thread looks: so no event is missed, and nothing need be remembered. An event for which nobody waits
//! is useless, as whoever comes later tries first.
//!
//! Async code waits through a waker; the same entry holds one for each direction of a socket. Such code too tries
//! first, and is woken by the same events, once. Cloning, waking and dropping a waker runs anybody's code. If that
//! lets others run, so that this thread looks at events after the attempt and before the waker is stored, the
//! number of [looks](Reactor::looks) has changed, and the attempt is repeated.
//!
//! # Short reads
//!
//! A stream that returned fewer bytes than there was room for was empty then, and what comes later is an event. So
//! after a short read a task need not try: it waits at once, unless there was an event since (`is_drained`). Not so
//! after the end, an error, or an urgent byte, where a read stops: these may have come before the read, together
//! with bytes, and cause no further event. But each event reports all that is true by then. So a short read means
//! something only if the last event reported nothing but bytes; where the system does not report that much, it
//! never does.
//!
//! # Sockets that travel
//!
//! A socket may move to another thread, so it holds nothing that belongs to one: of a [`Registration`], the poller
//! and the list of gone keys are shared, and the rest is a number. A task that waits on a thread where the socket
//! is not registered registers it there, which takes it out where it was. It cannot move while a task waits for it,
//! since that task borrows it. Taking it out deletes it from the poller, on any thread and before the socket is
//! closed, and notes that its key is gone; the key becomes free when the reactor's own thread has read that. So an
//! event fetched before still finds the old entry, where nobody waits.
#![expect(unsafe_code, reason = "lends sockets to the poller")]

#[cfg_attr(
    any(target_os = "linux", target_os = "android"),
    path = "reactor/epoll.rs"
)]
mod fetch;

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use future_result::contain;
use future_result::sync::Mutex;
use polling::{Event, Events, Poller};

use self::fetch::{Fetched, enter};
use crate::scheduler::{Rest, Scheduler};
use crate::sync::WaitQueue;

/// The sockets that a scheduler's tasks wait for.
pub(crate) struct Reactor {
    shared: Arc<Shared>,
    /// By key; and the free keys.
    entries: RefCell<Vec<Option<Rc<Entry>>>>,
    free: RefCell<Vec<usize>>,
    /// Taken out while it is being filled.
    events: Cell<Option<Fetched>>,
    /// How many tasks wait.
    waiting: Cell<usize>,
    /// How many wakers there are.
    armed: Cell<usize>,
    /// How many times events have been fetched.
    looks: Cell<u64>,
}

/// What sockets on other threads need, too.
struct Shared {
    poller: Arc<Poller>,
    /// The keys of sockets that were taken out.
    gone: Mutex<Vec<usize>>,
}

/// Who waits for a socket.
#[derive(Default)]
struct Entry {
    read: Side,
    write: Side,
    /// A read was short, and no event came since.
    is_drained: Cell<bool>,
    /// The last event was not plain.
    is_odd: Cell<bool>,
}

/// What an event says of a socket.
struct Ready {
    key: usize,
    readable: bool,
    writable: bool,
    /// Only bytes in order, and more may come: no end, no error, no urgent byte.
    is_plain: bool,
}

impl Ready {
    /// The poller does not report everything.
    fn told_by_poller(event: Event) -> Self {
        Self {
            key: event.key,
            readable: event.readable,
            writable: event.writable,
            is_plain: false,
        }
    }
}

/// Who waits for one direction of a socket.
#[derive(Default)]
struct Side {
    tasks: WaitQueue,
    /// Counted by the reactor. The last one given.
    waker: RefCell<Option<Waker>>,
}

impl Entry {
    fn side(&self, interest: Interest) -> &Side {
        match interest {
            Interest::Read => &self.read,
            Interest::Write => &self.write,
        }
    }
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
            shared: Arc::new(Shared {
                poller: Arc::new(poller),
                gone: Mutex::new(Vec::new()),
            }),
            entries: RefCell::default(),
            free: RefCell::default(),
            events: Cell::new(Some(Fetched::new())),
            waiting: Cell::new(0),
            armed: Cell::new(0),
            looks: Cell::new(0),
        })
    }

    /// Lets others wake a scheduler that waits here.
    pub(crate) fn poller(&self) -> Arc<Poller> {
        Arc::clone(&self.shared.poller)
    }

    /// Whether anybody waits.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waiting.get() + self.armed.get() > 0
    }

    /// Whether a waker waits; nobody knows whom it wakes.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.get() > 0
    }

    /// How many times events have been fetched. While that is the same, nobody has missed one.
    pub(crate) fn looks(&self) -> u64 {
        self.looks.get()
    }

    /// Wakes those whose sockets have become ready. Does not wait. Calls wakers.
    pub(crate) fn look(&self) {
        self.poll(Some(Duration::ZERO));
    }

    /// Waits for a socket, or until the deadline, or until somebody notifies the poller. Calls wakers.
    pub(crate) fn wait(&self, deadline: Option<Instant>) {
        let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        self.poll(timeout);
    }

    fn poll(&self, timeout: Option<Duration>) {
        let Some(mut events) = self.events.take() else {
            return;
        };
        events.fetch(&self.shared.poller, timeout);
        self.looks.set(self.looks.get() + 1);
        for event in events.iter() {
            let entry = self.entries.borrow().get(event.key).cloned().flatten();
            if let Some(entry) = entry {
                entry.is_odd.set(!event.is_plain);
                if event.readable {
                    entry.is_drained.set(false);
                    self.tell(&entry.read);
                }
                if event.writable {
                    self.tell(&entry.write);
                }
            }
        }
        self.events.set(Some(events));
    }

    fn tell(&self, side: &Side) {
        side.tasks.grant_all();
        if let Some(waker) = self.disarm(side) {
            contain(|| waker.wake());
        }
    }

    fn disarm(&self, side: &Side) -> Option<Waker> {
        let waker = side.waker.take()?;
        self.armed.set(self.armed.get() - 1);
        Some(waker)
    }

    /// Stores a waker, and drops the former one.
    fn arm(&self, side: &Side, waker: &Waker) {
        let is_there = |there: &Waker| there.will_wake(waker);
        if side.waker.borrow().as_ref().is_some_and(is_there) {
            return;
        }
        let waker = waker.clone();
        let before = side.waker.replace(Some(waker));
        if before.is_none() {
            self.armed.set(self.armed.get() + 1);
        }
        drop(before);
    }

    /// Drops the wakers of sockets that were taken out, so that they no longer count.
    pub(crate) fn drop_wakers(&self) {
        if self.is_armed() {
            self.forget_gone();
        }
    }

    /// Registers a socket.
    ///
    /// # Safety
    ///
    /// The result is dropped before the socket is closed.
    unsafe fn enter(&self, socket: BorrowedFd<'_>) -> io::Result<Registration> {
        let key = self.free.borrow_mut().pop();
        let key = key.unwrap_or_else(|| {
            let mut entries = self.entries.borrow_mut();
            entries.push(None);
            entries.len() - 1
        });
        // SAFETY: dropping the registration deletes it, which the caller promises to be before the socket is
        // closed.
        let entered = unsafe { enter(&self.shared.poller, socket, key) };
        if let Err(error) = entered {
            self.free.borrow_mut().push(key);
            return Err(error);
        }
        self.entries.borrow_mut()[key] = Some(Rc::default());
        Ok(Registration {
            shared: Arc::clone(&self.shared),
            key,
            socket: socket.as_raw_fd(),
        })
    }

    /// Frees the keys of sockets that were taken out. Drops wakers.
    fn forget_gone(&self) {
        let gone = std::mem::take(&mut *self.shared.gone.lock());
        for key in gone {
            let entry = self.entries.borrow_mut()[key].take();
            self.free.borrow_mut().push(key);
            // Code that is handling an event may hold the entry, and must not wake anybody by it later.
            if let Some(entry) = entry {
                for side in [&entry.read, &entry.write] {
                    let waker = self.disarm(side);
                    contain(|| drop(waker));
                }
            }
        }
    }

    /// The entry of a socket, if this reactor has it.
    fn find(&self, registration: &Registration) -> Option<Rc<Entry>> {
        if !Arc::ptr_eq(&registration.shared, &self.shared) {
            return None;
        }
        self.entries.borrow().get(registration.key)?.clone()
    }
}

/// A socket's registration in a reactor. May be dropped on any thread.
struct Registration {
    shared: Arc<Shared>,
    key: usize,
    socket: RawFd,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: still open, as `Reactor::enter` demands.
        let socket = unsafe { BorrowedFd::borrow_raw(self.socket) };
        // If that fails, the poller has forgotten the socket already.
        let _ = self.shared.poller.delete(socket);
        self.shared.gone.lock().push(self.key);
    }
}

/// A nonblocking socket, and its registration where it was last waited for.
pub(crate) struct Source<T> {
    /// Before the socket, so that it is dropped first.
    registration: RefCell<Option<Registration>>,
    socket: T,
}

impl<T: AsFd> Source<T> {
    /// Wraps a socket that was set to be nonblocking.
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
        let reactor = scheduler.reactor()?;
        let entry = self.register(reactor)?;
        let _waits = Waits::new(reactor);
        let tasks = &entry.side(interest).tasks;
        tasks.wait_unless(scheduler, rest, || (), is_over);
        Ok(())
    }

    /// Wakes the waker, once, when the socket may have become ready for what is wanted; replaces the former waker.
    pub(crate) fn arm(
        &self,
        reactor: &Reactor,
        interest: Interest,
        waker: &Waker,
    ) -> io::Result<()> {
        let entry = self.register(reactor)?;
        reactor.arm(entry.side(interest), waker);
        Ok(())
    }

    /// Whether nothing is known to have come since a short read.
    pub(crate) fn is_drained(&self, scheduler: &Scheduler) -> bool {
        let entry = scheduler
            .reactor_if_any()
            .and_then(|reactor| self.entry(reactor));
        entry.is_some_and(|entry| entry.is_drained.get())
    }

    /// A stream returned fewer bytes than there was room for. Nothing else has happened since.
    pub(crate) fn note_short_read(&self, scheduler: &Scheduler) {
        let entry = scheduler
            .reactor_if_any()
            .and_then(|reactor| self.entry(reactor));
        if let Some(entry) = entry {
            entry.is_drained.set(!entry.is_odd.get());
        }
    }

    fn entry(&self, reactor: &Reactor) -> Option<Rc<Entry>> {
        reactor.find(self.registration.borrow().as_ref()?)
    }

    fn register(&self, reactor: &Reactor) -> io::Result<Rc<Entry>> {
        if let Some(entry) = self.entry(reactor) {
            return Ok(entry);
        }
        // Before any borrow: this drops wakers, which may even use this very socket.
        reactor.forget_gone();
        if let Some(entry) = self.entry(reactor) {
            return Ok(entry);
        }
        let mut place = self.registration.borrow_mut();
        // It belongs to another thread, or to an earlier runtime.
        *place = None;
        // SAFETY: the registration is only in `place`: it is dropped before the socket, which nobody can take out
        // before.
        let registration = unsafe { reactor.enter(self.socket.as_fd()) }?;
        reactor
            .find(place.insert(registration))
            .ok_or_else(|| io::ErrorKind::Other.into())
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

/// Blocks the calling thread until the socket is ready, or the deadline: for waits outside of a runtime.
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

#[cfg(all(test, not(any(pool_loom, pool_sim))))]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use crate::net::{UnixDatagram, UnixStream};
    use crate::scheduler::current;

    #[test]
    fn the_keys_of_sockets_that_are_dropped_anywhere_are_used_again() {
        let ran = crate::Runtime::new().run(|| {
            for round in 0..20 {
                let (mut here, there) = UnixStream::pair().unwrap();
                let limit = Duration::from_micros(1);
                here.set_read_timeout(Some(limit)).unwrap();
                assert!(here.read(&mut [0]).is_err());
                if round % 2 == 0 {
                    let other = std::thread::spawn(move || drop(here));
                    other.join().unwrap();
                } else {
                    drop((here, there));
                }
            }
            let scheduler = current::get().unwrap();
            scheduler.reactor().unwrap().entries.borrow().len()
        });
        assert_eq!(ran.unwrap(), 1);
    }

    /// To the system, an unconnected socket can always send: it says so after each attempt.
    #[test]
    fn whoever_waits_for_a_full_receiver_does_not_keep_the_sockets_busy() {
        let path = std::env::temp_dir().join(format!("green-full-{}", std::process::id()));
        let looks = crate::Runtime::new().run(|| {
            let receiver = UnixDatagram::bind(&path).unwrap();
            let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
            let sender = UnixDatagram::from_std(sender).unwrap();
            let limit = Duration::from_millis(20);
            let sending = || {
                crate::timeout(limit, || {
                    loop {
                        sender.send_to(b"one more", &path).unwrap();
                    }
                })
            };
            assert_eq!(sending(), Err(crate::Elapsed));
            drop(receiver);
            let scheduler = current::get().unwrap();
            scheduler.reactor().unwrap().looks()
        });
        std::fs::remove_file(&path).unwrap();
        let looks = looks.unwrap();
        assert!(looks < 100, "{looks}");
    }
}
