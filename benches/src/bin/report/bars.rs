//! Bars: the rows of one group, and the summary of all groups.

use benches::{Kind, human_time};

use crate::data::Entry;
use crate::svg::{Anchor, Svg};

const WIDTH: f64 = 760.0;
const LABELS: f64 = 240.0;
const VALUES: f64 = 90.0;
const LINE: f64 = 22.0;
const TOP: f64 = 34.0;

/// The medians of one group: ours first, then from the best to the worst.
pub(crate) fn group(title: &str, entries: &[&Entry]) -> String {
    let mut rows: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some((*entry, entry.median()?)))
        .collect();
    rows.sort_by(|(a, first), (b, second)| {
        let is_later = |entry: &Entry| entry.kind != Kind::Ours;
        is_later(a).cmp(&is_later(b)).then(first.total_cmp(second))
    });
    let longest = rows.iter().map(|(_, median)| *median).fold(0.0, f64::max);
    let mut svg = Svg::new();
    svg.text(0.0, 16.0, Anchor::Start, "title", title);
    for (index, (entry, median)) in rows.iter().enumerate() {
        let y = TOP + LINE * index as f64;
        let class = match entry.kind {
            Kind::Ours => "ours",
            Kind::Peer => "peer",
            Kind::Reference => "reference",
        };
        let end = row(&mut svg, y, &entry.row, median / longest, class);
        value(&mut svg, end, y, &human_time(*median));
    }
    svg.finish(WIDTH, TOP + LINE * rows.len() as f64 + 4.0, title)
}

/// One group of the summary.
pub(crate) struct Ratio<'a> {
    pub(crate) group: &'a str,
    pub(crate) best: &'a str,
    pub(crate) ratio: f64,
}

/// Ours as parts of the best peer: what ends left of the mark is faster.
pub(crate) fn summary(title: &str, ratios: &[Ratio<'_>]) -> String {
    let longest = ratios.iter().map(|ratio| ratio.ratio).fold(1.2, f64::max);
    let mut svg = Svg::new();
    svg.text(0.0, 16.0, Anchor::Start, "title", title);
    for (index, ratio) in ratios.iter().enumerate() {
        let y = TOP + LINE * index as f64;
        row(&mut svg, y, ratio.group, ratio.ratio / longest, "ours");
        // In a column, where the mark does not cross it.
        let text = format!("{:.2} × {}", ratio.ratio, ratio.best);
        value(&mut svg, WIDTH - VALUES, y, &text);
    }
    let bottom = TOP + LINE * ratios.len() as f64;
    let one = LABELS + (WIDTH - LABELS - VALUES) / longest;
    svg.line((one, TOP - 6.0), (one, bottom), "mark");
    svg.text(one, TOP - 10.0, Anchor::Middle, "faint", "the best peer");
    svg.finish(WIDTH + 120.0, bottom + 4.0, title)
}

fn row(svg: &mut Svg, y: f64, label: &str, part: f64, class: &str) -> f64 {
    let width = (part * (WIDTH - LABELS - VALUES)).max(1.0);
    svg.text(LABELS - 8.0, y + 12.0, Anchor::End, "", label);
    svg.bar(LABELS, y, width, LINE - 6.0, class);
    LABELS + width
}

fn value(svg: &mut Svg, x: f64, y: f64, text: &str) {
    svg.text(x + 6.0, y + 12.0, Anchor::Start, "faint", text);
}
