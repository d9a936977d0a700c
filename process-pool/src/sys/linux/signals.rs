//! Signals: their names, and what happens on them.

#![expect(unsafe_code, reason = "the signal mask of a thread, and dispositions")]

use std::mem::MaybeUninit;
use std::ptr;

/// The signal that cannot be ignored.
pub(crate) const KILL: i32 = libc::SIGKILL;

/// From now on a write of this thread to a pipe without a reader is only an error, whatever
/// this program does about `SIGPIPE`. The signal stays pending for this thread, which never takes it.
pub(crate) fn block_sigpipe() {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: a place for a set of signals, which the call makes empty.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: an initialised set, and a signal that exists.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE) };
    // SAFETY: as above; null, since nobody needs the mask that there was before.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut()) };
}

/// Sets signals as a worker's tasks may expect them. Before `main` the standard library has not done its part yet;
/// and what the pool's program does with its children must not affect the tasks.
pub(crate) fn set_signals() {
    // SAFETY: the disposition is one of the two that need no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// The names of the signals that end processes, if their numbers are the same on every processor.
pub(crate) const fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}
