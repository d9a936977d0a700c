//! Proves that every accepted task runs exactly once, and that every submission has an answer.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use thread_pool::{FutureResult, Rejection, Status, TaskError, ThreadPoolExecutor};

use self::support::occupy;

#[test]
fn four_producers_submit_100k_each_runs_exactly_once() {
    const PRODUCERS: usize = 4;
    const EACH: usize = 25_000;
    let pool = ThreadPoolExecutor::new(3).unwrap();
    let runs: Arc<[AtomicU8]> = (0..PRODUCERS * EACH).map(|_| AtomicU8::new(0)).collect();
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (pool, runs) = (&pool, &runs);
            scope.spawn(move || {
                let handles: Vec<_> = (producer * EACH..(producer + 1) * EACH)
                    .map(|index| {
                        let runs = Arc::clone(runs);
                        let job = move || {
                            runs[index].fetch_add(1, Ordering::Relaxed);
                            index
                        };
                        (index, pool.submit(job))
                    })
                    .collect();
                for (index, handle) in handles {
                    assert_eq!(handle.result().unwrap(), index);
                }
            });
        }
    });
    assert!(runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1));
}

#[test]
fn producers_mix_the_three_ways_to_submit_nothing_is_lost() {
    const PRODUCERS: usize = 3;
    const ROUNDS: usize = 3000;
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..PRODUCERS {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    let runs = Arc::clone(&runs);
                    let job = move || {
                        runs.fetch_add(1, Ordering::Relaxed);
                    };
                    match round % 3 {
                        0 => drop(pool.submit(job)),
                        1 => drop(pool.try_submit(job).unwrap()),
                        _ => pool.execute(job).unwrap(),
                    }
                }
            });
        }
    });
    pool.shutdown().unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), PRODUCERS * ROUNDS);
}

#[test]
fn one_worker_runs_in_the_order_of_submission() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    for index in 0..1000 {
        let order = Arc::clone(&order);
        let job = move || order.lock().unwrap().push(index);
        if index % 2 == 0 {
            drop(pool.submit(job));
        } else {
            pool.execute(job).unwrap();
        }
    }
    pool.shutdown().unwrap();
    assert_eq!(*order.lock().unwrap(), (0..1000).collect::<Vec<_>>());
}

#[test]
fn all_workers_meet_at_a_barrier_none_is_left_asleep() {
    const WORKERS: usize = 4;
    let pool = ThreadPoolExecutor::new(WORKERS).unwrap();
    for _ in 0..200 {
        // Ends only if each task gets its own worker.
        let barrier = Arc::new(Barrier::new(WORKERS));
        let handles: Vec<_> = (0..WORKERS)
            .map(|_| {
                let barrier = Arc::clone(&barrier);
                pool.submit(move || barrier.wait().is_leader())
            })
            .collect();
        let leaders = handles.into_iter().map(|handle| handle.result().unwrap());
        assert_eq!(leaders.filter(|&leader| leader).count(), 1);
    }
}

#[test]
fn one_task_at_a_time_wakes_a_sleeping_worker_each_time() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    for index in 0..5000 {
        assert_eq!(pool.submit(move || index).result().unwrap(), index);
    }
}

#[test]
fn a_task_submits_its_successor_the_chain_reaches_its_end() {
    fn step(pool: &Arc<ThreadPoolExecutor>, left: usize, end: Sender<usize>) {
        if left == 0 {
            end.send(0).unwrap();
            return;
        }
        let next = Arc::clone(pool);
        pool.execute(move || step(&next, left - 1, end)).unwrap();
    }

    let pool = Arc::new(ThreadPoolExecutor::new(2).unwrap());
    let (end, wait_for_end) = channel();
    step(&pool, 10_000, end);
    assert_eq!(wait_for_end.recv().unwrap(), 0);
}

#[test]
fn a_task_runs_on_a_worker_and_not_on_its_submitter() {
    let pool = ThreadPoolExecutor::builder()
        .workers(1)
        .name("elsewhere")
        .build()
        .unwrap();
    let name = pool.submit(|| thread::current().name().map(str::to_owned));
    assert_eq!(name.result().unwrap().unwrap(), "elsewhere-0");
}

#[test]
fn submit_after_shutdown_gives_a_handle_that_is_rejected() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    pool.shutdown().unwrap();
    let ran = Arc::new(AtomicBool::new(false));
    let in_job = Arc::clone(&ran);
    let handle = pool.submit(move || in_job.store(true, Ordering::Relaxed));
    assert!(handle.is_done());
    assert_eq!(handle.status(), Status::Failed);
    let error = handle.result().unwrap_err();
    assert!(matches!(error, TaskError::Rejected(Rejection::ShutDown)));
    assert!(!ran.load(Ordering::Relaxed));
    assert_eq!(Arc::strong_count(&ran), 1, "the closure was not dropped");
}

