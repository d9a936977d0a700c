//! What a process does to itself.

use std::io;

use rustix::process::{Resource, Rlimit, nice, setrlimit};

/// From now on this process gets no more memory than so many bytes of its own, and neither does what it
/// starts. Neither of them can change that.
///
/// The limit is that of data: heaps, stacks of threads, private mappings that can be written. That of the
/// address space would also count what is only reserved: with 256 MiB of that, a task that had allocated in
/// three threads got no 150 MiB more, since the allocator reserves 64 MiB for each thread.
pub(crate) fn limit_memory(bytes: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    Ok(setrlimit(Resource::Data, limit)?)
}

/// Changes the niceness of this process by so much.
pub(crate) fn change_niceness(by: i32) -> io::Result<()> {
    nice(by)?;
    Ok(())
}
