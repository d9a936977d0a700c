//! Proves that a bounded queue holds its bound, holds submitters back, and strands none of them.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use thread_pool::{
    Cancel, FutureResult, JoinHandle, Rejection, ShutdownError, TaskError, ThreadPoolExecutor,
};

use self::support::occupy;

fn bounded(workers: usize, bound: usize) -> ThreadPoolExecutor {
    let builder = ThreadPoolExecutor::builder().workers(workers);
    builder.queue_bound(bound).build().unwrap()
}

/// How many jobs the pool says are queued, tombstones included.
fn queued(pool: &ThreadPoolExecutor) -> usize {
    let text = format!("{pool:?}");
    let (_, after) = text.split_once("queued: ").unwrap();
    let digits = after.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().unwrap()
}

#[test]
fn try_submit_gives_the_job_back_when_the_bound_is_reached_and_not_before() {
    for bound in [1, 3, 100] {
        let pool = bounded(1, bound);
        let gate = occupy(&pool);
        let handles: Vec<_> = (0..bound)
            .map(|n| pool.try_submit(move || n).unwrap())
            .collect();
        let runs = Arc::new(AtomicUsize::new(0));
        let in_job = Arc::clone(&runs);
        let refused = pool
            .try_submit(move || in_job.fetch_add(1, Ordering::Relaxed))
            .unwrap_err();
        assert_eq!(refused.reason(), Rejection::Full);
        let job = refused.into_job();
        assert_eq!(Arc::strong_count(&runs), 2);
        drop(gate);
        for (n, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.result().unwrap(), n);
        }
        assert_eq!(runs.load(Ordering::Relaxed), 0);
        pool.try_submit(job).unwrap().result().unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn submit_beyond_the_bound_comes_back_only_after_a_job_has_left_the_queue() {
    let pool = bounded(1, 2);
    let gate = occupy(&pool);
    let released = AtomicBool::new(false);
    let (sender, receiver) = channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let sender = sender;
            for n in 0..5 {
                let handle = pool.submit(move || n);
                // The gate holds the only worker, so nothing leaves the queue.
                assert!(
                    n < 2 || released.load(Ordering::Acquire),
                    "{n} came through"
                );
                sender.send(handle).unwrap();
            }
        });
        let mut accepted: Vec<_> = receiver.iter().take(2).collect();
        assert_eq!(
            pool.try_submit(|| ()).unwrap_err().reason(),
            Rejection::Full
        );
        assert!(receiver.try_recv().is_err());
        released.store(true, Ordering::Release);
        drop(gate);
        accepted.extend(receiver);
        let values = accepted.into_iter().map(|handle| handle.result().unwrap());
        assert_eq!(values.collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn producers_are_never_further_ahead_than_bound_and_workers() {
    const BOUND: usize = 3;
    const WORKERS: usize = 2;
    const PRODUCERS: usize = 3;
    let pool = bounded(WORKERS, BOUND);
    let (accepted, started) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    thread::scope(|scope| {
        for _ in 0..PRODUCERS {
            scope.spawn(|| {
                for _ in 0..700 {
                    let started = Arc::clone(&started);
                    let counter = Arc::clone(&started);
                    pool.execute(move || {
                        counter.fetch_add(1, Ordering::SeqCst);
                    })
                    .unwrap();
                    let accepted = accepted.fetch_add(1, Ordering::SeqCst) + 1;
                    let started = started.load(Ordering::SeqCst);
                    assert!(accepted <= started + BOUND + WORKERS);
                }
            });
        }
    });
    pool.shutdown().unwrap();
    assert_eq!(started.load(Ordering::SeqCst), PRODUCERS * 700);
}

#[test]
fn many_producers_with_a_bound_of_one_lose_nothing() {
    for workers in [1, 2] {
        let pool = bounded(workers, 1);
        let runs = Arc::new(AtomicUsize::new(0));
        let accepted: usize = thread::scope(|scope| {
            let producers: Vec<_> = (0..6)
                .map(|producer| {
                    let (pool, runs) = (&pool, &runs);
                    scope.spawn(move || {
                        let mut accepted = 0;
                        for n in 0..300 {
                            let counter = Arc::clone(runs);
                            let job = move || {
                                counter.fetch_add(1, Ordering::Relaxed);
                            };
                            match (producer + n) % 3 {
                                0 => pool.submit(job).result().unwrap(),
                                1 => pool.execute(job).unwrap(),
                                // Snatches places from submitters that were just woken.
                                _ => match pool.try_submit(job) {
                                    Ok(_) => {}
                                    Err(refused) => {
                                        assert_eq!(refused.reason(), Rejection::Full);
                                        continue;
                                    }
                                },
                            }
                            accepted += 1;
                        }
                        accepted
                    })
                })
                .collect();
            producers.into_iter().map(|p| p.join().unwrap()).sum()
        });
        pool.shutdown().unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), accepted);
        assert!(accepted >= 6 * 200);
        assert_eq!(Arc::strong_count(&runs), 1);
    }
}

