//! What a pool asks of the system that it runs on. There is the real one, [`Host`](crate::host::Host), and a
//! simulated one, in which a seed decides what happens. Everything between the owner's methods and this is
//! the same code in both.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::notifier::Bell;
use crate::state::Process;
use crate::store::Store;
use crate::sys::{Descriptor, Event};

/// How long to wait for something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// Not at all.
    Look,
    /// Until then, if there is an end.
    Until(Option<Instant>),
}

/// Starts processes, hears of them, and reads from them.
pub(crate) trait System: fmt::Debug + Send + Sync + 'static {
    type Process: Process<Poller = Self> + Send + 'static;
    /// The end of a result pipe, and where long parts of its values are.
    type Results: Send + 'static;
    type Bell: Bell;

    /// Starts the worker with this number. Whatever comes from it, and its end, is an event from now on.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or listened to. Nothing is left behind then.
    fn spawn(&self, id: u64) -> io::Result<(Self::Process, Self::Results)>;

    /// The pool's thread is about to sleep, or has not for some rounds. `next` is the number of the next worker, if that may be started ahead of
    /// time, to be given by [`spawn`](Self::spawn); else none is kept. See [`spare`](crate::spare).
    fn keep_spare(&self, next: Option<u64>);

    /// Whether [`spawn`](Self::spawn) has one to give. Then it takes no time, and nothing of the system's.
    fn has_spare(&self) -> bool;

    /// What comes before the first message to the worker in this place, complete; or nothing.
    fn place(&self, index: usize) -> &[u8];

    /// The first message to every worker, complete.
    fn setup(&self) -> &[u8];

    /// Waits until something has happened. What was in `events` before is forgotten.
    ///
    /// # Errors
    ///
    /// If it cannot wait, now and for ever.
    fn wait(&self, events: &mut Vec<Event>, wait: Wait) -> io::Result<()>;

    /// Appends to `room` what has come, without waiting and without making room; says how many bytes. 0 is
    /// the end of the stream.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is there, [`Interrupted`](io::ErrorKind::Interrupted)
    /// if it is to be tried again.
    fn read(&self, results: &Self::Results, room: &mut Vec<u8>) -> io::Result<usize>;

    /// The worker with this number is dead and reaped, and what it has printed may be put away.
    fn buried(&self, id: u64);

    /// The pool has ended, and there are no workers any more.
    fn end(&self);

    /// There are no events of this pipe any more.
    fn unwatch_results(&self, results: &Self::Results);

    /// Where long parts of arguments go, of which workers read.
    fn arguments(&self) -> &Arc<Store>;

    /// Where long parts of the values are that come by this pipe.
    fn values<'a>(&self, results: &'a Self::Results) -> &'a Arc<Descriptor>;

    /// See [`Claims::has_read`](crate::claims::Claims::has_read).
    fn has_read(&self, results: &Self::Results, sequence: u64);
}
