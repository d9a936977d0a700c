//! Memory that processes share: files that are nowhere but in memory.

#![expect(unsafe_code, reason = "memory that is shared with another process")]

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

/// A new file in memory, of zeros. Nobody can make it shorter or longer. What is not used takes no memory.
pub(crate) fn create_memory(size: u64) -> io::Result<Descriptor> {
    let file = memfd_create(
        "process-pool",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?;
    ftruncate(&file, size)?;
    // So that no access to what there is can fail.
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// How long a file is, in bytes.
pub(crate) fn size_of(file: &Descriptor) -> io::Result<u64> {
    Ok(fstat(file)?.st_size.try_into().unwrap_or(0))
}

/// How far this process may write into files, in bytes, if there is a limit. Writing beyond it is a signal.
pub(crate) fn largest_file() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// The same file, for those who only read.
pub(crate) fn read_only(file: &Descriptor) -> io::Result<Descriptor> {
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    Ok(open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Appends to `room` what is from there on in the file, without making room; says how many bytes.
pub(crate) fn read_at(file: &Descriptor, room: &mut Vec<u8>, offset: u64) -> io::Result<usize> {
    Ok(pread(file, spare_capacity(room), offset)?)
}

/// Writes the beginning of this to there; says how many bytes.
pub(crate) fn write_at(file: &Descriptor, bytes: &[u8], offset: u64) -> io::Result<usize> {
    Ok(pwrite(file, bytes, offset)?)
}

/// Gives the memory of a part of the file back to the system: it is zeros then. Where that fails, the memory
/// stays.
pub(crate) fn give_back(file: &Descriptor, offset: u64, length: u64) {
    let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let _ = fallocate(file, how, offset, length);
}

/// The first bytes of a file as memory of this process, until this is dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: NonNull<c_void>,
    size: usize,
}

// SAFETY: it is an address, behind which the memory stays until it is dropped; whoever reads or writes there
// answers for that.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(file: &Descriptor, size: usize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address that the system chooses touches nothing that is there.
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

    /// Where it is: at the beginning of a page. The bytes are there as long as the file has them.
    pub(crate) const fn address(&self) -> NonNull<c_void> {
        self.address
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size; nothing borrows from it any more. It cannot fail then,
        // and if it did, the mapping would stay.
        let _ = unsafe { munmap(self.address.as_ptr(), self.size) };
    }
}