#[test]
fn workers_of_the_pool_are_not_held_back() {
    let pool = Arc::new(bounded(1, 1));
    let its_pool = Arc::clone(&pool);
    let sum = pool.submit(move || {
        let handles: Vec<_> = (0..100).map(|n| its_pool.submit(move || n)).collect();
        assert!(its_pool.try_submit(|| ()).is_ok());
        its_pool.execute(|| ()).unwrap();
        handles
            .into_iter()
            .flat_map(JoinHandle::result)
            .sum::<u32>()
    });
    assert_eq!(sum.result().unwrap(), 4950);
}

#[test]
fn submitters_outside_get_in_after_the_workers_have_overfilled_the_queue() {
    let pool = Arc::new(bounded(1, 2));
    for _ in 0..50 {
        let its_pool = Arc::clone(&pool);
        let (filled, wait_until_filled) = channel();
        let filler = pool.submit(move || {
            let handles: Vec<_> = (0..10).map(|n| its_pool.submit(move || n)).collect();
            filled.send(()).unwrap();
            handles
        });
        wait_until_filled.recv().unwrap();
        thread::scope(|scope| {
            for n in 0..3 {
                let pool = &pool;
                scope.spawn(move || assert_eq!(pool.submit(move || n).result().unwrap(), n));
            }
        });
        for (n, handle) in filler.result().unwrap().into_iter().enumerate() {
            assert_eq!(handle.result().unwrap(), n);
        }
    }
}

#[test]
fn a_worker_of_another_pool_is_held_back_and_let_in() {
    let (full, other) = (Arc::new(bounded(1, 1)), bounded(1, 1));
    let gate = occupy(&full);
    let first = full.submit(|| 1);
    let (its_full, released) = (Arc::clone(&full), Arc::new(AtomicBool::new(false)));
    let its_released = Arc::clone(&released);
    let (started, wait_for_start) = channel();
    let outer = other.submit(move || {
        started.send(()).unwrap();
        let second = its_full.submit(|| 2);
        assert!(its_released.load(Ordering::Acquire));
        second.result().unwrap()
    });
    wait_for_start.recv().unwrap();
    released.store(true, Ordering::Release);
    drop(gate);
    assert_eq!(first.result().unwrap() + outer.result().unwrap(), 3);
}

#[test]
fn shutdown_releases_blocked_submitters_with_a_rejection() {
    for _ in 0..50 {
        let pool = bounded(1, 1);
        let gate = occupy(&pool);
        let queued = pool.submit(|| "accepted");
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            let submitters = [0, 1].map(|n| {
                let (pool, barrier) = (&pool, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    pool.submit(move || n).result()
                })
            });
            let executor = scope.spawn(|| {
                barrier.wait();
                pool.execute(|| ()).unwrap_err().reason()
            });
            barrier.wait();
            assert_eq!(
                pool.shutdown_timeout(Duration::ZERO),
                Err(ShutdownError::TimedOut)
            );
            // The worker is still stuck: only the shutdown lets them go.
            for submitter in submitters {
                let error = submitter.join().unwrap().unwrap_err();
                assert!(matches!(error, TaskError::Rejected(Rejection::ShutDown)));
            }
            assert_eq!(executor.join().unwrap(), Rejection::ShutDown);
        });
        drop(gate);
        assert_eq!(queued.result().unwrap(), "accepted");
    }
}

#[test]
fn shutdown_now_releases_blocked_submitters_and_cancels_the_queued() {
    let pool = bounded(1, 1);
    let gate = occupy(&pool);
    let mut queued = pool.submit(|| ());
    queued.on_done(move |_| drop(gate));
    thread::scope(|scope| {
        let (started, wait_for_start) = channel();
        let pool = &pool;
        let submitter = scope.spawn(move || {
            started.send(()).unwrap();
            pool.submit(|| ()).result()
        });
        wait_for_start.recv().unwrap();
        pool.shutdown_now().unwrap();
        let error = submitter.join().unwrap().unwrap_err();
        assert!(matches!(error, TaskError::Rejected(Rejection::ShutDown)));
    });
    assert!(matches!(queued.result(), Err(TaskError::Cancelled)));
}

