//! A group: one workload, and a row for each pool that runs it.

use std::fmt;
use std::time::{Duration, Instant};

use crate::Pin;

/// A workload with its pool started; each call runs it once.
pub type Workload = Box<dyn FnMut() -> Run>;

/// What one run took.
#[derive(Debug)]
pub struct Run {
    /// The measured time of the whole run.
    pub total: Duration,
    /// The time of every task, where the group records that.
    pub each: Vec<Duration>,
    /// CPU time of other processes that worked for this run.
    pub cpu_elsewhere: Duration,
}

impl Run {
    /// All of it, from `start` until now.
    pub(crate) fn since(start: Instant) -> Self {
        Self::of(start.elapsed())
    }

    pub(crate) fn of(total: Duration) -> Self {
        Self {
            total,
            each: Vec::new(),
            cpu_elsewhere: Duration::ZERO,
        }
    }
}

/// Runs `code` and measures all of it.
pub(crate) fn timed(code: impl FnOnce()) -> Run {
    let start = Instant::now();
    code();
    Run::since(start)
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
    /// Under which name `python/processes.py` measures it, if that does.
    pub(crate) script: Option<&'static str>,
    start: Box<dyn Fn() -> Result<Workload, String>>,
}

impl Row {
    /// Starts the pool. Dropping the workload stops it.
    ///
    /// # Errors
    ///
    /// Why it cannot be started, if it is a program that need not be there.
    pub fn start(&self) -> Result<Workload, String> {
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

/// What ours is to reach, at the most, as a part of what a peer takes.
#[derive(Clone, Copy, Debug)]
pub struct Aim {
    /// Where threads may run.
    pub pin: Pin,
    /// Ours in times of the peer.
    pub ratio: f64,
    /// A row's name; the best peer of all if there is none.
    pub peer: Option<&'static str>,
}

/// One workload and its rows.
#[derive(Debug)]
pub struct Group {
    /// What stands before a `/` is the family.
    pub name: &'static str,
    /// What it is about, for the report: a sentence or two.
    pub about: &'static str,
    /// What was aimed at.
    pub aims: Vec<Aim>,
    /// How many tasks, items or calls one run does.
    pub tasks: u64,
    /// How many runs make a round of `compare`: about 100 ms.
    pub runs: u32,
    /// The pools, ours first.
    pub rows: Vec<Row>,
}

impl Group {
    pub(crate) fn new(name: &'static str, tasks: u64, runs: u32) -> Self {
        Self {
            name,
            about: "",
            aims: Vec::new(),
            tasks,
            runs,
            rows: Vec::new(),
        }
    }

    pub(crate) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Ours is to take at most so many times what this peer takes; `None` is the best one.
    pub(crate) fn aim(mut self, pin: Pin, ratio: f64, peer: Option<&'static str>) -> Self {
        self.aims.push(Aim { pin, ratio, peer });
        self
    }

    pub(crate) fn ours(self, name: &'static str, start: impl Fn() -> Workload + 'static) -> Self {
        self.row(name, Kind::Ours, move || Ok(start()))
    }

    pub(crate) fn peer(self, name: &'static str, start: impl Fn() -> Workload + 'static) -> Self {
        self.row(name, Kind::Peer, move || Ok(start()))
    }

    /// A peer that may be missing, since it is no crate.
    pub(crate) fn foreign(
        self,
        name: &'static str,
        start: impl Fn() -> Result<Workload, String> + 'static,
    ) -> Self {
        self.row(name, Kind::Peer, start)
    }

    pub(crate) fn reference(
        self,
        name: &'static str,
        start: impl Fn() -> Workload + 'static,
    ) -> Self {
        self.row(name, Kind::Reference, move || Ok(start()))
    }

    /// Pools of Python, by the names that `python/processes.py` knows them by. It knows the workload by
    /// the group's name.
    pub(crate) fn python(mut self, pools: &'static [(&'static str, &'static str)]) -> Self {
        for &(name, pool) in pools {
            self = self.foreign(name, || Err("a contest alone can measure it".to_owned()));
            if let Some(row) = self.rows.last_mut() {
                row.script = Some(pool);
            }
        }
        self
    }

    fn row(
        mut self,
        name: &'static str,
        kind: Kind,
        start: impl Fn() -> Result<Workload, String> + 'static,
    ) -> Self {
        let start = Box::new(start);
        let script = None;
        self.rows.push(Row {
            name,
            kind,
            script,
            start,
        });
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
