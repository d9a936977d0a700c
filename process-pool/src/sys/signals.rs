//! Signals that a thread of the pool must not get.

#![expect(unsafe_code, reason = "the signal mask of a thread")]

use std::mem::MaybeUninit;
use std::ptr;

/// From now on a write of this thread to a pipe without a reader is an error and nothing else, whatever
/// this program does about `SIGPIPE`. It stays pending for this thread, which never takes it.
pub(crate) fn block_sigpipe() {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: a place for a set of signals, which the call makes an empty one.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: an initialised set, and a signal that there is.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE) };
    // SAFETY: as above; nobody asks for the mask that there was before.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut()) };
}
