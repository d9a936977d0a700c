//! What the state asks of a worker's process, and of whatever tells when a process is ready. There is one
//! process by which the system does it, [`Child`](crate::child::Child), and one that is simulated.

use std::fmt;
use std::io::{self, IoSlice};

use crate::sys::Exit;

/// A process that was started and not reaped.
pub(crate) trait Process: fmt::Debug {
    /// Tells the pool's thread when a process can be written to, or has ended.
    type Poller;

    /// By which the system knows it. 0 as long as it is being started.
    fn pid(&self) -> u32;

    /// Writes to its task pipe, without waiting, and [rings](crate::claims::Claims::ring); says how many
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, [`Interrupted`](io::ErrorKind::Interrupted)
    /// if it is to be tried again.
    fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Has the poller tell when there is room in the task pipe of the worker with this number.
    ///
    /// # Errors
    ///
    /// If the poller cannot.
    fn watch_room(&self, poller: &Self::Poller, id: u64) -> io::Result<()>;

    /// Takes [`watch_room`](Self::watch_room) back.
    fn unwatch_room(&self, poller: &Self::Poller);

    /// Has the poller forget it.
    fn unwatch_end(&self, poller: &Self::Poller);

    /// See [`Claims::take_back`](crate::claims::Claims::take_back).
    fn take_back(&self, end: u64) -> u64;

    /// See [`Claims::done`](crate::claims::Claims::done).
    fn done(&self) -> u64;

    /// See [`Claims::is_full`](crate::claims::Claims::is_full).
    fn is_full(&self) -> bool;

    /// Whether it has never begun, and another one is to blame for that.
    fn is_blameless(&self) -> bool;

    /// Kills it, with all that it has started.
    fn kill(&self);

    /// Waits for its end.
    fn await_end(&self);

    /// Says how it ended, once it has, and has the system forget it.
    fn reap(&self) -> End;
}

/// The end of a process, with all that it has left.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) exit: Exit,
    /// The most memory that it has had in use at a time, in bytes, if that is known.
    pub(crate) peak_rss: Option<u64>,
    /// The last lines that it has printed.
    pub(crate) stderr: String,
}
