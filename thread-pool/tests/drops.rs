//! Proves that closure and result are dropped exactly once, whatever becomes of the task.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use thread_pool::{Cancel, FutureResult, JoinHandle, TaskError, ThreadPoolExecutor};

use self::support::occupy;

/// What happened to the closure and the result of one task.
#[derive(Clone, Default)]
struct Life(Arc<[AtomicUsize; 3]>);

const CLOSURE: usize = 0;
const RESULT: usize = 1;
const RUNS: usize = 2;

/// Counts its own drop.
struct Counted(Life, usize);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0[self.1].fetch_add(1, Ordering::Relaxed);
    }
}

impl Life {
    fn job(&self) -> impl FnOnce() -> Counted + Send + use<> {
        let (life, closure) = (self.clone(), Counted(self.clone(), CLOSURE));
        move || {
            life.0[RUNS].fetch_add(1, Ordering::Relaxed);
            drop(closure);
            Counted(life, RESULT)
        }
    }

    /// Drops of the closure, drops of the result, runs.
    fn told(&self) -> [usize; 3] {
        [CLOSURE, RESULT, RUNS].map(|what| self.0[what].load(Ordering::Relaxed))
    }
}

const QUEUED: [usize; 3] = [0, 0, 0];
const DONE: [usize; 3] = [1, 0, 1];
const DONE_AND_GONE: [usize; 3] = [1, 1, 1];
const NEVER_RAN: [usize; 3] = [1, 0, 0];

#[test]
fn run_and_taken_each_dropped_once() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let life = Life::default();
    let value = pool.submit(life.job()).result().unwrap();
    assert_eq!(life.told(), DONE);
    drop(value);
    assert_eq!(life.told(), DONE_AND_GONE);
}

#[test]
fn handle_dropped_before_the_run_result_dropped_by_the_worker() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let life = Life::default();
    drop(pool.submit(life.job()));
    assert_eq!(life.told(), QUEUED);
    drop(gate);
    pool.shutdown().unwrap();
    assert_eq!(life.told(), DONE_AND_GONE);
}

#[test]
fn handle_dropped_after_the_run_result_dropped_with_it() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let life = Life::default();
    let mut handle = pool.submit(life.job());
    handle.wait();
    assert_eq!(life.told(), DONE);
    drop(handle);
    assert_eq!(life.told(), DONE_AND_GONE);
}

#[test]
fn handle_drop_races_completion_each_dropped_once() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let lives: Vec<_> = (0..3000).map(|_| Life::default()).collect();
    for (index, life) in lives.iter().enumerate() {
        let handle = pool.submit(life.job());
        for _ in 0..index % 5 {
            thread::yield_now();
        }
        drop(handle);
    }
    pool.shutdown().unwrap();
    for life in lives {
        assert_eq!(life.told(), DONE_AND_GONE);
    }
}

#[test]
fn cancelled_while_queued_closure_dropped_once_and_no_result_made() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let life = Life::default();
    let handle = pool.submit(life.job());
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(life.told(), NEVER_RAN);
    drop(gate);
    pool.shutdown().unwrap();
    drop(handle);
    assert_eq!(life.told(), NEVER_RAN);
}

#[test]
fn cancelled_and_handle_dropped_before_the_tombstone_is_popped() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let life = Life::default();
    drop(pool.submit(life.job()).cancel_on_drop());
    assert_eq!(life.told(), NEVER_RAN);
    drop(gate);
    pool.shutdown().unwrap();
    assert_eq!(life.told(), NEVER_RAN);
}

