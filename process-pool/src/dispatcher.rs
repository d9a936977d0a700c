//! The pool's thread: it reads answers, notices deaths, starts workers, keeps deadlines, and writes
//! what did not fit into a pipe at once.
//!
//! A submitter writes its task to an idle worker itself, so this thread is not on the way to a
//! worker, only on the way back. It never waits for a single worker: every read and write is
//! non-blocking, and it never writes without also reading, since a worker that is sending a large result
//! takes no task.
//!
//! Results are decoded on this thread, and callbacks and wakers run on it. If one of these waits for a task
//! of the same pool, that is an error, since nobody would read the answer.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use future_result::Completer;
use future_result::sync::now;

use crate::codec;
use crate::core::Core;
use crate::frame::{Decoder, Header};
use crate::job::Job;
use crate::patience::Patience;
use crate::protocol::{DONE, FAILED, PANICKED, READY, REFUSED, Ready, STORED, VERSION};
use crate::state::{Ended, State, Step, Why};
use crate::store::KEPT;
use crate::sys::{Event, Image};
use crate::system::{System, Wait};
use crate::token::{self, Source};

const STORED_DONE: u32 = DONE | STORED;

/// How many times in a row one worker is read from before the others have their turn.
const READS: usize = 16;
/// After so many rounds without a sleep, this thread checks whether to start a worker ahead of time: that costs a
/// moment, but less than to wait for the next worker.
const SPARE_EACH: u32 = 16;
/// How many times at most once it is dead: more than fits into a pipe, unless somebody still writes.
const LAST_READS: usize = 4096;

pub(crate) struct Dispatcher<S: System> {
    core: Arc<Core<S>>,
    inboxes: BTreeMap<u64, Inbox<S>>,
    patience: Patience,
    /// Rounds in a row in which there was something to do at once.
    busy: u32,
    /// Workers buried but not cleared away, which can wait until others have begun.
    remains: Vec<Remains<S>>,
}

/// What the pool still has of a dead worker.
struct Remains<S: System> {
    id: u64,
    _process: Option<S::Process>,
    _inbox: Option<Inbox<S>>,
}

/// What comes from one worker.
struct Inbox<S: System> {
    results: S::Results,
    decoder: Decoder,
    /// Whether there may be more to read.
    is_open: bool,
}

/// Whether to go on reading.
#[derive(PartialEq, Eq)]
enum Flow {
    More,
    /// Something came, and there is no more for the moment.
    Last,
    /// There is nothing for the moment.
    Dry,
    /// There will never be anything again.
    End,
}

impl<S: System> Dispatcher<S> {
    /// Starts the first worker, so that an error of the system is reported at once.
    pub(crate) fn new(core: Arc<Core<S>>) -> io::Result<Self> {
        let mut this = Self {
            core,
            inboxes: BTreeMap::new(),
            patience: Patience::new(),
            busy: 0,
            remains: Vec::new(),
        };
        this.spawn()?;
        Ok(this)
    }

    /// Runs until the pool is closed and drained, then completes `terminated`.
    pub(crate) fn run(mut self, terminated: Completer<()>) {
        let id = self.core.id;
        id.enter_alone(|| {
            if catch_unwind(AssertUnwindSafe(|| self.run_until_end())).is_err() {
                // No panic of user code gets here. Whatever it was, nobody must wait forever.
                self.give_up();
            }
        });
        drop(self);
        let _unwanted = terminated.complete(());
    }

    fn run_until_end(&mut self) {
        let mut events = Vec::new();
        while let Some(deadline) = self.turn() {
            if self.wait(&mut events, deadline).is_err() {
                return self.give_up();
            }
            for Event(token) in events.drain(..) {
                self.handle(token);
            }
        }
    }