#[test]
fn cancelled_tasks_free_room_for_try_submit() {
    let pool = bounded(1, 3);
    let gate = occupy(&pool);
    let handles = [0, 1, 2].map(|n| pool.submit(move || n));
    assert!(pool.try_submit(|| 9).is_err());
    assert_eq!(handles[1].cancel(), Cancel::Prevented);
    let fourth = pool.try_submit(|| 3).unwrap();
    assert!(pool.try_submit(|| 9).is_err());
    drop(gate);
    let [zero, one, two] = handles;
    assert_eq!(zero.result().unwrap(), 0);
    assert!(matches!(one.result(), Err(TaskError::Cancelled)));
    assert_eq!(two.result().unwrap(), 2);
    assert_eq!(fourth.result().unwrap(), 3);
}

#[test]
fn submit_and_cancel_for_ever_behind_a_busy_worker_never_blocks() {
    let pool = bounded(1, 1);
    let gate = occupy(&pool);
    for _ in 0..20_000 {
        assert_eq!(pool.submit(|| ()).cancel(), Cancel::Prevented);
        // At most one is live; the others are tombstones, swept out now and then.
        assert!(queued(&pool) <= 2_000);
    }
    drop(gate);
}

#[test]
fn a_map_through_a_narrow_queue_yields_all_in_order() {
    let pool = Arc::new(bounded(2, 1));
    let results: Result<Vec<_>, _> = pool.map(|n| n, 0..1000).collect();
    assert_eq!(results.unwrap(), (0..1000).collect::<Vec<_>>());
    let its_pool = Arc::clone(&pool);
    let sum = pool.submit(move || its_pool.map(|n| n, 0..100_u32).flatten().sum::<u32>());
    assert_eq!(sum.result().unwrap(), 4950);
}

#[test]
fn a_broken_initializer_releases_blocked_submitters() {
    let (go, wait_for_go) = channel::<()>();
    let wait_for_go = std::sync::Mutex::new(wait_for_go);
    let pool = ThreadPoolExecutor::builder()
        .workers(1)
        .queue_bound(1)
        .initializer(move |_| {
            wait_for_go.lock().unwrap().recv().unwrap_err();
            panic!("no licence");
        })
        .build()
        .unwrap();
    let queued = pool.submit(|| ());
    thread::scope(|scope| {
        let (started, wait_for_start) = channel();
        let pool = &pool;
        let submitter = scope.spawn(move || {
            started.send(()).unwrap();
            pool.submit(|| ()).result()
        });
        wait_for_start.recv().unwrap();
        drop(go);
        let error = submitter.join().unwrap().unwrap_err();
        assert!(matches!(error, TaskError::Rejected(Rejection::Broken)));
    });
    let error = queued.result().unwrap_err();
    assert!(matches!(error, TaskError::Rejected(Rejection::Broken)));
}

/// Waits on its own thread, so that a hang fails only its test.
fn ends<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(wait()).unwrap_or(()));
    receiver.recv_timeout(Duration::from_secs(100)).ok()
}

#[test]
fn a_cancelled_task_frees_its_place_for_a_blocked_submitter() {
    for round in 0..200 {
        let pool = Arc::new(bounded(1, 1));
        let gate = occupy(&pool);
        let queued = pool.submit(|| ());
        let (started, wait_for_start) = channel();
        let its_pool = Arc::clone(&pool);
        let submitter = thread::spawn(move || {
            started.send(()).unwrap();
            // Before or after the cancel: either way there is room in the end.
            its_pool.submit(|| "let in")
        });
        wait_for_start.recv().unwrap();
        for _ in 0..round {
            thread::yield_now();
        }
        assert_eq!(queued.cancel(), Cancel::Prevented);
        let handle = ends(move || submitter.join().unwrap());
        drop(gate);
        let handle = handle.expect("the queue is empty but for a tombstone, yet it is held back");
        assert_eq!(handle.result().unwrap(), "let in");
    }
}

#[test]
fn a_task_run_in_place_frees_its_place_for_a_blocked_submitter() {
    for round in 0..200 {
        let pool = Arc::new(bounded(1, 1));
        let (queued, wait_until_queued) = channel();
        let (go, wait_for_go) = channel::<()>();
        let (let_in, wait_until_let_in) = channel::<()>();
        let its_pool = Arc::clone(&pool);
        let outer = pool.submit(move || {
            let subtask = its_pool.submit(|| ());
            queued.send(()).unwrap();
            wait_for_go.recv().unwrap_err();
            subtask.result().unwrap();
            // Unless the place is freed, this wait never ends.
            wait_until_let_in
                .recv_timeout(Duration::from_secs(100))
                .is_ok()
        });
        wait_until_queued.recv().unwrap();
        let submitter = thread::spawn(move || {
            let handle = pool.submit(|| "let in");
            let_in.send(()).unwrap_or(());
            handle.result().unwrap()
        });
        for _ in 0..round {
            thread::yield_now();
        }
        drop(go);
        assert!(
            outer.result().unwrap(),
            "held back though nothing is queued"
        );
        assert_eq!(submitter.join().unwrap(), "let in");
    }
}
