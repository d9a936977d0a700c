//! scratch
#![cfg(pool_loom)]
#![expect(clippy::disallowed_types, reason = "counts")]
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use loom::thread;
use thread_pool::{FutureResult, Priority, TaskError, ThreadPoolExecutor};

#[expect(clippy::unwrap_used, reason = "a model starts its threads")]
fn pool(workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::new(workers).unwrap()
}

#[test]
fn a_push_to_a_lane_races_sleep_and_the_job_runs() {
    loom::model(|| {
        let pool = pool(1);
        let urgent = pool.task().priority(Priority::High).submit(|| 7);
        assert_eq!(urgent.result().unwrap(), 7);
    });
}

#[test]
fn pushes_to_two_lanes_race_two_sleepers_and_both_jobs_run() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.max_branches = 20_000;
    model.check(|| {
        let pool = pool(2);
        let low = pool.task().priority(Priority::Low).submit(|| 1);
        let high = pool.task().priority(Priority::High).submit(|| 2);
        assert_eq!(low.result().unwrap() + high.result().unwrap(), 3);
    });
}

#[test]
fn a_push_to_a_lane_races_shutdown_and_is_run_or_refused() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let runs = Arc::new(AtomicUsize::new(0));
        let pool = Arc::new(pool(1));
        let submitting = {
            let (pool, runs) = (Arc::clone(&pool), Arc::clone(&runs));
            thread::spawn(move || {
                pool.task().priority(Priority::Low).submit(move || runs.fetch_add(1, Ordering::Relaxed))
            })
        };
        pool.shutdown().unwrap();
        match submitting.join().unwrap().result() {
            Ok(_) => assert_eq!(runs.load(Ordering::Relaxed), 1),
            Err(TaskError::Rejected(_)) => assert_eq!(runs.load(Ordering::Relaxed), 0),
            Err(other) => panic!("{other}"),
        }
    });
}

#[test]
fn a_deadline_races_shutdown_and_the_timer_ends() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let pool = pool(1);
        // In a model no deadline is reached.
        let limited = pool.task().time_limit(Duration::from_secs(3600)).submit(|| 7);
        pool.shutdown().unwrap();
        assert_eq!(limited.result().unwrap(), 7);
    });
}
