//! The ways to test all numbers. Another way is one function and one entry in [`WAYS`].

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use process_pool::ProcessPoolExecutor;
use thread_pool::ThreadPoolExecutor;

use crate::numbers::is_prime;

/// All ways, in the order of the table. The others are compared with the first.
pub const WAYS: &[Way] = &[ONE_BY_ONE, THREADS, PROCESSES];

/// Each number after the one before.
pub const ONE_BY_ONE: Way = Way {
    name: "one by one",
    test_all: one_by_one,
};
/// On the threads of a `thread-pool`.
pub const THREADS: Way = Way {
    name: "threads",
    test_all: threads,
};
/// On the worker processes of a `process-pool`.
pub const PROCESSES: Way = Way {
    name: "processes",
    test_all: processes,
};

/// Why a way did not finish, for example because no process could be started.
pub type WayError = Box<dyn Error + Send + Sync>;

/// What a way needs to know.
#[derive(Clone, Debug)]
pub struct Job {
    /// The numbers, in the order of the answers.
    pub numbers: Vec<u64>,
    /// How many are tested at the same time, in the ways that can.
    pub workers: usize,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let (numbers, workers) = (self.numbers.len(), self.workers);
        write!(f, "{workers} worker{}; ", plural(workers))?;
        write!(f, "{numbers} number{}", plural(numbers))
    }
}

/// A named way.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Its name in the table.
    pub name: &'static str,
    test_all: fn(&Job) -> Result<Vec<bool>, WayError>,
}

/// The outcome of a way: a row of the table.
#[derive(Debug)]
pub struct Row {
    /// The name of the way.
    pub way: &'static str,
    /// Whether each number is prime, or why the way did not finish.
    pub answers: Result<Vec<bool>, WayError>,
    /// The time of the whole way, including starting and ending its pool.
    pub elapsed: Duration,
}

impl Way {
    /// Tests all numbers of the job this way.
    #[must_use]
    pub fn run(&self, job: &Job) -> Row {
        let start = Instant::now();
        let answers = (self.test_all)(job);
        Row {
            way: self.name,
            answers,
            elapsed: start.elapsed(),
        }
    }
}

impl Row {
    /// Whether each number is prime; empty if the way did not finish.
    #[must_use]
    pub fn answers(&self) -> &[bool] {
        self.answers.as_deref().unwrap_or_default()
    }

    /// How many of the numbers are prime.
    #[must_use]
    pub fn primes(&self) -> usize {
        self.answers().iter().filter(|&&prime| prime).count()
    }
}

fn one_by_one(job: &Job) -> Result<Vec<bool>, WayError> {
    Ok(job.numbers.iter().copied().map(is_prime).collect())
}

fn threads(job: &Job) -> Result<Vec<bool>, WayError> {
    let pool = ThreadPoolExecutor::new(job.workers)?;
    let answers = pool.map(is_prime, job.numbers.iter().copied());
    let answers = answers.collect::<Result<_, _>>()?;
    pool.shutdown()?;
    Ok(answers)
}

fn processes(job: &Job) -> Result<Vec<bool>, WayError> {
    let pool = ProcessPoolExecutor::new(job.workers)?;
    let answers = pool.map(is_prime, job.numbers.iter().copied());
    let answers = answers.collect::<Result<_, _>>()?;
    pool.shutdown()?;
    Ok(answers)
}
