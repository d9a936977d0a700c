//! Everything at once, while workers are killed at random every 50 ms: tiny, slow and large tasks, panics, floods
//! of output, cancels, time limits, retries, maps, pools that shrink, recycle, and end in every way. Each task
//! must end exactly once, with its own value or an error that fits. Prints the memory, threads, descriptors and
//! child processes of this process, and fails if one of them keeps growing.
//!
//! For five seconds, or as long as `SOAK_SECONDS` says. Whether memory is flat only shows after half a minute.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]
#![expect(clippy::expect_used, reason = "a failed expectation is a failed test")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use future_result::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use process_pool::{
    BuildError, Bytes, FutureResult, JoinHandle, ProcessPoolExecutor, Rejection, TaskError,
    WorkerDied,
};
use rustix::process::{Pid, Signal, kill_process};
use support::{children, descriptors, soon};

/// The time between two kills in one pool.
const KILL: Duration = Duration::from_millis(50);
/// How long the last listener may take to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// The time between two lines of the report.
const REPORT: Duration = Duration::from_secs(10);
/// How much memory may grow, in percent, after the first third of the time.
const TOLERANCE: u64 = 20;
/// How many tasks a batch has.
const BATCH: u64 = 300;

fn main() {
    let seconds = std::env::var("SOAK_SECONDS");
    let seconds = seconds.map_or(5, |text| text.parse().expect("SOAK_SECONDS is a number"));
    run(Duration::from_secs(seconds));
}

#[derive(Default)]
struct Counts {
    is_over: AtomicBool,
    /// Tasks that were submitted; callbacks that were called, one for each.
    submitted: AtomicU64,
    called: AtomicU64,
    kills: AtomicU64,
    pools: AtomicU64,
    /// How many tasks ended in which way.
    ends: [AtomicU64; 7],
}

const ENDS: [&str; 7] = [
    "values",
    "lost",
    "cancelled",
    "late",
    "panicked",
    "refused",
    "broken",
];

impl Counts {
    fn add(counter: &AtomicU64) {
        // ORDERING: Relaxed; a count for show, and only compared after joining the threads.
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn get(counter: &AtomicU64) -> u64 {
        // ORDERING: Relaxed; as above.
        counter.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        // ORDERING: Relaxed; it publishes nothing.
        self.is_over.load(Ordering::Relaxed)
    }
}

/// Random enough, and the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Only an interval, which orders no events: nobody ever unparks.
fn pause(time: Duration) {
    let end = Instant::now() + time;
    while let left = end.saturating_duration_since(Instant::now())
        && !left.is_zero()
    {
        thread::park_timeout(left);
    }
}

fn run(time: Duration) {
    // Makes everything that is only made once.
    drop(ProcessPoolExecutor::new(1).unwrap());
    let before = (descriptors(), threads());
    assert!(children().is_empty());
    let counts = Arc::new(Counts::default());
    let drivers = [0, 1, 2].map(|driver| {
        let counts = Arc::clone(&counts);
        thread::spawn(move || match driver {
            0 => one_pool_for_ever(&counts, || ProcessPoolExecutor::new(3).unwrap()),
            1 => one_pool_for_ever(&counts, preloading),
            _ => a_pool_for_each_batch(&counts),
        })
    });
    let begin = Instant::now();
    let mut warm = None;
    while begin.elapsed() < time {
        pause(REPORT.min(time));
        let memory = report(&counts, begin.elapsed());
        if drivers.iter().any(thread::JoinHandle::is_finished) {
            break;
        }
        if time >= 3 * REPORT && begin.elapsed() >= time / 3 {
            let warm = *warm.get_or_insert(memory);
            let limit = warm + warm * TOLERANCE / 100;
            assert!(memory <= limit, "memory grew from {warm} to {memory} kB");
        }
    }
    // ORDERING: Relaxed; it publishes nothing.
    counts.is_over.store(true, Ordering::Relaxed);
    for driver in drivers {
        driver.join().expect("no assertion failed");
    }
    report(&counts, begin.elapsed());
    let ended: u64 = counts.ends.iter().map(Counts::get).sum();
    let submitted = Counts::get(&counts.submitted);
    assert_eq!((ended, Counts::get(&counts.called)), (submitted, submitted));
    assert!(children().is_empty());
    // A process that is just starting, for another pool, has a copy of each pipe until its exec;
    // until then the thread that listens to the pipe outlives its pool.
    let until = Instant::now() + PATIENCE;
    while (descriptors(), threads()) != before && Instant::now() < until {
        pause(Duration::from_millis(1));
    }
    assert_eq!((descriptors(), threads()), before);
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

fn report(counts: &Counts, time: Duration) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    let memory = memory.expect("the kernel tells");
    let ends: Vec<String> = ENDS
        .iter()
        .zip(&counts.ends)
        .map(|(name, count)| format!("{} {name}", Counts::get(count)))
        .collect();
    println!(
        "soak: {:>4} s, {} kills, {} pools, {} tasks ({}), {memory} kB, {} threads, {} descriptors, {} children",
        time.as_secs(),
        Counts::get(&counts.kills),
        Counts::get(&counts.pools),
        Counts::get(&counts.submitted),
        ends.join(", "),
        threads(),
        descriptors(),
        children().len(),
    );
    memory
}

/// Kills a random worker of this pool every now and then, until the sender is gone.
fn with_killer<R>(
    pool: &ProcessPoolExecutor,
    counts: &Counts,
    seed: u64,
    work: impl FnOnce() -> R,
) -> R {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let mut random = Random(seed | 1);
            // ORDERING: Relaxed; it publishes nothing.
            while !is_done.load(Ordering::Relaxed) {
                thread::park_timeout(KILL);
                // Or anything that this process started: workers of any pool that are just starting, and zygotes.
                let pids = match random.below(8) {
                    0 => children(),
                    _ => pool.pids(),
                };
                if pids.is_empty() {
                    continue;
                }
                let pid = pids[random.below(pids.len() as u64) as usize];
                let pid = Pid::from_raw(pid.cast_signed()).unwrap();
                if kill_process(pid, Signal::KILL).is_ok() {
                    Counts::add(&counts.kills);
                }
            }
        });
        let result = work();
        // ORDERING: Relaxed; as above.
        is_done.store(true, Ordering::Relaxed);
        killer.thread().unpark();
        result
    })
}

