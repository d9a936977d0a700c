//! Everything at once: pools that grow and shrink, cancels, panics, nested waits, scopes, joins, maps,
//! priorities, time limits, blocking, bounded queues, every way to shut down. Prints the process's memory
//! and threads, and fails if either keeps growing.
//!
//! Takes a second, or `SOAK_SECONDS`. Whether memory stays flat shows after half a minute.
#![cfg_attr(
    all(target_os = "linux", not(any(pool_loom, pool_sim))),
    expect(
        clippy::disallowed_types,
        reason = "the counts are no part of what is tested"
    )
)]
#![cfg_attr(
    all(target_os = "linux", not(any(pool_loom, pool_sim))),
    expect(clippy::expect_used, reason = "a failed expectation is a failed test")
)]

#[cfg(not(all(target_os = "linux", not(any(pool_loom, pool_sim)))))]
fn main() {}

#[cfg(all(target_os = "linux", not(any(pool_loom, pool_sim))))]
fn main() {
    let seconds = std::env::var("SOAK_SECONDS");
    let seconds = seconds.map_or(1, |text| {
        text.parse().expect("SOAK_SECONDS must be a number")
    });
    soak::run(std::time::Duration::from_secs(seconds));
}

#[cfg(all(target_os = "linux", not(any(pool_loom, pool_sim))))]
mod soak {
    use std::fs;
    use std::panic::resume_unwind;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    use thread_pool::{
        FutureResult, Priority, TaskError, ThreadPoolExecutor, WhenFull, as_completed, blocking,
    };

    const INTERVAL: Duration = Duration::from_secs(10);
    /// A thread still there after this is leaked.
    const PATIENCE: Duration = Duration::from_secs(60);
    /// How much memory may grow, in percent, after the first third of the time.
    const TOLERANCE: u64 = 20;

    struct State {
        is_over: AtomicBool,
        jobs: AtomicU64,
        pools: AtomicU64,
        /// Wrong answers inside jobs, where a failed assertion would pass for a panic of the job.
        wrong: AtomicU64,
    }

    pub(crate) fn run(time: Duration) {
        let before = number_of("Threads:");
        let state = Arc::new(State {
            is_over: AtomicBool::new(false),
            jobs: AtomicU64::new(0),
            pools: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
        });
        let drivers: Vec<_> = (0..3)
            .map(|driver| {
                let state = Arc::clone(&state);
                thread::spawn(move || {
                    for round in driver.. {
                        if state.is_over.load(Ordering::Relaxed) {
                            break;
                        }
                        one_pool(round, &state);
                    }
                })
            })
            .collect();
        let start = Instant::now();
        let mut warm = None;
        while start.elapsed() < time {
            // An interval, not an order of events: `unpark` never comes.
            let next = Instant::now() + INTERVAL.min(time);
            while let left = next.saturating_duration_since(Instant::now())
                && !left.is_zero()
            {
                thread::park_timeout(left);
            }
            let (memory, threads) = (number_of("VmRSS:"), number_of("Threads:"));
            println!(
                "soak: {:>5} s, {:>10} jobs, {:>7} pools, {memory} kB, {threads} threads",
                start.elapsed().as_secs(),
                state.jobs.load(Ordering::Relaxed),
                state.pools.load(Ordering::Relaxed),
            );
            assert_eq!(state.wrong.load(Ordering::Relaxed), 0, "wrong answers");
            if time >= 3 * INTERVAL && start.elapsed() >= time / 3 {
                let warm = *warm.get_or_insert(memory);
                let limit = warm + warm * TOLERANCE / 100;
                assert!(
                    memory <= limit,
                    "memory has grown from {warm} to {memory} kB"
                );
            }
            // Each driver has a pool of four workers, stand-ins for them, and detached pools.
            assert!(threads < 100, "{threads} threads");
        }
        state.is_over.store(true, Ordering::Relaxed);
        for driver in drivers {
            driver.join().expect("no assertion failed");
        }
        // Detached pools end on their own.
        let deadline = Instant::now() + PATIENCE;
        while let threads = number_of("Threads:")
            && threads > before
        {
            let left = threads - before;
            assert!(Instant::now() < deadline, "{left} threads are leaked");
            thread::yield_now();
        }
    }

    /// A number from the kernel's status of this process.
    fn number_of(name: &str) -> u64 {
        let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.expect("the kernel tells")
    }

