//! The pool's races, in all interleavings that loom can reach: the real code, with one or two workers.
//!
//! Run by `./check.sh loom`.
#![cfg(pool_loom)]
#![expect(
    clippy::disallowed_types,
    reason = "the counters are no part of the model"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::thread;
use thread_pool::{Cancel, FutureResult, Rejection, ShutdownError, TaskError, ThreadPoolExecutor};

#[expect(clippy::unwrap_used, reason = "a model starts its threads")]
fn pool(workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::new(workers).unwrap()
}

#[test]
fn push_races_sleep_and_the_job_runs() {
    loom::model(|| {
        let pool = pool(1);
        assert_eq!(pool.submit(|| 7).result().unwrap(), 7);
    });
}

#[test]
fn drop_drains() {
    loom::model(|| {
        let runs = Arc::new(AtomicUsize::new(0));
        let pool = pool(1);
        for _ in 0..2 {
            let runs = Arc::clone(&runs);
            pool.execute(move || {
                runs.fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
        }
        drop(pool);
        assert_eq!(runs.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn submit_races_shutdown_and_is_run_or_refused() {
    loom::model(|| {
        let runs = Arc::new(AtomicUsize::new(0));
        let pool = Arc::new(pool(1));
        let submitting = thread::spawn({
            let (pool, runs) = (Arc::clone(&pool), Arc::clone(&runs));
            move || {
                let handle = pool.submit(move || {
                    runs.fetch_add(1, Ordering::Relaxed);
                });
                drop(pool);
                handle.result()
            }
        });
        pool.shutdown().unwrap();
        match submitting.join().unwrap() {
            Ok(()) => assert_eq!(runs.load(Ordering::Relaxed), 1),
            Err(error) => {
                assert!(matches!(error, TaskError::Rejected(Rejection::ShutDown)));
                assert_eq!(runs.load(Ordering::Relaxed), 0);
            }
        }
    });
}

#[test]
fn cancelling_shutdown_races_the_worker_and_the_job_runs_or_is_cancelled() {
    loom::model(|| {
        let pool = pool(1);
        let handle = pool.submit(|| 1);
        pool.shutdown_now().unwrap();
        assert!(matches!(handle.result(), Ok(1) | Err(TaskError::Cancelled)));
    });
}

#[test]
fn cancelling_shutdown_races_a_worker_that_makes_room_and_nothing_starts_after_the_sweep() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let runs = Arc::new(AtomicUsize::new(0));
        let pool = Arc::new(pool(1));
        let (completer, swept) = future_result::pair::<()>();
        let (started, start) = future_result::pair();
        let running = pool.submit({
            let (pool, runs) = (Arc::clone(&pool), Arc::clone(&runs));
            move || {
                started.complete(()).unwrap();
                // One more than fits.
                for _ in 0..5 {
                    let runs = Arc::clone(&runs);
                    drop(pool.submit(move || runs.fetch_add(1, Ordering::Relaxed)));
                }
                drop(pool);
                swept.result().unwrap();
            }
        });
        start.result().unwrap();
        let mut last = pool.submit(|| ());
        last.on_done(|_| completer.complete(()).unwrap());
        pool.shutdown_now().unwrap();
        running.result().unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn cancel_races_the_worker() {
    loom::model(|| {
        let pool = pool(1);
        let handle = pool.submit(|| 1);
        let prevented = handle.cancel() == Cancel::Prevented;
        assert_eq!(handle.result().is_err(), prevented);
    });
}

#[test]
fn nested_wait_with_one_worker_runs_in_place() {
    loom::model(|| {
        let pool = Arc::new(pool(1));
        let outer = pool.submit({
            let pool = Arc::clone(&pool);
            move || pool.submit(|| 20).result().unwrap() + 1
        });
        assert_eq!(outer.result().unwrap(), 21);
    });
}

#[test]
fn pool_dropped_by_its_own_worker() {
    loom::model(|| {
        let pool = Arc::new(pool(1));
        let last = Arc::clone(&pool);
        let handle = pool.submit(move || last.shutdown());
        drop(pool);
        assert_eq!(handle.result().unwrap(), Err(ShutdownError::FromWorker));
    });
}

#[test]
fn submit_waits_for_room_and_gets_it() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let pool = ThreadPoolExecutor::builder()
            .workers(1)
            .queue_bound(1)
            .build()
            .unwrap();
        let handles = [1, 2, 3].map(|n| pool.submit(move || n));
        let sum: i32 = handles.into_iter().map(|h| h.result().unwrap()).sum();
        assert_eq!(sum, 6);
    });
}

#[test]
fn shutdown_releases_whoever_waits_for_room() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let pool = ThreadPoolExecutor::builder()
            .workers(1)
            .queue_bound(1)
            .build()
            .unwrap();
        let pool = Arc::new(pool);
        let submitting = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                let handles = [1, 2].map(|n| pool.submit(move || n));
                drop(pool);
                handles.map(FutureResult::result)
            }
        });
        pool.shutdown().unwrap();
        for (n, result) in (1..).zip(submitting.join().unwrap()) {
            match result {
                Ok(value) => assert_eq!(value, n),
                Err(error) => assert!(matches!(error, TaskError::Rejected(_))),
            }
        }
    });
}

