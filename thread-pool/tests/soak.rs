//! Everything at once for as long as `SOAK_SECONDS` says, and nothing if it is not set: pools that grow
//! and shrink, cancels, panics, nested waits, bounded queues, every way to shut down. Prints the memory and
//! the threads of the process every ten seconds, and fails if one of them keeps growing.
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
    let Ok(seconds) = std::env::var("SOAK_SECONDS") else {
        println!("soak: SOAK_SECONDS is not set");
        return;
    };
    let seconds = seconds.parse().expect("SOAK_SECONDS must be a number");
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
        FutureResult, TaskError, ThreadPoolExecutor, WhenFull, as_completed, blocking,
    };

    const INTERVAL: Duration = Duration::from_secs(10);
    /// Memory may grow by so much, in percent, after the first third of the time.
    const TOLERANCE: u64 = 20;

    struct State {
        is_over: AtomicBool,
        jobs: AtomicU64,
        pools: AtomicU64,
    }

    pub(crate) fn run(time: Duration) {
        let before = number_of("Threads:");
        let state = Arc::new(State {
            is_over: AtomicBool::new(false),
            jobs: AtomicU64::new(0),
            pools: AtomicU64::new(0),
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
            if start.elapsed() >= time / 3 {
                let warm = *warm.get_or_insert(memory);
                let limit = warm + warm * TOLERANCE / 100;
                assert!(
                    memory <= limit,
                    "memory has grown from {warm} to {memory} kB"
                );
            }
            // Each driver has a pool of four workers, their stand-ins, and those of detached pools.
            assert!(threads < 100, "{threads} threads");
        }
        state.is_over.store(true, Ordering::Relaxed);
        for driver in drivers {
            driver.join().expect("no assertion failed");
        }
        // Detached pools end by themselves.
        while number_of("Threads:") > before {
            thread::yield_now();
        }
    }

    /// A number in what the kernel says of this process.
    fn number_of(name: &str) -> u64 {
        let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.expect("the kernel tells")
    }

    /// A pool from its start to its end, of a kind that `round` says.
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
        let handles: Vec<_> = (0..200)
            .map(|n| {
                let (inner, state) = (Arc::clone(&pool), Arc::clone(state));
                let handle = pool.submit(move || {
                    state.jobs.fetch_add(1, Ordering::Relaxed);
                    match n % 8 {
                        0 => resume_unwind(Box::new(vec![0_u8; 100])),
                        1 => nested(&inner),
                        2 => blocking(thread::yield_now),
                        _ => {}
                    }
                    vec![n; 10]
                });
                if n % 5 == 0 {
                    let _ = handle.cancel();
                }
                handle
            })
            .collect();
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

    fn nested(pool: &Arc<ThreadPoolExecutor>) {
        let handles = (0..3).map(|n| pool.submit(move || n));
        let handles: Vec<_> = handles.collect();
        for (_, result) in as_completed(handles) {
            drop(result);
        }
    }

    fn end(pool: Arc<ThreadPoolExecutor>, round: usize) {
        match round % 5 {
            0 => pool.shutdown().expect("not a worker"),
            1 => pool.shutdown_now().expect("not a worker"),
            2 => drop(pool.shutdown_timeout(Duration::ZERO)),
            // Unless a job has it still, and then drops it on a worker.
            3 => drop(Arc::into_inner(pool).map(ThreadPoolExecutor::detach)),
            _ => drop(pool),
        }
    }
}
