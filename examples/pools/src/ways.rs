//! The ways to run all tasks. Another way is one function and one entry in [`WAYS`].

use std::error::Error;
use std::time::{Duration, Instant};

use process_pool::ProcessPoolExecutor;
use thread_pool::{FutureResult, JoinHandle, TaskError, ThreadPoolExecutor};

use crate::task::{Outcome, Task};
use crate::token;

/// All ways, in the order of the table. The others are compared with the first.
pub const WAYS: [Way; 6] = [
    ONE_BY_ONE,
    THREADS,
    PROCESSES,
    GREEN_TASKS,
    GREEN_THREADS,
    ASYNC,
];

/// Each task after the one before.
pub const ONE_BY_ONE: Way = Way {
    name: "one by one",
    run_all: one_by_one,
};
/// On the threads of a `thread-pool`.
pub const THREADS: Way = Way {
    name: "threads",
    run_all: threads,
};
/// On the worker processes of a `process-pool`.
pub const PROCESSES: Way = Way {
    name: "processes",
    run_all: processes,
};
/// All at once as green tasks, on one thread.
pub const GREEN_TASKS: Way = Way {
    name: "green tasks",
    run_all: |job| green(job, 1),
};
/// All at once as green tasks, on a thread for each CPU.
pub const GREEN_THREADS: Way = Way {
    name: "green, all CPUs",
    run_all: |job| green(job, job.cpus),
};
/// All at once as futures, on a thread for each CPU: the bridge spawns them on a `thread-pool`.
pub const ASYNC: Way = Way {
    name: "async",
    run_all: futures,
};

/// Why a way could not run at all, for example because no thread could be started.
pub type WayError = Box<dyn Error + Send + Sync>;

/// What a way needs to know.
#[derive(Clone, Debug)]
pub struct Job {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// How many threads the ways use that hold all tasks at once.
    pub cpus: usize,
    /// How many threads a thread pool has, each of which runs one task at a time.
    pub threads: usize,
    /// How many worker processes, likewise.
    pub processes: usize,
}

/// A named way.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Its name in the table.
    pub name: &'static str,
    run_all: fn(&Job) -> Result<Vec<u64>, WayError>,
}

/// The outcome of a way.
#[derive(Debug)]
pub struct Run {
    /// The result of each task, in order, or why there is none.
    pub numbers: Result<Vec<u64>, WayError>,
    /// The time of the whole way, including starting and ending its pool.
    pub elapsed: Duration,
}

impl Way {
    /// Runs all tasks of the job this way.
    #[must_use]
    pub fn run(&self, job: &Job) -> Run {
        let start = Instant::now();
        let numbers = (self.run_all)(job);
        Run {
            numbers,
            elapsed: start.elapsed(),
        }
    }
}

fn one_by_one(job: &Job) -> Result<Vec<u64>, WayError> {
    let tasks = job.tasks.iter();
    Ok(tasks
        .map(|task| task.run_blocking())
        .collect::<Result<_, _>>()?)
}

fn threads(job: &Job) -> Result<Vec<u64>, WayError> {
    let pool = ThreadPoolExecutor::new(job.threads)?;
    let numbers = all(pool.map(Task::run_blocking, job.tasks.iter().copied()))?;
    pool.shutdown()?;
    Ok(numbers)
}

fn processes(job: &Job) -> Result<Vec<u64>, WayError> {
    let pool = ProcessPoolExecutor::new(job.processes)?;
    let numbers = all(pool.map(Task::run_blocking, job.tasks.iter().copied()))?;
    pool.shutdown()?;
    Ok(numbers)
}

fn green(job: &Job, threads: usize) -> Result<Vec<u64>, WayError> {
    let run = || {
        let spawn = |&task: &Task| green_tasks::spawn(move || task.run_green());
        wait_for(job.tasks.iter().map(spawn).collect())
    };
    token::runtime(threads)?.run(run)?
}

fn futures(job: &Job) -> Result<Vec<u64>, WayError> {
    let pool = ThreadPoolExecutor::new(job.cpus)?;
    let spawn = |task: &Task| futures_lite_bridge::spawn(&pool, task.run_async());
    let numbers = wait_for(job.tasks.iter().map(spawn).collect())?;
    pool.shutdown()?;
    Ok(numbers)
}

fn wait_for(handles: Vec<JoinHandle<Outcome>>) -> Result<Vec<u64>, WayError> {
    all(handles.into_iter().map(JoinHandle::result))
}

/// The first failure, of a task or of what ran it, fails the way.
fn all(outcomes: impl Iterator<Item = Result<Outcome, TaskError>>) -> Result<Vec<u64>, WayError> {
    outcomes.map(|outcome| Ok(outcome??)).collect()
}
