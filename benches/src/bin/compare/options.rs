//! The command line.

use benches::{Group, Kind, Pin, Row, groups};

pub(crate) const USAGE: &str = "\
Compares this workspace's pools with their peers, two workers each.

Usage: cargo run --release -p benches --bin compare -- [OPTIONS]

  --group NAME   only this group, or all of a family (map for map/…); may be repeated
  --only NAME    only rows whose name contains NAME; may be repeated
  --rounds N     how many processes for each row, interleaved (7)
  --pin WHERE    free:   the kernel decides, as for a user (default)
                 one:    all threads on CPU 0: the cost of the software alone
                 spread: the main thread on CPU 0, all others on CPU 1
  --python       also the pools of Python, where the group has any (python3 must be found, and loky for its row)
  --list         print the groups and their rows
  --help         print this

Times are per task: the median and the minimum of the rounds, the CPU time of all threads and
worker processes (its median, pauses between tasks included), and where each task was timed, the 99th percentile of all.
";

/// What to do.
pub(crate) enum Mode {
    Help,
    List,
    Compare(Options),
    Child(Child),
}

/// How to compare.
pub(crate) struct Options {
    pub(crate) pin: Pin,
    pub(crate) rounds: usize,
    pub(crate) python: bool,
    groups: Vec<String>,
    only: Vec<String>,
}

/// One line of a group's table.
#[derive(Clone, Copy)]
pub(crate) enum Contender<'g> {
    Here(&'g Row),
    /// By its name in `python/processes.py`.
    Python(&'static str),
}

impl Contender<'_> {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Here(row) => row.name.to_owned(),
            Self::Python(name) => format!("Python: {name}"),
        }
    }

    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Here(row) => row.kind,
            Self::Python(_) => Kind::Peer,
        }
    }
}

/// What one child process measures.
pub(crate) struct Child {
    group: String,
    row: String,
    pub(crate) pin: Pin,
}

impl Mode {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            pin: Pin::Free,
            rounds: 7,
            python: false,
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
                "--rounds" => options.rounds = rounds(&value()?)?,
                "--python" => options.python = true,
                "--pin" => options.pin = pin(&value()?)?,
                // From the parent process alone.
                "--child" => {
                    return Ok(Self::Child(Child {
                        group: value()?,
                        row: value()?,
                        pin: pin(&value()?)?,
                    }));
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
        _ => Err(format!("--rounds is a number from 1, not {value}")),
    }
}

fn pin(value: &str) -> Result<Pin, String> {
    Pin::named(value).ok_or_else(|| format!("--pin is free, one or spread, not {value}"))
}

impl Options {
    /// The groups that were asked for and have a row that was asked for.
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
            return Err(format!("no row has {} in its name", self.only.join(" or ")));
        }
        Ok(groups)
    }

    pub(crate) fn rows<'g>(&self, group: &'g Group) -> impl Iterator<Item = Contender<'g>> {
        let wanted = |row: &Contender<'g>| {
            self.only.is_empty()
                || self
                    .only
                    .iter()
                    .any(|part| row.name().contains(part.as_str()))
        };
        let python = if self.python { group.python } else { &[] };
        let rows = group.rows.iter().map(Contender::Here);
        let python = python.iter().map(|name| Contender::Python(name));
        rows.chain(python).filter(wanted)
    }
}

impl Child {
    /// The group, and which of its rows.
    pub(crate) fn find(&self) -> Result<(Group, usize), String> {
        groups()
            .into_iter()
            .filter(|group| group.name == self.group)
            .find_map(|group| {
                let index = group.rows.iter().position(|row| row.name == self.row)?;
                Some((group, index))
            })
            .ok_or_else(|| format!("no row {} in a group {}", self.row, self.group))
    }
}
