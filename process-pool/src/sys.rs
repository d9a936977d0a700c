//! All that is asked of the system: everything outside of this module is the
//! same on every system, except tests.
//!
//! There is one system so far, 64-bit Linux from 5.4 on. Another one needs a module beside `linux`, with all
//! that `linux.rs` lists and the error below names.

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod linux;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) use self::linux::*;

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!(
    "process-pool runs on 64-bit Linux alone so far. For another system its module `sys` lacks: \
     something that is kept by the system (Descriptor); \
     waiting for pipes and ends of processes at once (Event, EventFd, Interest, Poller, wait_any); \
     pipes (block_sigpipe, never_wait, pipe, read, widen, write, write_pieces, write_to_stderr); \
     starting a worker and handing descriptors to it (Passed, Start, command, is_privileged, \
     keep_constructor, pass, private, receive_at_start, set_signals, socket_number, starting_socket); \
     forking a process into workers (Fork, MESSAGE_MAX, Request, ask_for, flush_output, fork, lead_group, \
     obstacle, print_to, receive, receive_request, send_and_wait); \
     a name for a process that is not given to another one (Exit, KILL, ProcessHandle, await_pool, \
     kill_own_group, parent, pool_of_this_worker, signal_name); \
     files in memory (Mapping, create_memory, give_back, largest_file, read_at, read_only, size_of, write_at); \
     limits and places (change_niceness, cpus, limit_memory, resident, run_on); \
     and the bounds of the executable's code and constants (Image)."
);