#[test]
fn try_submit_after_shutdown_gives_the_job_back() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    pool.shutdown().unwrap();
    let precious = Arc::new(());
    let in_job = Arc::clone(&precious);
    let refused = pool
        .try_submit(move || Arc::strong_count(&in_job))
        .unwrap_err();
    assert_eq!(refused.reason(), Rejection::ShutDown);
    assert_eq!(refused.into_job()(), 2);
    assert_eq!(Arc::strong_count(&precious), 1);
}

#[test]
fn execute_after_shutdown_gives_the_job_back() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    pool.shutdown().unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let in_job = Arc::clone(&runs);
    let refused = pool
        .execute(move || {
            in_job.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap_err();
    assert_eq!(refused.reason(), Rejection::ShutDown);
    assert_eq!(runs.load(Ordering::Relaxed), 0);
    refused.into_job()();
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    assert_eq!(Arc::strong_count(&runs), 1);
}

#[test]
fn a_refusal_says_why_and_what_to_do() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    pool.shutdown().unwrap();
    let refused = pool.try_submit(|| ()).unwrap_err();
    assert!(format!("{refused}").contains("another pool"), "{refused}");
    assert!(format!("{refused:?}").contains("ShutDown"), "{refused:?}");
}

#[test]
fn a_tasks_own_error_stays_inside_its_value() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let handle = pool.submit(|| "no number".parse::<i32>());
    let mine: Result<i32, _> = handle.result().unwrap();
    assert!(mine.is_err());
    let handle = pool.submit(|| Err::<(), _>(TaskError::Cancelled));
    let mine = handle.result().unwrap();
    assert!(matches!(mine, Err(TaskError::Cancelled)));
    let handle = pool.submit(|| Err::<(), _>("mine"));
    pool.shutdown().unwrap();
    assert_eq!(handle.status(), Status::Succeeded);
}

#[test]
fn result_timeout_gives_the_handle_back_and_the_value_comes_later() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let handle = pool.submit(|| "in the end");
    let handle = handle.result_timeout(Duration::ZERO).unwrap_err();
    let mut handle = handle
        .result_timeout(Duration::from_nanos(1))
        .expect_err("the only worker is busy");
    assert!(!handle.wait_timeout(Duration::ZERO));
    assert!(!handle.is_done());
    drop(gate);
    assert!(handle.wait_timeout(Duration::MAX));
    let result = handle.result_timeout(Duration::ZERO).unwrap();
    assert_eq!(result.unwrap(), "in the end");
}

#[test]
fn values_of_every_shape_come_back_unchanged() {
    #[repr(align(128))]
    #[derive(Debug, PartialEq)]
    struct Aligned([u8; 300]);

    let pool = ThreadPoolExecutor::new(2).unwrap();
    let unit = pool.submit(|| ());
    let never_copied = pool.submit(|| Box::new(7_u8));
    let big_closure = [9_u64; 1000];
    let small_result = pool.submit(move || big_closure.iter().sum::<u64>());
    let big_result = pool.submit(|| [3_u64; 1000]);
    let aligned = pool.submit(|| Aligned([5; 300]));
    assert_eq!(unit.result().unwrap(), ());
    assert_eq!(*never_copied.result().unwrap(), 7);
    assert_eq!(small_result.result().unwrap(), 9000);
    assert_eq!(big_result.result().unwrap(), [3; 1000]);
    let aligned = aligned.result().unwrap();
    assert_eq!(aligned, Aligned([5; 300]));
}

#[test]
fn debug_of_a_pool_tells_workers_and_queue() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let queued: Vec<_> = (0..3).map(|n| pool.submit(move || n)).collect();
    let text = format!("{pool:?}");
    assert!(text.contains("workers: 1"), "{text}");
    assert!(text.contains("queued: 3"), "{text}");
    drop(gate);
    assert_eq!(queued.into_iter().flat_map(|h| h.result()).sum::<i32>(), 3);
}

#[test]
fn submitting_from_inside_the_drop_of_a_closure_does_not_deadlock() {
    struct SubmitOnDrop(Arc<ThreadPoolExecutor>, Sender<()>);

    impl Drop for SubmitOnDrop {
        fn drop(&mut self) {
            let sender = self.1.clone();
            drop(self.0.submit(move || sender.send(()).unwrap()));
        }
    }

    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let (sender, receiver) = channel();
    let gate = occupy(&pool);
    let on_drop = SubmitOnDrop(Arc::clone(&pool), sender);
    let handle = pool.submit(move || drop(on_drop));
    // The closure is dropped here, in the middle of cancelling.
    assert_eq!(handle.cancel(), thread_pool::Cancel::Prevented);
    drop(gate);
    receiver.recv().unwrap();
}
