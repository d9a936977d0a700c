//! A million tasks, submitted from several threads: every one runs once, or is cancelled. Made for
//! the sanitizers: `./check.sh asan tsan memcheck`.
//!
//! `STRESS_TASKS` says how many; 1,000,000 unless set.
#![cfg_attr(
    not(pool_loom),
    expect(
        clippy::disallowed_types,
        reason = "the counts are no part of what is tested"
    )
)]
#![cfg_attr(
    not(pool_loom),
    expect(clippy::expect_used, reason = "a failed expectation is a failed test")
)]

#[cfg(pool_loom)]
fn main() {}

#[cfg(not(pool_loom))]
fn main() {
    let tasks = std::env::var("STRESS_TASKS");
    let tasks: usize = tasks.map_or(1_000_000, |text| {
        text.parse().expect("STRESS_TASKS must be a number")
    });
    stress::every_task_runs_once(tasks / 2);
    stress::every_task_of_a_bounded_queue_runs_or_is_cancelled(tasks / 4);
    stress::nested_waits_end(tasks / 4);
    stress::pools_come_and_go(tasks / 1000);
    println!("stress: {tasks} tasks, each to its end once");
}

#[cfg(not(pool_loom))]
mod stress {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
    use std::thread;

    use thread_pool::{
        Cancel, FutureResult, JoinHandle, TaskError, ThreadPoolExecutor, as_completed,
    };

    const PRODUCERS: usize = 4;

    fn pool(workers: usize) -> ThreadPoolExecutor {
        ThreadPoolExecutor::new(workers).expect("threads can be started")
    }

    /// Each task has a counter of its own, so that one run twice cannot hide one run never.
    pub(crate) fn every_task_runs_once(tasks: usize) {
        let runs: Arc<Vec<AtomicU8>> = Arc::new((0..tasks).map(|_| AtomicU8::new(0)).collect());
        let pool = Arc::new(pool(3));
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let (pool, runs) = (Arc::clone(&pool), Arc::clone(&runs));
                thread::spawn(move || {
                    let mine = (producer..tasks).step_by(PRODUCERS);
                    let submit = |n: usize| {
                        let runs = Arc::clone(&runs);
                        pool.submit(move || {
                            runs[n].fetch_add(1, Ordering::Relaxed);
                            n
                        })
                    };
                    let handles: Vec<JoinHandle<usize>> = mine.clone().map(submit).collect();
                    for (n, handle) in mine.zip(handles) {
                        assert_eq!(handle.result().expect("it ran"), n);
                    }
                })
            })
            .collect();
        for producer in producers {
            producer.join().expect("no assertion failed");
        }
        pool.shutdown().expect("not a worker");
        assert!(runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1));
    }

    /// Cancels, panics, dropped handles and back-pressure at the same time.
    pub(crate) fn every_task_of_a_bounded_queue_runs_or_is_cancelled(tasks: usize) {
        let builder = ThreadPoolExecutor::builder().workers(2).queue_bound(16);
        let pool = Arc::new(builder.build().expect("threads can be started"));
        let ran = Arc::new(AtomicUsize::new(0));
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|_| {
                let (pool, ran) = (Arc::clone(&pool), Arc::clone(&ran));
                thread::spawn(move || {
                    let mut not_run = 0;
                    for n in 0..tasks / PRODUCERS {
                        let ran = Arc::clone(&ran);
                        let handle = pool.submit(move || {
                            ran.fetch_add(1, Ordering::Relaxed);
                            if n % 100 == 0 {
                                std::panic::resume_unwind(Box::new(n));
                            }
                        });
                        match n % 4 {
                            0 => assert_eq!(handle.result().is_err(), n % 100 == 0),
                            1 if handle.cancel() == Cancel::Prevented => not_run += 1,
                            _ => {}
                        }
                    }
                    not_run
                })
            })
            .collect();
        let results = producers.into_iter().map(thread::JoinHandle::join);
        let not_run: usize = results.map(|not_run| not_run.expect("no assertion")).sum();
        pool.shutdown().expect("not a worker");
        let ran = ran.load(Ordering::Relaxed);
        assert_eq!(ran + not_run, tasks / PRODUCERS * PRODUCERS);
    }

    /// Tasks that wait for tasks that wait for tasks, on fewer workers than there are waits.
    pub(crate) fn nested_waits_end(tasks: usize) {
        fn sum(pool: &Arc<ThreadPoolExecutor>, depth: usize) -> usize {
            if depth == 0 {
                return 1;
            }
            let handles: Vec<_> = (0..3)
                .map(|_| {
                    let inner = Arc::clone(pool);
                    pool.submit(move || sum(&inner, depth - 1))
                })
                .collect();
            as_completed(handles)
                .map(|(_, sum)| sum.expect("it ran"))
                .sum()
        }

        let pool = Arc::new(pool(2));
        for _ in 0..tasks.div_ceil(3_usize.pow(6)) {
            let inner = Arc::clone(&pool);
            let whole = pool.submit(move || sum(&inner, 5));
            assert_eq!(whole.result().expect("it ran"), 3_usize.pow(5));
        }
        pool.shutdown().expect("not a worker");
    }

    /// Start and every kind of shutdown, with work in all stages.
    pub(crate) fn pools_come_and_go(pools: usize) {
        for n in 0..pools {
            let pool = pool(2);
            let handles: Vec<_> = (0..20).map(|n| pool.submit(move || n)).collect();
            let cancelled = match n % 4 {
                0 => {
                    pool.shutdown_now().expect("not a worker");
                    true
                }
                1 => {
                    drop(pool);
                    false
                }
                2 => {
                    pool.detach();
                    false
                }
                _ => {
                    // The last owner is one of its own workers.
                    let pool = Arc::new(pool);
                    let last = Arc::clone(&pool);
                    drop(pool.submit(move || drop(last)));
                    drop(pool);
                    false
                }
            };
            for (n, handle) in handles.into_iter().enumerate() {
                match handle.result() {
                    Ok(value) => assert_eq!(value, n),
                    Err(TaskError::Cancelled) if cancelled => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}
