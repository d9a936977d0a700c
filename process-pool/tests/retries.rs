//! Tasks that are retried when their worker dies.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::io::Read;
use std::time::Duration;

use process_pool::{Cancel, FutureResult, ProcessPoolExecutor, TaskError, WorkerDied};
use rustix::process::Signal;
use support::{Gate, guard, knock, send_signal, soon, visit};

/// Dies unless it may return.
fn with_permission(path: String) -> u32 {
    let mut stream = knock(path).unwrap();
    if stream.read_exact(&mut [0]).is_err() {
        std::process::exit(7);
    }
    std::process::id()
}

const SOON: Duration = Duration::from_millis(1);
/// Longer than any test.
const NEVER: Duration = Duration::from_secs(100_000);

#[test]
fn a_task_is_tried_again_until_it_lives_and_the_handle_sees_only_that() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let task = pool.task().retries(5).retry_pause(SOON);
    let handle = task.submit(with_permission, gate.path());
    let mut pids = Vec::new();
    for _ in 0..3 {
        pids.push(gate.next().pid);
        assert!(!handle.is_done());
    }
    let last = gate.next();
    assert!(!pids.contains(&last.pid));
    let pid = last.pid;
    last.permit();
    assert_eq!(soon(handle).unwrap(), pid);
    assert!(gate.is_quiet());
}

#[test]
fn the_last_death_is_told_with_the_number_of_attempts() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let gate = Gate::new();
    for retries in [0, 1, 4] {
        let task = pool.task().retries(retries).retry_pause(SOON);
        let handle = task.submit(with_permission, gate.path());
        for _ in 0..=retries {
            drop(gate.next());
        }
        let error = soon(handle).unwrap_err();
        let died = WorkerDied::of(&error).unwrap();
        assert_eq!((died.attempts(), died.exit_code()), (retries + 1, Some(7)));
        let text = died.to_string();
        let is_told = text.contains(&format!("it was tried {} times", retries + 1));
        assert_eq!(is_told, retries > 0, "{text}");
    }
    assert!(gate.is_quiet());
}

#[test]
fn a_death_before_the_task_has_begun_is_no_attempt() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    for _ in 0..10 {
        let pid = soon(pool.submit(|()| std::process::id(), ())).unwrap();
        send_signal(pid, Signal::STOP);
        let task = pool.task().retries(1).retry_pause(NEVER);
        let handle = task.submit(visit, gate.path());
        send_signal(pid, Signal::KILL);
        let visitor = gate.next();
        let pid = visitor.pid;
        drop(visitor);
        assert_eq!(soon(handle).unwrap(), pid);
    }
}

#[test]
fn panics_and_late_tasks_are_not_tried_again() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let task = pool.task().retries(3).retry_pause(SOON);
    let panics = |path: String| -> u32 {
        drop(knock(path));
        panic!("once")
    };
    let panicked = soon(task.submit(panics, gate.path()));
    assert!(matches!(panicked, Err(TaskError::Panicked(_))));
    let late = task.time_limit(Duration::from_millis(20));
    let late = soon(late.submit(visit, gate.path()));
    assert!(matches!(late, Err(TaskError::TimedOut)));
    drop([gate.next(), gate.next()]);
    soon(pool.submit(|n: u32| n, 1)).unwrap();
    assert!(gate.is_quiet());
}

/// A task that waits for its next attempt, which will not come in time.
fn waiting(pool: &ProcessPoolExecutor, gate: &Gate) -> process_pool::JoinHandle<u32> {
    let task = pool.task().retries(3).retry_pause(NEVER);
    let handle = task.submit(with_permission, gate.path());
    let visitor = gate.next();
    let pid = visitor.pid;
    drop(visitor);
    while pool.pids().contains(&pid) {
        std::thread::yield_now();
    }
    assert!(!handle.is_done());
    handle
}

#[test]
fn a_task_is_cancelled_while_it_waits_for_its_next_attempt() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let handles = [(); 3].map(|()| waiting(&pool, &gate));
    for handle in handles {
        assert_eq!(handle.cancel(), Cancel::Requested);
        assert!(matches!(soon(handle), Err(TaskError::Cancelled)));
    }
    // Nothing is left to wait for.
    pool.shutdown().unwrap();
    assert!(gate.is_quiet());
}

#[test]
fn a_task_is_cancelled_while_another_attempt_runs() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let task = pool.task().retries(3).retry_pause(SOON);
    let handle = task.submit(with_permission, gate.path());
    drop(gate.next());
    let visitor = gate.next();
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert!(matches!(soon(handle), Err(TaskError::Cancelled)));
    visitor.wait_until_gone();
    pool.shutdown().unwrap();
    assert!(gate.is_quiet());
}

#[test]
fn killing_or_cancelling_a_pool_waits_for_no_attempt() {
    let _guard = guard();
    let gate = Gate::new();
    for is_killed in [true, false] {
        let pool = ProcessPoolExecutor::new(1).unwrap();
        let handle = waiting(&pool, &gate);
        if is_killed {
            pool.kill().unwrap();
        } else {
            pool.shutdown_now().unwrap();
        }
        assert!(matches!(soon(handle), Err(TaskError::Cancelled)));
    }
    assert!(gate.is_quiet());
}

#[test]
fn a_pool_that_is_drained_tries_again_first() {
    let _guard = guard();
    let gate = Gate::new();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    // Long enough for the pool to be closed first.
    let pause = Duration::from_millis(100);
    let task = pool.task().retries(9).retry_pause(pause);
    let handle = task.submit(with_permission, gate.path());
    let first = gate.next();
    assert!(pool.shutdown_timeout(Duration::ZERO).is_err());
    drop(first);
    drop(gate.next());
    let last = gate.next();
    let pid = last.pid;
    last.permit();
    pool.shutdown().unwrap();
    assert!(handle.is_done());
    assert_eq!(handle.result().unwrap(), pid);
}

/// A task that runs when the rest is cancelled runs to its end, and is not retried.
#[test]
fn what_dies_after_its_pool_was_cancelled_is_not_tried_again() {
    let _guard = guard();
    let gate = Gate::new();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let task = pool.task().retries(9).retry_pause(SOON);
    let handle = task.submit(with_permission, gate.path());
    let visitor = gate.next();
    let mut queued = pool.submit(|n: u32| n, 1);
    queued.on_done(move |_| drop(visitor));
    pool.shutdown_now().unwrap();
    let error = soon(handle).unwrap_err();
    assert_eq!(WorkerDied::of(&error).unwrap().attempts(), 1);
    assert!(gate.is_quiet());
}