#[test]
fn broken_initializer_fails_what_is_queued() {
    loom::model(|| {
        let pool = ThreadPoolExecutor::builder()
            .workers(1)
            .initializer(|_| std::panic::resume_unwind(Box::new("broken")))
            .build()
            .unwrap();
        let result = pool.submit(|| ()).result();
        assert!(matches!(
            result,
            Err(TaskError::Rejected(Rejection::Broken))
        ));
    });
}

#[test]
fn broadcast_races_sleep_and_the_share_runs() {
    loom::model(|| {
        let pool = pool(1);
        let shares = pool.broadcast(|index| index + 1);
        for share in shares {
            assert_eq!(share.result().unwrap(), 1);
        }
    });
}

#[test]
fn broadcast_races_shutdown_and_the_share_runs_or_is_refused() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let pool = Arc::new(pool(1));
        let sending = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                let shares = pool.broadcast(|index| index);
                drop(pool);
                shares.into_iter().map(FutureResult::result).collect()
            }
        });
        pool.shutdown().unwrap();
        let results: Vec<_> = sending.join().unwrap();
        for result in results {
            assert!(matches!(result, Ok(0) | Err(TaskError::Rejected(_))));
        }
    });
}

#[test]
fn blocking_races_a_push_and_a_spare_worker_runs_it() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let pool = pool(1);
        let (completer, awaited) = future_result::pair();
        let waiting = pool.submit(move || thread_pool::blocking(|| awaited.result().unwrap()));
        pool.execute(move || completer.complete(7).unwrap())
            .unwrap();
        assert_eq!(waiting.result().unwrap(), 7);
    });
}

#[test]
fn a_spare_worker_without_a_state_races_the_end_of_blocking_and_leaves_what_is_queued_to_it() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let builder = ThreadPoolExecutor::builder().workers(1);
        let make = |index| if index == 0 { Ok(()) } else { Err("no state") };
        let pool = builder.try_worker_state(make).build().unwrap();
        let first = pool.submit(|| thread_pool::blocking(|| 1));
        let second = pool.submit(|| 2);
        assert_eq!(first.result().unwrap(), 1);
        assert_eq!(second.result().unwrap(), 2);
    });
}

#[test]
fn blocking_races_shutdown_and_a_spare_worker_runs_what_is_left() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let pool = pool(1);
        let (completer, awaited) = future_result::pair();
        let waiting = pool.submit(move || thread_pool::blocking(|| awaited.result().unwrap()));
        pool.execute(move || completer.complete(7).unwrap())
            .unwrap();
        pool.shutdown().unwrap();
        assert!(waiting.is_done());
        assert_eq!(waiting.result().unwrap(), 7);
    });
}

#[test]
fn a_push_to_a_lane_races_sleep_and_the_job_runs() {
    loom::model(|| {
        let pool = pool(1);
        let urgent = pool
            .task()
            .priority(thread_pool::Priority::High)
            .submit(|| 7);
        assert_eq!(urgent.result().unwrap(), 7);
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
                pool.task()
                    .priority(thread_pool::Priority::Low)
                    .submit(move || runs.fetch_add(1, Ordering::Relaxed))
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
        let limited = pool
            .task()
            .time_limit(std::time::Duration::from_secs(3600))
            .submit(|| 7);
        pool.shutdown().unwrap();
        assert_eq!(limited.result().unwrap(), 7);
    });
}

#[test]
fn counting_what_is_queued_races_a_worker_that_falls_asleep_and_the_job_runs() {
    loom::model(|| {
        let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
        let looking = thread::spawn({
            let pool = Arc::clone(&pool);
            move || drop(format!("{pool:?}"))
        });
        assert_eq!(pool.submit(|| 7).result().unwrap(), 7);
        looking.join().unwrap();
    });
}
