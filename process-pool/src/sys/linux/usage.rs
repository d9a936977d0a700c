//! How much memory processes use, and have used.

#![expect(
    unsafe_code,
    reason = "calls that rustix does not have, which fill a structure"
)]

use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use rustix::param::page_size;

/// The peak resident memory of this process, in bytes. It never goes down.
pub(super) fn own_peak() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: a place for the structure that the call writes.
    let _ = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    // SAFETY: all its fields are integers, for which zeros are valid, too.
    peak(&unsafe { usage.assume_init() })
}

/// Has the system forget a child that has ended. Returns the peak resident memory of it, or of one of its own
/// children that it waited for, in bytes; 0 if nobody can tell.
pub(super) fn forget(process: BorrowedFd<'_>) -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the system's own `waitid`, with one argument more than the C library's: what to wait for, null
    // for how the process ended, options, and a place for the structure, which is written if a process
    // was found. No other call waits on a descriptor and also reports memory.
    let _ = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_PIDFD,
            process.as_raw_fd(),
            ptr::null_mut::<libc::siginfo_t>(),
            libc::WEXITED | libc::WNOHANG,
            usage.as_mut_ptr(),
        )
    };
    // SAFETY: as above.
    peak(&unsafe { usage.assume_init() })
}

/// How many bytes of this process are resident.
pub(crate) fn resident() -> io::Result<u64> {
    let mut buffer = [0; 128];
    let length = File::open("/proc/self/statm")?.read(&mut buffer)?;
    let text = buffer.get(..length).map(str::from_utf8);
    let pages = text.and_then(|text| text.ok()?.split(' ').nth(1)?.parse::<u64>().ok());
    let pages = pages.ok_or(io::ErrorKind::InvalidData)?;
    Ok(pages.saturating_mul(page_size() as u64))
}

fn peak(usage: &libc::rusage) -> u64 {
    // The system counts it in kibibytes.
    u64::try_from(usage.ru_maxrss)
        .unwrap_or(0)
        .saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_peak_grows_with_what_is_used() {
        let before = own_peak();
        // Larger than any peak that other tests of this process reached meanwhile.
        let used = vec![1_u8; usize::try_from(before).unwrap() + (64 << 20)];
        assert!(own_peak() >= before + (32 << 20));
        drop(used);
    }
}
