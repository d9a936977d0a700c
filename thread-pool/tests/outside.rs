//! Proves that a worker with work of its own lets in work from outside.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "the tests' flags are no part of what is tested, and their helpers unwrap"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use thread_pool::{FutureResult, ThreadPoolExecutor};

/// A task that submits itself again until it is told to stop.
fn stream(pool: &Arc<ThreadPoolExecutor>, stop: &Arc<AtomicBool>) {
    if !stop.load(Ordering::Relaxed) {
        let (next, its_stop) = (Arc::clone(pool), Arc::clone(stop));
        pool.execute(move || stream(&next, &its_stop)).unwrap();
    }
}

#[test]
fn small_batches_from_outside_are_let_in_by_a_worker_that_submits_without_end() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    // Found together, so that the worker deems it worthwhile to let more add up.
    let (go, wait_for_go) = channel::<()>();
    pool.execute(move || assert!(wait_for_go.recv().is_err()))
        .unwrap();
    stream(&pool, &stop);
    let mut handles: Vec<_> = (0..4).map(|n| pool.submit(move || n)).collect();
    drop(go);
    for round in 0..10 {
        let sum: u32 = handles
            .drain(..)
            .map(|handle| handle.result().unwrap())
            .sum();
        assert_eq!(sum, 6, "round {round}");
        handles = (0..4).map(|n| pool.submit(move || n)).collect();
    }
    stop.store(true, Ordering::Relaxed);
}
