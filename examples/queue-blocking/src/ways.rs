//! The ways to run the tasks. Another way is one function and one entry in [`WAYS`].

use std::error::Error;
use std::thread;
use std::time::Duration;

use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor};

use crate::drive::{Crew, drive};
use crate::plan::Plan;
use crate::token;
use crate::work::Work;

/// All ways, in the order of the table.
pub const WAYS: [Way; 7] = [
    KEPT,
    FIXED,
    FAIR,
    ADAPTIVE,
    MORE_WORKERS,
    LONG_APART,
    GREEN_TASKS,
];

/// Like a queue that cannot take tasks back: each worker in turn gets up to `--prefetch` tasks in advance and keeps
/// them. Each worker is a pool of its own here, since a pool of several does take them back.
pub const KEPT: Way = Way {
    name: "prefetched and kept",
    workers: |plan| plan.workers,
    run_all: kept,
};
/// The same prefetch in one process pool, which takes back tasks that wait behind a long one.
pub const FIXED: Way = Way {
    name: "fixed prefetch",
    workers: |plan| plan.workers,
    run_all: |plan| processes(plan, plan.workers, Some(plan.prefetch)),
};
/// A worker gets a task only when it is free.
pub const FAIR: Way = Way {
    name: "fair, prefetch(1)",
    workers: |plan| plan.workers,
    run_all: |plan| processes(plan, plan.workers, Some(1)),
};
/// A prefetch that follows from how long tasks take: the process pool's default.
pub const ADAPTIVE: Way = Way {
    name: "adaptive",
    workers: |plan| plan.workers,
    run_all: |plan| processes(plan, plan.workers, None),
};
/// Adaptive, with more workers.
pub const MORE_WORKERS: Way = Way {
    name: "more workers",
    workers: |plan| plan.more_workers,
    run_all: |plan| processes(plan, plan.more_workers, None),
};
/// A pool for the long tasks and one for the short ones, with half of the workers each: if it is known in advance
/// which tasks are long.
pub const LONG_APART: Way = Way {
    name: "long ones apart",
    workers: |plan| plan.workers.max(2),
    run_all: apart,
};
/// No waiting for workers: each task becomes a green task when it is due, on as many threads as other ways have
/// workers.
pub const GREEN_TASKS: Way = Way {
    name: "green tasks",
    workers: |plan| plan.workers,
    run_all: green,
};

/// How often, at most, each worker gets a task beforehand: a worker is only started when there is work for it.
const WARM_UPS: usize = 100;

/// Why a way did not finish, for example because no process could be started.
pub type WayError = Box<dyn Error + Send + Sync>;

/// A named way.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Its name in the table.
    pub name: &'static str,
    workers: fn(&Plan) -> usize,
    run_all: fn(&Plan) -> Result<Vec<Duration>, WayError>,
}

impl Way {
    /// How many processes or threads run the tasks.
    #[must_use]
    pub fn workers(&self, plan: &Plan) -> usize {
        (self.workers)(plan)
    }

    /// Runs all tasks, and returns how long each waited.
    ///
    /// # Errors
    /// If it cannot start, or a task fails.
    pub fn run(&self, plan: &Plan) -> Result<Vec<Duration>, WayError> {
        (self.run_all)(plan)
    }
}

fn processes(
    plan: &Plan,
    workers: usize,
    prefetch: Option<usize>,
) -> Result<Vec<Duration>, WayError> {
    let pool = started(workers, prefetch)?;
    let mut submit = |work| pool.submit(Work::run, work);
    let waits = drive(plan, thread::sleep, &mut submit)?;
    pool.shutdown()?;
    Ok(waits)
}

/// A pool whose workers have already started, since starting them is not what is measured.
fn started(workers: usize, prefetch: Option<usize>) -> Result<ProcessPoolExecutor, WayError> {
    let mut builder = ProcessPoolExecutor::builder().workers(workers);
    if let Some(tasks) = prefetch {
        builder = builder.prefetch(tasks);
    }
    let pool = builder.build()?;
    for _ in 0..WARM_UPS {
        let work = Work::Wait(Duration::from_millis(1));
        let all = (0..workers).map(|_| pool.submit(Work::run, work));
        for handle in all.collect::<Vec<_>>() {
            handle.result()?;
        }
        if pool.pids().len() == workers {
            break;
        }
    }
    Ok(pool)
}

fn apart(plan: &Plan) -> Result<Vec<Duration>, WayError> {
    let half = (plan.workers / 2).max(1);
    let for_long = started(half, None)?;
    let for_short = started(plan.workers.max(2) - half, None)?;
    let long = Work::new(plan.kind, plan.long, plan.rounds_per_milli);
    let mut submit = |work| {
        let pool = if work == long { &for_long } else { &for_short };
        pool.submit(Work::run, work)
    };
    let waits = drive(plan, thread::sleep, &mut submit)?;
    for_long.shutdown()?;
    for_short.shutdown()?;
    Ok(waits)
}

fn kept(plan: &Plan) -> Result<Vec<Duration>, WayError> {
    let pools = (0..plan.workers).map(|_| started(1, None));
    let mut dealer = Dealer {
        pools: pools.collect::<Result<_, _>>()?,
        held: vec![0; plan.workers],
        most: plan.prefetch,
        next: 0,
    };
    let waits = drive(plan, thread::sleep, &mut dealer)?;
    for pool in dealer.pools {
        pool.shutdown()?;
    }
    Ok(waits)
}

/// Gives tasks to workers in turn, and never takes one back.
struct Dealer {
    pools: Vec<ProcessPoolExecutor>,
    /// How many unfinished tasks each has.
    held: Vec<usize>,
    most: usize,
    next: usize,
}

impl Crew for Dealer {
    fn submit(&mut self, work: Work) -> Option<(usize, JoinHandle<u64>)> {
        let workers = self.pools.len();
        let mut turns = (self.next..).take(workers).map(|turn| turn % workers);
        let whom = turns.find(|&whom| self.held[whom] < self.most)?;
        self.next = whom + 1;
        self.held[whom] += 1;
        Some((whom, self.pools[whom].submit(Work::run, work)))
    }

    fn done(&mut self, whom: usize) {
        self.held[whom] -= 1;
    }
}

fn green(plan: &Plan) -> Result<Vec<Duration>, WayError> {
    let mut spawn = |work: Work| green_tasks::spawn(move || work.run_green());
    token::runtime(plan.workers)?.run(|| drive(plan, green_tasks::sleep, &mut spawn))?
}
