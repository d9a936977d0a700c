//! Quantiles of measured times.

use std::time::Duration;

/// The least of these sorted times that this part of them does not exceed, by the nearest rank.
///
/// # Examples
///
/// ```
/// use lab::quantile::quantile;
/// use std::time::Duration;
///
/// let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
/// for (part, millis) in [(0.0, 1), (0.5, 100), (0.99, 198), (1.0, 200)] {
///     assert_eq!(quantile(&times, part), Some(Duration::from_millis(millis)));
/// }
/// assert_eq!(quantile(&[], 0.5), None);
/// ```
#[must_use]
pub fn quantile(sorted: &[Duration], part: f64) -> Option<Duration> {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}
