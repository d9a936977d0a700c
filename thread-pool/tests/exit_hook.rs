//! Proves that the exit hook runs once on each worker that leaves, as the last thing of all.
#![cfg(not(pool_loom))]
#![expect(clippy::disallowed_types, reason = "tests count with std's atomics")]

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use thread_pool::{
    FutureResult, Rejection, ShutdownError, TaskError, ThreadPoolExecutor, try_join_all,
};

#[test]
fn shutdown_returns_after_the_hooks_of_all_workers() {
    for workers in [1, 4] {
        let left = Arc::new(Mutex::new(Vec::new()));
        let in_hook = Arc::clone(&left);
        let builder = ThreadPoolExecutor::builder()
            .workers(workers)
            .name("leaving");
        let hook = move |index| {
            let name = thread::current().name().unwrap().to_owned();
            in_hook.lock().unwrap().push((index, name));
        };
        let pool = builder.exit_hook(hook).build().unwrap();
        pool.submit(|| ()).result().unwrap();
        assert!(
            left.lock().unwrap().is_empty(),
            "left while the pool is open"
        );
        pool.shutdown().unwrap();
        let mut left = left.lock().unwrap();
        left.sort();
        let expected = (0..workers).map(|index| (index, format!("leaving-{index}")));
        assert!(left.iter().cloned().eq(expected));
    }
}

#[test]
fn dropping_the_pool_waits_for_the_hooks() {
    let left = Arc::new(AtomicUsize::new(0));
    let in_hook = Arc::clone(&left);
    let builder = ThreadPoolExecutor::builder().workers(3);
    let hook = move |_| {
        in_hook.fetch_add(1, Ordering::Relaxed);
    };
    drop(builder.exit_hook(hook).build().unwrap());
    assert_eq!(left.load(Ordering::Relaxed), 3);
}

#[test]
fn the_hook_runs_after_the_last_job() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let (in_job, in_hook) = (Arc::clone(&log), Arc::clone(&log));
    let builder = ThreadPoolExecutor::builder().workers(1);
    let hook = move |_| in_hook.lock().unwrap().push("hook");
    let pool = builder.exit_hook(hook).build().unwrap();
    pool.execute(move || in_job.lock().unwrap().push("job"))
        .unwrap();
    drop(pool);
    assert_eq!(*log.lock().unwrap(), ["job", "hook"]);
}

#[test]
fn a_timed_shutdown_takes_a_hook_for_work_that_is_left() {
    let (go, wait_for_go) = channel::<()>();
    let wait_for_go = Mutex::new(wait_for_go);
    let builder = ThreadPoolExecutor::builder().workers(1);
    let hook = move |_| {
        wait_for_go.lock().unwrap().recv().unwrap_err();
    };
    let pool = builder.exit_hook(hook).build().unwrap();
    let timed_out = pool.shutdown_timeout(Duration::ZERO);
    assert_eq!(timed_out, Err(ShutdownError::TimedOut));
    drop(go);
    assert_eq!(pool.shutdown_timeout(Duration::MAX), Ok(()));
}

#[test]
fn a_worker_that_was_idle_for_too_long_runs_the_hook_while_the_pool_is_open() {
    let (sender, left) = channel();
    let builder = ThreadPoolExecutor::builder().workers(3).min_workers(1);
    let hook = move |index| sender.send(index).unwrap();
    let pool = builder
        .keep_alive(Duration::ZERO)
        .exit_hook(hook)
        .build()
        .unwrap();
    let barrier = Arc::new(Barrier::new(3));
    let jobs = (0..3).map(|_| {
        let barrier = Arc::clone(&barrier);
        move || {
            barrier.wait();
        }
    });
    try_join_all(pool.submit_all(jobs)).unwrap();
    let two: Vec<usize> = left.iter().take(2).collect();
    assert_ne!(two[0], two[1]);
    pool.submit(|| ()).result().unwrap();
    pool.shutdown().unwrap();
}

#[test]
fn a_hook_that_panics_costs_nobody_else_theirs() {
    let runs = Arc::new(AtomicUsize::new(0));
    let in_hook = Arc::clone(&runs);
    let builder = ThreadPoolExecutor::builder().workers(4);
    let hook = move |index: usize| {
        in_hook.fetch_add(1, Ordering::Relaxed);
        assert!(index.is_multiple_of(2), "odd");
    };
    let pool = builder.exit_hook(hook).build().unwrap();
    pool.submit(|| ()).result().unwrap();
    pool.shutdown().unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 4);
}

#[test]
fn a_hook_may_use_the_pool_which_is_closed_then() {
    let place = Arc::new(OnceLock::<std::sync::Weak<ThreadPoolExecutor>>::new());
    let (sender, results) = channel();
    let in_hook = Arc::clone(&place);
    let hook = move |_| {
        let pool = in_hook.get().unwrap().upgrade().unwrap();
        sender
            .send((pool.submit(|| ()).result(), pool.shutdown()))
            .unwrap();
    };
    let builder = ThreadPoolExecutor::builder().workers(1);
    let pool = Arc::new(builder.exit_hook(hook).build().unwrap());
    place.set(Arc::downgrade(&pool)).unwrap();
    pool.shutdown().unwrap();
    let (submitted, shut_down) = results.recv().unwrap();
    assert!(matches!(
        submitted,
        Err(TaskError::Rejected(Rejection::ShutDown))
    ));
    assert_eq!(shut_down, Err(ShutdownError::FromWorker));
}

