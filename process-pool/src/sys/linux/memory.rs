//! Memory that processes share: files that exist only in memory.

#![expect(unsafe_code, reason = "memory shared with another process")]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};

use rustix::buffer::spare_capacity;
use rustix::fs::{
    FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags, fallocate, fcntl_add_seals, fstat,
    ftruncate, memfd_create, open,
};
use rustix::io::{pread, pwrite};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::process::{Resource, getrlimit};

use super::Descriptor;

/// A new file in memory, of zeros. Nobody can change its length. Unused parts take no memory.
pub(crate) fn create_memory(size: u64) -> io::Result<Descriptor> {
    let file = memfd_create(
        "process-pool",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?;
    ftruncate(&file, size)?;
    // So that no access within it can fail.
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// The length of a file, in bytes.
pub(crate) fn size_of(file: &Descriptor) -> io::Result<u64> {
    Ok(fstat(file)?.st_size.try_into().unwrap_or(0))
}

/// How far this process may write into files, in bytes, if there is a limit. Writing beyond it raises a signal.
pub(crate) fn largest_file() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// The same file, but read-only.
pub(crate) fn read_only(file: &Descriptor) -> io::Result<Descriptor> {
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    Ok(open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Appends to `room` what the file has from `offset` on, without growing it; returns the number of bytes.
pub(crate) fn read_at(file: &Descriptor, room: &mut Vec<u8>, offset: u64) -> io::Result<usize> {
    Ok(pread(file, spare_capacity(room), offset)?)
}

/// Writes as much of `bytes` as it can; returns the number of bytes.
pub(crate) fn write_at(file: &Descriptor, bytes: &[u8], offset: u64) -> io::Result<usize> {
    Ok(pwrite(file, bytes, offset)?)
}

/// Gives the memory of a part of the file back to the system: it is then zeros. If that fails, the memory
/// stays.
pub(crate) fn give_back(file: &Descriptor, offset: u64, length: u64) {
    let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let _ = fallocate(file, how, offset, length);
}

/// The first bytes of a file, mapped until this is dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: NonNull<c_void>,
    size: usize,
}

// SAFETY: it is the address of memory that stays until this is dropped; whoever reads or writes there
// answers for that.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(file: &Descriptor, size: usize) -> io::Result<Self> {
        // SAFETY: a new mapping, at an address that the system chooses, touches nothing that exists.
        let address = unsafe {
            mmap(
                ptr::null_mut(),
                size,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                file,
                0,
            )
        }?;
        let address = NonNull::new(address).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { address, size })
    }

    /// Its address, at the beginning of a page. The bytes exist as long as the file has them.
    pub(crate) const fn address(&self) -> NonNull<c_void> {
        self.address
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size; nothing borrows from it any more. So it cannot fail,
        // and if it did, the mapping would stay.
        let _ = unsafe { munmap(self.address.as_ptr(), self.size) };
    }
}