/// A pool whose zygote is also killed, sometimes before it has preloaded.
fn preloading() -> ProcessPoolExecutor {
    loop {
        let builder = ProcessPoolExecutor::builder().workers(3);
        match builder.preload(|()| (), ()).build() {
            Ok(pool) => return pool,
            Err(BuildError::Preload(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn one_pool_for_ever(counts: &Arc<Counts>, build: fn() -> ProcessPoolExecutor) {
    let mut seed = 1;
    while !counts.is_over() {
        Counts::add(&counts.pools);
        let pool = build();
        with_killer(&pool, counts, seed, || {
            while !counts.is_over() {
                seed += 1;
                let is_broken = batch(&pool, counts, seed, |_| ());
                if is_broken {
                    // It gave up after several deaths in a row, on a very busy machine.
                    return;
                }
            }
        });
        pool.shutdown().unwrap();
    }
}

fn a_pool_for_each_batch(counts: &Arc<Counts>) {
    for round in 1_000.. {
        if counts.is_over() {
            return;
        }
        Counts::add(&counts.pools);
        let builder = ProcessPoolExecutor::builder().workers(1 + round as usize % 4);
        let builder = match round % 6 {
            0 => builder.min_workers(0).keep_alive(Duration::from_millis(1)),
            1 => builder.max_tasks_per_worker(20),
            2 => builder.max_rss(1),
            // The sanitizer's gate sets this, whose own memory counts, too.
            3 if cfg!(pool_unpooled) => builder.prefetch(64),
            3 => builder.memory_limit(1 << 30).prefetch(64),
            4 => builder.prefetch(1).nice(1),
            _ => builder.time_limit(support::PATIENCE),
        };
        let pool = builder.build().unwrap();
        with_killer(&pool, counts, round, || {
            batch(&pool, counts, round, |pool| match round % 5 {
                0 => pool.kill().unwrap(),
                1 => pool.shutdown_now().unwrap(),
                2 => drop(pool.shutdown_timeout(Duration::ZERO)),
                _ => {}
            })
        });
        drop(pool);
    }
}

/// What a task is meant to do, which decides how it may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Value,
    Panic,
    Late,
    Tried(u32),
}

/// Submits many tasks, waits until all have ended, some of them after `end`, and checks how. Returns whether
/// the pool gave up.
fn batch(
    pool: &ProcessPoolExecutor,
    counts: &Arc<Counts>,
    seed: u64,
    end: impl FnOnce(&ProcessPoolExecutor),
) -> bool {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut numbers: BTreeMap<u64, (Fate, bool, JoinHandle<u64>)> = BTreeMap::new();
    let mut large: Vec<(Bytes, JoinHandle<Bytes>)> = Vec::new();
    for n in 0..BATCH {
        let mut fate = Fate::Value;
        let handle = match random.below(40) {
            0..20 => pool.submit(|n: u64| n, n),
            20..24 => pool.submit(slow, n),
            24..28 => {
                fate = Fate::Panic;
                pool.submit(panics, n)
            }
            28..30 => {
                fate = Fate::Late;
                let task = pool.task().time_limit(Duration::from_millis(5));
                task.submit(endless, n)
            }
            30..34 => {
                fate = Fate::Tried(9);
                let task = pool.task().retries(8);
                task.retry_pause(Duration::from_millis(1)).submit(slow, n)
            }
            34 => pool.submit(prints, n),
            _ => {
                let bytes = Bytes::from(vec![n as u8; random.below(600_000) as usize]);
                let mut handle = pool.submit(|bytes: Bytes| bytes, bytes.clone());
                watch(&mut handle, counts);
                large.push((bytes, handle));
                continue;
            }
        };
        let mut handle = handle;
        watch(&mut handle, counts);
        let is_cancelled = random.below(12) == 0;
        if is_cancelled {
            let _ = handle.cancel();
        }
        numbers.insert(n, (fate, is_cancelled, handle));
    }
    // Items of a map are no tasks of their own.
    for (n, item) in pool.map(slow, 0..40).chunk_size(4).take(30).enumerate() {
        assert!(item.is_err() || item.is_ok_and(|value| value == n as u64));
    }
    end(pool);
    let mut is_broken = false;
    for (n, (fate, is_cancelled, handle)) in numbers {
        let outcome = soon(handle);
        if let Ok(value) = &outcome {
            let may_return = matches!(fate, Fate::Value | Fate::Tried(_));
            assert!(*value == n && may_return, "{fate:?} gave {value} for {n}");
        }
        is_broken |= count(counts, fate, is_cancelled, outcome.as_ref().err(), pool);
    }
    for (bytes, handle) in large {
        let outcome = soon(handle);
        assert!(outcome.as_ref().is_err() || outcome.as_ref().is_ok_and(|it| *it == bytes));
        is_broken |= count(counts, Fate::Value, false, outcome.as_ref().err(), pool);
    }
    is_broken
}

fn watch<T: Send + 'static>(handle: &mut JoinHandle<T>, counts: &Arc<Counts>) {
    Counts::add(&counts.submitted);
    let counts = Arc::clone(counts);
    handle.on_done(move |_| Counts::add(&counts.called));
}

/// Counts an outcome, and checks that it fits. Returns whether the pool gave up.
fn count(
    counts: &Counts,
    fate: Fate,
    is_cancelled: bool,
    error: Option<&TaskError>,
    pool: &ProcessPoolExecutor,
) -> bool {
    let kind = match error {
        None => 0,
        Some(TaskError::Lost(_)) => {
            let died = error.and_then(WorkerDied::of).expect("a death is told");
            assert!(matches!(died.signal(), Some(9)), "{died}");
            match fate {
                Fate::Tried(times) => assert!(died.attempts() <= times, "{died}"),
                _ => assert_eq!(died.attempts(), 1, "{died}"),
            }
            1
        }
        Some(TaskError::Cancelled) => {
            // Or the whole pool was cancelled.
            assert!(is_cancelled || pool_is_closed(pool));
            2
        }
        Some(TaskError::TimedOut) => {
            assert_eq!(fate, Fate::Late);
            3
        }
        Some(TaskError::Panicked(panic)) => {
            assert_eq!((fate, panic.message()), (Fate::Panic, "as planned"));
            4
        }
        Some(TaskError::Rejected(Rejection::Broken)) => 6,
        Some(TaskError::Rejected(_)) => 5,
        Some(other) => panic!("{other}"),
    };
    Counts::add(&counts.ends[kind]);
    kind == 6
}

fn pool_is_closed(pool: &ProcessPoolExecutor) -> bool {
    matches!(
        soon(pool.submit(|n: u32| n, 1)),
        Err(TaskError::Rejected(_))
    )
}

fn slow(n: u64) -> u64 {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_micros(500) {
        std::hint::spin_loop();
    }
    n
}

fn endless(_: u64) -> u64 {
    loop {
        std::hint::spin_loop();
    }
}

fn panics(_: u64) -> u64 {
    // Without printing a message for each.
    std::panic::resume_unwind(Box::new("as planned"))
}

fn prints(n: u64) -> u64 {
    // A carriage return ends a line, too.
    (0..20).for_each(|_| eprint!("\r"));
    n
}
