//! Forks a process with a single thread into children of its own parent.
//!
//! The C library's `fork` makes a child of the caller; the pool could neither wait for that nor learn how it
//! ended. So this asks the system directly (`CLONE_PARENT`). What else the C library does is done
//! here, or not needed:
//!
//! | the C library's `fork` | here |
//! |---|---|
//! | takes its own locks before, and frees them in the child | [one thread](threads), which is not in it, holds none |
//! | stores the child's thread number | the system does (`CLONE_CHILD_SETTID`), and clears it at the end |
//! | registers the child's list of robust locks | [`fork`] does |
//! | frees the stacks of other threads | there are none |
//! | calls the handlers of `pthread_atfork` | not called, as [`Builder::preload`](crate::Builder::preload) says |
//!
//! The parent gets the same signal at a child's end as at the zygote's, which is that of every ordinary
//! child: `SIGCHLD`.

#![expect(unsafe_code, reason = "a system call that the C library does not have")]

use std::ffi::{c_int, c_long, c_void};
use std::io::{self, Write};
use std::ptr;

/// On which side of a fork this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fork {
    Child,
    /// The parent, with the child's process id.
    Parent(u32),
}

/// S/390 takes the arguments in another order.
const IS_KNOWN: bool = cfg!(not(target_arch = "s390x"));

/// How often to look again at an obstacle to forking that may go away by itself.
const LOOKS: u32 = 1000;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(1);

/// Forks this process. The child has its memory and descriptors, and is a child of this process's parent.
///
/// # Errors
///
/// If the system has no room for another process, or this one cannot be forked: see [`obstacle`].
pub(crate) fn fork() -> io::Result<Fork> {
    if threads()? != 1 {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    let number = thread_number()?;
    let (head, size) = robust_list()?;
    let flags = libc::CLONE_PARENT | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID;
    // SAFETY: without CLONE_VM and CLONE_SETTLS only descriptors and shared mappings are shared with
    // the child, and 0 for the stack continues on this one, of which it has a copy. This
    // thread is the only one, so nothing that another thread could have been in the middle of, such as a
    // lock, is half done in the copy. `thread_number` says that `number` is where the C library has this
    // thread's number, so it is the right place for the child's. It is given twice, since the system
    // takes it as the fourth argument on some machines and as the fifth on others; without
    // CLONE_SETTLS, it ignores the other one.
    let forked =
        unsafe { libc::syscall(libc::SYS_clone, c_long::from(flags), 0, 0, number, number) };
    match forked {
        ..0 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: the list that was registered for the parent's thread, at the same address. The C
            // library's `fork` does the same.
            unsafe { libc::syscall(libc::SYS_set_robust_list, head, size) };
            Ok(Fork::Child)
        }
        pid => u32::try_from(pid)
            .map(Fork::Parent)
            .map_err(io::Error::other),
    }
}

/// How many threads this process has. Each has a directory in this one, whose links also count the two names that
/// every directory has.
fn threads() -> io::Result<u64> {
    let links = rustix::fs::stat("/proc/self/task")?.st_nlink;
    links
        .checked_sub(2)
        .ok_or(io::ErrorKind::Unsupported.into())
}

/// Where the C library stores the number of the calling thread, which must be the first one.
///
/// # Errors
///
/// If the system does not say, or it is not there: C libraries other than GNU's use that address for something
/// else.
fn thread_number() -> io::Result<*mut c_int> {
    let mut address = ptr::null_mut::<c_int>();
    // SAFETY: a place for the address that the call writes.
    let failed = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut address) };
    if failed != 0 || address.is_null() || !IS_KNOWN {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // SAFETY: it has no preconditions.
    let number = unsafe { libc::gettid() };
    // SAFETY: the C library gave the system this address to write to when the
    // thread ends, so it is that of an integer that lives as long as the thread.
    if unsafe { address.read() } != number {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(address)
}

/// The calling thread's list of robust locks, as registered with the system.
fn robust_list() -> io::Result<(*mut c_void, usize)> {
    let (mut head, mut size) = (ptr::null_mut::<c_void>(), 0_usize);
    // SAFETY: 0 is the calling thread; two places that the call writes.
    let failed =
        unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut size) };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((head, size))
}

/// What keeps this process from being forked, as text that says what to do. A joined thread may take a
/// moment to disappear.
pub(crate) fn obstacle() -> Option<String> {
    for look in 0.. {
        match threads() {
            Ok(1) => break,
            Ok(_) if look < LOOKS => std::thread::sleep(PAUSE),
            Ok(count) => {
                return Some(format!(
                    "it left threads behind (number: {}), which a fork would lose; end and join all threads \
                     that it starts, or start them in the initializer",
                    count - 1
                ));
            }
            Err(error) => {
                return Some(format!("the number of threads cannot be read: {error}"));
            }
        }
    }
    if let Err(error) = thread_number() {
        return Some(format!(
            "the system or its C library does not support it: {error}"
        ));
    }
    match shared_memory() {
        Ok(None) => None,
        Ok(Some(what)) => Some(format!(
            "it left memory behind that all workers would share and write to ({what}); map it in the \
             initializer, or read-only"
        )),
        Err(error) => Some(format!("the list of shared memory cannot be read: {error}")),
    }
}

/// Memory of this process that stays shared after a fork, and can be written to.
fn shared_memory() -> io::Result<Option<String>> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    // Address, permissions, offset, device, inode, and name.
    let shared = maps.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let flags = fields.nth(1)?.as_bytes();
        let is_shared = flags.get(1) == Some(&b'w') && flags.get(3) == Some(&b's');
        is_shared.then(|| fields.nth(3).unwrap_or("without a name").to_owned())
    });
    Ok(shared)
}

/// Writes out what this process has printed and still buffers, or each of its forks would.
pub(crate) fn flush_output() {
    // Best effort: there is nobody to tell.
    let _ = io::stdout().flush();
    // SAFETY: null means all streams; they belong to the C library, and there is no other thread to use them.
    unsafe { libc::fflush(ptr::null_mut()) };
}
