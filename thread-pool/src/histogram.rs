//! How long things took, in buckets whose bounds double.

use std::array;
use std::time::Duration;

use future_result::sync::Counter;

/// The bounds of the buckets are 1 µs, 2 µs, 4 µs, … 2³² µs, which is 72 minutes.
const BUCKETS: usize = 33;

/// Counts durations by size: each bucket's bound is twice that of the one before,
/// from 1 µs to about an hour.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use thread_pool::{FutureResult, ThreadPoolExecutor};
///
/// let pool = ThreadPoolExecutor::builder().workers(1).measure_delays(true).build()?;
/// let handles: Vec<_> = (0..100).map(|n| pool.submit(move || n)).collect();
/// for handle in handles {
///     handle.result()?;
/// }
/// let delays = pool.metrics().delays;
/// assert_eq!(delays.count(), 100);
/// assert!(delays.quantile(0.5) <= delays.quantile(0.99));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
    nanoseconds: u64,
}

impl Histogram {
    /// How many there were.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(thread_pool::Histogram::default().count(), 0);
    /// ```
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The duration that this share of them, from 0 to 1, did not exceed: the bound of its bucket,
    /// so at most twice too long. Longer durations than an hour count as 72 minutes. `None` if there
    /// are none.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use thread_pool::{FutureResult, Histogram, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::builder().workers(1).measure_delays(true).build()?;
    /// pool.submit(|| ()).result()?;
    /// let median = pool.metrics().delays.quantile(0.5);
    /// assert!(median.is_some_and(|delay| delay >= Duration::from_micros(1)));
    /// assert_eq!(Histogram::default().quantile(0.5), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        // The cast saturates what is out of range, and makes 0 of NaN.
        let rank = ((share * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|bucket| {
            seen += bucket;
            seen >= rank
        });
        bucket.map(|bucket| Duration::from_micros(1 << bucket))
    }

    /// Their arithmetic mean, which is exact. `None` if there were none.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(thread_pool::Histogram::default().mean(), None);
    /// ```
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let mean = self.nanoseconds.checked_div(self.count());
        mean.map(Duration::from_nanos)
    }

    /// Adds what the recorder holds.
    pub(crate) fn add(&mut self, recorder: &Recorder) {
        for (bucket, more) in self.buckets.iter_mut().zip(&recorder.buckets) {
            *bucket += more.get();
        }
        self.nanoseconds = self.nanoseconds.saturating_add(recorder.nanoseconds.get());
    }
}

/// A histogram that one thread writes and others read.
#[derive(Debug)]
pub(crate) struct Recorder {
    buckets: [Counter; BUCKETS],
    nanoseconds: Counter,
}

impl Recorder {
    /// Only for its owner.
    pub(crate) fn record(&self, duration: Duration) {
        self.buckets[bucket(duration)].add(1);
        let nanoseconds = duration.as_nanos().try_into().unwrap_or(u64::MAX);
        self.nanoseconds.add(nanoseconds);
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [0; BUCKETS],
            nanoseconds: 0,
        }
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            buckets: array::from_fn(|_| Counter::new()),
            nanoseconds: Counter::new(),
        }
    }
}

/// The bucket whose bound is the first above `duration`.
fn bucket(duration: Duration) -> usize {
    let bits = u128::BITS - duration.as_micros().leading_zeros();
    (bits as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(durations: &[Duration]) -> Histogram {
        let recorder = Recorder::default();
        durations
            .iter()
            .for_each(|&duration| recorder.record(duration));
        let mut histogram = Histogram::default();
        histogram.add(&recorder);
        histogram
    }

    #[test]
    fn a_bucket_holds_what_is_below_its_bound() {
        for (micros, bound) in [
            (0, 1),
            (1, 2),
            (2, 4),
            (3, 4),
            (4, 8),
            (1023, 1024),
            (1024, 2048),
        ] {
            let histogram = of(&[Duration::from_micros(micros)]);
            let expected = Some(Duration::from_micros(bound));
            assert_eq!(histogram.quantile(0.5), expected, "{micros} µs");
        }
        let just_below = of(&[Duration::from_nanos(999)]);
        assert_eq!(just_below.quantile(1.0), Some(Duration::from_micros(1)));
    }

    #[test]
    fn what_takes_for_ever_is_in_the_last_bucket() {
        let last = Some(Duration::from_micros(1 << 32));
        assert_eq!(of(&[Duration::from_secs(10_000)]).quantile(0.5), last);
        assert_eq!(of(&[Duration::MAX]).quantile(0.5), last);
    }

    #[test]
    fn quantiles_count_from_the_shortest() {
        let histogram = of(&[1, 10, 100, 1000].map(Duration::from_micros));
        let quantile = |share| {
            histogram
                .quantile(share)
                .map(|duration| duration.as_micros())
        };
        assert_eq!(quantile(0.0), Some(2));
        assert_eq!(quantile(0.25), Some(2));
        assert_eq!(quantile(0.26), Some(16));
        assert_eq!(quantile(0.5), Some(16));
        assert_eq!(quantile(1.0), Some(1024));
        assert_eq!(quantile(7.0), Some(1024));
        assert_eq!(quantile(-1.0), Some(2));
        assert_eq!(quantile(f64::NAN), Some(2));
    }

    #[test]
    fn the_mean_is_exact_and_nothing_has_none() {
        let histogram = of(&[1, 2, 6].map(Duration::from_micros));
        assert_eq!(histogram.mean(), Some(Duration::from_micros(3)));
        assert_eq!(histogram.count(), 3);
        assert_eq!(of(&[]).mean(), None);
        assert_eq!(of(&[]).quantile(1.0), None);
    }
}
