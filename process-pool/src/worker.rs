//! A worker's side: reads tasks, runs them one after another on its main thread, and answers.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::frame::{self, Decoder, Header};
use crate::memory::Watch;
use crate::page::Page;
use crate::patience::Patience;
use crate::protocol::{
    DONE, FAILED, LEAVE, PANICKED, PLACE, READY, REFUSED, Ready, SETUP, STORED, Setup, TASK,
    VERSION, split_task,
};
use crate::run::{self, Outcome};
use crate::store::{KEPT, Store};
use crate::sys::{self, Descriptor, Image, Interest, Passed, kill_own_group};
use crate::unread::Unread;
use crate::{codec, lifeline, names, report};

/// The exit status of a worker that cannot go on: `EX_SOFTWARE` of BSD's sysexits.
pub(crate) const BROKEN: i32 = 70;

const STORED_TASK: u32 = TASK | STORED;

/// A buffer for answers that has grown beyond this is given back.
const KEPT_MAX: usize = 1 << 20;

struct Worker {
    origin: Origin,
    /// The pool's process id, until a thread watches the process.
    pool: Option<u32>,
    tasks: Descriptor,
    results: Descriptor,
    page: Page,
    decoder: Decoder,
    output: Vec<u8>,
    patience: Patience,
    /// The page's bell, at the last look.
    heard: u64,
    /// The store with long parts of arguments.
    arguments: Arc<Descriptor>,
    /// The store for long parts of values.
    values: Arc<Store>,
    unread: Unread,
    /// Checks whether it has too much memory and is to leave, until it has said so.
    watch: Option<Watch>,
}

/// How a worker came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was started as a new program.
    Program,
    /// It was forked; the zygote has already agreed with the pool.
    Zygote,
}

/// Why a worker ends.
enum End {
    /// It was told to.
    Leave,
    /// The pool is gone.
    Abandoned,
    /// It does not start; the text says why.
    Refused(String),
    /// The channels do not work any more.
    Broken(String),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Broken(format!("a pipe of the worker failed: {error}"))
    }
}

/// Works until it is told to leave, and exits.
pub(crate) fn serve(passed: Passed, origin: Origin) -> ! {
    if origin == Origin::Program {
        report::install();
    }
    let mut worker = Worker::new(passed, origin);
    // It is never dropped: a task may have closed the descriptors that it would close.
    let end = match &mut worker {
        Ok(worker) => match worker.prepare() {
            Ok(()) => worker.run(),
            Err(error) => End::Broken(error),
        },
        Err(error) => End::Broken(format!("the worker could not begin: {error}")),
    };
    match end {
        End::Leave => std::process::exit(0),
        End::Abandoned => kill_own_group(),
        End::Refused(text) => complain(&text, 1),
        End::Broken(text) => complain(&text, BROKEN),
    }
}

/// Prints why the worker ends, if there is anybody to read it, and exits.
pub(crate) fn complain(text: &str, status: i32) -> ! {
    let pid = std::process::id();
    let _ = writeln!(io::stderr(), "process-pool worker {pid}: {text}");
    std::process::exit(status)
}

impl Worker {
    fn new(passed: Passed, origin: Origin) -> io::Result<Self> {
        Ok(Self {
            origin,
            pool: Some(passed.pool),
            page: Page::open(&passed.page)?,
            tasks: passed.tasks,
            results: passed.results,
            decoder: Decoder::new(),
            output: Vec::new(),
            patience: Patience::new(),
            heard: 0,
            arguments: Arc::new(passed.arguments),
            values: Arc::new(Store::open(passed.values)?),
            unread: Unread::default(),
            watch: None,
        })
    }

    fn run(&mut self) -> End {
        loop {
            let end = match self.receive() {
                Ok(()) => self.handle_all(),
                Err(end) => Err(end),
            };
            if let Err(end) = end {
                return end;
            }
        }
    }

