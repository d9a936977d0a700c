//! Proves that another worker stands in for one inside `blocking`, whatever becomes of it, and leaves
//! again.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests coordinate with std's locks, and their helpers unwrap"
)]

use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use thread_pool::{FutureResult, TaskError, ThreadPoolExecutor, blocking, try_join_all};

/// A pool whose spare workers leave at once.
fn pool(workers: usize) -> ThreadPoolExecutor {
    let builder = ThreadPoolExecutor::builder().workers(workers).name("block");
    builder.keep_alive(Duration::ZERO).build().unwrap()
}

fn thread_name() -> String {
    thread::current().name().unwrap().to_owned()
}

/// Returns when the pool has this many threads, and nobody is blocked.
fn wait_for_threads(pool: &ThreadPoolExecutor, threads: usize) {
    loop {
        let metrics = pool.metrics();
        if metrics.threads == threads && metrics.blocked == 0 {
            return;
        }
        thread::yield_now();
    }
}

#[test]
fn what_was_queued_before_runs_elsewhere() {
    let pool = pool(1);
    let (go, wait_for_go) = channel();
    let (sender, receiver) = channel();
    let waiting = pool.submit(move || {
        wait_for_go.recv().unwrap();
        blocking(|| receiver.recv().unwrap())
    });
    pool.execute(move || sender.send("sent").unwrap()).unwrap();
    go.send(()).unwrap();
    assert_eq!(waiting.result().unwrap(), "sent");
    wait_for_threads(&pool, 1);
}

#[test]
fn what_is_submitted_afterwards_runs_elsewhere() {
    let pool = pool(1);
    let (started, wait_for_start) = channel();
    let (sender, receiver) = channel();
    let waiting = pool.submit(move || {
        blocking(|| {
            started.send(()).unwrap();
            receiver.recv().unwrap()
        })
    });
    wait_for_start.recv().unwrap();
    let metrics = pool.metrics();
    assert_eq!((metrics.threads, metrics.blocked), (1, 1));
    pool.execute(move || sender.send(thread_name()).unwrap())
        .unwrap();
    assert_eq!(waiting.result().unwrap(), "block-1");
    wait_for_threads(&pool, 1);
}

#[test]
fn what_its_worker_has_queued_itself_runs_elsewhere() {
    let pool = Arc::new(pool(1));
    let same = Arc::clone(&pool);
    let waiting = pool.submit(move || {
        let (sender, receiver) = channel();
        same.execute(move || sender.send("sent").unwrap()).unwrap();
        blocking(|| receiver.recv().unwrap())
    });
    assert_eq!(waiting.result().unwrap(), "sent");
}

#[test]
fn no_thread_is_started_if_there_is_nothing_to_do() {
    let pool = pool(1);
    let same = pool.submit(|| blocking(thread_name));
    assert_eq!(same.result().unwrap(), "block-0");
    assert_eq!(pool.metrics().threads, 1);
}

#[test]
fn a_chain_of_blocked_workers_gets_a_thread_each_and_they_all_leave() {
    const LENGTH: usize = 30;
    for workers in [1, 3] {
        let pool = pool(workers);
        let (first, mut receiver) = channel();
        let mut handles = Vec::new();
        for _ in 0..LENGTH {
            let (sender, next) = channel();
            let here = std::mem::replace(&mut receiver, next);
            handles.push(pool.submit(move || {
                let n: usize = blocking(|| here.recv().unwrap());
                sender.send(n + 1).unwrap();
                thread_name()
            }));
        }
        while pool.metrics().blocked < LENGTH {
            thread::yield_now();
        }
        pool.execute(move || first.send(0).unwrap()).unwrap();
        assert_eq!(receiver.recv().unwrap(), LENGTH);
        let names: BTreeSet<_> = try_join_all(handles).unwrap().into_iter().collect();
        assert_eq!(names.len(), LENGTH);
        wait_for_threads(&pool, workers);
    }
}

#[test]
fn spare_workers_have_the_numbers_of_those_who_left() {
    let pool = pool(1);
    let mut low = 0;
    // One that is just leaving still has its number, so the next one's may be higher now and then. If
    // numbers were not reused, all would be.
    while low < 20 {
        let (sender, receiver) = channel();
        let waiting = pool.submit(move || blocking(|| receiver.recv().unwrap()));
        pool.execute(move || sender.send(thread_name()).unwrap())
            .unwrap();
        let name = waiting.result().unwrap();
        low += usize::from(["block-0", "block-1"].contains(&&*name));
        wait_for_threads(&pool, 1);
    }
}

#[test]
fn nested_calls_count_once() {
    let pool = Arc::new(pool(1));
    let same = Arc::clone(&pool);
    let counts = pool.submit(move || {
        let blocked = || same.metrics().blocked;
        let inside = blocking(|| {
            [
                blocked(),
                blocking(blocked),
                blocking(|| blocking(blocked)),
                blocked(),
            ]
        });
        (inside, blocked(), blocking(blocked))
    });
    assert_eq!(counts.result().unwrap(), ([1; 4], 0, 1));
}

#[test]
fn a_panic_inside_makes_the_worker_count_again() {
    let pool = pool(1);
    for _ in 0..10 {
        let panicked = pool.submit(|| blocking(|| panic!("no luck today")));
        let result: Result<(), _> = panicked.result();
        assert!(matches!(result, Err(TaskError::Panicked(_))));
    }
    assert_eq!(pool.metrics().blocked, 0);
    assert_eq!(pool.submit(|| blocking(|| 1)).result().unwrap(), 1);
}

