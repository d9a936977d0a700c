//! What the state needs of a worker's process, and of whatever reports that a process is ready. There is a
//! real process, [`Child`](crate::child::Child), and a simulated one.

use std::fmt;
use std::io::{self, IoSlice};

use crate::sys::Exit;

/// A process that was started and is not yet reaped.
pub(crate) trait Process: fmt::Debug {
    /// Tells the pool's thread that a process can be written to, or has ended.
    type Poller;

    /// Its process id; 0 while it is being started.
    fn pid(&self) -> u32;

    /// Writes to its task pipe, without waiting, and [rings](crate::claims::Claims::ring). Returns the number of
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, [`Interrupted`](io::ErrorKind::Interrupted)
    /// if the caller should retry.
    fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Has the poller report room in the task pipe of the worker with this number.
    ///
    /// # Errors
    ///
    /// If the poller cannot.
    fn watch_room(&self, poller: &Self::Poller, id: u64) -> io::Result<()>;

    /// Undoes [`watch_room`](Self::watch_room).
    fn unwatch_room(&self, poller: &Self::Poller);

    /// Has the poller forget the process.
    fn unwatch_end(&self, poller: &Self::Poller);

    /// See [`Claims::take_back`](crate::claims::Claims::take_back).
    fn take_back(&self, end: u64) -> u64;

    /// See [`Claims::done`](crate::claims::Claims::done).
    fn done(&self) -> u64;

    /// See [`Claims::is_full`](crate::claims::Claims::is_full).
    fn is_full(&self) -> bool;

    /// Whether it never began, and another process is to blame for that.
    fn is_blameless(&self) -> bool;

    /// Kills it, with all that it started.
    fn kill(&self);

    /// Waits for its end.
    fn await_end(&self);

    /// Returns how it ended, once it has, and has the system forget it.
    fn reap(&self) -> End;
}

/// The end of a process, with all that it left.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) exit: Exit,
    /// Its peak resident memory, in bytes, if that is known.
    pub(crate) peak_rss: Option<u64>,
    /// The last lines that it printed.
    pub(crate) stderr: String,
}
