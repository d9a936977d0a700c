//! How a worker keeps to the limits of its memory: one that the system enforces, and one above which it leaves.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use future_result::sync::now;
use rustix::param::page_size;
use rustix::process::{Resource, Rlimit, setrlimit};

/// How often to look at most: it costs some microseconds, more than a tiny task.
const INTERVAL: Duration = Duration::from_millis(2);

/// From now on this process gets no more memory than so many bytes of its own, and neither does what it
/// starts. Neither of them can change that.
///
/// The limit is that of data: heaps, stacks of threads, private mappings that can be written. That of the
/// address space would also count what is only reserved: with 256 MiB of that, a task that had allocated in
/// three threads got no 150 MiB more, since the allocator reserves 64 MiB for each thread.
pub(crate) fn limit(bytes: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    Ok(setrlimit(Resource::Data, limit)?)
}

/// Whether this process has more memory resident than it is to keep.
#[derive(Debug)]
pub(crate) struct Watch {
    /// In bytes.
    max: u64,
    /// When to look again.
    next: Instant,
}

impl Watch {
    pub(crate) fn new(max: u64) -> Self {
        Self { max, next: now() }
    }

    /// Looks, if the last look was long ago. Where the system does not tell, it is not above.
    pub(crate) fn is_above(&mut self) -> bool {
        let time = now();
        if time < self.next {
            return false;
        }
        self.next = time + INTERVAL;
        resident().is_ok_and(|bytes| bytes > self.max)
    }
}

/// How many bytes of this process are resident.
fn resident() -> io::Result<u64> {
    let mut buffer = [0; 128];
    let length = File::open("/proc/self/statm")?.read(&mut buffer)?;
    let text = buffer.get(..length).map(str::from_utf8);
    let pages = text.and_then(|text| text.ok()?.split(' ').nth(1)?.parse::<u64>().ok());
    let pages = pages.ok_or(io::ErrorKind::InvalidData)?;
    Ok(pages.saturating_mul(page_size() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_resident_is_seen_and_not_looked_at_each_time() {
        let used = vec![1_u8; 64 << 20];
        let bytes = resident().unwrap();
        assert!(bytes > 64 << 20, "{bytes}");
        let mut watch = Watch::new(bytes / 2);
        assert!(watch.is_above());
        // This soon it does not look, unless the machine was busy.
        let next = watch.next;
        assert!(!watch.is_above() || watch.next > next);
        assert!(!Watch::new(u64::MAX).is_above());
        drop(std::hint::black_box(used));
    }
}
