//! Proves that a broadcast runs once on each existing worker, and that no share is lost.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use thread_pool::{
    Cancel, FutureResult, Rejection, TaskError, ThreadPoolExecutor, blocking, try_join_all,
};

fn pool(workers: usize) -> ThreadPoolExecutor {
    let builder = ThreadPoolExecutor::builder().workers(workers).name("cast");
    builder.build().unwrap()
}

fn thread_name() -> String {
    thread::current().name().unwrap().to_owned()
}

/// The calling worker's number.
fn number() -> usize {
    let name = thread_name();
    let (_, number) = name.rsplit_once('-').unwrap();
    number.parse().unwrap()
}

/// Keeps one worker busy until the sender is dropped; returns, with its number, once it is.
fn occupy(pool: &ThreadPoolExecutor) -> (Sender<()>, usize) {
    let (started, wait_for_start) = channel();
    let (gate, wait_for_gate) = channel::<()>();
    pool.execute(move || {
        started.send(number()).unwrap();
        wait_for_gate.recv().unwrap_err();
    })
    .unwrap();
    (gate, wait_for_start.recv().unwrap())
}

#[test]
fn each_worker_runs_it_once_with_its_number() {
    for workers in [1, 2, 5] {
        let pool = pool(workers);
        for _ in 0..200 {
            let names = pool.broadcast(|index| (index, thread_name()));
            let expected = (0..workers).map(|index| (index, format!("cast-{index}")));
            assert!(try_join_all(names).unwrap().into_iter().eq(expected));
        }
    }
}

#[test]
fn a_busy_worker_gets_to_it_after_its_task_and_before_the_queue() {
    let pool = pool(2);
    let (gate, busy) = occupy(&pool);
    let (other_gate, other) = occupy(&pool);
    let log = Arc::new(Mutex::new(Vec::new()));
    let in_job = Arc::clone(&log);
    let queued = pool.submit(move || in_job.lock().unwrap().push("queued"));
    let in_share = Arc::clone(&log);
    let mut shares = pool.broadcast(move |_| in_share.lock().unwrap().push("share"));
    assert!(shares.iter().all(|share| !share.is_done()));
    drop(gate);
    shares.remove(busy).result().unwrap();
    queued.result().unwrap();
    assert_eq!(*log.lock().unwrap(), ["share", "queued"]);
    assert!(!shares[0].is_done(), "the share of worker {other}");
    drop(other_gate);
    try_join_all(shares).unwrap();
}

#[test]
fn shares_of_several_broadcasts_run_in_their_order() {
    let pool = pool(1);
    let (gate, _) = occupy(&pool);
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut shares = Vec::new();
    for n in 0..10 {
        let log = Arc::clone(&log);
        shares.extend(pool.broadcast(move |_| log.lock().unwrap().push(n)));
    }
    drop(gate);
    try_join_all(shares).unwrap();
    assert!(log.lock().unwrap().iter().copied().eq(0..10));
}

#[test]
fn a_workers_own_share_runs_inside_the_call() {
    for workers in [1, 3] {
        let pool = Arc::new(pool(workers));
        let same = Arc::clone(&pool);
        let names = pool.submit(move || {
            let shares = same.broadcast(|_| thread_name());
            assert!(shares[number()].is_done());
            try_join_all(shares).unwrap()
        });
        let expected = (0..workers).map(|index| format!("cast-{index}"));
        assert!(names.result().unwrap().into_iter().eq(expected));
    }
}

#[test]
fn a_share_is_not_run_in_place_by_another_worker() {
    let pool = Arc::new(pool(2));
    let (gate, busy) = occupy(&pool);
    let same = Arc::clone(&pool);
    let (waiting, wait_for_waiting) = channel();
    let name = pool.submit(move || {
        let mut shares = same.broadcast(|_| thread_name());
        waiting.send(()).unwrap();
        shares.remove(busy).result().unwrap()
    });
    wait_for_waiting.recv().unwrap();
    drop(gate);
    assert_eq!(name.result().unwrap(), format!("cast-{busy}"));
}

#[test]
fn a_panic_costs_its_own_share_alone() {
    let pool = pool(3);
    let shares = pool.broadcast(|index| assert_ne!(index, 1, "no luck today"));
    for (index, share) in shares.into_iter().enumerate() {
        match share.result() {
            Err(TaskError::Panicked(_)) => assert_eq!(index, 1),
            result => result.unwrap(),
        }
    }
    try_join_all(pool.broadcast(|_| ())).unwrap();
}