    /// Waits until something comes or the deadline is reached: looks for a moment, then sleeps.
    fn wait(&mut self, events: &mut Vec<Event>, deadline: Option<Instant>) -> io::Result<()> {
        self.clear_away();
        let system = &self.core.system;
        let mut failed = Ok(());
        let is_there = || {
            failed = system.wait(events, Wait::Look);
            failed.is_err() || !events.is_empty()
        };
        if self.patience.look(is_there) {
            self.busy += 1;
            if self.busy == SPARE_EACH {
                self.busy = 0;
                self.keep_spare();
            }
            return failed;
        }
        self.busy = 0;
        // As far as this thread knows, nobody waits for it now.
        self.keep_spare();
        let arguments = system.arguments();
        if arguments.is_dirty() {
            let kept_until = now().checked_add(KEPT);
            if kept_until.is_some_and(|until| deadline.is_none_or(|at| at > until)) {
                system.wait(events, Wait::Until(kept_until))?;
                if events.is_empty() {
                    arguments.give_back();
                }
                return Ok(());
            }
        }
        system.wait(events, Wait::Until(deadline))
    }

    fn keep_spare(&self) {
        let spare = self.core.with(|state, _| state.spare());
        self.core.system.keep_spare(spare);
    }

    /// Does what is due. Returns until when to wait at most; `None` if there is nothing to wait for.
    fn turn(&mut self) -> Option<Option<Instant>> {
        let core = Arc::clone(&self.core);
        loop {
            let cancels = core.notifier.take_cancels();
            match core.with(|state, ended| state.turn(&core.system, cancels, ended)) {
                Step::Spawn => {
                    if self.spawn().is_err() {
                        core.with(State::not_added);
                    }
                }
                Step::Wait(deadline) => return Some(deadline),
                Step::End => return None,
            }
        }
    }

    fn spawn(&mut self) -> io::Result<()> {
        let core = Arc::clone(&self.core);
        if !core.system.has_spare() {
            // The dead may hold descriptors that are needed now.
            self.clear_away();
        }
        let id = core.with(|state, _| state.next_worker());
        let (process, results) = core.system.spawn(id)?;
        let inbox = Inbox {
            results,
            decoder: Decoder::new(),
            is_open: true,
        };
        self.inboxes.insert(id, inbox);
        let system = &core.system;
        let place = |index| system.place(index);
        core.with(|state, _| state.add(system, process, place, system.setup()));
        Ok(())
    }

    fn handle(&mut self, token: u64) {
        if token == token::NOTIFIER {
            return self.core.notifier.reset();
        }
        let (id, source) = token::split(token);
        match source {
            Source::Tasks => self
                .core
                .with(|state, _| state.flush(&self.core.system, id)),
            Source::Results => self.receive(id, READS, false),
            Source::Process => {
                self.receive(id, LAST_READS, true);
                self.bury(id);
            }
        }
    }

    fn bury(&mut self, id: u64) {
        let inbox = self.inboxes.remove(&id);
        if let Some(inbox) = &inbox
            && inbox.is_open
        {
            self.core.system.unwatch_results(&inbox.results);
        }
        let bury = |state: &mut State<S::Process>, ended: &mut Ended| {
            state.bury(&self.core.system, id, ended)
        };
        self.remains.push(Remains {
            id,
            _process: self.core.with(bury),
            _inbox: inbox,
        });
    }

    fn clear_away(&mut self) {
        for Remains { id, .. } in self.remains.drain(..) {
            self.core.system.buried(id);
        }
    }

    /// Reads what a worker wrote; all of it if it is dead.
    fn receive(&mut self, id: u64, reads: usize, is_dead: bool) {
        let core = Arc::clone(&self.core);
        // Another event of the same round may have removed it.
        let Some(inbox) = self.inboxes.get_mut(&id) else {
            return;
        };
        for _ in 0..reads {
            if !inbox.is_open {
                return;
            }
            let why = match inbox.read_once(&core.system) {
                Ok(Flow::Dry) => return,
                Ok(flow @ (Flow::More | Flow::Last)) => match inbox.handle_all(&core, id) {
                    Ok(()) if flow == Flow::Last && !is_dead => return,
                    Ok(()) => continue,
                    Err(complaint) => Why::Complaint(complaint),
                },
                Ok(Flow::End) => Why::Silent,
                Err(complaint) => Why::Complaint(complaint),
            };
            inbox.is_open = false;
            core.system.unwatch_results(&inbox.results);
            core.with(|state, _| state.condemn(id, why));
        }
    }

