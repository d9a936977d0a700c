//! How a worker notices that it is above the memory limit at which it leaves. The system enforces another
//! limit.

use std::time::{Duration, Instant};

use future_result::sync::now;

use crate::sys::resident;

/// The least time between two looks: one costs some microseconds, more than a tiny task.
const INTERVAL: Duration = Duration::from_millis(2);

/// Watches whether this process has more resident memory than it may keep.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The limit, in bytes.
    max: u64,
    /// When to look again.
    next: Instant,
}

impl Watch {
    pub(crate) fn new(max: u64) -> Self {
        Self { max, next: now() }
    }

    /// Looks, if the last look was long enough ago. If the system does not say, it is not above.
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
        // It does not look again so soon, unless the machine was busy.
        let next = watch.next;
        assert!(!watch.is_above() || watch.next > next);
        assert!(!Watch::new(u64::MAX).is_above());
        drop(std::hint::black_box(used));
    }
}
