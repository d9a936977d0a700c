//! Proves that every way to end a pool ends it, once, and wakes every task's waiter.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use thread_pool::{FutureResult, Rejection, ShutdownError, TaskError, ThreadPoolExecutor};

use self::support::occupy;

#[test]
fn shutdown_comes_back_after_the_last_task_and_not_before() {
    for _ in 0..50 {
        let pool = ThreadPoolExecutor::new(2).unwrap();
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let done = Arc::clone(&done);
            pool.execute(move || {
                thread::yield_now();
                done.fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
        }
        pool.shutdown().unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 100);
    }
}

#[test]
fn shutdown_of_an_idle_pool_comes_back() {
    for workers in [1, 2, 8] {
        let pool = ThreadPoolExecutor::new(workers).unwrap();
        pool.shutdown().unwrap();
        let pool = ThreadPoolExecutor::new(workers).unwrap();
        pool.submit(|| ()).result().unwrap();
        pool.shutdown_now().unwrap();
    }
}

#[test]
fn shutdown_again_in_every_form_is_ok() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let handle = pool.submit(|| 1);
    for _ in 0..3 {
        assert_eq!(pool.shutdown(), Ok(()));
        assert_eq!(pool.shutdown_now(), Ok(()));
        assert_eq!(pool.shutdown_timeout(Duration::ZERO), Ok(()));
    }
    assert_eq!(handle.result().unwrap(), 1);
}

#[test]
fn shutdown_from_several_threads_each_sees_all_tasks_done() {
    for _ in 0..50 {
        let pool = ThreadPoolExecutor::new(2).unwrap();
        let gates = [occupy(&pool), occupy(&pool)];
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..20 {
            let done = Arc::clone(&done);
            drop(pool.submit(move || done.fetch_add(1, Ordering::Relaxed)));
        }
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for form in 0..3 {
                let (pool, barrier, done) = (&pool, &barrier, &done);
                scope.spawn(move || {
                    barrier.wait();
                    match form {
                        0 | 1 => pool.shutdown().unwrap(),
                        _ => pool.shutdown_timeout(Duration::MAX).unwrap(),
                    }
                    assert_eq!(done.load(Ordering::Relaxed), 20);
                });
            }
            barrier.wait();
            drop(gates);
        });
    }
}

#[test]
fn shutdown_and_shutdown_now_race_and_every_task_runs_or_is_cancelled() {
    for _ in 0..100 {
        let pool = ThreadPoolExecutor::new(2).unwrap();
        let runs = Arc::new(AtomicUsize::new(0));
        let handles: Vec<_> = (0..50)
            .map(|_| {
                let runs = Arc::clone(&runs);
                pool.submit(move || runs.fetch_add(1, Ordering::Relaxed))
            })
            .collect();
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                pool.shutdown_now().unwrap();
            });
            barrier.wait();
            pool.shutdown().unwrap();
        });
        let mut finished = 0;
        for handle in handles {
            assert!(handle.is_done());
            match handle.result() {
                Ok(_) => finished += 1,
                Err(error) => assert!(matches!(error, TaskError::Cancelled), "{error}"),
            }
        }
        assert_eq!(runs.load(Ordering::Relaxed), finished);
    }
}

#[test]
fn submit_races_shutdown_accepted_runs_and_refused_errs() {
    for round in 0..200_usize {
        let pool = ThreadPoolExecutor::new(2).unwrap();
        let runs = Arc::new(AtomicUsize::new(0));
        let barrier = Barrier::new(3);
        let accepted: usize = thread::scope(|scope| {
            let producers = [0, 1].map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let mut handles = Vec::new();
                    for _ in 0..50 {
                        let runs = Arc::clone(&runs);
                        handles.push(pool.submit(move || runs.fetch_add(1, Ordering::Relaxed)));
                    }
                    let results = handles.into_iter().map(FutureResult::result);
                    results
                        .filter(|result| match result {
                            Ok(_) => true,
                            Err(TaskError::Rejected(Rejection::ShutDown)) => false,
                            Err(other) => unreachable!("{other}"),
                        })
                        .count()
                })
            });
            barrier.wait();
            for _ in 0..round % 10 {
                thread::yield_now();
            }
            pool.shutdown().unwrap();
            producers.map(|p| p.join().unwrap()).iter().sum()
        });
        assert_eq!(runs.load(Ordering::Relaxed), accepted);
        assert_eq!(Arc::strong_count(&runs), 1);
    }
}

