//! The measurements, in a file beside the report, so that one group can be measured again and the rest drawn
//! from earlier figures.

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
pub(crate) struct Data {
    /// The machine on which all were measured.
    pub(crate) machine: String,
    entries: Vec<Entry>,
}

const HEAD: &str = "group\trow\tkind\tpin\trounds\tmedian ns\tminimum ns\tCPU ns\tp99 ns";
const KINDS: [(Kind, &str); 3] = [
    (Kind::Ours, "ours"),
    (Kind::Peer, "peer"),
    (Kind::Reference, "reference"),
];

impl Data {
    /// Replaces the entries of this group and pin.
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

    /// The earlier measurements; none, for this machine, if there is no such file.
    pub(crate) fn read(file: &Path, machine: String) -> Result<Self, String> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let entries = Vec::new();
                return Ok(Self { machine, entries });
            }
            Err(error) => return Err(format!("{}: {error}", file.display())),
        };
        let mut lines = text.lines();
        let machine = lines.next().unwrap_or_default().to_owned();
        let lines = lines.skip(1).map(|line| {
            Entry::parse(line).ok_or_else(|| format!("{}: cannot read {line:?}", file.display()))
        });
        let entries = lines.collect::<Result<_, _>>()?;
        Ok(Self { machine, entries })
    }

    /// The fewest and the most rounds of all entries.
    pub(crate) fn rounds(&self) -> (usize, usize) {
        let rounds = self
            .entries
            .iter()
            .filter_map(|entry| Some(entry.result.as_ref().ok()?.rounds));
        let (least, most) = (rounds.clone().min(), rounds.max());
        (least.unwrap_or(0), most.unwrap_or(0))
    }

    pub(crate) fn write(&self, file: &Path) -> Result<(), String> {
        let mut text = format!("{}\n{HEAD}\n", self.machine);
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
                format!(
                    "{}\t{}\t{}\t{cpu}\t{p99}",
                    summary.rounds, summary.median, summary.minimum
                )
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
            [rounds, median, minimum, cpu, p99] => Ok(Summary {
                rounds: rounds.parse().ok()?,
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

    /// Whether it is a limit, which no pool can beat.
    pub(crate) fn is_limit(&self) -> bool {
        self.kind == Kind::Reference && self.row.starts_with("limit")
    }
}

/// The lowest median of the rows of this kind, and its row.
pub(crate) fn best<'e>(entries: &[&'e Entry], kind: Kind) -> Option<(f64, &'e str)> {
    let rows = entries.iter().filter(|entry| entry.kind == kind);
    let medians = rows.filter_map(|entry| Some((entry.median()?, entry.row.as_str())));
    medians.min_by(|a, b| a.0.total_cmp(&b.0))
}
