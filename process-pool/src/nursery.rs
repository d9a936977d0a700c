//! A pool's zygote, as the pool holds it: how it is asked for workers, listened to, killed and reaped. The pool's
//! thread never waits for it.
//!
//! A worker that was asked for has all its pipes at once, so the pool writes the first messages into them without
//! waiting for the process. How far that has come is its [`Birth`]:
//!
//! | it is | since | the pool |
//! |---|---|---|
//! | expected | the request | counts it as a worker that starts |
//! | born | its own message, or the zygote's, with its process id | watches its end, like any worker's |
//! | never to be | the zygote's end, or its message that it cannot | buries it, like a worker that died |
//!
//! To kill an expected worker, the pool kills the zygote: only if the pool itself is killed, or something is
//! broken. The next worker then gets another zygote.
//!
//! # Why none is lost
//!
//! Zygote and worker both report the worker's process id. The worker stays in the zygote's process group until it has
//! reported it, or the pool has it from the zygote. So whoever is killed, and whenever, the pool has the id, or finds
//! the worker in the group when it buries the zygote. If a worker ends before it has said a word, the zygote reports
//! it, and its end is noticed like any other.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use future_result::sync::{Mutex, MutexGuard};

use crate::child::{self, Plan};
use crate::codec;
use crate::forwarder::Forwarder;
use crate::output::Output;
use crate::protocol::Word;
use crate::sys::{self, Descriptor, Event, Exit, Interest, Poller, ProcessHandle};
use crate::token::{self, Source, ZYGOTE, ZYGOTE_END, ZYGOTES};

/// How long to wait at a time for a zygote's message.
const WAIT: Duration = Duration::from_secs(3600);

/// A worker's process: born, expected, or never to be.
#[derive(Debug, Default)]
pub(crate) struct Birth {
    /// The number of the request for it, if it was asked for.
    request: u64,
    outcome: OnceLock<Outcome>,
}

#[derive(Debug)]
enum Outcome {
    Born(ProcessHandle),
    Never { is_blameless: bool },
}

impl Birth {
    /// For a process that is there.
    pub(crate) fn of(process: ProcessHandle) -> Self {
        let this = Self::default();
        this.decide(Outcome::Born(process));
        this
    }

    /// The process, if it is there.
    pub(crate) fn process(&self) -> Option<&ProcessHandle> {
        match self.outcome.get() {
            Some(Outcome::Born(process)) => Some(process),
            _ => None,
        }
    }

    /// Whether it has ended, or is never to be.
    pub(crate) fn has_ended(&self) -> bool {
        match self.outcome.get() {
            Some(Outcome::Born(process)) => process.has_ended(),
            Some(Outcome::Never { .. }) => true,
            None => false,
        }
    }

    /// See [`Process::is_blameless`](crate::state::Process::is_blameless).
    pub(crate) fn is_blameless(&self) -> bool {
        matches!(
            self.outcome.get(),
            Some(Outcome::Never { is_blameless: true })
        )
    }

    fn decide(&self, outcome: Outcome) {
        // Set only once: whoever decides has taken it out of the list of expected ones.
        let _ = self.outcome.set(outcome);
    }
}

#[derive(Debug)]
pub(crate) struct Nursery {
    plan: Arc<Plan>,
    poller: Arc<Poller>,
    forwarder: Arc<Mutex<Option<Forwarder>>>,
    /// The first message to a zygote.
    setup: Descriptor,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    zygote: Option<Arc<Zygote>>,
    /// The number of the next zygote.
    next: u64,
    /// How many workers were asked for.
    requests: u64,
    /// By the numbers of the requests: a worker's number is reused if the first one came to nothing.
    expected: BTreeMap<u64, Expected>,
    /// Requests that came to nothing, with the worker's number, of which the pool does not know yet.
    lost: Vec<(u64, u64)>,
    /// What the zygote has reported of itself.
    verdict: Option<Result<(), String>>,
}

#[derive(Debug)]
struct Expected {
    worker: u64,
    birth: Arc<Birth>,
    /// It is to be killed once it is there.
    is_doomed: bool,
}

#[derive(Debug)]
struct Zygote {
    number: u64,
    process: ProcessHandle,
    socket: Descriptor,
    output: Arc<Output>,
}

impl Nursery {
    /// `setup` is the first message to a zygote, complete.
    pub(crate) fn new(
        plan: Arc<Plan>,
        poller: Arc<Poller>,
        forwarder: Arc<Mutex<Option<Forwarder>>>,
        setup: &[u8],
    ) -> io::Result<Self> {
        let file = sys::create_memory(setup.len() as u64)?;
        let mut written = 0;
        while let Some(rest) = setup.get(written..)
            && !rest.is_empty()
        {
            written += sys::write_at(&file, rest, written as u64)?;
        }
        Ok(Self {
            plan,
            poller,
            forwarder,
            setup: file,
            inner: Mutex::default(),
        })
    }

