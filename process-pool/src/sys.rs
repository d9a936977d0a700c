//! What is asked of the system, and of nothing else in this crate: waiting for descriptors, passing them
//! to a worker, processes and their ends.
//!
//! Written for Linux 5.4 and later. Another system needs these modules: a way to wait for pipes and
//! for the ends of processes at once, a way to hand five descriptors to a process at its start, and a
//! name for a process that is not given to another one.

mod pass;
mod poll;
mod process;
mod signals;
mod usage;

pub(crate) use self::pass::{Passed, pass, private, receive};
pub(crate) use self::poll::{Event, EventFd, Interest, Poller};
pub(crate) use self::process::{Exit, ProcessHandle, kill_own_group, pool_of_this_worker};
pub(crate) use self::signals::block_sigpipe;
