//! What was measured, as a file beside the report: so that one group can be measured anew and the rest
//! be drawn from before.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use benches::{Kind, Pin, Summary};

/// One row of one group, measured with one pin.
pub(crate) struct Entry {
    pub(crate) group: String,
    pub(crate) row: String,
    pub(crate) kind: Kind,
    pub(crate) pin: Pin,
    pub(crate) result: Result<Summary, String>,
}

/// All entries, in the order of groups and rows.
#[derive(Default)]
pub(crate) struct Data {
    entries: Vec<Entry>,
}

const KINDS: [(Kind, &str); 3] = [
    (Kind::Ours, "ours"),
    (Kind::Peer, "peer"),
    (Kind::Reference, "reference"),
];

impl Data {
    /// Replaces what there was of this group and pin.
    pub(crate) fn put(&mut self, group: &str, pin: Pin, entries: Vec<Entry>) {
        self.entries
            .retain(|entry| entry.group != group || entry.pin != pin);
        self.entries.extend(entries);
    }

    /// The rows of a group with this pin.
    pub(crate) fn of(&self, group: &str, pin: Pin) -> Vec<&Entry> {
        let is_meant = |entry: &&Entry| entry.group == group && entry.pin == pin;
        self.entries.iter().filter(is_meant).collect()
    }

    /// What was measured before; nothing if there is no such file.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(format!("{}: {error}", file.display())),
        };
        let lines = text.lines().skip(1).map(|line| {
            Entry::parse(line).ok_or_else(|| format!("{}: cannot read {line:?}", file.display()))
        });
        let entries = lines.collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    pub(crate) fn write(&self, file: &Path) -> Result<(), String> {
        let mut text = "group\trow\tkind\tpin\tmedian ns\tminimum ns\tCPU ns\tp99 ns\n".to_owned();
        for entry in &self.entries {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", entry.line());
        }
        fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
    }
}

impl Entry {
    fn line(&self) -> String {
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        let kind = kind.map_or("", |(_, name)| name);
        let figures = match &self.result {
            Ok(summary) => {
                let optional =
                    |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
                let (cpu, p99) = (optional(summary.cpu), optional(summary.p99));
                format!("{}\t{}\t{cpu}\t{p99}", summary.median, summary.minimum)
            }
            Err(message) => format!("failed\t{}", message.replace(['\t', '\n'], " ")),
        };
        format!(
            "{}\t{}\t{kind}\t{}\t{figures}",
            self.group,
            self.row,
            self.pin.name()
        )
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<_> = line.split('\t').collect();
        let [group, row, kind, pin, ref figures @ ..] = fields[..] else {
            return None;
        };
        let result = match figures {
            ["failed", message] => Err((*message).to_owned()),
            [median, minimum, cpu, p99] => Ok(Summary {
                median: median.parse().ok()?,
                minimum: minimum.parse().ok()?,
                cpu: cpu.parse().ok(),
                p99: p99.parse().ok(),
            }),
            _ => return None,
        };
        Some(Self {
            group: group.to_owned(),
            row: row.to_owned(),
            kind: KINDS.iter().find(|(_, name)| *name == kind)?.0,
            pin: Pin::named(pin)?,
            result,
        })
    }

    /// The median, if there is one.
    pub(crate) fn median(&self) -> Option<f64> {
        self.result.as_ref().ok().map(|summary| summary.median)
    }

    /// Whether it is what cannot be beaten.
    pub(crate) fn is_limit(&self) -> bool {
        self.kind == Kind::Reference && self.row.starts_with("limit")
    }
}

/// The median of ours, and the best of the peers with its name.
pub(crate) fn ours_and_best<'e>(entries: &[&'e Entry]) -> Option<(f64, f64, &'e str)> {
    let ours = entries
        .iter()
        .find(|entry| entry.kind == Kind::Ours)?
        .median()?;
    let peers = entries.iter().filter(|entry| entry.kind == Kind::Peer);
    let medians = peers.filter_map(|entry| Some((entry.median()?, entry.row.as_str())));
    let (best, name) = medians.min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some((ours, best, name))
}