#[test]
fn on_a_thread_that_is_no_worker_it_only_calls() {
    assert_eq!(blocking(|| blocking(thread_name)), thread_name());
}

#[test]
fn a_blocked_worker_that_waits_for_a_queued_task_of_the_pool_gets_its_value() {
    let pool = Arc::new(pool(1));
    let same = Arc::clone(&pool);
    let sum = pool.submit(move || {
        let handles = same.submit_all((0..100).map(|n| move || n));
        blocking(|| try_join_all(handles))
            .unwrap()
            .into_iter()
            .sum::<u32>()
    });
    assert_eq!(sum.result().unwrap(), 4950);
    wait_for_threads(&pool, 1);
}

#[test]
fn a_pool_that_is_being_shut_down_still_stands_in() {
    let pool = pool(1);
    let (go, wait_for_go) = channel();
    let (sender, receiver) = channel();
    let waiting = pool.submit(move || {
        wait_for_go.recv().unwrap();
        blocking(|| receiver.recv().unwrap())
    });
    pool.execute(move || sender.send("sent").unwrap()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| pool.shutdown().unwrap());
        while pool.try_submit(|| ()).is_ok() {
            thread::yield_now();
        }
        go.send(()).unwrap();
        assert_eq!(waiting.result().unwrap(), "sent");
    });
    assert_eq!(pool.metrics().threads, 0);
}

#[test]
fn a_detached_pool_still_stands_in() {
    let pool = pool(1);
    let (go, wait_for_go) = channel();
    let (sender, receiver) = channel();
    let waiting = pool.submit(move || {
        wait_for_go.recv().unwrap();
        blocking(|| receiver.recv().unwrap())
    });
    pool.execute(move || sender.send("sent").unwrap()).unwrap();
    pool.detach();
    go.send(()).unwrap();
    assert_eq!(waiting.result().unwrap(), "sent");
}

#[test]
fn those_who_come_back_step_aside_and_nothing_is_slept_through() {
    const PAIRS: usize = 2000;
    let pool = pool(2);
    let handles: Vec<_> = (0..PAIRS)
        .map(|n| {
            let (sender, receiver) = channel();
            let waiting = pool.submit(move || blocking(|| receiver.recv().unwrap()));
            pool.execute(move || sender.send(n).unwrap()).unwrap();
            waiting
        })
        .collect();
    assert!(try_join_all(handles).unwrap().into_iter().eq(0..PAIRS));
    wait_for_threads(&pool, 2);
}

#[test]
fn a_growing_pool_has_all_its_places_beside_the_blocked() {
    const WORKERS: usize = 3;
    let builder = ThreadPoolExecutor::builder()
        .workers(WORKERS)
        .min_workers(1);
    let pool = builder.keep_alive(Duration::ZERO).build().unwrap();
    let (gates, blocked): (Vec<_>, Vec<_>) = (0..WORKERS)
        .map(|_| {
            let (gate, wait_for_gate) = channel::<()>();
            let blocked = pool.submit(move || blocking(|| wait_for_gate.recv().unwrap_err()));
            (gate, blocked)
        })
        .unzip();
    let barrier = Arc::new(Barrier::new(WORKERS));
    let jobs = (0..WORKERS).map(|_| {
        let barrier = Arc::clone(&barrier);
        move || {
            barrier.wait();
        }
    });
    try_join_all(pool.submit_all(jobs)).unwrap();
    drop(gates);
    try_join_all(blocked).unwrap();
    wait_for_threads(&pool, 1);
}

#[test]
fn what_a_spare_worker_has_submitted_runs_though_it_is_needed_no_more() {
    let (handles, handle_of_its_job) = channel();
    let (starting, wait_for_start) = channel();
    let (go, wait_for_go) = channel::<()>();
    let wait_for_go = Mutex::new(wait_for_go);
    let pool = Arc::new(OnceLock::<ThreadPoolExecutor>::new());
    let its_pool = Arc::downgrade(&pool);
    let initializer = move |index| {
        if index == 1 {
            starting.send(()).unwrap();
            wait_for_go.lock().unwrap().recv().unwrap_err();
            let pool = its_pool.upgrade().unwrap();
            handles.send(pool.get().unwrap().submit(|| "ran")).unwrap();
        }
    };
    let builder = ThreadPoolExecutor::builder()
        .workers(1)
        .keep_alive(Duration::ZERO)
        .initializer(initializer);
    pool.set(builder.build().unwrap()).unwrap();
    let pool = pool.get().unwrap();
    let (gate, wait_for_gate) = channel::<()>();
    let (back, wait_for_return) = channel();
    let (blocked, wait_for_blocked) = channel();
    let busy = pool.submit(move || {
        blocking(|| {
            blocked.send(()).unwrap();
            wait_for_start.recv().unwrap();
        });
        // It takes the only place again.
        back.send(()).unwrap();
        wait_for_gate.recv().unwrap_err();
    });
    wait_for_blocked.recv().unwrap();
    let other = pool.submit(|| ());
    wait_for_return.recv().unwrap();
    drop(go);
    let handle = handle_of_its_job.recv().unwrap();
    assert_eq!(handle.result().unwrap(), "ran");
    drop(gate);
    busy.result().unwrap();
    other.result().unwrap();
}
