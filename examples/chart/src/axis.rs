//! Which value is where on an axis.

/// An axis: its label, its scale, and the values that are named on it. It reaches from the first to the last of
/// these; what lies outside is drawn at the end.
#[derive(Clone, Debug)]
pub struct Axis {
    pub(crate) label: String,
    pub(crate) ticks: Vec<(f64, String)>,
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

    /// A logarithmic one with a tick for each power of ten that is needed for these values, named so.
    #[must_use]
    pub fn decades(
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
        let (low, high) = if most > 0.0 {
            (least.log10().floor() as i32, most.log10().ceil() as i32)
        } else {
            (0, 0)
        };
        let exponents = low..=high.max(low + 1);
        let ticks = exponents.map(|exponent| {
            let value = 10_f64.powi(exponent);
            (value, name(value))
        });
        Self::logarithmic(label, ticks)
    }

    /// Where a value is: from 0 to 1.
    pub(crate) fn place(&self, value: f64) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, name)| name.as_str()).collect()
    }

    #[test]
    fn decades_reach_around_the_values() {
        let axis = |values: &[f64]| Axis::decades("", values.iter().copied(), |it| it.to_string());
        assert_eq!(names(&axis(&[0.3, 20.0])), ["0.1", "1", "10", "100"]);
        assert_eq!(names(&axis(&[10.0, 1.0])), ["1", "10"]);
        assert_eq!(names(&axis(&[1.0])), ["1", "10"]);
        assert_eq!(names(&axis(&[0.0, f64::INFINITY])), ["1", "10"]);
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
