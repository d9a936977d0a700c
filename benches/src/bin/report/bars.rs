//! Bars: the rows of one group, drawn from zero, so that lengths can be compared.

use benches::Kind;

use crate::svg::{Anchor, Svg};

const WIDTH: f64 = 760.0;
const LABELS: f64 = 260.0;
const VALUES: f64 = 80.0;
const LINE: f64 = 22.0;
const TOP: f64 = 46.0;

/// One bar.
pub(crate) struct Bar<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    pub(crate) value: f64,
}

/// A bar longer than this many times the shortest one of a pool would make all others look alike, so it is
/// drawn broken.
const MOST: f64 = 20.0;
/// The width of the gap in a broken bar; the part after it is twice as wide.
const GAP: f64 = 5.0;

/// Draws the bars in this order. `say` formats a value.
pub(crate) fn draw(title: &str, bars: &[Bar<'_>], say: fn(f64) -> String) -> String {
    let longest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let pools = bars.iter().filter(|bar| bar.kind != Kind::Reference);
    let shortest = pools.map(|bar| bar.value).fold(longest, f64::min);
    let end = longest.min(shortest * MOST);
    let mut svg = Svg::new();
    svg.head(
        title,
        "shorter is better; ours are orange; dashed bars are limits or plain code, not pools; broken bars are longer than drawn",
    );
    for (index, bar) in bars.iter().enumerate() {
        let y = TOP + LINE * index as f64;
        let (class, label) = match bar.kind {
            Kind::Ours => ("ours", "strong"),
            Kind::Peer => ("peer", ""),
            Kind::Reference => ("reference", "faint"),
        };
        let width = (bar.value.min(end) / end * (WIDTH - LABELS - VALUES)).max(1.0);
        svg.text(LABELS - 8.0, y + 12.0, Anchor::End, label, bar.name);
        if bar.value > end {
            svg.bar(LABELS, y, width - 3.0 * GAP, LINE - 6.0, class);
            svg.bar(LABELS + width - 2.0 * GAP, y, 2.0 * GAP, LINE - 6.0, class);
        } else {
            svg.bar(LABELS, y, width, LINE - 6.0, class);
        }
        svg.text(
            LABELS + width + 6.0,
            y + 12.0,
            Anchor::Start,
            "faint",
            &say(bar.value),
        );
    }
    svg.finish(WIDTH, TOP + LINE * bars.len() as f64 + 4.0, title)
}
