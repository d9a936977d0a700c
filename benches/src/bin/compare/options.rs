//! The command line.

use benches::{CHILD, Contest, Group, Pin, Row, groups};

pub(crate) const USAGE: &str = "\
Compares this workspace's pools with their peers: thread pools with two workers each, green tasks on one
thread unless a row says otherwise.

Usage: cargo run --release -p benches --bin compare -- [OPTIONS]

  --group NAME   only this group, or all of a family (map for map/…); may be repeated
  --only NAME    only rows whose name contains NAME; may be repeated
  --rounds N     how many processes for each row, interleaved (7)
  --pin WHERE    free:   the kernel decides, as for a user (default)
                 one:    all threads on CPU 0: the cost of the software alone
                 spread: the main thread on CPU 0, all others on CPU 1
  --list         print the groups and their rows
  --help         print this

Times are per task: the median and the minimum of the rounds, the CPU time of all threads (its
median, pauses between tasks included), and where each task was timed, the 99th percentile of all.
";

/// What to do.
pub(crate) enum Mode {
    Help,
    List,
    Compare(Options),
    Child {
        group: String,
        row: String,
        pin: Pin,
    },
}

/// How to compare.
pub(crate) struct Options {
    pub(crate) contest: Contest,
    groups: Vec<String>,
    only: Vec<String>,
}

impl Mode {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            contest: Contest {
                pin: Pin::Free,
                rounds: 7,
            },
            groups: Vec::new(),
            only: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next();
                value.ok_or_else(|| format!("{argument} needs a value; see --help"))
            };
            match argument.as_str() {
                "--help" | "-h" => return Ok(Self::Help),
                "--list" => return Ok(Self::List),
                "--group" => options.groups.push(value()?),
                "--only" => options.only.push(value()?),
                "--rounds" => options.contest.rounds = rounds(&value()?)?,
                "--pin" => options.contest.pin = pin(&value()?)?,
                // Only from the parent process.
                CHILD => {
                    return Ok(Self::Child {
                        group: value()?,
                        row: value()?,
                        pin: pin(&value()?)?,
                    });
                }
                _ => return Err(format!("unknown option {argument}; see --help")),
            }
        }
        Ok(Self::Compare(options))
    }
}

fn rounds(value: &str) -> Result<usize, String> {
    match value.parse() {
        Ok(rounds) if rounds > 0 => Ok(rounds),
        _ => Err(format!("--rounds takes a number from 1, not {value}")),
    }
}

fn pin(value: &str) -> Result<Pin, String> {
    Pin::named(value).ok_or_else(|| format!("--pin takes free, one or spread, not {value}"))
}

impl Options {
    /// The requested groups that have a requested row.
    pub(crate) fn groups(&self) -> Result<Vec<Group>, String> {
        let all = groups();
        let is = |group: &Group, name: &str| group.name == name || group.family() == name;
        for name in &self.groups {
            if !all.iter().any(|group| is(group, name)) {
                let names: Vec<_> = all.iter().map(|group| group.name).collect();
                return Err(format!("no group {name}; there are {}", names.join(", ")));
            }
        }
        let mut groups = all;
        groups.retain(|group| {
            let asked_for = self.groups.iter().any(|name| is(group, name));
            (asked_for || self.groups.is_empty()) && self.rows(group).next().is_some()
        });
        if groups.is_empty() {
            return Err(format!("no row's name contains {}", self.only.join(" or ")));
        }
        Ok(groups)
    }

    pub(crate) fn rows<'g>(&self, group: &'g Group) -> impl Iterator<Item = &'g Row> {
        let wanted = |row: &&Row| {
            self.only.is_empty()
                || self
                    .only
                    .iter()
                    .any(|part| row.name.contains(part.as_str()))
        };
        group.rows.iter().filter(wanted)
    }
}
