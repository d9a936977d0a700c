//! A million tasks, submitted from several threads: each runs once, or is cancelled. Made for
//! the sanitizers: `./check.sh asan tsan memcheck`.
//!
//! `STRESS_TASKS` sets how many; 1,000,000 by default.
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
    stress::every_task_runs_once(tasks / 4);
    stress::batches_are_stolen(tasks / 4);
    stress::every_task_of_a_bounded_queue_runs_or_is_cancelled(tasks / 4);
    stress::nested_waits_end(tasks / 4);
    stress::pools_come_and_go(tasks / 1000);
    stress::borrowing_ends_in_time(tasks / 4);
    stress::pools_grow_and_shrink(tasks / 4);
    println!("stress: {tasks} tasks, each to its end once");
}

#[cfg(not(pool_loom))]
mod stress {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use thread_pool::{
        Cancel, FutureResult, JoinHandle, TaskError, ThreadPoolExecutor, as_completed,
    };

    const PRODUCERS: usize = 4;

    fn pool(workers: usize) -> ThreadPoolExecutor {
        ThreadPoolExecutor::new(workers).expect("threads can be started")
    }

    /// Each task has its own counter, so that one run twice cannot hide one that never ran.
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
                                resume_unwind(Box::new(n));
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

    /// All work begins in one worker's deque, and the others live on what they steal: a tree of tasks,
    /// every other level of which waits for the next.
    pub(crate) fn batches_are_stolen(tasks: usize) {
        fn grow(pool: &Arc<ThreadPoolExecutor>, ran: &Arc<AtomicUsize>, depth: usize) {
            ran.fetch_add(1, Ordering::Relaxed);
            if depth == 0 {
                return;
            }
            let handles = (0..8).map(|_| {
                let (inner, ran) = (Arc::clone(pool), Arc::clone(ran));
                pool.submit(move || grow(&inner, &ran, depth - 1))
            });
            let handles: Vec<_> = handles.collect();
            if depth.is_multiple_of(2) {
                for handle in handles {
                    handle.result().expect("it ran");
                }
            }
        }

        const TREE: usize = 1 + 8 + 64 + 512;
        let trees = tasks.div_ceil(TREE);
        let ran = Arc::new(AtomicUsize::new(0));
        let pool = Arc::new(pool(4));
        for _ in 0..trees {
            let (inner, ran) = (Arc::clone(&pool), Arc::clone(&ran));
            let root = pool.submit(move || grow(&inner, &ran, 3));
            root.result().expect("it ran");
        }
        // Not all are waited for, and a pool that shuts down takes no new ones.
        while ran.load(Ordering::Relaxed) < trees * TREE {
            thread::yield_now();
        }
        pool.shutdown().expect("not a worker");
        assert_eq!(ran.load(Ordering::Relaxed), trees * TREE);
    }

    /// Start and every kind of shutdown, with work at all stages.
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

    /// Joins, scopes and maps on and off the workers, with panics and more workers than CPUs.
    pub(crate) fn borrowing_ends_in_time(calls: usize) {
        fn count(pool: &ThreadPoolExecutor, marks: &mut [u8]) -> usize {
            if marks.len() <= 2 {
                marks.iter_mut().for_each(|mark| *mark += 1);
                return marks.len();
            }
            let (left, right) = marks.split_at_mut(marks.len() / 2);
            let (left, right) = pool.join(|| count(pool, left), || count(pool, right));
            left + right
        }

        let pool = Arc::new(pool(4));
        let rounds = calls.div_ceil(1000);
        let outside: Vec<_> = (0..2)
            .map(|_| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || {
                    for round in 0..rounds {
                        let mut marks = vec![0_u8; 300];
                        assert_eq!(count(&pool, &mut marks), 300);
                        let sums = pool.map_slice(&marks, |&mark| Box::new(usize::from(mark)));
                        assert_eq!(sums.into_iter().map(|sum| *sum).sum::<usize>(), 300);
                        let total = AtomicUsize::new(0);
                        pool.scope(|scope| {
                            for mark in &mut marks {
                                let total = &total;
                                let handle = scope.spawn(move || {
                                    *mark += 1;
                                    total.fetch_add(1, Ordering::Relaxed);
                                });
                                if round % 2 == 0 {
                                    drop(handle);
                                }
                            }
                        });
                        assert_eq!(total.into_inner(), 300);
                        assert!(marks.iter().all(|&mark| mark == 2));
                        let unwound = catch_unwind(AssertUnwindSafe(|| {
                            pool.map_slice(&marks, |_| -> Box<u8> { resume_unwind(Box::new(0)) })
                        }));
                        assert!(unwound.is_err());
                    }
                })
            })
            .collect();
        for thread in outside {
            thread.join().expect("no assertion failed");
        }
    }

    /// Threads that leave as soon as they are idle, and come back with the next job.
    pub(crate) fn pools_grow_and_shrink(tasks: usize) {
        let builder = ThreadPoolExecutor::builder().workers(4).min_workers(1);
        let builder = builder.keep_alive(Duration::ZERO);
        let pool = Arc::new(builder.build().expect("threads can be started"));
        let producers: Vec<_> = (0..2)
            .map(|_| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || {
                    for n in 0..tasks / 200 {
                        let handles = pool.submit_all((0..10).map(|m| move || n + m));
                        let sum: usize = as_completed(handles)
                            .map(|(_, value)| value.expect("it ran"))
                            .sum();
                        assert_eq!(sum, 10 * n + 45);
                    }
                })
            })
            .collect();
        for producer in producers {
            producer.join().expect("no assertion failed");
        }
        pool.shutdown().expect("not a worker");
    }
}