#[test]
fn shutdown_from_an_own_worker_is_an_error_that_changes_nothing() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let its_pool = Arc::clone(&pool);
    let answers = pool.submit(move || {
        [
            its_pool.shutdown(),
            its_pool.shutdown_now(),
            its_pool.shutdown_timeout(Duration::MAX),
        ]
    });
    assert_eq!(
        answers.result().unwrap(),
        [Err(ShutdownError::FromWorker); 3]
    );
    assert_eq!(pool.submit(|| "still open").result().unwrap(), "still open");
    pool.shutdown().unwrap();
}

#[test]
fn shutdown_from_a_callback_on_an_own_worker_is_an_error() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let gate = occupy(&pool);
    let (sender, receiver) = channel();
    let its_pool = Arc::clone(&pool);
    let mut handle = pool.submit(|| ());
    handle.on_done(move |_| sender.send(its_pool.shutdown()).unwrap());
    drop(gate);
    assert_eq!(receiver.recv().unwrap(), Err(ShutdownError::FromWorker));
}

#[test]
fn shutdown_from_a_worker_of_another_pool_is_ok() {
    let one = ThreadPoolExecutor::new(1).unwrap();
    let two = ThreadPoolExecutor::new(1).unwrap();
    let handle = two.submit(|| "drained");
    assert_eq!(one.submit(move || two.shutdown()).result().unwrap(), Ok(()));
    assert_eq!(handle.result().unwrap(), "drained");
}

#[test]
fn shutdown_timeout_times_out_while_a_task_runs_and_is_ok_afterwards() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let queued = pool.submit(|| "ran");
    for _ in 0..3 {
        let limit = Duration::from_nanos(1);
        assert_eq!(pool.shutdown_timeout(limit), Err(ShutdownError::TimedOut));
    }
    let refused = pool.try_submit(|| ()).unwrap_err();
    assert_eq!(refused.reason(), Rejection::ShutDown);
    drop(gate);
    assert_eq!(pool.shutdown_timeout(Duration::MAX), Ok(()));
    assert!(queued.is_done());
    assert_eq!(queued.result().unwrap(), "ran");
    assert_eq!(pool.shutdown_timeout(Duration::ZERO), Ok(()));
}

#[test]
fn shutdown_now_cancels_the_queued_and_waits_for_the_running() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (started, wait_for_start) = channel();
    let (gate, wait_for_gate) = channel::<()>();
    let finished = Arc::new(AtomicBool::new(false));
    let in_job = Arc::clone(&finished);
    let running = pool.submit(move || {
        started.send(()).unwrap();
        wait_for_gate.recv().unwrap_err();
        in_job.store(true, Ordering::Relaxed);
        "ran to its end"
    });
    wait_for_start.recv().unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let mut queued: Vec<_> = (0..100)
        .map(|_| {
            let runs = Arc::clone(&runs);
            pool.submit(move || runs.fetch_add(1, Ordering::Relaxed))
        })
        .collect();
    // Only once the last one is cancelled can the running task end.
    queued[99].on_done(move |_| drop(gate));
    pool.shutdown_now().unwrap();
    assert!(finished.load(Ordering::Relaxed));
    assert_eq!(running.result().unwrap(), "ran to its end");
    for handle in queued {
        assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    }
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

/// Queues a job that tells when a cancelling shutdown has swept the queues.
fn sweep_of(pool: &ThreadPoolExecutor) -> Receiver<()> {
    let (swept, wait_for_sweep) = channel();
    let mut last = pool.submit(|| ());
    last.on_done(move |result| {
        assert!(matches!(result, Err(TaskError::Cancelled)));
        swept.send(()).unwrap();
    });
    wait_for_sweep
}