#[test]
fn a_cancelled_share_does_not_run() {
    let pool = pool(1);
    let (gate, _) = occupy(&pool);
    let shares = pool.broadcast(|_| unreachable!());
    assert_eq!(shares[0].cancel(), Cancel::Prevented);
    drop(gate);
    let results = shares.into_iter().map(FutureResult::result);
    let results: Vec<Result<(), _>> = results.collect();
    assert!(matches!(results[..], [Err(TaskError::Cancelled)]));
}

#[test]
fn a_closed_pool_rejects_as_many_as_it_has_workers() {
    let pool = pool(3);
    pool.shutdown().unwrap();
    let shares = pool.broadcast(|index| index);
    assert_eq!(shares.len(), 3);
    for share in shares {
        assert!(matches!(
            share.result(),
            Err(TaskError::Rejected(Rejection::ShutDown))
        ));
    }
}

#[test]
fn shutdown_runs_what_was_sent_before() {
    let pool = pool(2);
    let gates = [occupy(&pool), occupy(&pool)];
    let shares = pool.broadcast(|index| index);
    drop(gates);
    pool.shutdown().unwrap();
    assert!(shares.iter().all(FutureResult::is_done));
    assert_eq!(try_join_all(shares).unwrap(), [0, 1]);
}

#[test]
fn a_cancelling_shutdown_cancels_what_has_not_started() {
    let pool = pool(1);
    let (gate, _) = occupy(&pool);
    let mut shares = pool.broadcast(|_| unreachable!());
    shares[0].on_done(move |_| drop(gate));
    pool.shutdown_now().unwrap();
    let results = shares.into_iter().map(FutureResult::result);
    let results: Vec<Result<(), _>> = results.collect();
    assert!(matches!(results[..], [Err(TaskError::Cancelled)]));
}

#[test]
fn shutdown_races_broadcasts_and_each_share_ends() {
    for _ in 0..200 {
        let pool = pool(2);
        thread::scope(|scope| {
            let sending = scope.spawn(|| {
                for _ in 0..20 {
                    for share in pool.broadcast(|index| index) {
                        match share.result() {
                            Ok(index) => assert!(index < 2),
                            Err(error) => assert!(matches!(error, TaskError::Rejected(_))),
                        }
                    }
                }
            });
            pool.shutdown().unwrap();
            sending.join().unwrap();
        });
    }
}

#[test]
fn workers_that_leave_race_broadcasts_and_each_share_runs() {
    let builder = ThreadPoolExecutor::builder().workers(4).min_workers(1);
    let pool = builder.keep_alive(Duration::ZERO).build().unwrap();
    for _ in 0..500 {
        let barrier = Arc::new(Barrier::new(4));
        let jobs = (0..4).map(|_| {
            let barrier = Arc::clone(&barrier);
            move || {
                barrier.wait();
            }
        });
        let grown = pool.submit_all(jobs);
        let during = pool.broadcast(|index| index);
        try_join_all(grown).unwrap();
        let after = pool.broadcast(|index| index);
        for shares in [during, after] {
            let indices = try_join_all(shares).unwrap();
            assert!(!indices.is_empty());
            assert!(indices.is_sorted_by(|one, next| one < next));
        }
    }
}

#[test]
fn a_blocked_worker_gets_to_it_when_it_comes_back() {
    let pool = pool(1);
    let (started, wait_for_start) = channel();
    let (gate, wait_for_gate) = channel::<()>();
    let blocked = pool.submit(move || {
        blocking(|| {
            started.send(()).unwrap();
            wait_for_gate.recv().unwrap_err();
        });
    });
    wait_for_start.recv().unwrap();
    let shares = pool.broadcast(|_| thread_name());
    pool.submit(|| ()).result().unwrap(); // By a spare worker.
    assert!(!shares[0].is_done());
    drop(gate);
    blocked.result().unwrap();
    assert_eq!(try_join_all(shares).unwrap(), ["cast-0"]);
}

#[test]
fn it_does_not_count_against_the_bound() {
    let builder = ThreadPoolExecutor::builder().workers(1).queue_bound(1);
    let pool = builder.build().unwrap();
    let (gate, _) = occupy(&pool);
    let queued = pool.submit(|| ());
    let shares = pool.broadcast(|index| index);
    drop(gate);
    queued.result().unwrap();
    assert_eq!(try_join_all(shares).unwrap(), [0]);
}
