//! Proves that the numbers are right when the pool is at rest, and what each of them means.
#![cfg(not(pool_loom))]
#![expect(clippy::unwrap_used, reason = "tests and their helpers unwrap")]

mod support;

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use thread_pool::{
    Cancel, FutureResult, Metrics, ThreadPoolExecutor, WhenFull, blocking, try_join_all,
};

use self::support::occupy;

fn pool(workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::new(workers).unwrap()
}

/// How tasks ended: done, cancelled, panicked.
fn ended(pool: &ThreadPoolExecutor) -> [u64; 3] {
    let metrics = pool.metrics();
    [metrics.done, metrics.cancelled, metrics.panicked]
}

/// Returns when the numbers are as they should be.
fn wait_for(pool: &ThreadPoolExecutor, are_right: impl Fn(&Metrics) -> bool) {
    while !are_right(&pool.metrics()) {
        thread::yield_now();
    }
}

#[test]
fn each_task_is_counted_once_by_how_it_ended() {
    let pool = pool(3);
    let quiet = |n: u32| {
        if n.is_multiple_of(3) {
            std::panic::resume_unwind(Box::new(n))
        }
    };
    let handles = pool.submit_all((0..300).map(|n| move || quiet(n)));
    let failed = handles.into_iter().map(FutureResult::result);
    assert_eq!(failed.filter(Result::is_err).count(), 100);
    for n in 0..30 {
        pool.execute(move || quiet(n)).unwrap();
    }
    pool.shutdown().unwrap();
    assert_eq!(ended(&pool), [220, 0, 110]);
}

#[test]
fn the_state_of_the_workers_and_the_queue_is_seen() {
    let pool = pool(3);
    wait_for(&pool, |metrics| metrics.idle == 3);
    let gates = [occupy(&pool), occupy(&pool), occupy(&pool)];
    let queued = pool.submit_all((0..5).map(|n| move || n));
    let metrics = pool.metrics();
    assert_eq!((metrics.threads, metrics.running, metrics.idle), (3, 3, 0));
    assert_eq!((metrics.queued, metrics.blocked, metrics.done), (5, 0, 0));
    drop(gates);
    try_join_all(queued).unwrap();
    wait_for(&pool, |metrics| {
        (metrics.idle, metrics.running, metrics.done) == (3, 0, 8)
    });
    pool.shutdown().unwrap();
    let metrics = pool.metrics();
    assert_eq!((metrics.threads, metrics.running, metrics.idle), (0, 0, 0));
}

#[test]
fn a_blocked_worker_is_seen_and_is_a_running_one() {
    let pool = pool(1);
    let (started, wait_for_start) = channel();
    let (gate, wait_for_gate) = channel::<()>();
    let blocked = pool.submit(move || {
        blocking(|| {
            started.send(()).unwrap();
            wait_for_gate.recv().unwrap_err()
        })
    });
    wait_for_start.recv().unwrap();
    let metrics = pool.metrics();
    assert_eq!(
        (metrics.blocked, metrics.running, metrics.threads),
        (1, 1, 1)
    );
    drop(gate);
    blocked.result().unwrap();
    wait_for(&pool, |metrics| {
        (metrics.blocked, metrics.running) == (0, 0)
    });
}

#[test]
fn cancelled_tasks_are_counted_also_if_they_are_swept_out() {
    let pool = pool(1);
    let gate = occupy(&pool);
    for _ in 0..1000 {
        let handle = pool.submit(|| unreachable!());
        assert_eq!(handle.cancel(), Cancel::Prevented);
        let result: Result<(), _> = handle.result();
        result.unwrap_err();
    }
    drop(gate);
    pool.shutdown().unwrap();
    assert_eq!(ended(&pool), [1, 1000, 0]);
}

#[test]
fn parts_that_the_end_of_their_scope_runs_are_done_though_nobody_takes_their_values() {
    let pool = Arc::new(pool(1));
    let same = Arc::clone(&pool);
    let outer = pool.submit(move || {
        same.scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| ());
            }
        });
    });
    outer.result().unwrap();
    pool.shutdown().unwrap();
    assert_eq!(ended(&pool), [11, 0, 0]);
}

