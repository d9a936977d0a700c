//! Proves that a batch is submitted whole, in order, and that each of its jobs has an answer.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use thread_pool::{
    FutureResult, JoinHandle, Rejection, TaskError, ThreadPoolExecutor, WhenFull, try_join_all,
};

use self::support::occupy;

/// Tells when it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn handles_are_in_the_order_of_the_jobs() {
    for workers in [1, 3] {
        let pool = ThreadPoolExecutor::new(workers).unwrap();
        let handles = pool.submit_all((0..10_000).map(|n| move || n));
        assert!(try_join_all(handles).unwrap().into_iter().eq(0..10_000));
    }
}

#[test]
fn jobs_start_in_order_between_what_was_submitted_before_and_after() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let log = Arc::new(Mutex::new(Vec::new()));
    let job = |n: u32| {
        let log = Arc::clone(&log);
        move || log.lock().unwrap().push(n)
    };
    let before = pool.submit(job(0));
    let batch = pool.submit_all((1..=500).map(job));
    let after = pool.submit(job(501));
    drop(gate);
    pool.shutdown().unwrap();
    assert!(log.lock().unwrap().iter().copied().eq(0..=501));
    drop((before, batch, after));
}

#[test]
fn no_jobs_are_no_handles() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    assert!(pool.submit_all(Vec::<fn()>::new()).is_empty());
    pool.shutdown().unwrap();
    assert!(pool.submit_all(Vec::<fn()>::new()).is_empty());
}

#[test]
fn one_batch_wakes_as_many_workers_as_it_needs() {
    const WORKERS: usize = 4;
    let pool = ThreadPoolExecutor::new(WORKERS).unwrap();
    for _ in 0..100 {
        // Ends only if each job gets its own worker.
        let barrier = Arc::new(Barrier::new(WORKERS));
        let jobs = (0..WORKERS).map(|_| {
            let barrier = Arc::clone(&barrier);
            move || barrier.wait().is_leader()
        });
        let leaders = try_join_all(pool.submit_all(jobs)).unwrap();
        assert_eq!(leaders.into_iter().filter(|leader| *leader).count(), 1);
    }
}

#[test]
fn one_batch_makes_a_pool_grow() {
    const WORKERS: usize = 4;
    let builder = ThreadPoolExecutor::builder()
        .workers(WORKERS)
        .min_workers(1);
    let pool = builder.build().unwrap();
    let barrier = Arc::new(Barrier::new(WORKERS));
    let jobs = (0..WORKERS).map(|_| {
        let barrier = Arc::clone(&barrier);
        move || {
            barrier.wait();
        }
    });
    try_join_all(pool.submit_all(jobs)).unwrap();
}

#[test]
fn a_worker_submits_a_batch_and_waits_for_it() {
    for workers in [1, 2] {
        let pool = Arc::new(ThreadPoolExecutor::new(workers).unwrap());
        let same = Arc::clone(&pool);
        let sum = pool.submit(move || {
            let handles = same.submit_all((0..2000_u32).map(|n| move || n));
            try_join_all(handles).unwrap().into_iter().sum::<u32>()
        });
        assert_eq!(sum.result().unwrap(), 1999 * 1000);
    }
}

#[test]
fn with_a_bound_that_blocks_all_run_though_there_is_room_for_one() {
    let builder = ThreadPoolExecutor::builder().workers(2).queue_bound(1);
    let pool = builder.build().unwrap();
    let handles = pool.submit_all((0..1000).map(|n| move || n));
    assert!(try_join_all(handles).unwrap().into_iter().eq(0..1000));
}

#[test]
fn with_a_bound_that_rejects_the_surplus_says_full() {
    let builder = ThreadPoolExecutor::builder().workers(1).queue_bound(2);
    let pool = builder.when_full(WhenFull::Reject).build().unwrap();
    let gate = occupy(&pool);
    let handles = pool.submit_all((0..5).map(|n| move || n));
    drop(gate);
    let results = handles.into_iter().map(FutureResult::result);
    let is_full =
        |result: &Result<_, _>| matches!(result, Err(TaskError::Rejected(Rejection::Full)));
    let (full, done): (Vec<_>, Vec<_>) = results.partition(is_full);
    assert_eq!(full.len(), 3);
    assert!(done.into_iter().map(Result::unwrap).eq([0, 1]));
}

#[test]
fn with_a_bound_the_caller_runs_what_does_not_fit() {
    let builder = ThreadPoolExecutor::builder().workers(1).queue_bound(1);
    let pool = builder.when_full(WhenFull::CallerRuns).build().unwrap();
    let gate = occupy(&pool);
    let handles = pool.submit_all((0..4).map(|_| || thread::current().id()));
    drop(gate);
    let here = try_join_all(handles).unwrap();
    let here = here.into_iter().filter(|id| *id == thread::current().id());
    assert_eq!(here.count(), 3);
}

#[test]
fn a_closed_pool_rejects_each_job_and_drops_it() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    pool.shutdown().unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    let handles: Vec<JoinHandle<()>> = pool.submit_all((0..3).map(|_| {
        let counted = Counted(Arc::clone(&drops));
        move || drop(counted)
    }));
    assert_eq!(drops.load(Ordering::Relaxed), 3);
    for handle in handles {
        let rejected = handle.result();
        assert!(matches!(
            rejected,
            Err(TaskError::Rejected(Rejection::ShutDown))
        ));
    }
}

#[test]
fn shutdown_races_batches_and_each_job_runs_or_is_rejected() {
    for _ in 0..200 {
        let pool = ThreadPoolExecutor::new(2).unwrap();
        let runs = AtomicUsize::new(0);
        let runs = Arc::new(runs);
        thread::scope(|scope| {
            let submitting = scope.spawn(|| {
                let jobs = (0..50).map(|_| {
                    let runs = Arc::clone(&runs);
                    move || {
                        runs.fetch_add(1, Ordering::Relaxed);
                    }
                });
                let results = pool.submit_all(jobs).into_iter().map(FutureResult::result);
                results.filter(Result::is_ok).count()
            });
            pool.shutdown().unwrap();
            let ran = submitting.join().unwrap();
            assert_eq!(runs.load(Ordering::Relaxed), ran);
            // All or none: it is one step.
            assert!(ran == 0 || ran == 50, "{ran}");
        });
    }
}

#[test]
fn an_iterator_that_panics_runs_nothing_and_drops_what_it_gave() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (drops, runs) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let jobs = (0..10).map(|n| {
        assert!(n < 4, "no more");
        let (counted, runs) = (Counted(Arc::clone(&drops)), Arc::clone(&runs));
        move || {
            runs.fetch_add(1, Ordering::Relaxed);
            drop(counted);
        }
    });
    let submitted = catch_unwind(AssertUnwindSafe(|| pool.submit_all(jobs)));
    submitted.unwrap_err();
    assert_eq!(drops.load(Ordering::Relaxed), 4);
    pool.shutdown().unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}
