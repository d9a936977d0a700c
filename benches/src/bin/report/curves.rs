//! Curves: how the cost of a task grows with something. Both axes are logarithmic.

use benches::human_time;

use crate::svg::{Anchor, Svg};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 230.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 40.0;
const COLOURS: usize = 6;

/// One row over all variants of a group, by their index.
pub(crate) struct Curve<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: Vec<(usize, f64)>,
}

/// `variants` are the names along the horizontal axis, at equal distances.
pub(crate) fn draw(title: &str, variants: &[&str], curves: &[Curve<'_>]) -> String {
    let values = curves
        .iter()
        .flat_map(|curve| &curve.points)
        .map(|&(_, value)| value);
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let (low, high) = (
        low.log10().floor(),
        high.log10().ceil().max(low.log10().floor() + 1.0),
    );
    let steps = variants.len().saturating_sub(1).max(1) as f64;
    let x = |index: usize| LEFT + (WIDTH - LEFT - RIGHT) * index as f64 / steps;
    let y =
        |exponent: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (exponent - low) / (high - low);

    let mut svg = Svg::new();
    svg.text(0.0, 16.0, Anchor::Start, "title", title);
    for exponent in low as i32..=high as i32 {
        let exponent = f64::from(exponent);
        svg.line((LEFT, y(exponent)), (WIDTH - RIGHT, y(exponent)), "grid");
        let label = human_time(10_f64.powf(exponent));
        svg.text(LEFT - 8.0, y(exponent) + 4.0, Anchor::End, "faint", &label);
    }
    for (index, variant) in variants.iter().enumerate() {
        svg.text(
            x(index),
            HEIGHT - BOTTOM + 20.0,
            Anchor::Middle,
            "faint",
            variant,
        );
    }
    for (index, curve) in curves.iter().enumerate() {
        let colour = index.min(COLOURS - 1);
        let points: Vec<_> = curve
            .points
            .iter()
            .map(|&(variant, value)| (x(variant), y(value.log10())))
            .collect();
        svg.path(&points, &format!("s{colour}"));
        let legend = TOP + 18.0 * index as f64;
        svg.text(
            WIDTH - RIGHT + 24.0,
            legend + 4.0,
            Anchor::Start,
            &format!("t{colour}"),
            curve.name,
        );
    }
    svg.finish(WIDTH, HEIGHT, title)
}
