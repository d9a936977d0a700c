//! Curves: how the cost of a task grows with a parameter. Both axes are logarithmic.

use benches::{Kind, human_time};

use crate::svg::{Anchor, Svg};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 250.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 40.0;
/// The colours of peers; ours and limits have their own.
const PEERS: usize = 5;
const LIMIT: usize = 6;

/// One row over all variants of a group, each by its index.
pub(crate) struct Curve<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    pub(crate) points: Vec<(usize, f64)>,
}

/// `variants` are the labels of the horizontal axis, equally spaced.
pub(crate) fn draw(title: &str, variants: &[&str], curves: &[Curve<'_>]) -> String {
    let values = curves
        .iter()
        .flat_map(|curve| &curve.points)
        .map(|&(_, value)| value);
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let low = low.log10().floor();
    let high = high.log10().ceil().max(low + 1.0);
    let steps = variants.len().saturating_sub(1).max(1) as f64;
    let x = |index: usize| LEFT + (WIDTH - LEFT - RIGHT) * index as f64 / steps;
    let y =
        |exponent: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (exponent - low) / (high - low);

    let mut svg = Svg::new();
    svg.head(
        title,
        "lower is better; both axes are logarithmic; ours is orange",
    );
    for exponent in low as i32..=high as i32 {
        let exponent = f64::from(exponent);
        svg.line((LEFT, y(exponent)), (WIDTH - RIGHT, y(exponent)), "grid");
        let label = human_time(10_f64.powf(exponent));
        svg.text(LEFT - 8.0, y(exponent) + 4.0, Anchor::End, "faint", &label);
    }
    for (index, variant) in variants.iter().enumerate() {
        let below = HEIGHT - BOTTOM + 20.0;
        svg.text(x(index), below, Anchor::Middle, "faint", variant);
    }
    let mut peers = 0;
    for (index, curve) in curves.iter().enumerate() {
        let colour = match curve.kind {
            Kind::Ours => 0,
            Kind::Peer => {
                peers += 1;
                (peers - 1) % PEERS + 1
            }
            Kind::Reference => LIMIT,
        };
        let points: Vec<_> = curve
            .points
            .iter()
            .map(|&(variant, value)| (x(variant), y(value.log10())))
            .collect();
        svg.path(&points, &format!("s{colour}"));
        let (left, legend) = (WIDTH - RIGHT + 16.0, TOP + 18.0 * index as f64);
        svg.line((left, legend), (left + 20.0, legend), &format!("s{colour}"));
        let class = format!("t{colour}");
        svg.text(left + 26.0, legend + 4.0, Anchor::Start, &class, curve.name);
    }
    svg.finish(WIDTH, HEIGHT, title)
}
