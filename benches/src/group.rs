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
    /// The time of each task, where the group records it.
    pub each: Vec<Duration>,
    /// CPU time of other processes that worked for this run.
    pub cpu_elsewhere: Duration,
}

impl Run {
    /// A run that took from `start` until now.
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
    /// No pool: sequential code, or a limit. Never counts as the best peer.
    Reference,
}

/// One pool in a group.
pub struct Row {
    /// Unique in its group.
    pub name: &'static str,
    /// Ours or not.
    pub kind: Kind,
    /// The name under which `python/pools.py` measures it, if it does.
    pub(crate) script: Option<&'static str>,
    /// Whether it is an external program that may be missing on this machine.
    pub(crate) may_be_absent: bool,
    start: Box<dyn Fn() -> Result<Workload, String>>,
}

impl Row {
    /// Starts the pool. Dropping the workload stops it.
    ///
    /// # Errors
    ///
    /// Why it cannot be started, if it may be missing.
    pub fn start(&self) -> Result<Workload, String> {
        (self.start)()
    }

    /// Starts a pool that cannot be missing.
    pub(crate) fn start_what_is_there(&self) -> Workload {
        match self.start() {
            Ok(workload) => workload,
            Err(reason) => panic!("{}: {reason}", self.name),
        }
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

/// What a row of ours may take at most.
#[derive(Clone, Copy, Debug)]
pub struct Aim {
    /// Which row; by default our first.
    pub row: Option<&'static str>,
    /// Where threads may run.
    pub pin: Pin,
    /// The bound.
    pub most: Most,
}

/// An upper bound on a time, mostly relative to another row.
#[derive(Clone, Copy, Debug)]
pub enum Most {
    /// A multiple of the best peer's time.
    OfBest(f64),
    /// A multiple of the named row's time.
    Of(f64, &'static str),
    /// This time.
    Time(Duration),
    /// The named row's time, plus this.
    Beyond(Duration, &'static str),
}

/// One workload and its rows.
#[derive(Debug)]
pub struct Group {
    /// The part before a `/` is the family.
    pub name: &'static str,
    /// What it is about, for the report: a sentence or two.
    pub about: &'static str,
    /// The bounds that ours should keep.
    pub aims: Vec<Aim>,
    /// The pins worth measuring for the report.
    pub pins: &'static [Pin],
    /// How many tasks, items or calls one run does.
    pub tasks: u64,
    /// How many runs make a round of `compare`, which takes about 100 ms.
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
            pins: &[Pin::Free, Pin::One],
            tasks,
            runs,
            rows: Vec::new(),
        }
    }

    pub(crate) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Ours may take at most `ratio` times what this peer takes; `None` is the best one.
    pub(crate) fn aim(mut self, pin: Pin, ratio: f64, peer: Option<&'static str>) -> Self {
        let most = match peer {
            None => Most::OfBest(ratio),
            Some(peer) => Most::Of(ratio, peer),
        };
        let row = None;
        self.aims.push(Aim { row, pin, most });
        self
    }

    /// This row of ours, instead of the first, may take at most `ratio` times what this peer takes, wherever
    /// threads run.
    pub(crate) fn aim_of(mut self, row: &'static str, ratio: f64, peer: &'static str) -> Self {
        let (row, most) = (Some(row), Most::Of(ratio, peer));
        self.aims
            .extend([Pin::Free, Pin::One].map(|pin| Aim { row, pin, most }));
        self
    }

    /// The same aim wherever threads run: free, and on one CPU.
    pub(crate) fn aim_everywhere(self, ratio: f64, peer: Option<&'static str>) -> Self {
        self.aim(Pin::Free, ratio, peer).aim(Pin::One, ratio, peer)
    }

    /// A task of ours may take at most `time`, wherever threads run.
    pub(crate) fn aim_time(self, time: Duration) -> Self {
        self.aim_at(Most::Time(time))
    }

    /// A task of ours may take at most `time` longer than this row, wherever threads run.
    pub(crate) fn aim_beyond(self, time: Duration, row: &'static str) -> Self {
        self.aim_at(Most::Beyond(time, row))
    }

    fn aim_at(mut self, most: Most) -> Self {
        let row = None;
        self.aims
            .extend([Pin::Free, Pin::One].map(|pin| Aim { row, pin, most }));
        self
    }

    /// Measures free only: one CPU would say nothing new.
    pub(crate) fn free_alone(mut self) -> Self {
        self.pins = &[Pin::Free];
        self
    }

    /// Measures spread as well: the calling thread and the workers communicate all the time, and then every
    /// message crosses from one CPU to the other.
    pub(crate) fn and_spread(mut self) -> Self {
        self.pins = &[Pin::Free, Pin::One, Pin::Spread];
        self
    }

    pub(crate) fn ours(self, name: &'static str, start: impl Fn() -> Workload + 'static) -> Self {
        self.row(name, Kind::Ours, move || Ok(start()))
    }

    pub(crate) fn peer(self, name: &'static str, start: impl Fn() -> Workload + 'static) -> Self {
        self.row(name, Kind::Peer, move || Ok(start()))
    }

    /// A peer that may be missing, since it is not a crate.
    pub(crate) fn foreign(
        mut self,
        name: &'static str,
        start: impl Fn() -> Result<Workload, String> + 'static,
    ) -> Self {
        self = self.row(name, Kind::Peer, start);
        if let Some(row) = self.rows.last_mut() {
            row.may_be_absent = true;
        }
        self
    }

    pub(crate) fn reference(
        self,
        name: &'static str,
        start: impl Fn() -> Workload + 'static,
    ) -> Self {
        self.row(name, Kind::Reference, move || Ok(start()))
    }

    /// Python's pools, each with its name in `python/pools.py`, which knows the workload by the group's name.
    pub(crate) fn python(mut self, pools: &'static [(&'static str, &'static str)]) -> Self {
        for &(name, pool) in pools {
            self = self.foreign(name, || {
                Err("only `compare` and `report` measure it".to_owned())
            });
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
            may_be_absent: false,
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
