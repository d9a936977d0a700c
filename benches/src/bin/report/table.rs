//! The table of one group: its rows with each measured pin, and the conclusions from it.

use std::fmt::Write;

use benches::{Group, Kind, Pin, Summary, human_time};

use crate::aims::verdict;
use crate::data::{Data, Entry, best};

/// Adds it to the page.
pub(crate) fn add(page: &mut String, group: &Group, data: &Data) {
    let pins: Vec<_> = group
        .pins
        .iter()
        .map(|&pin| (pin, data.of(group.name, pin)))
        .filter(|(_, entries)| !entries.is_empty())
        .collect();
    let has_p99 = |entries: &[&Entry]| {
        let summaries = entries
            .iter()
            .filter_map(|entry| entry.result.as_ref().ok());
        summaries.into_iter().any(|summary| summary.p99.is_some())
    };
    let has_p99 = pins.iter().any(|(_, entries)| has_p99(entries));

    let mut head = format!("\n| {} |", group.name);
    let mut rule = "\n|---|".to_owned();
    for (pin, _) in &pins {
        let p99 = if has_p99 { " 99 % |" } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(head, " {}: median | min | CPU |{p99}", heading(*pin));
        rule.push_str("--:|--:|--:|");
        rule.push_str(if has_p99 { "--:|" } else { "" });
    }
    page.push_str(&head);
    page.push_str(&rule);
    page.push('\n');

    for first in sorted(&data.of(group.name, Pin::Free)) {
        let mark = match first.kind {
            Kind::Ours => "**",
            Kind::Peer => "",
            Kind::Reference => "*",
        };
        let _ = write!(page, "| {mark}{}{mark} |", first.row);
        for (_, entries) in &pins {
            let entry = entries.iter().find(|entry| entry.row == first.row);
            page.push_str(&cells(entry.map(|entry| &entry.result), has_p99));
        }
        page.push('\n');
    }
    page.push('\n');
    for (pin, entries) in &pins {
        read_off(page, group, *pin, entries, data);
    }
}

/// Ours first, then the peers, then the references, each from best to worst; rows that failed are the last of
/// their kind.
pub(crate) fn sorted<'e>(entries: &[&'e Entry]) -> Vec<&'e Entry> {
    let rank = |entry: &Entry| match entry.kind {
        Kind::Ours => 0,
        Kind::Peer => 1,
        Kind::Reference => 2,
    };
    let median = |entry: &Entry| entry.median().unwrap_or(f64::INFINITY);
    let mut entries = entries.to_vec();
    entries.sort_by(|a, b| rank(a).cmp(&rank(b)).then(median(a).total_cmp(&median(b))));
    entries
}

/// How ours compares with the best peer and with the limits, and whether it reached its aims.
fn read_off(page: &mut String, group: &Group, pin: Pin, entries: &[&Entry], data: &Data) {
    let (Some((ours, row)), Some((peer, name))) =
        (best(entries, Kind::Ours), best(entries, Kind::Peer))
    else {
        return;
    };
    let _ = write!(page, "- {}: ", heading(pin));
    let several = entries
        .iter()
        .filter(|entry| entry.kind == Kind::Ours)
        .count();
    if several > 1 {
        let _ = write!(page, "`{row}` takes ");
    }
    let _ = write!(page, "**{:.2}** × {name}", ours / peer);
    let limits = entries.iter().filter(|entry| entry.is_limit());
    for (limit, name) in limits.filter_map(|limit| Some((limit.median()?, &limit.row))) {
        let _ = write!(page, ", {:.2} × the {name}", ours / limit);
    }
    for aim in group.aims.iter().filter(|aim| aim.pin == pin) {
        let verdict = verdict(group, aim, data);
        let is = verdict.is.as_deref().unwrap_or("not measured");
        let reached = if verdict.is_reached {
            "reached"
        } else {
            "**missed**"
        };
        let _ = write!(page, "; the aim, {}, is {reached} ({is})", verdict.aim);
    }
    page.push_str(".\n");
}

pub(crate) const fn heading(pin: Pin) -> &'static str {
    match pin {
        Pin::Free => "free",
        Pin::One => "one CPU",
        Pin::Spread => "spread",
    }
}

fn cells(result: Option<&Result<Summary, String>>, has_p99: bool) -> String {
    let optional = |value: Option<f64>| value.map(human_time).unwrap_or_default();
    let [median, minimum, cpu, p99] = match result {
        Some(Ok(summary)) => [
            human_time(summary.median),
            human_time(summary.minimum),
            optional(summary.cpu),
            optional(summary.p99),
        ],
        Some(Err(message)) => [
            format!("failed: {}", message.replace('|', "/")),
            String::new(),
            String::new(),
            String::new(),
        ],
        None => Default::default(),
    };
    let last = if has_p99 {
        format!(" {p99} |")
    } else {
        String::new()
    };
    format!(" {median} | {minimum} | {cpu} |{last}")
}