#[test]
fn shutdown_now_races_workers_that_move_their_tasks_and_nothing_starts_after_the_sweep() {
    for _ in 0..100 {
        let pool = Arc::new(ThreadPoolExecutor::new(2).unwrap());
        let runs = Arc::new(AtomicUsize::new(0));
        let ready = Arc::new(Barrier::new(3));
        let gates = [(); 2].map(|()| channel::<()>());
        let gates = gates.map(|(gate, wait_for_gate)| {
            let (pool, runs, ready) = (Arc::clone(&pool), Arc::clone(&runs), Arc::clone(&ready));
            drop(Arc::clone(&pool).submit(move || {
                ready.wait();
                // More than fit, so that some are moved while the queues are swept.
                for _ in 0..2000 {
                    let runs = Arc::clone(&runs);
                    drop(pool.submit(move || runs.fetch_add(1, Ordering::Relaxed)));
                }
                drop(pool);
                wait_for_gate.recv().unwrap_err();
            }));
            gate
        });
        ready.wait();
        let swept = sweep_of(&pool);
        thread::scope(|scope| {
            scope.spawn(|| pool.shutdown_now().unwrap());
            // Until then both workers are busy.
            swept.recv().unwrap();
            drop(gates);
        });
        assert_eq!(runs.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn what_is_running_when_the_queues_are_swept_may_still_use_scopes_joins_and_maps() {
    let pool = Arc::new(ThreadPoolExecutor::new(2).unwrap());
    let (started, wait_for_start) = channel();
    let (gate, wait_for_gate) = channel::<()>();
    let inside = Arc::clone(&pool);
    let running = pool.submit(move || {
        started.send(()).unwrap();
        wait_for_gate.recv().unwrap_err();
        let meeting = Barrier::new(2);
        let parts = AtomicUsize::new(0);
        inside.scope(|scope| {
            // They meet, so the other worker must run one. Whichever it runs, the end of the scope runs
            // the other; a wait for a handle might pick the one that it runs.
            for n in [20, 1] {
                let (meeting, parts) = (&meeting, &parts);
                scope.spawn(move || {
                    meeting.wait();
                    parts.fetch_add(n, Ordering::Relaxed);
                });
            }
        });
        let halves = inside.join(|| 300, || 4000);
        let items = inside.map_slice(&[50_000; 2], |item| *item);
        parts.into_inner() + halves.0 + halves.1 + items[0] + items[1]
    });
    wait_for_start.recv().unwrap();
    let busy = occupy(&pool);
    let swept = sweep_of(&pool);
    thread::scope(|scope| {
        scope.spawn(|| pool.shutdown_now().unwrap());
        swept.recv().unwrap();
        drop((busy, gate));
    });
    assert_eq!(running.result().unwrap(), 104_321);
    let metrics = pool.metrics();
    assert_eq!((metrics.queued, metrics.cancelled), (0, 1));
}

#[test]
fn shutdown_now_after_shutdown_began_cancels_what_is_left() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let mut queued = pool.submit(|| ());
    queued.on_done(move |_| drop(gate));
    assert_eq!(
        pool.shutdown_timeout(Duration::ZERO),
        Err(ShutdownError::TimedOut)
    );
    assert!(!queued.is_done());
    pool.shutdown_now().unwrap();
    assert!(matches!(queued.result(), Err(TaskError::Cancelled)));
}

#[test]
fn shutdown_drains_a_task_that_waits_for_a_queued_one() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let (go, wait_for_go) = channel::<()>();
    let (submitted, wait_until_submitted) = channel();
    let its_pool = Arc::clone(&pool);
    let outer = pool.submit(move || {
        let inner = its_pool.submit(|| "inner");
        submitted.send(()).unwrap();
        wait_for_go.recv().unwrap_err();
        inner.result().unwrap()
    });
    wait_until_submitted.recv().unwrap();
    assert_eq!(
        pool.shutdown_timeout(Duration::ZERO),
        Err(ShutdownError::TimedOut)
    );
    drop(go);
    pool.shutdown().unwrap();
    assert_eq!(outer.result().unwrap(), "inner");
}

#[test]
fn a_task_that_submits_after_shutdown_gets_a_rejected_handle_and_does_not_hang() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let (go, wait_for_go) = channel::<()>();
    let (started, wait_for_start) = channel();
    let its_pool = Arc::clone(&pool);
    let outer = pool.submit(move || {
        started.send(()).unwrap();
        wait_for_go.recv().unwrap_err();
        its_pool.submit(|| ()).result()
    });
    wait_for_start.recv().unwrap();
    assert_eq!(
        pool.shutdown_timeout(Duration::ZERO),
        Err(ShutdownError::TimedOut)
    );
    drop(go);
    let inner = outer.result().unwrap();
    assert!(matches!(
        inner,
        Err(TaskError::Rejected(Rejection::ShutDown))
    ));
    pool.shutdown().unwrap();
}

#[test]
fn drop_drains_the_queue() {
    for workers in [1, 3] {
        let pool = ThreadPoolExecutor::new(workers).unwrap();
        let gate = occupy(&pool);
        let runs = Arc::new(AtomicUsize::new(0));
        let mut handles = Vec::new();
        for _ in 0..500 {
            let runs = Arc::clone(&runs);
            handles.push(pool.submit(move || runs.fetch_add(1, Ordering::Relaxed)));
        }
        drop(gate);
        drop(pool);
        assert_eq!(runs.load(Ordering::Relaxed), 500);
        assert!(handles.iter().all(FutureResult::is_done));
    }
}

#[test]
fn drop_after_a_timed_out_shutdown_still_drains() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let ran = Arc::new(AtomicBool::new(false));
    let in_job = Arc::clone(&ran);
    pool.execute(move || in_job.store(true, Ordering::Relaxed))
        .unwrap();
    assert_eq!(
        pool.shutdown_timeout(Duration::ZERO),
        Err(ShutdownError::TimedOut)
    );
    drop(gate);
    drop(pool);
    assert!(ran.load(Ordering::Relaxed));
}