    /// A pool from its start to its end, of a kind chosen by `round`.
    fn one_pool(round: usize, state: &Arc<State>) {
        let mut builder = ThreadPoolExecutor::builder().workers(4);
        if round.is_multiple_of(2) {
            let keep_alive = Duration::from_millis((round % 3) as u64);
            builder = builder.min_workers(1).keep_alive(keep_alive);
        }
        if round.is_multiple_of(3) {
            let policies = [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns];
            builder = builder.queue_bound(8).when_full(policies[round / 3 % 3]);
        }
        let pool = Arc::new(builder.build().expect("threads can be started"));
        let priorities = [Priority::Low, Priority::Normal, Priority::High];
        let handles: Vec<_> = (0..200)
            .map(|n| {
                let (inner, state) = (Arc::clone(&pool), Arc::clone(state));
                let mut options = pool.task().priority(priorities[n / 8 % 3]);
                if n % 11 == 0 {
                    options = options.time_limit(Duration::from_micros(n as u64));
                }
                let handle = options.submit(move || {
                    state.jobs.fetch_add(1, Ordering::Relaxed);
                    let is_right = one_job(n, &inner);
                    state
                        .wrong
                        .fetch_add(u64::from(!is_right), Ordering::Relaxed);
                    vec![n; 10]
                });
                if n % 5 == 0 {
                    let _ = handle.cancel();
                }
                handle
            })
            .collect();
        drop(pool.broadcast(|worker| worker));
        let squares = pool.map(|n: usize| n * n, 0..20).chunk_size(1 + round % 3);
        // Half of the maps are cut short, which cancels the rest.
        for (n, square) in squares.take(10 + 10 * (round % 2)).enumerate() {
            assert!(square.is_err() || square.is_ok_and(|square| square == n * n));
        }
        for (n, handle) in handles.into_iter().enumerate() {
            match n % 7 {
                0 => drop(handle),
                1 => drop(handle.result_timeout(Duration::ZERO)),
                _ if round.is_multiple_of(4) => drop(handle),
                _ => match handle.result() {
                    Ok(value) => assert_eq!(value[0], n),
                    Err(TaskError::Lost(cause)) => panic!("lost: {cause}"),
                    Err(_) => {}
                },
            }
        }
        end(pool, round);
        state.pools.fetch_add(1, Ordering::Relaxed);
    }

    /// What a job does. False if it got a wrong answer.
    fn one_job(n: usize, pool: &ThreadPoolExecutor) -> bool {
        match n % 8 {
            0 => resume_unwind(Box::new(vec![0_u8; 100])),
            1 => nested(pool),
            2 => blocking(thread::yield_now),
            3 => return fibonacci(pool, 8) == 21,
            4 => return scope(pool),
            5 => {
                let numbers: Vec<_> = (0..50).collect();
                let doubles = pool.map_slice(&numbers, |number| number * 2);
                return pool.map_vec(doubles, |double| double / 2) == numbers;
            }
            _ => {}
        }
        true
    }

    fn nested(pool: &ThreadPoolExecutor) {
        let handles = (0..3).map(|n| pool.submit(move || n));
        let handles: Vec<_> = handles.collect();
        for (_, result) in as_completed(handles) {
            drop(result);
        }
    }

    fn fibonacci(pool: &ThreadPoolExecutor, n: u32) -> u64 {
        if n < 2 {
            return u64::from(n);
        }
        let (one, two) = pool.join(|| fibonacci(pool, n - 1), || fibonacci(pool, n - 2));
        one + two
    }

    /// One of its tasks panics; the others count.
    fn scope(pool: &ThreadPoolExecutor) -> bool {
        let mut counts = [0; 5];
        pool.scope(|scope| {
            let tasks: Vec<_> = counts
                .iter_mut()
                .enumerate()
                .map(|(n, count)| {
                    scope.spawn(move || {
                        *count = n + 1;
                        if n == 3 {
                            resume_unwind(Box::new("a task's"));
                        }
                    })
                })
                .collect();
            let errors = tasks.into_iter().filter_map(|task| task.result().err());
            drop(errors.collect::<Vec<_>>());
        });
        // If the pool was shut down meanwhile, some may not have run.
        counts
            .iter()
            .enumerate()
            .all(|(n, &count)| count == n + 1 || count == 0)
    }

    fn end(pool: Arc<ThreadPoolExecutor>, round: usize) {
        match round % 5 {
            0 => pool.shutdown().expect("not a worker"),
            1 => pool.shutdown_now().expect("not a worker"),
            2 => drop(pool.shutdown_timeout(Duration::ZERO)),
            // Unless a job still has it, and drops it on a worker.
            3 => drop(Arc::into_inner(pool).map(ThreadPoolExecutor::detach)),
            _ => drop(pool),
        }
    }
}