#[test]
fn tasks_that_are_run_in_place_are_counted_by_how_they_ended() {
    let pool = Arc::new(pool(1));
    let same = Arc::clone(&pool);
    let outer = pool.submit(move || {
        let quiet = |n: u32| {
            if n.is_multiple_of(10) {
                std::panic::resume_unwind(Box::new(n))
            }
        };
        let handles = same.submit_all((0..1000).map(|n| move || quiet(n)));
        // In reverse, so that all but the last leave a tombstone.
        let results = handles.into_iter().rev().map(FutureResult::result);
        results.filter(Result::is_err).count()
    });
    assert_eq!(outer.result().unwrap(), 100);
    pool.shutdown().unwrap();
    assert_eq!(ended(&pool), [901, 0, 100]);
}

#[test]
fn a_cancelling_shutdown_counts_what_it_cancels() {
    let pool = pool(1);
    let gate = occupy(&pool);
    let mut handles = pool.submit_all((0..100).map(|_| || ()));
    let shares = pool.broadcast(|_| ());
    assert_eq!(handles[0].cancel(), Cancel::Prevented);
    handles[99].on_done(move |_| drop(gate));
    pool.shutdown_now().unwrap();
    assert_eq!(ended(&pool), [1, 101, 0]);
    drop((handles, shares));
}

#[test]
fn what_workers_counted_that_have_left_stays() {
    let builder = ThreadPoolExecutor::builder().workers(4).min_workers(1);
    let pool = builder.keep_alive(Duration::ZERO).build().unwrap();
    for round in 1..=50 {
        let barrier = Arc::new(Barrier::new(4));
        let jobs = (0..4).map(|_| {
            let barrier = Arc::clone(&barrier);
            move || barrier.wait().is_leader()
        });
        try_join_all(pool.submit_all(jobs)).unwrap();
        wait_for(&pool, |metrics| {
            metrics.threads == 1 && metrics.done == 4 * round
        });
    }
}

#[test]
fn what_the_caller_runs_counts() {
    let builder = ThreadPoolExecutor::builder().workers(1).queue_bound(1);
    let pool = builder.when_full(WhenFull::CallerRuns).build().unwrap();
    let gate = occupy(&pool);
    let queued = pool.submit(|| ());
    pool.submit(|| ()).result().unwrap();
    pool.execute(|| std::panic::resume_unwind(Box::new(())))
        .unwrap();
    assert_eq!(ended(&pool), [1, 0, 1]);
    drop(gate);
    queued.result().unwrap();
    pool.shutdown().unwrap();
    assert_eq!(ended(&pool), [3, 0, 1]);
}

#[test]
fn shares_of_a_broadcast_count_and_are_queued() {
    let pool = Arc::new(pool(2));
    let gates = [occupy(&pool), occupy(&pool)];
    let shares = pool.broadcast(|_| ());
    assert_eq!(pool.metrics().queued, 2);
    drop(gates);
    try_join_all(shares).unwrap();
    let same = Arc::clone(&pool);
    let from_inside = pool.submit(move || same.broadcast(|_| ()));
    try_join_all(from_inside.result().unwrap()).unwrap();
    pool.shutdown().unwrap();
    assert_eq!(ended(&pool), [2 + 2 + 1 + 2, 0, 0]);
}

#[test]
fn delays_are_measured_only_if_asked_for() {
    for measures in [false, true] {
        let builder = ThreadPoolExecutor::builder()
            .workers(2)
            .measure_delays(measures);
        let pool = Arc::new(builder.build().unwrap());
        try_join_all(pool.submit_all((0..50).map(|n| move || n))).unwrap();
        try_join_all((0..10).map(|n| pool.try_submit(move || n).unwrap())).unwrap();
        pool.execute(|| ()).unwrap();
        let same = Arc::clone(&pool);
        let inside = pool.submit(move || {
            same.execute(|| ()).unwrap();
            same.submit(|| ()).result().unwrap();
            same.try_submit(|| ()).unwrap().result().unwrap();
        });
        inside.result().unwrap();
        assert_eq!(pool.map(|n| n, 0..20).count(), 20);
        pool.shutdown().unwrap();
        let delays = pool.metrics().delays;
        let expected = if measures {
            50 + 10 + 1 + 1 + 3 + 20
        } else {
            0
        };
        assert_eq!(delays.count(), expected);
        assert_eq!(delays.quantile(0.5).is_some(), measures);
        assert_eq!(delays.mean().is_some(), measures);
    }
}

