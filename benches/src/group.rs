//! A group: one workload, and a row for each pool that runs it.

use std::fmt;
use std::time::{Duration, Instant};

/// A workload with its pool started; each call runs it once.
pub type Workload = Box<dyn FnMut() -> Run>;

/// What one run took.
#[derive(Debug)]
pub struct Run {
    /// The measured time of the whole run.
    pub total: Duration,
    /// The time of every task, where the group records that.
    pub each: Vec<Duration>,
}

/// Runs `code` and measures all of it.
pub(crate) fn timed(code: impl FnOnce()) -> Run {
    let start = Instant::now();
    code();
    Run {
        total: start.elapsed(),
        each: Vec::new(),
    }
}

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This workspace's pool.
    Ours,
    /// Somebody else's.
    Peer,
    /// No pool: sequential code, or an ideal. Does not count as the best peer.
    Reference,
}

/// One pool in a group.
pub struct Row {
    /// Unique in its group.
    pub name: &'static str,
    /// Ours or not.
    pub kind: Kind,
    start: Box<dyn Fn() -> Workload>,
}

impl Row {
    /// Starts the pool. Dropping the workload stops it.
    #[must_use]
    pub fn start(&self) -> Workload {
        (self.start)()
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// One workload and its rows.
#[derive(Debug)]
pub struct Group {
    /// What stands before a `/` is the family.
    pub name: &'static str,
    /// How many tasks, items or calls one run does.
    pub tasks: u64,
    /// How many runs make a round of `compare`: about 100 ms.
    pub runs: u32,
    /// The pools, ours first.
    pub rows: Vec<Row>,
    /// Pools of Python, by the names that `python/processes.py` knows them by. It knows the workload by
    /// the group's name.
    pub python: &'static [&'static str],
}

impl Group {
    pub(crate) fn new(name: &'static str, tasks: u64, runs: u32) -> Self {
        Self {
            name,
            tasks,
            runs,
            rows: Vec::new(),
            python: &[],
        }
    }

    pub(crate) fn ours(self, name: &'static str, start: impl Fn() -> Workload + 'static) -> Self {
        self.row(name, Kind::Ours, start)
    }

    pub(crate) fn peer(self, name: &'static str, start: impl Fn() -> Workload + 'static) -> Self {
        self.row(name, Kind::Peer, start)
    }

    pub(crate) fn reference(
        self,
        name: &'static str,
        start: impl Fn() -> Workload + 'static,
    ) -> Self {
        self.row(name, Kind::Reference, start)
    }

    pub(crate) const fn python(mut self, names: &'static [&'static str]) -> Self {
        self.python = names;
        self
    }

    fn row(
        mut self,
        name: &'static str,
        kind: Kind,
        start: impl Fn() -> Workload + 'static,
    ) -> Self {
        let start = Box::new(start);
        self.rows.push(Row { name, kind, start });
        self
    }

    /// The name without the variant: `map` of `map/5ns`.
    #[must_use]
    pub fn family(&self) -> &'static str {
        self.name
            .split_once('/')
            .map_or(self.name, |(family, _)| family)
    }
}
