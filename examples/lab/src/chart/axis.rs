//! Where values lie on an axis.

/// An axis: its label, its scale, and its ticks. It reaches from the first tick to the last; values outside are drawn
/// at its ends.
#[derive(Clone, Debug)]
pub struct Axis {
    pub(super) label: String,
    pub(super) ticks: Vec<(f64, String)>,
    is_logarithmic: bool,
}

impl Axis {
    /// Equal distances are equal differences.
    #[must_use]
    pub fn linear(label: &str, ticks: impl IntoIterator<Item = (f64, String)>) -> Self {
        Self {
            label: label.to_owned(),
            ticks: ticks.into_iter().collect(),
            is_logarithmic: false,
        }
    }

    /// Equal distances are equal ratios. Values that are not positive are drawn at the lower end.
    #[must_use]
    pub fn logarithmic(label: &str, ticks: impl IntoIterator<Item = (f64, String)>) -> Self {
        Self {
            is_logarithmic: true,
            ..Self::linear(label, ticks)
        }
    }

    /// A logarithmic axis around these values, from 1, 2 or 5 times a power of ten to another. If it is long, only its
    /// ends and the powers of ten between them are named.
    #[must_use]
    pub fn around(
        label: &str,
        values: impl IntoIterator<Item = f64>,
        name: impl Fn(f64) -> String,
    ) -> Self {
        let positive = values
            .into_iter()
            .filter(|&value| value > 0.0 && value.is_finite());
        let (least, most) = positive.fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        let (least, most) = if most > 0.0 {
            (least, most)
        } else {
            (1.0, 1.0)
        };
        let first = 3 * least.log10().floor() as i32;
        let steps = || (first..).map(|step| (step, value_of(step)));
        // There is one at or below the least value, since the first is.
        let low = steps()
            .take_while(|&(_, value)| value <= least)
            .map(|(step, _)| step)
            .last()
            .unwrap_or(first);
        let high = steps()
            .find_map(|(step, value)| (step > low && value >= most).then_some(step))
            .unwrap_or(low + 1);
        let is_short = high - low < 8;
        let is_named = |step: &i32| is_short || *step == low || *step == high || step % 3 == 0;
        let ticks = (low..=high).filter(is_named).map(|step| {
            let value = value_of(step);
            (value, name(value))
        });
        Self::logarithmic(label, ticks)
    }

    /// The position of a value, from 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let ends = self.ticks.first().zip(self.ticks.last());
        let Some(((low, _), (high, _))) = ends else {
            return 0.0;
        };
        let scaled = |value: f64| {
            if self.is_logarithmic {
                value.log10()
            } else {
                value
            }
        };
        let (low, high) = (scaled(*low), scaled(*high));
        // Also if the value has no logarithm.
        let place = (scaled(value) - low) / (high - low);
        if place.is_nan() {
            0.0
        } else {
            place.clamp(0.0, 1.0)
        }
    }
}

/// 1, 2, 5, 10, 20 and so on, of which the 1 has the number 0.
fn value_of(step: i32) -> f64 {
    let digit = [1.0, 2.0, 5.0][step.rem_euclid(3) as usize];
    // Divides, since multiplying by 0.1 is inexact.
    match step.div_euclid(3) {
        exponent @ 0.. => digit * 10_f64.powi(exponent),
        exponent => digit / 10_f64.powi(-exponent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, name)| name.as_str()).collect()
    }

    #[test]
    fn ticks_reach_around_the_values() {
        let axis = |values: &[f64]| Axis::around("", values.iter().copied(), |it| it.to_string());
        assert_eq!(names(&axis(&[0.3, 3.0])), ["0.2", "0.5", "1", "2", "5"]);
        assert_eq!(
            names(&axis(&[0.02, 300.0])),
            ["0.02", "0.1", "1", "10", "100", "500"]
        );
        assert_eq!(names(&axis(&[10.0, 1.0])), ["1", "2", "5", "10"]);
        assert_eq!(names(&axis(&[1.0])), ["1", "2"]);
        assert_eq!(names(&axis(&[0.0, f64::INFINITY])), ["1", "2"]);
        assert_eq!(names(&axis(&[])), ["1", "2"]);
    }

    #[test]
    fn places_are_between_the_first_and_the_last_tick() {
        let ticks = || [(1.0, String::new()), (100.0, String::new())];
        let ratio = Axis::logarithmic("", ticks());
        for (value, place) in [
            (1.0, 0.0),
            (10.0, 0.5),
            (100.0, 1.0),
            (1e9, 1.0),
            (0.0, 0.0),
            (-1.0, 0.0),
        ] {
            assert_eq!(ratio.place(value), place, "{value}");
        }
        assert_eq!(Axis::linear("", ticks()).place(50.5), 0.5);
        assert_eq!(Axis::linear("", []).place(1.0), 0.0);
    }
}