#[test]
fn shutdown_now_drops_queued_closures_once() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (started, wait_for_start) = channel();
    let (gate, wait_for_gate) = channel::<()>();
    let running = Life::default();
    let job = running.job();
    let first = pool.submit(move || {
        started.send(()).unwrap();
        wait_for_gate.recv().unwrap_err();
        job()
    });
    wait_for_start.recv().unwrap();
    let lives: Vec<_> = (0..100).map(|_| Life::default()).collect();
    let mut handles: Vec<_> = lives.iter().map(|life| pool.submit(life.job())).collect();
    // Half of the handles are dropped before; the last one lets the running task end.
    let last = handles.len() - 1;
    handles[last].on_done(move |_| drop(gate));
    handles.drain(..50);
    pool.shutdown_now().unwrap();
    for life in &lives {
        assert_eq!(life.told(), NEVER_RAN);
    }
    for handle in handles {
        assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    }
    assert_eq!(running.told(), DONE);
    drop(first);
    assert_eq!(running.told(), DONE_AND_GONE);
}

#[test]
fn shutdown_now_drops_executed_closures_once() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let life = Life::default();
    let job = life.job();
    pool.execute(move || drop(job())).unwrap();
    let mut last = pool.submit(|| ());
    last.on_done(move |_| drop(gate));
    pool.shutdown_now().unwrap();
    assert_eq!(life.told(), NEVER_RAN);
}

#[test]
fn pool_dropped_runs_the_queue_and_drops_each_once() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let lives: Vec<_> = (0..1000).map(|_| Life::default()).collect();
    let handles: Vec<JoinHandle<Counted>> =
        lives.iter().map(|life| pool.submit(life.job())).collect();
    drop(pool);
    for life in &lives {
        assert_eq!(life.told(), DONE);
    }
    // The handles outlive the pool.
    let values: Vec<_> = handles.into_iter().map(|h| h.result().unwrap()).collect();
    drop(values);
    for life in &lives {
        assert_eq!(life.told(), DONE_AND_GONE);
    }
}

#[test]
fn rejected_submission_drops_the_closure_once() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    pool.shutdown().unwrap();
    let life = Life::default();
    let handle = pool.submit(life.job());
    assert_eq!(life.told(), NEVER_RAN);
    assert!(handle.result().is_err());
    assert_eq!(life.told(), NEVER_RAN);
    let life = Life::default();
    let refused = pool.try_submit(life.job()).unwrap_err();
    assert_eq!(life.told(), QUEUED);
    drop(refused);
    assert_eq!(life.told(), NEVER_RAN);
}

#[test]
fn run_in_place_by_the_waiting_worker_each_dropped_once() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let life = Life::default();
    let (inner, its_pool) = (life.clone(), Arc::clone(&pool));
    let outer = pool.submit(move || {
        let value = its_pool.submit(inner.job()).result().unwrap();
        assert_eq!(inner.told(), DONE);
        value
    });
    let value = outer.result().unwrap();
    pool.shutdown().unwrap();
    assert_eq!(life.told(), DONE);
    drop(value);
    assert_eq!(life.told(), DONE_AND_GONE);
}

#[test]
fn panicking_task_drops_its_closure_once() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let life = Life::default();
    let job = life.job();
    let handle = pool.submit(move || {
        let _made = job();
        panic!("after the result was made");
    });
    assert!(matches!(handle.result(), Err(TaskError::Panicked(_))));
    assert_eq!(life.told(), DONE_AND_GONE);
}

#[test]
fn panic_payload_is_dropped_once_with_its_last_taker() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let life = Life::default();
    let payload = Counted(life.clone(), RESULT);
    let handle = pool.submit(move || std::panic::panic_any(payload));
    let Err(TaskError::Panicked(panic)) = handle.result() else {
        unreachable!()
    };
    let again = panic.clone();
    drop(panic);
    assert_eq!(life.told(), [0, 0, 0]);
    drop(again);
    assert_eq!(life.told(), [0, 1, 0]);
}

#[test]
fn result_and_shared_takers_clones_are_all_dropped() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let value = Arc::new(());
    let in_job = Arc::clone(&value);
    let one = pool.submit(move || in_job).shared();
    let (two, three) = (one.clone(), one.clone());
    let got = [one.result().unwrap(), two.result().unwrap()];
    assert!(Arc::ptr_eq(&got[0], &value));
    drop(got);
    drop(three);
    assert_eq!(Arc::strong_count(&value), 1);
}
