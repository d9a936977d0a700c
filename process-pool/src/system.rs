//! What a pool needs of the system that it runs on. There is the real one, [`Host`](crate::host::Host), and a
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
    /// Until this time, if there is one.
    Until(Option<Instant>),
}

/// Starts processes, waits for events of theirs, and reads from them.
pub(crate) trait System: fmt::Debug + Send + Sync + 'static {
    type Process: Process<Poller = Self> + Send + 'static;
    /// The pool's end of a result pipe, and the store with long parts of its values.
    type Results: Send + 'static;
    type Bell: Bell;

    /// Starts the worker with this number. Whatever it sends, and its end, is an event from now on.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or listened to. Nothing is left behind then.
    fn spawn(&self, id: u64) -> io::Result<(Self::Process, Self::Results)>;

    /// The pool's thread is about to sleep, or has not slept for some rounds. `next` is the number of the next worker,
    /// if it may be started ahead of time for [`spawn`](Self::spawn); else none is kept. See [`spare`](crate::spare).
    fn keep_spare(&self, next: Option<u64>);

    /// Whether [`spawn`](Self::spawn) has a spare. Then it takes no time, and no resources of the system.
    fn has_spare(&self) -> bool;

    /// The complete message before the first one to the worker in this place; or nothing.
    fn place(&self, index: usize) -> &[u8];

    /// The first message to every worker, complete.
    fn setup(&self) -> &[u8];

    /// Waits until something happens. What was in `events` is dropped.
    ///
    /// # Errors
    ///
    /// If it cannot wait, for good.
    fn wait(&self, events: &mut Vec<Event>, wait: Wait) -> io::Result<()>;

    /// Appends to `room` what has come, without waiting and without growing it; returns the number of bytes. 0 is
    /// the end of the stream.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is there, [`Interrupted`](io::ErrorKind::Interrupted)
    /// if the caller should retry.
    fn read(&self, results: &Self::Results, room: &mut Vec<u8>) -> io::Result<usize>;

    /// The worker with this number is dead and reaped, and its output may be put away.
    fn buried(&self, id: u64);

    /// The pool has ended, and there are no more workers.
    fn end(&self);

    /// Ends the events of this pipe.
    fn unwatch_results(&self, results: &Self::Results);

    /// The store for long parts of arguments, which workers read.
    fn arguments(&self) -> &Arc<Store>;

    /// The store with long parts of the values that come through this pipe.
    fn values<'a>(&self, results: &'a Self::Results) -> &'a Arc<Descriptor>;

    /// See [`Claims::has_read`](crate::claims::Claims::has_read).
    fn has_read(&self, results: &Self::Results, sequence: u64);
}
