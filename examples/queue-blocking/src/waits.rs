//! How long tasks waited, sorted.

use std::time::Duration;

use lab::quantile::quantile;

/// The waits of some tasks.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    sorted: Vec<Duration>,
}

impl Waits {
    /// From these waits, in any order.
    #[must_use]
    pub fn new(waits: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<_> = waits.into_iter().collect();
        sorted.sort_unstable();
        Self { sorted }
    }

    /// The wait that this part of the tasks did not exceed; `None` if there are none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Duration {
        quantile(&self.sorted, part).unwrap_or_default()
    }

    /// The longest.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.quantile(1.0)
    }

    /// For the plot: one in how many tasks waits this long or longer, from one in two up to the longest wait.
    pub fn tail(&self) -> impl Iterator<Item = (f64, Duration)> {
        let count = self.sorted.len();
        let half = self.sorted.iter().enumerate().skip(count / 2);
        half.map(move |(place, &wait)| (count as f64 / (count - place) as f64, wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_waits_that_there_were() {
        let millis = Duration::from_millis;
        let waits = Waits::new((1..=200).rev().map(millis));
        for (part, wait) in [(0.0, 1), (0.5, 100), (0.99, 198), (1.0, 200)] {
            assert_eq!(waits.quantile(part), millis(wait), "{part}");
        }
        assert_eq!(waits.longest(), millis(200));
        assert_eq!(Waits::default().longest(), Duration::ZERO);
    }

    #[test]
    fn tail_goes_from_one_of_two_to_one_of_all() {
        let waits = Waits::new((1..=4).map(Duration::from_secs));
        let tail: Vec<_> = waits.tail().map(|(of, it)| (of, it.as_secs())).collect();
        assert_eq!(tail, [(2.0, 3), (4.0, 4)]);
        assert_eq!(Waits::default().tail().count(), 0);
    }
}