    /// Starts a zygote, and waits until it has preloaded.
    ///
    /// # Errors
    ///
    /// Text that says why it did not.
    pub(crate) fn preload(&self) -> Result<(), String> {
        let mut inner = self.inner.lock();
        let zygote = self.start(&mut inner);
        let zygote = zygote.map_err(|error| format!("it cannot be started: {error}"))?;
        loop {
            let has_ended = self.listen(&mut inner, &zygote);
            if let Some(verdict) = inner.verdict.take() {
                return verdict;
            }
            if has_ended {
                let exit = self.bury(&mut inner);
                let how = match exit {
                    Some(Exit::Code(code)) => format!("with status {code}"),
                    Some(Exit::Signal { signal, .. }) => format!("by signal {signal}"),
                    _ => "in an unknown way".to_owned(),
                };
                return Err(match zygote.output.last_words().as_str() {
                    "" => format!("its process ended in it, {how}"),
                    printed => format!("its process ended in it, {how}; it printed: {printed}"),
                });
            }
            let fds = [
                (&zygote.socket, Some(Interest::Read)),
                (zygote.process.fd(), Some(Interest::Read)),
            ];
            match sys::wait_any(fds, WAIT) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(error.to_string());
                }
                _ => {}
            }
        }
    }

    /// Asks for the worker with this number, and passes it these descriptors. Starts a zygote first if there
    /// is none.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or asked. Nothing is left behind then.
    pub(crate) fn ask_for(&self, worker: u64, fds: [&Descriptor; 6]) -> io::Result<Arc<Birth>> {
        let mut inner = self.inner.lock();
        let zygote = match &inner.zygote {
            Some(zygote) => Arc::clone(zygote),
            None => self.start(&mut inner)?,
        };
        let request = inner.requests;
        sys::ask_for(&zygote.socket, request, fds)?;
        inner.requests += 1;
        let birth = Arc::new(Birth {
            request,
            outcome: OnceLock::new(),
        });
        let expected = Expected {
            worker,
            birth: Arc::clone(&birth),
            is_doomed: false,
        };
        inner.expected.insert(request, expected);
        Ok(birth)
    }

    /// Whether there is one to ask without starting it.
    pub(crate) fn has_zygote(&self) -> bool {
        self.inner.lock().zygote.is_some()
    }

    fn start(&self, inner: &mut MutexGuard<'_, Inner>) -> io::Result<Arc<Zygote>> {
        let setup = sys::read_only(&self.setup)?;
        let (socket, theirs) = sys::pass(&[&setup])?;
        let (output, printer) = Output::new()?;
        let process = child::launch(&self.plan, theirs, printer)?;
        let number = ZYGOTES + inner.next;
        inner.next += 1;
        let zygote = Arc::new(Zygote {
            number,
            process,
            socket,
            output: Arc::new(output),
        });
        inner.verdict = None;
        if let Err(error) = self.watch(&zygote) {
            self.put_down(&zygote);
            return Err(error);
        }
        inner.zygote = Some(Arc::clone(&zygote));
        Ok(zygote)
    }

    fn watch(&self, zygote: &Zygote) -> io::Result<()> {
        self.poller.add(&zygote.socket, ZYGOTE, Interest::Read)?;
        let process = zygote.process.fd();
        self.poller.add(process, ZYGOTE_END, Interest::Read)?;
        match &*self.forwarder.lock() {
            Some(forwarder) => forwarder.add(zygote.number, Arc::clone(&zygote.output)),
            None => Ok(()),
        }
    }

    /// Kills a zygote, with all that has not left its group, and forgets it. Returns how it ended.
    fn put_down(&self, zygote: &Zygote) -> Exit {
        zygote.process.kill();
        zygote.process.await_end();
        let exit = zygote.process.reap_group();
        self.poller.remove(&zygote.socket);
        self.poller.remove(zygote.process.fd());
        if let Some(forwarder) = &*self.forwarder.lock() {
            forwarder.bury(zygote.number);
        }
        exit
    }

    /// Handles the zygote's events, and replaces them by the ends of workers that result from them.
    pub(crate) fn attend(&self, events: &mut Vec<Event>) {
        let (mut speaks, mut has_ended) = (false, false);
        events.retain(|&Event(token)| {
            speaks |= token == ZYGOTE;
            has_ended |= token == ZYGOTE_END;
            token != ZYGOTE && token != ZYGOTE_END
        });
        if speaks || has_ended {
            let mut inner = self.inner.lock();
            if let Some(zygote) = inner.zygote.clone()
                && (self.listen(&mut inner, &zygote) || has_ended)
            {
                self.bury(&mut inner);
            }
        }
        self.tell_lost(events);
    }

    /// Adds the ends of workers that are never to be. Returns whether there are any.
    pub(crate) fn tell_lost(&self, events: &mut Vec<Event>) -> bool {
        let lost = std::mem::take(&mut self.inner.lock().lost);
        let ends = lost
            .iter()
            .map(|&(_, worker)| Event(token::new(worker, Source::Process)));
        events.extend(ends);
        !lost.is_empty()
    }

    /// Takes the messages of the zygote and its workers. Returns whether there will never be more.
    fn listen(&self, inner: &mut MutexGuard<'_, Inner>, zygote: &Zygote) -> bool {
        let mut bytes = Vec::new();
        loop {
            match sys::receive(&zygote.socket, &mut bytes) {
                Ok(()) if bytes.is_empty() => return true,
                Ok(()) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    kind => return kind != io::ErrorKind::WouldBlock,
                },
            }
            match codec::decode(&bytes) {
                Ok(Word::Ready) => inner.verdict = Some(Ok(())),
                Ok(Word::Refused(text)) => inner.verdict = Some(Err(text)),
                Ok(Word::Born { id, pid }) => {
                    if let Some(expected) = inner.expected.remove(&id) {
                        let is_born = self.welcome(pid, &expected);
                        inner
                            .lost
                            .extend((!is_born).then_some((id, expected.worker)));
                    }
                }
                Ok(Word::Unborn { id, .. }) => {
                    if let Some(expected) = inner.expected.remove(&id) {
                        let is_blameless = false;
                        expected.birth.decide(Outcome::Never { is_blameless });
                        inner.lost.push((id, expected.worker));
                    }
                }
                // Not a message of ours.
                Err(_) => return true,
            }
        }
    }

    /// A worker is there. False if it is already gone.
    fn welcome(&self, pid: u32, expected: &Expected) -> bool {
        let process = match ProcessHandle::adopt(pid) {
            Ok(Some(process)) => process,
            // It has ended, one way or another.
            Ok(None) | Err(_) => {
                let is_blameless = false;
                expected.birth.decide(Outcome::Never { is_blameless });
                return false;
            }
        };
        let token = token::new(expected.worker, Source::Process);
        let is_watched = self.poller.add(process.fd(), token, Interest::Read).is_ok();
        if expected.is_doomed || !is_watched {
            process.kill();
        }
        if !is_watched {
            process.await_end();
        }
        expected.birth.decide(Outcome::Born(process));
        is_watched
    }

    /// The zygote has ended, or has to. Its expected workers are never to be, and one of them is to blame.
    fn bury(&self, inner: &mut MutexGuard<'_, Inner>) -> Option<Exit> {
        let zygote = inner.zygote.take()?;
        zygote.process.kill();
        zygote.process.await_end();
        // Whatever came before, and messages of workers that have left its group.
        self.listen(inner, &zygote);
        let exit = self.put_down(&zygote);
        let expected = std::mem::take(&mut inner.expected);
        for (index, (request, expected)) in expected.into_iter().enumerate() {
            let is_blameless = index > 0;
            expected.birth.decide(Outcome::Never { is_blameless });
            inner.lost.push((request, expected.worker));
        }
        Some(exit)
    }

    /// Kills an expected worker by killing the zygote; one that is there by now, directly.
    pub(crate) fn kill(&self, birth: &Birth) {
        let mut inner = self.inner.lock();
        if let Some(expected) = inner.expected.get_mut(&birth.request) {
            expected.is_doomed = true;
            if let Some(zygote) = &inner.zygote {
                zygote.process.kill();
            }
        } else if let Some(process) = birth.process() {
            process.kill();
        }
    }

    /// Waits until a worker that was killed while it was expected has ended, or is never to be. The pool is not told
    /// again.
    pub(crate) fn await_end(&self, birth: &Birth) {
        let mut inner = self.inner.lock();
        if inner.expected.contains_key(&birth.request) {
            self.bury(&mut inner);
        }
        inner.lost.retain(|&(request, _)| request != birth.request);
        drop(inner);
        if let Some(process) = birth.process() {
            process.await_end();
        }
    }

    /// Ends the zygote.
    pub(crate) fn end(&self) {
        self.bury(&mut self.inner.lock());
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
#[cfg(not(any(pool_loom, pool_sim)))]
mod tests;
