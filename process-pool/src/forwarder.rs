//! A thread that writes what workers print to the standard error of the pool's process.
//!
//! It may have to wait there for the reader, and then workers that print wait too, as
//! they would without it. But the pool's thread does not: it reads the rest of a dead worker's output
//! [itself](Output::last_words), and leaves it here to be forwarded.
//!
//! A process that a worker started may live on with its pipe, if it has left the worker's process group. It is
//! listened to until it ends, even after the pool's end.
//!
//! While nothing is printed, the thread sleeps.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use future_result::sync::{Mutex, now, thread};
use future_result::{FutureResult, JoinHandle, pair};

use crate::notifier::Bell;
use crate::output::{Flow, Output};
use crate::sys::{Event, EventFd, Interest, Poller, block_sigpipe, write_to_stderr};
use crate::token::NOTIFIER;

/// How long the beginning of a line waits for the rest.
const HOLD: Duration = Duration::from_millis(50);
/// How many dead workers' pipes are kept at most, while somebody else has them or nobody reads what is
/// forwarded. The oldest are closed.
const DEAD_MAX: usize = 64;
/// How long the end of the pool waits for the last lines to be forwarded, if nobody reads them.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pool's hold on the thread.
pub(crate) struct Forwarder {
    shared: Arc<Shared>,
    /// Completes when all that the workers printed is forwarded, with whether the thread then ends.
    is_dry: Option<JoinHandle<bool>>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared {
    poller: Poller,
    bell: EventFd,
    outputs: Mutex<Outputs>,
}

#[derive(Default)]
struct Outputs {
    /// By the numbers of the workers.
    all: BTreeMap<u64, Arc<Output>>,
    /// The numbers of dead workers.
    dead: VecDeque<u64>,
    /// No more workers will come.
    is_closed: bool,
}

impl Forwarder {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared {
            poller: Poller::new()?,
            bell: EventFd::new()?,
            outputs: Mutex::new(Outputs::default()),
        });
        let bell = shared.bell.fd();
        shared.poller.add(bell, NOTIFIER, Interest::Read)?;
        let (completer, is_dry) = pair();
        let theirs = Arc::clone(&shared);
        let builder = thread::Builder::new().name("process-pool stderr".to_owned());
        let thread = builder.spawn(move || {
            block_sigpipe();
            let mut completer = Some(completer);
            theirs.run(|ends| {
                if let Some(completer) = completer.take() {
                    let _unwanted = completer.complete(ends);
                }
            });
        })?;
        Ok(Self {
            shared,
            is_dry: Some(is_dry),
            thread: Some(thread),
        })
    }

    /// Forwards what this worker prints from now on.
    pub(crate) fn add(&self, number: u64, output: Arc<Output>) -> io::Result<()> {
        let mut outputs = self.shared.outputs.lock();
        self.shared
            .poller
            .add(output.fd(), number, Interest::Read)?;
        outputs.all.insert(number, output);
        Ok(())
    }

    /// This worker is dead, and its last lines are to be forwarded.
    pub(crate) fn bury(&self, number: u64) {
        self.shared.bury(number);
        self.shared.bell.ring();
    }
}

impl Drop for Forwarder {
    /// Waits until everything is forwarded, but not forever.
    fn drop(&mut self) {
        self.shared.outputs.lock().is_closed = true;
        self.shared.bell.ring();
        let is_dry = self.is_dry.take().map(|it| it.result_timeout(PATIENCE));
        if matches!(is_dry, Some(Ok(Ok(true))))
            && let Some(thread) = self.thread.take()
        {
            // It is about to end, and nobody would handle its panic.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder").finish_non_exhaustive()
    }
}

impl Shared {
    /// Forwards until the pool has ended and nobody has a pipe any more. Calls `on_dry` when the pool has
    /// ended and its workers' output is forwarded, with whether that is all.
    fn run(&self, mut on_dry: impl FnMut(bool)) {
        let mut events = Vec::new();
        let mut lines = Vec::new();
        // When held beginnings of lines must be forwarded.
        let mut hold_until = None;
        loop {
            let limit = hold_until.map(|at: Instant| at.saturating_duration_since(now()));
            if self.poller.wait(&mut events, limit).is_err() {
                break;
            }
            let mut is_told = false;
            for Event(number) in events.drain(..) {
                if number == NOTIFIER {
                    self.bell.silence();
                    is_told = true;
                } else if self.forward(number, &mut lines) {
                    hold_until = hold_until.or_else(|| now().checked_add(HOLD));
                }
            }
            // Read after silencing the bell, or a ring in between would be lost; and before reading the pipes,
            // so that nothing is printed in between.
            let is_closed = self.outputs.lock().is_closed;
            if is_told || hold_until.is_some_and(|at| at <= now()) {
                hold_until = None;
                self.forward_held();
            }
            if is_closed {
                // Finds the ends that are not reported yet.
                let numbers: Vec<u64> = self.outputs.lock().all.keys().copied().collect();
                for number in numbers {
                    self.forward(number, &mut lines);
                }
                self.forward_held();
                let is_empty = self.outputs.lock().all.is_empty();
                on_dry(is_empty);
                if is_empty {
                    return;
                }
            }
        }
        // Without this thread, a worker that prints would wait forever.
        let outputs = std::mem::take(&mut *self.outputs.lock());
        outputs
            .all
            .values()
            .for_each(|output| self.poller.remove(output.fd()));
    }

    /// Forwards what one worker printed. Returns whether the beginning of a line is held now.
    fn forward(&self, number: u64, lines: &mut Vec<u8>) -> bool {
        let output = self.outputs.lock().all.get(&number).map(Arc::clone);
        // Another event of the same round may have removed it.
        let Some(output) = output else {
            return false;
        };
        if output.read_lines(lines) == Flow::End {
            let mut outputs = self.outputs.lock();
            outputs.dead.retain(|&dead| dead != number);
            if let Some(output) = outputs.all.remove(&number) {
                self.poller.remove(output.fd());
            }
        }
        write_to_stderr(lines);
        output.is_holding()
    }

    fn forward_held(&self) {
        let all: Vec<_> = self.outputs.lock().all.values().map(Arc::clone).collect();
        for output in all {
            write_to_stderr(&output.take_held());
        }
    }

    fn bury(&self, number: u64) {
        let mut outputs = self.outputs.lock();
        if !outputs.all.contains_key(&number) {
            return;
        }
        outputs.dead.push_back(number);
        if outputs.dead.len() > DEAD_MAX
            && let Some(oldest) = outputs.dead.pop_front()
            && let Some(output) = outputs.all.remove(&oldest)
        {
            self.poller.remove(output.fd());
        }
    }
}