    /// A worker that was forked ahead of time may wait for long, so it has the time to start the thread. It also
    /// needs it: if the program forks meanwhile, the pipe does not end with the pool. The worker's CPUs come too
    /// late for the thread, but it does not run as long as the pool lives.
    fn prepare(&mut self) -> Result<(), String> {
        let tasks = (&self.tasks, Some(Interest::Read));
        let is_early = self.origin == Origin::Zygote
            && !matches!(sys::wait_any([tasks], Duration::ZERO), Ok([true]));
        if is_early { self.watch_pool() } else { Ok(()) }
    }

    /// Before any user code runs. Until then the worker waits, and notices the end of the pipe.
    fn watch_pool(&mut self) -> Result<(), String> {
        Self::watch(&mut self.pool, &self.tasks)
    }

    fn watch(pool: &mut Option<u32>, tasks: &Descriptor) -> Result<(), String> {
        let Some(pool) = pool.take() else {
            return Ok(());
        };
        let started = tasks
            .try_clone()
            .and_then(|tasks| lifeline::start(pool, tasks));
        started.map_err(|error| format!("the worker could not begin: {error}"))
    }

    /// Waits for more bytes.
    fn receive(&mut self) -> Result<(), End> {
        let (page, heard) = (&self.page, self.heard);
        self.patience.look(|| page.bell() != heard);
        // Even if the bell rang: that may be for what was already read.
        self.give_back()?;
        // Before reading: a ring from now on is heard the next time, if its message is not read now.
        self.heard = self.page.bell();
        let room = self.decoder.room();
        let room = room.map_err(|error| End::Broken(error.to_string()))?;
        match sys::read(&self.tasks, room) {
            Ok(0) => Err(End::Abandoned),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// If nothing comes for long, gives back the memory of values.
    fn give_back(&mut self) -> Result<(), End> {
        while !self.unread.is_empty() || self.values.is_dirty() {
            match sys::wait_any([(&self.tasks, Some(Interest::Read))], KEPT) {
                Ok([false]) => {
                    self.unread.forget(self.page.read());
                    self.values.give_back();
                }
                Ok([true]) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn handle_all(&mut self) -> Result<(), End> {
        loop {
            match self.decoder.next() {
                Ok(Some((header, place))) => self.handle(header, place)?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(End::Broken(error.to_string())),
            }
        }
    }

    fn handle(&mut self, header: Header, place: std::ops::Range<usize>) -> Result<(), End> {
        match header.kind {
            TASK | STORED_TASK => {
                if self.page.claim(header.sequence) {
                    self.unread.forget(self.page.read());
                    let mut kind = self.run_task(place, header.kind == STORED_TASK);
                    let blocks = run::take_blocks();
                    if kind == DONE && !blocks.is_empty() {
                        self.unread.push(header.sequence, blocks);
                        kind |= STORED;
                    }
                    self.page.finish(header.sequence);
                    self.watch_memory();
                    self.send(kind, header.sequence)?;
                }
                Ok(())
            }
            SETUP => match self.set_up(place) {
                Ok(ready) => {
                    run::set_store(Arc::clone(&self.values));
                    self.begin();
                    let encoded = codec::encode(&ready, &mut self.output);
                    encoded.map_err(End::Broken)?;
                    self.send(READY, 0)?;
                    // While the pool finds a task for it.
                    self.watch_pool().map_err(End::Broken)
                }
                Err(text) => self.refuse(text),
            },
            PLACE => match self.take_place(place) {
                Ok(()) => Ok(()),
                Err(text) => self.refuse(text),
            },
            LEAVE => Err(End::Leave),
            kind => Err(End::Broken(format!("a message of the unknown kind {kind}"))),
        }
    }

    /// Tells the pool that it does not start.
    fn refuse(&mut self, text: String) -> Result<(), End> {
        self.begin();
        self.output.extend_from_slice(text.as_bytes());
        self.send(REFUSED, 0)?;
        Err(End::Refused(text))
    }

    fn take_place(&self, place: std::ops::Range<usize>) -> Result<(), String> {
        let cpus: Vec<usize> = codec::decode(self.decoder.body(place))?;
        sys::run_on(&cpus).map_err(|text| format!("it {text}"))
    }

    /// After a task: if it has too much memory, it asks to leave.
    fn watch_memory(&mut self) {
        if self.watch.as_mut().is_some_and(Watch::is_above) {
            self.page.set_full();
            self.watch = None;
        }
    }

    fn set_up(&mut self, place: std::ops::Range<usize>) -> Result<Ready, String> {
        let body = self.decoder.body(place);
        let setup = Setup::read(body)?;
        if self.origin == Origin::Program {
            agree(&setup)?;
        }
        let ours = Ready {
            version: VERSION,
            // `agree` has checked it, here or in the zygote.
            build: setup.build,
            pid: std::process::id(),
        };
        self.watch = setup.conduct.max_rss.map(Watch::new);
        if let Some(limit) = setup.conduct.memory_limit {
            let limited = sys::limit_memory(limit);
            limited.map_err(|error| format!("its memory could not be limited: {error}"))?;
        }
        if setup.conduct.nice != 0 {
            let niced = sys::change_niceness(setup.conduct.nice);
            niced.map_err(|error| format!("its niceness could not be changed: {error}"))?;
        }
        let Some(initializer) = setup.initializer else {
            return Ok(ours);
        };
        Self::watch(&mut self.pool, &self.tasks)?;
        let (call, argument) = split_task(initializer)?;
        match call.run(argument, &mut Vec::new())? {
            Outcome::Done => Ok(ours),
            Outcome::Panicked(panic) => Err(format!("the initializer {panic}")),
            Outcome::NotTravelled(text) => Err(text),
        }
    }

    /// Begins an answer.
    fn begin(&mut self) {
        self.output.clear();
        if self.output.capacity() > KEPT_MAX {
            self.output = Vec::new();
        }
        frame::begin(&mut self.output);
    }

    /// Runs a task, and puts its outcome into the answer. Returns the answer's kind.
    fn run_task(&mut self, place: std::ops::Range<usize>, is_stored: bool) -> u32 {
        self.begin();
        let source = is_stored.then_some(&self.arguments);
        let ran = split_task(self.decoder.body(place)).and_then(|(call, argument)| {
            codec::with_source(source, || call.run(argument, &mut self.output))
        });
        match ran {
            Ok(Outcome::Done) => DONE,
            Ok(Outcome::Panicked(report)) => match codec::encode(&report, &mut self.output) {
                Ok(()) => PANICKED,
                Err(text) => self.failed(&text),
            },
            Ok(Outcome::NotTravelled(text)) | Err(text) => self.failed(&text),
        }
    }

    fn failed(&mut self, text: &str) -> u32 {
        self.begin();
        self.output.extend_from_slice(text.as_bytes());
        FAILED
    }

    /// Sends the answer.
    fn send(&mut self, kind: u32, sequence: u64) -> Result<(), End> {
        let mut kind = kind;
        if frame::seal(&mut self.output, kind, sequence).is_err() {
            kind = self.failed("the result is too long for a message");
            let sealed = frame::seal(&mut self.output, kind, sequence);
            sealed.map_err(|error| End::Broken(error.to_string()))?;
        }
        let mut rest = &self.output[..];
        while !rest.is_empty() {
            match sys::write(&self.results, rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    // The pool no longer reads.
                    io::ErrorKind::BrokenPipe => return Err(End::Abandoned),
                    _ => return Err(error.into()),
                },
            }
        }
        Ok(())
    }
}

/// Checks that this executable is the right one, and takes the names of the pool's functions. Once in a process,
/// or in its zygote.
///
/// # Errors
///
/// Text that says what is wrong with it.
pub(crate) fn agree(setup: &Setup<'_>) -> Result<(), String> {
    let is_right = setup.is_elsewhere || setup.build == Image::get().build();
    if setup.version != VERSION || !is_right {
        return Err("the worker was started from another executable than the pool".to_owned());
    }
    names::agree(&setup.names, setup.is_elsewhere)
}
