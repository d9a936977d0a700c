//! Who runs next, decided by a seed; and the seeds.

use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::thread;

use future_result::sync;
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

use crate::ledger::Ledger;
use crate::plan::Plan;

/// A small generator of random numbers (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom
/// number generators", OOPSLA 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// The seeds of the runs, shared by all threads that run them.
pub(crate) struct Seeds {
    next: AtomicU64,
    end: u64,
    digest: fn(u64),
}

impl Seeds {
    pub(crate) fn new(first: u64, runs: u64) -> Self {
        Self {
            next: AtomicU64::new(first),
            end: first.saturating_add(runs),
            digest: |_| (),
        }
    }

    /// Also calls `digest` after each run.
    pub(crate) fn with_digest(mut self, digest: fn(u64)) -> Self {
        self.digest = digest;
        self
    }

    /// `None` also after any run has failed.
    fn take(&self) -> Option<u64> {
        if IS_OVER.load(Ordering::Relaxed) {
            return None;
        }
        let seed = self.next.fetch_add(1, Ordering::Relaxed);
        (seed < self.end).then_some(seed)
    }
}

/// A run has failed, which is all there is to report.
static IS_OVER: AtomicBool = AtomicBool::new(false);

thread_local! {
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
    static HAS_FAILED: Cell<bool> = const { Cell::new(false) };
    static CURRENT: RefCell<Option<(Arc<Ledger>, Plan)>> = const { RefCell::new(None) };
}

/// The run that this thread simulates.
pub(crate) fn current() -> (Arc<Ledger>, Plan) {
    CURRENT.with_borrow(|current| current.clone().expect("a run has begun"))
}

/// Fails this run at its next step, not by a panic here, which a pool might take for a panic of its
/// job.
pub(crate) fn fail(text: &str) {
    eprintln!("sim: {text}");
    note_failure();
}

fn note_failure() {
    HAS_FAILED.set(true);
    IS_OVER.store(true, Ordering::Relaxed);
    if let Some(seed) = SEED.get() {
        eprintln!("sim: seed {seed}; replay with SIM_SEED={seed} SIM_RUNS=1 ./check.sh sim");
        let plan = CURRENT.with_borrow(|current| current.as_ref().map(|current| current.1));
        eprintln!("sim: {plan:?}");
    }
}

/// Prints the seed of a run that unwinds without a report: a job's panic has escaped the pool.
pub(crate) struct Watch;

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() && !HAS_FAILED.get() {
            fail("a job's panic has escaped");
        }
    }
}

/// Makes every panic fail its run and print its seed. The jobs' own panics bypass the hook, and those
/// of a scope of which nobody took a task's result are exempt.
pub(crate) fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info
                .location()
                .is_some_and(|location| location.file().ends_with("src/scope.rs"))
            {
                return;
            }
            before(info);
            note_failure();
        }));
    });
}

/// How the next thread is chosen.
enum Policy {
    /// Any, but the last one goes on with a chance of this many in 256.
    Any { stay: usize },
    /// The one of the highest rank. Ranks are random, and one step in this many the running one's becomes
    /// the lowest. (Burckhardt et al., "A randomized scheduler with probabilistic
    /// guarantees of finding bugs", ASPLOS 2010.)
    Ranks { change: usize },
}

/// A scheduler that derives each run from one seed.
pub(crate) struct Seeded {
    seeds: Arc<Seeds>,
    plan: fn(u64) -> Plan,
    random: Random,
    policy: Policy,
    /// For the policy of ranks, by thread number.
    ranks: Vec<u64>,
    lowest: u64,
    steps: u64,
}

impl Seeded {
    pub(crate) fn new(seeds: Arc<Seeds>, plan: fn(u64) -> Plan) -> Self {
        Self {
            seeds,
            plan,
            random: Random::new(0),
            policy: Policy::Any { stay: 0 },
            ranks: Vec::new(),
            lowest: 0,
            steps: 0,
        }
    }

    /// Checks what the last run left.
    fn finish(&self) {
        let Some((ledger, _)) = CURRENT.take() else {
            return;
        };
        ledger.check();
        // A leaked handle also keeps its scope's claims, and so perhaps other tasks' memory.
        let (cells, leaks) = (sync::cells(), ledger.leaks());
        let is_freed = if leaks == 0 {
            cells == 0
        } else {
            cells >= leaks
        };
        assert!(is_freed, "{cells} cells were not freed, {leaks} leaked");
        let mut digest =
            Random::new(SEED.get().unwrap_or(0) ^ ledger.digest() ^ (self.steps << 32));
        (self.seeds.digest)(digest.next());
    }

    fn choose<'a>(&mut self, tasks: &[&'a Task], last: Option<TaskId>, yields: bool) -> &'a Task {
        let last = last.and_then(|last| tasks.iter().find(|task| task.id() == last));
        match self.policy {
            Policy::Any { stay } => match last {
                Some(last) if !yields && self.random.below(256) < stay => last,
                _ => tasks[self.random.below(tasks.len())],
            },
            Policy::Ranks { change } => {
                let newest = tasks.iter().map(|task| usize::from(task.id())).max();
                while self.ranks.len() <= newest.unwrap_or(0) {
                    // Above all lowered ranks.
                    self.ranks.push(self.random.next() | 1 << 63);
                }
                if let Some(last) = last
                    && (yields || self.random.one_in(change))
                {
                    self.lowest -= 1;
                    self.ranks[usize::from(last.id())] = self.lowest;
                }
                let highest = tasks
                    .iter()
                    .max_by_key(|task| self.ranks[usize::from(task.id())]);
                highest.expect("there is one")
            }
        }
    }
}

impl Scheduler for Seeded {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.finish();
        let seed = self.seeds.take()?;
        SEED.set(Some(seed));
        self.random = Random::new(seed);
        self.policy = if self.random.one_in(2) {
            let stay = self.random.pick(&[0, 128, 224, 250]);
            Policy::Any { stay }
        } else {
            let change = self.random.pick(&[8, 32, 128, 512]);
            Policy::Ranks { change }
        };
        self.ranks.clear();
        self.lowest = 1 << 63;
        self.steps = 0;
        let plan = (self.plan)(seed);
        sync::begin(plan.faults());
        CURRENT.set(Some((Arc::new(Ledger::new(seed)), plan)));
        Some(Schedule::new(seed))
    }

    fn next_task(&mut self, tasks: &[&Task], last: Option<TaskId>, yields: bool) -> Option<TaskId> {
        assert!(!HAS_FAILED.get(), "the run has failed, see above");
        self.steps += 1;
        // The others are parked, and may wake spuriously.
        let awake: Vec<_> = tasks
            .iter()
            .copied()
            .filter(|task| task.runnable())
            .collect();
        let all = self.random.one_in(64);
        let task = self.choose(if all { tasks } else { &awake }, last, yields);
        Some(task.id())
    }

    fn next_u64(&mut self) -> u64 {
        self.random.next()
    }
}
