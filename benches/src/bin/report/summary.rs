//! All groups in one drawing: how much faster or slower ours is than the best peer of each. The scale is
//! logarithmic, so that twice as fast is as long as half as fast.

use crate::svg::{Anchor, Svg};

const LABELS: f64 = 235.0;
const PLOT: f64 = 380.0;
const VALUES: f64 = 290.0;
const LINE: f64 = 20.0;
const TOP: f64 = 76.0;

/// How far the scale goes on either side, as a power of two; longer bars are drawn broken.
const LOW: f64 = -6.0;
const HIGH: f64 = 3.0;

/// One group: the ratio of our time to the best peer's.
pub(crate) struct Ratio<'a> {
    pub(crate) group: &'a str,
    pub(crate) best: &'a str,
    pub(crate) free: f64,
    /// With all threads on one CPU.
    pub(crate) one: Option<f64>,
}

/// From the fastest to the slowest.
pub(crate) fn draw(ratios: &[Ratio<'_>]) -> String {
    let title = "Ours compared with the best peer of each benchmark";
    let all = ratios
        .iter()
        .flat_map(|ratio| [Some(ratio.free), ratio.one])
        .flatten();
    let logs = all.map(f64::log2);
    let (low, high) = logs.fold((-1.0_f64, 1.0_f64), |(low, high), log| {
        (
            low.min(log.floor()).max(LOW),
            high.max(log.ceil()).min(HIGH),
        )
    });
    let x = |ratio: f64| {
        let part = (ratio.log2().clamp(low, high) - low) / (high - low);
        LABELS + PLOT * part
    };
    let bottom = TOP + LINE * ratios.len() as f64;

    let mut svg = Svg::new();
    svg.head(
        title,
        "our time divided by the best peer's, on a logarithmic scale: left of the line ours is faster (orange), right of it slower (violet)",
    );
    svg.text(
        0.0,
        50.0,
        Anchor::Start,
        "faint",
        "bars: threads run wherever the kernel puts them; rings: all on one CPU; cut bars, and rings at the edge, go beyond it",
    );
    for power in low as i32..=high as i32 {
        let ratio = 2_f64.powi(power);
        let class = if power == 0 { "mark" } else { "grid" };
        svg.line((x(ratio), TOP - 6.0), (x(ratio), bottom), class);
        let label = match power {
            0 => "1".to_owned(),
            1.. => format!("{ratio}"),
            _ => format!("1/{}", 2_f64.powi(-power)),
        };
        svg.text(x(ratio), TOP - 10.0, Anchor::Middle, "faint", &label);
    }
    for (index, ratio) in ratios.iter().enumerate() {
        let y = TOP + LINE * index as f64;
        let class = if ratio.free > 1.0 { "lost" } else { "ours" };
        let (from, to) = (x(ratio.free.min(1.0)), x(ratio.free.max(1.0)));
        svg.text(LABELS - 8.0, y + 11.0, Anchor::End, "", ratio.group);
        svg.bar(from, y, (to - from).max(1.0), LINE - 6.0, class);
        if !(low..=high).contains(&ratio.free.log2()) {
            let cut = if ratio.free > 1.0 {
                to - 12.0
            } else {
                from + 8.0
            };
            svg.line((cut, y - 2.0), (cut + 4.0, y + LINE - 4.0), "cut");
        }
        if let Some(one) = ratio.one {
            svg.ring(x(one), y + (LINE - 6.0) / 2.0, "ring");
        }
        let text = format!("{:.2} × {}", ratio.free, ratio.best);
        let end = LABELS + PLOT + 12.0;
        svg.text(end, y + 11.0, Anchor::Start, "faint", &text);
    }
    svg.finish(LABELS + PLOT + VALUES, bottom + 4.0, title)
}