#[test]
fn what_a_hook_submits_when_its_worker_was_idle_is_run_by_another() {
    let place = Arc::new(OnceLock::<std::sync::Weak<ThreadPoolExecutor>>::new());
    let (sender, names) = channel();
    let in_hook = Arc::clone(&place);
    let hook = move |index| {
        // The last one finds the pool gone.
        if let Some(pool) = in_hook.get().and_then(std::sync::Weak::upgrade) {
            let sender = sender.clone();
            let job = move || {
                let name = thread::current().name().unwrap().to_owned();
                sender.send((index, name)).unwrap();
            };
            let _ = pool.execute(job);
        }
    };
    let builder = ThreadPoolExecutor::builder()
        .workers(2)
        .min_workers(1)
        .name("hook");
    let pool = builder
        .keep_alive(Duration::ZERO)
        .exit_hook(hook)
        .build()
        .unwrap();
    let pool = Arc::new(pool);
    place.set(Arc::downgrade(&pool)).unwrap();
    let barrier = Arc::new(Barrier::new(2));
    let jobs = (0..2).map(|_| {
        let barrier = Arc::clone(&barrier);
        move || {
            barrier.wait();
        }
    });
    try_join_all(pool.submit_all(jobs)).unwrap();
    let (index, name) = names.recv().unwrap();
    assert_ne!(name, format!("hook-{index}"));
}

#[test]
fn the_hook_runs_where_the_initializer_has_panicked() {
    let left = Arc::new(AtomicUsize::new(0));
    let in_hook = Arc::clone(&left);
    let builder = ThreadPoolExecutor::builder().workers(1);
    let builder = builder.initializer(|_| panic!("no luck today"));
    let hook = move |_| {
        in_hook.fetch_add(1, Ordering::Relaxed);
    };
    drop(builder.exit_hook(hook).build().unwrap());
    assert_eq!(left.load(Ordering::Relaxed), 1);
}

#[test]
fn shutdown_waits_also_for_a_thread_whose_number_went_to_another() {
    /// The last thing that its thread drops.
    struct Last {
        dropping: Sender<()>,
        gate: Receiver<()>,
        is_gone: Arc<AtomicBool>,
    }

    impl Drop for Last {
        fn drop(&mut self) {
            self.dropping.send(()).unwrap();
            self.gate.recv().unwrap_err();
            (0..1000).for_each(|_| thread::yield_now());
            self.is_gone.store(true, Ordering::SeqCst);
        }
    }

    thread_local!(static LAST: RefCell<Option<Last>> = const { RefCell::new(None) });

    let (leaving, wait_until_leaving) = channel();
    let (closed, wait_until_closed) = channel::<()>();
    let wait_until_closed = Mutex::new(wait_until_closed);
    let builder = ThreadPoolExecutor::builder().workers(2).min_workers(1);
    let hook = move |_| {
        // Nobody receives it when the others leave.
        let _ = leaving.send(());
        wait_until_closed.lock().unwrap().recv().unwrap_err();
    };
    let pool = builder
        .keep_alive(Duration::ZERO)
        .exit_hook(hook)
        .build()
        .unwrap();
    let pool = Arc::new(pool);

    let (started, wait_for_start) = channel();
    let (go, wait_for_go) = channel::<()>();
    let inside = Arc::clone(&pool);
    let busy = pool.submit(move || {
        started.send(()).unwrap();
        wait_for_go.recv().unwrap_err();
        // Needs another worker.
        let meeting = Barrier::new(2);
        inside.scope(|scope| {
            scope.spawn(|| meeting.wait());
            meeting.wait();
        });
    });
    wait_for_start.recv().unwrap();
    let (dropping, wait_until_dropping) = channel();
    let (gate, wait_for_gate) = channel::<()>();
    let is_gone = Arc::new(AtomicBool::new(false));
    let last = Last {
        dropping,
        gate: wait_for_gate,
        is_gone: Arc::clone(&is_gone),
    };
    pool.submit(move || LAST.set(Some(last))).result().unwrap();
    // While one thread leaves, the pool is closed.
    wait_until_leaving.recv().unwrap();
    let closing = pool.shutdown_timeout(Duration::ZERO);
    assert_eq!(closing, Err(ShutdownError::TimedOut));
    drop(closed);
    wait_until_dropping.recv().unwrap();
    // Another one gets its number.
    drop(go);
    busy.result().unwrap();
    drop(gate);
    pool.shutdown().unwrap();
    assert!(is_gone.load(Ordering::SeqCst));
}
