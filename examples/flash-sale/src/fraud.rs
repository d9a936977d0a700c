//! The fraud check: a computation on worker processes, which may die during it.
//!
//! A check changes nothing, so if its process died it is simply repeated. Other errors are no reason to: a pool that
//! refuses a task will refuse it again.

use std::num::NonZeroU64;

use process_pool::{BuildError, FutureResult, ProcessPoolExecutor, TaskError, WorkerDied};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::tally::Tally;

/// How often the check of one order is tried, which suffices even if every second check loses a worker.
const ATTEMPTS: u32 = 100;
/// One order in this many is a fraud.
const ONE_IN: u64 = 40;

/// What a check looks at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Suspect {
    /// The order's key.
    pub key: String,
    /// The length of the check, in thousands of rounds; a round is a few nanoseconds in a release build.
    pub work: u32,
}

/// Whether this is a fraud: a long computation on the key, with the same answer each time.
///
/// # Examples
///
/// ```
/// use flash_sale::fraud::{is_fraud, Suspect};
///
/// let frauds = (0..400).filter(|n| is_fraud(Suspect { key: n.to_string(), work: 1 }));
/// assert!((1..40).contains(&frauds.count()));
/// ```
#[must_use]
#[expect(
    clippy::needless_pass_by_value,
    reason = "a task's function takes its argument by value"
)]
pub fn is_fraud(suspect: Suspect) -> bool {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in suspect.key.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    for _ in 0..u64::from(suspect.work) * 1000 {
        hash = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash ^= hash >> 32;
    }
    hash.is_multiple_of(ONE_IN)
}

/// The worker processes that check, and what kills them.
#[derive(Debug)]
pub struct Checks {
    pool: ProcessPoolExecutor,
    work: u32,
    kill_every: Option<NonZeroU64>,
}

impl Checks {
    /// Starts the workers. One of them will be killed once in `kill_every` checks.
    ///
    /// # Errors
    /// When the pool cannot be built.
    pub fn new(
        workers: usize,
        work: u32,
        kill_every: Option<NonZeroU64>,
    ) -> Result<Self, BuildError> {
        // A check is so long that a worker need not prefetch the next one.
        let pool = ProcessPoolExecutor::builder()
            .workers(workers)
            .prefetch(1)
            .build()?;
        Ok(Self {
            pool,
            work,
            kill_every,
        })
    }

    /// Checks one order, and tries again if its worker dies.
    ///
    /// # Errors
    /// When there is no verdict.
    pub fn verdict(&self, key: &str, tally: &Tally) -> Result<bool, TaskError> {
        let mut attempts = 1;
        loop {
            let key = key.to_owned();
            let work = self.work;
            let verdict = self.pool.submit(is_fraud, Suspect { key, work });
            let number = tally.checks.add();
            if self
                .kill_every
                .is_some_and(|every| number.is_multiple_of(every.get()))
            {
                self.kill_one(tally);
            }
            match verdict.result() {
                Err(error) if WorkerDied::of(&error).is_some() => {
                    tally.died.add();
                    if attempts == ATTEMPTS {
                        return Err(error);
                    }
                    attempts += 1;
                }
                verdict => return verdict,
            }
        }
    }

    /// Like `kill -9`, from outside: the pool is not told.
    fn kill_one(&self, tally: &Tally) {
        let pids = self.pool.pids();
        let pid = fastrand::choice(pids).and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        // A worker that has just died by itself can no longer be killed.
        if pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok()) {
            tally.killed.add();
        }
    }
}