#[test]
fn drop_while_unwinding_drains_and_does_not_abort() {
    let runs = Arc::new(AtomicUsize::new(0));
    let in_job = Arc::clone(&runs);
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let pool = ThreadPoolExecutor::new(1).unwrap();
        for _ in 0..100 {
            let runs = Arc::clone(&in_job);
            drop(pool.submit(move || runs.fetch_add(1, Ordering::Relaxed)));
        }
        panic!("out of here");
    }));
    unwound.unwrap_err();
    assert_eq!(runs.load(Ordering::Relaxed), 100);
}

#[test]
fn drop_by_an_own_task_neither_hangs_nor_loses_what_is_queued() {
    for workers in [1, 2] {
        for _ in 0..50 {
            let pool = Arc::new(ThreadPoolExecutor::new(workers).unwrap());
            let (give, take) = channel::<Arc<ThreadPoolExecutor>>();
            let dropper = pool.submit(move || {
                let pool = take.recv().unwrap();
                assert_eq!(Arc::strong_count(&pool), 1);
                drop(pool);
                "dropped it"
            });
            let queued: Vec<_> = (0..20).map(|n| pool.submit(move || n)).collect();
            give.send(pool).unwrap();
            assert_eq!(dropper.result().unwrap(), "dropped it");
            for (n, handle) in queued.into_iter().enumerate() {
                assert_eq!(handle.result().unwrap(), n);
            }
        }
    }
}

#[test]
fn drop_by_a_task_that_runs_in_place_neither_hangs_nor_loses() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let its_pool = Arc::clone(&pool);
    let (dropped, is_dropped) = channel::<()>();
    let outer = pool.submit(move || {
        // After this the task is the pool's only owner.
        is_dropped.recv().unwrap_err();
        let early = its_pool.submit(|| "early");
        let (give, take) = channel();
        let dropper = its_pool.submit(move || Arc::into_inner(take.recv().unwrap()).is_some());
        let late = its_pool.submit(|| "late");
        give.send(its_pool).unwrap();
        assert!(dropper.result().unwrap());
        (early, late.result().unwrap())
    });
    drop(pool);
    drop(dropped);
    let (early, late) = outer.result().unwrap();
    assert_eq!(late, "late");
    assert_eq!(early.result().unwrap(), "early");
}

#[test]
fn drop_by_the_drop_of_a_result_on_an_own_worker_does_not_hang() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let gate = occupy(&pool);
    let (sender, receiver) = channel();
    let result = Arc::clone(&pool);
    // Nobody takes the result, so the worker drops it, and the pool with it.
    drop(pool.submit(move || result));
    pool.execute(move || sender.send("drained").unwrap())
        .unwrap();
    drop(pool);
    drop(gate);
    assert_eq!(receiver.recv().unwrap(), "drained");
}

#[test]
fn detach_lets_the_queue_run_and_does_not_wait() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let handles: Vec<_> = (0..100).map(|n| pool.submit(move || n)).collect();
    // Returns although the only worker is stuck.
    pool.detach();
    assert!(handles.iter().all(|handle| !handle.is_done()));
    drop(gate);
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.result().unwrap(), n);
    }
}

#[test]
fn detached_workers_leave_and_let_go_of_everything() {
    struct Gone(Sender<()>);

    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.send(()).unwrap_or(());
        }
    }

    let (sender, receiver) = channel();
    let gone = Gone(sender);
    let pool = ThreadPoolExecutor::builder()
        .workers(2)
        .initializer(move |_| {
            let _kept = &gone;
        })
        .build()
        .unwrap();
    pool.detach();
    // The workers share the initializer: the last to leave drops it.
    receiver.recv().unwrap();
}

#[test]
fn many_pools_come_and_go() {
    let sum: usize = (0..200)
        .map(|n| {
            let pool = ThreadPoolExecutor::new(1 + n % 3).unwrap();
            pool.submit(move || n).result().unwrap()
        })
        .sum();
    assert_eq!(sum, 19_900);
}

#[test]
fn last_owner_in_a_thread_local_of_a_worker_does_not_join_itself() {
    use std::cell::RefCell;

    thread_local! {
        static OWNED: RefCell<Option<(Arc<ThreadPoolExecutor>, Sender<()>)>> =
            const { RefCell::new(None) };
    }

    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let (gone, wait_until_gone) = channel();
    let owner = Arc::clone(&pool);
    pool.execute(move || OWNED.set(Some((owner, gone))))
        .unwrap();
    pool.submit(|| ()).result().unwrap();
    pool.shutdown_timeout(Duration::ZERO).ok();
    drop(pool);
    // Dropped after the pool, whose last owner was its own worker's thread-local.
    wait_until_gone.recv().unwrap_err();
}
