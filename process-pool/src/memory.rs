//! How a worker keeps to the limit of its memory above which it leaves. There is another one, which the system
//! enforces.

use std::time::{Duration, Instant};

use future_result::sync::now;

use crate::sys::resident;

/// How often to look at most: it costs some microseconds, more than a tiny task.
const INTERVAL: Duration = Duration::from_millis(2);

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
