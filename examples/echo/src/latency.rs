//! Many durations in little memory: counted by size, with a precision of a sixteenth.

use std::time::Duration;

/// The number of counters per doubling.
const STEPS: u64 = 16;
const COUNTERS: usize = 64 * STEPS as usize;

/// How many durations of each size there were.
#[derive(Clone, Debug)]
pub struct Latencies {
    counters: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            counters: vec![0; COUNTERS],
            count: 0,
            longest: Duration::ZERO,
        }
    }
}

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counters[place(nanos)] += 1;
        self.count += 1;
        self.longest = self.longest.max(duration);
    }

    /// How many were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest one.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The duration that this part of them did not exceed, within a sixteenth; `None` if there are none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let rank = (self.count as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        let place = self.counters.iter().position(|&here| {
            seen += here;
            seen >= rank
        })?;
        Some(Duration::from_nanos(end(place)).min(self.longest))
    }
}

/// The index of its counter.
fn place(nanos: u64) -> usize {
    // Each smaller number has its own counter.
    if nanos < STEPS {
        return nanos as usize;
    }
    let doublings = u64::from(nanos.ilog2() - STEPS.ilog2());
    ((doublings + 1) * STEPS + (nanos >> doublings) - STEPS) as usize
}

/// The largest number that this counter counts.
fn end(place: usize) -> u64 {
    let place = place as u64;
    if place < STEPS {
        return place;
    }
    let doublings = place / STEPS - 1;
    let first = (place % STEPS + STEPS) << doublings;
    first + ((1 << doublings) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_counted_where_its_neighbours_are() {
        for nanos in (0..100_000).chain([u64::MAX - 1, u64::MAX]) {
            let place = place(nanos);
            assert!(place < COUNTERS);
            assert!(end(place) >= nanos);
            assert!(end(place) - nanos <= nanos / STEPS, "{nanos}");
            assert!(place == 0 || end(place - 1) < nanos);
        }
    }

    #[test]
    fn quantiles_are_right_to_a_sixteenth() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), None);
        for micros in 1..=1000 {
            latencies.add(Duration::from_micros(micros));
        }
        let micros = |part| latencies.quantile(part).unwrap().as_nanos() as f64 / 1e3;
        assert!((500.0..=532.0).contains(&micros(0.5)), "{}", micros(0.5));
        assert!((990.0..=1000.0).contains(&micros(0.99)));
        assert_eq!(latencies.quantile(1.0), Some(Duration::from_millis(1)));
        assert_eq!(latencies.count(), 1000);
    }
}
