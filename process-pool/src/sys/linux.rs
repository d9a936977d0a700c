//! Linux, from 5.4 on.

mod constructor;
mod fork;
mod image;
mod limits;
mod memory;
mod pass;
mod pipe;
mod poll;
mod process;
mod signals;
mod socket;
mod start;
mod usage;

/// Something that the system keeps for this process: an end of a pipe, memory, a process. Its drop gives it
/// back.
pub(crate) use std::os::fd::OwnedFd as Descriptor;

pub(crate) use self::constructor::keep_constructor;
pub(crate) use self::fork::{Fork, flush_output, fork, obstacle};
pub(crate) use self::image::Image;
pub(crate) use self::limits::{change_niceness, cpus, limit_memory, run_on};
pub(crate) use self::memory::{
    Mapping, create_memory, give_back, largest_file, read_at, read_only, size_of, write_at,
};
pub(crate) use self::pass::{Passed, Request, Start, ask_for, pass, private, receive_request};
pub(crate) use self::pipe::{never_wait, pipe, read, widen, write, write_pieces, write_to_stderr};
pub(crate) use self::poll::{Event, EventFd, Interest, Poller, wait_any};
pub(crate) use self::process::{
    Exit, ProcessHandle, await_pool, command, kill_own_group, lead_group, parent,
    pool_of_this_worker, print_to,
};
pub(crate) use self::signals::{KILL, block_sigpipe, set_signals, signal_name};
pub(crate) use self::socket::{MESSAGE_MAX, receive, send_and_wait};
pub(crate) use self::start::{is_privileged, receive_at_start, socket_number, starting_socket};
pub(crate) use self::usage::resident;