    /// Ends everything at once, because the thread cannot go on.
    fn give_up(&mut self) {
        let core = Arc::clone(&self.core);
        core.with(|state, ended| state.kill(&core.system, ended));
        for (id, inbox) in std::mem::take(&mut self.inboxes) {
            let process = core.with(|state, ended| {
                state.await_end(id);
                state.bury(&core.system, id, ended)
            });
            self.remains.push(Remains {
                id,
                _process: process,
                _inbox: Some(inbox),
            });
        }
    }
}

impl<S: System> Drop for Dispatcher<S> {
    /// No worker outlives it, even if its thread could not be started, or could not even give up.
    fn drop(&mut self) {
        if !self.inboxes.is_empty() {
            self.give_up();
        }
        self.clear_away();
        self.core.system.end();
    }
}

impl<S: System> Inbox<S> {
    /// Reads once.
    ///
    /// # Errors
    ///
    /// What to complain about.
    fn read_once(&mut self, system: &S) -> Result<Flow, String> {
        let room = self.decoder.room().map_err(|error| error.to_string())?;
        let free = room.capacity() - room.len();
        match system.read(&self.results, room) {
            Ok(0) => Ok(Flow::End),
            // That emptied the pipe. The poller reports what has come since.
            Ok(read) if read < free => Ok(Flow::Last),
            Ok(_) => Ok(Flow::More),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => Ok(Flow::More),
                io::ErrorKind::WouldBlock => Ok(Flow::Dry),
                _ => Err(format!("it could not be read from: {error}")),
            },
        }
    }

    /// Handles all messages that are there: first what concerns the pool, so that the worker has
    /// its next task, then the results, which may keep user code busy for a while.
    ///
    /// # Errors
    ///
    /// What to complain about.
    fn handle_all(&mut self, core: &Core<S>, id: u64) -> Result<(), String> {
        let mut messages = Vec::new();
        let broken = loop {
            match self.decoder.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        if messages.is_empty() && broken.is_none() {
            return Ok(());
        }
        let mut answers = Vec::new();
        let handled = core.with(|state, ended| {
            let handled = self.handle_under_lock(core, state, id, messages, &mut answers);
            state.progressed(id, u32::try_from(answers.len()).unwrap_or(u32::MAX));
            // This worker first: its cache is warm.
            state.fill(&core.system, id, ended);
            state.dispatch(&core.system, ended);
            handled
        });
        for (job, header, body) in answers {
            let body = self.decoder.body(body);
            let is_stored = header.kind & STORED != 0;
            let source = is_stored.then(|| core.system.values(&self.results));
            codec::with_source(source, || job.answer(header.kind & !STORED, body));
            if is_stored {
                core.system.has_read(&self.results, header.sequence);
            }
        }
        match broken {
            Some(complaint) => handled.and(Err(complaint)),
            None => handled,
        }
    }

    fn handle_under_lock(
        &self,
        core: &Core<S>,
        state: &mut State<S::Process>,
        id: u64,
        messages: Vec<(Header, Range<usize>)>,
        answers: &mut Vec<(Job, Header, Range<usize>)>,
    ) -> Result<(), String> {
        for (header, body) in messages {
            match header.kind {
                DONE | STORED_DONE | PANICKED | FAILED => {
                    let job = state.answered(&core.system, id, header.sequence);
                    let job = job.ok_or("it answered a task that it did not have")?;
                    answers.push((job, header, body));
                }
                READY => {
                    let ready: Ready = codec::decode(self.decoder.body(body))?;
                    if (ready.version, ready.build) != (VERSION, Image::get().build()) {
                        return Err("it was started from another executable".to_owned());
                    }
                    state.ready(id);
                }
                // It printed why, and exits by itself.
                REFUSED => {}
                kind => return Err(format!("it sent a message of the unknown kind {kind}")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(not(any(pool_loom, pool_sim)))]
mod tests;