#[test]
fn a_refused_job_comes_back_from_a_pool_that_measures() {
    for bound in [None, Some(1)] {
        let builder = ThreadPoolExecutor::builder()
            .workers(1)
            .measure_delays(true);
        let builder = match bound {
            Some(jobs) => builder.queue_bound(jobs),
            None => builder,
        };
        let pool = builder.build().unwrap();
        assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
        pool.shutdown().unwrap();
        assert_eq!(pool.try_submit(|| 2).unwrap_err().into_job()(), 2);
        let (sender, receiver) = channel();
        let refused = pool.execute(move || sender.send(3).unwrap()).unwrap_err();
        refused.into_job()();
        assert_eq!(receiver.recv().unwrap(), 3);
        assert_eq!(pool.metrics().delays.count(), 1);
    }
}

/// Some work, so that a map is worth helpers.
fn slow(n: &usize) -> usize {
    (0..50).for_each(|_| thread::yield_now());
    *n
}

#[test]
fn a_map_and_its_helpers_are_no_tasks_wherever_they_end_up() {
    let items: Vec<usize> = (0..200).collect();
    let pool = pool(2);
    let gates = [occupy(&pool), occupy(&pool)];
    // The helpers are in the injector, and nobody has time for them.
    let queued = pool.map_slice(&items, |n| {
        slow(n);
        pool.metrics().queued
    });
    assert!(queued.iter().all(|&queued| queued == 0));
    assert_eq!(pool.metrics().queued, 0);
    assert_eq!(format!("{pool:?}").matches("queued: 0").count(), 1);
    drop(gates);
    // Now a worker runs them, or has them in its deque.
    let pool = Arc::new(pool);
    for _ in 0..20 {
        let (inside, items) = (Arc::clone(&pool), items.clone());
        let inner = pool.submit(move || inside.map_slice(&items, slow).len());
        assert_eq!(inner.result().unwrap(), 200);
        assert_eq!(pool.map_vec(vec![1; 200], |n| slow(&n)).len(), 200);
    }
    pool.shutdown().unwrap();
    assert_eq!(ended(&pool), [22, 0, 0]);
    assert_eq!(pool.metrics().queued, 0);
}

#[test]
fn a_cancelling_shutdown_counts_no_helpers() {
    let items: Vec<usize> = (0..200).collect();
    let pool = pool(2);
    let gates = [occupy(&pool), occupy(&pool)];
    pool.map_slice(&items, slow);
    let mut last = pool.submit(|| ());
    last.on_done(move |_| drop(gates));
    pool.shutdown_now().unwrap();
    assert_eq!(ended(&pool), [2, 1, 0]);
    pool.map_slice(&items, slow);
    assert_eq!(ended(&pool), [2, 1, 0]);
    assert_eq!(pool.metrics().queued, 0);
}

#[test]
fn a_join_is_no_task_from_wherever_it_is_called() {
    let pool = Arc::new(pool(2));
    for n in 0..100 {
        assert_eq!(pool.join(|| n, || 2 * n), (n, 2 * n));
    }
    let inside = Arc::clone(&pool);
    let inner = pool.submit(move || inside.join(|| 1, || 2));
    assert_eq!(inner.result().unwrap(), (1, 2));
    // A scope's tasks are the user's.
    pool.scope(|scope| drop(scope.spawn(|| ())));
    pool.shutdown().unwrap();
    assert_eq!(ended(&pool), [2, 0, 0]);
    assert_eq!(pool.metrics().queued, 0);
}
