//! The end of a pool, while others submit, cancel, and die.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::sync::{Arc, Barrier};
use std::time::Duration;

use process_pool::{
    Bytes, Cancel, FutureResult, ProcessPoolExecutor, Rejection, ShutdownError, TaskError,
};
use rustix::process::Signal;
use support::{Gate, guard, send_signal, soon, visit, wait_for_end};

#[test]
fn dropping_a_pool_drains_it() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let handles: Vec<_> = (0..300_u32).map(|n| pool.submit(|n| n, n)).collect();
    drop(pool);
    for (n, handle) in handles.into_iter().enumerate() {
        assert!(handle.is_done());
        assert_eq!(handle.result().unwrap(), n as u32);
    }
}

#[test]
fn an_idle_pool_and_an_unused_one_leave_at_once() {
    let _guard = guard();
    for _ in 0..10 {
        drop(ProcessPoolExecutor::new(2).unwrap());
        let pool = ProcessPoolExecutor::new(2).unwrap();
        let pid = soon(pool.submit(|()| std::process::id(), ())).unwrap();
        pool.shutdown().unwrap();
        pool.shutdown().unwrap();
        wait_for_end(pid);
        assert!(pool.pids().is_empty());
        let refused = soon(pool.submit(|n: u32| n, 1));
        assert!(matches!(
            refused,
            Err(TaskError::Rejected(Rejection::ShutDown))
        ));
    }
}

#[test]
fn shutdown_now_cancels_the_queue_and_lets_run_what_runs() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let running = pool.submit(visit, gate.path());
    let visitor = gate.next();
    let mut queued: Vec<_> = (0..20).map(|_| pool.submit(visit, gate.path())).collect();
    // The visitor may go when the last of them is cancelled.
    queued.last_mut().unwrap().on_done(move |_| drop(visitor));
    pool.shutdown_now().unwrap();
    soon(running).unwrap();
    assert!(
        queued
            .into_iter()
            .all(|it| matches!(it.result(), Err(TaskError::Cancelled)))
    );
    assert!(gate.is_quiet());
}

#[test]
fn shutdown_now_cancels_also_what_was_sent_and_has_not_begun() {
    let _guard = guard();
    for _ in 0..10 {
        let builder = ProcessPoolExecutor::builder().workers(1);
        let pool = builder.prefetch(8).build().unwrap();
        let gate = Gate::new();
        let held = pool.submit(visit, gate.path());
        let first = gate.next();
        let slow = pool.submit(visit, gate.path());
        let mut behind: Vec<_> = (0..5).map(|_| pool.submit(visit, gate.path())).collect();
        drop(first);
        let visitor = gate.next();
        behind.last_mut().unwrap().on_done(move |_| drop(visitor));
        pool.shutdown_now().unwrap();
        soon(held).unwrap();
        soon(slow).unwrap();
        for handle in behind {
            assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
        }
        assert!(gate.is_quiet());
    }
}

#[test]
fn kill_ends_what_runs_and_what_is_queued() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let gate = Gate::new();
    let handles: Vec<_> = (0..10).map(|_| pool.submit(visit, gate.path())).collect();
    let visitors = [gate.next(), gate.next()];
    pool.kill().unwrap();
    visitors
        .into_iter()
        .for_each(support::Visitor::wait_until_gone);
    assert!(
        handles
            .into_iter()
            .all(|it| matches!(it.result(), Err(TaskError::Cancelled)))
    );
}

#[test]
fn kill_after_the_workers_have_died_already() {
    let _guard = guard();
    for _ in 0..10 {
        let pool = ProcessPoolExecutor::new(2).unwrap();
        let gate = Gate::new();
        let handles = [0; 4].map(|_| pool.submit(visit, gate.path()));
        let visitors = [gate.next(), gate.next()];
        for visitor in &visitors {
            send_signal(visitor.pid, Signal::KILL);
        }
        pool.kill().unwrap();
        for handle in handles {
            let error = handle.result().unwrap_err();
            assert!(
                matches!(error, TaskError::Cancelled | TaskError::Lost(_)),
                "{error}"
            );
        }
    }
}

#[test]
fn kill_in_the_middle_of_large_data() {
    let _guard = guard();
    for _ in 0..5 {
        let pool = ProcessPoolExecutor::new(2).unwrap();
        let echo = |both: (Vec<u32>, Bytes)| both;
        let both = || (vec![u32::MAX; 1 << 17], Bytes::from(vec![7; 2 << 20]));
        let handles: Vec<_> = (0..6).map(|_| pool.submit(echo, both())).collect();
        pool.kill().unwrap();
        for handle in handles {
            match handle.result() {
                Ok((numbers, bytes)) => {
                    assert_eq!((numbers.len(), bytes.len()), (1 << 17, 2 << 20))
                }
                Err(error) => assert!(matches!(error, TaskError::Cancelled), "{error}"),
            }
        }
    }
}

#[test]
fn a_timed_shutdown_gives_up_waiting_but_not_the_work() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let handle = pool.submit(visit, gate.path());
    let visitor = gate.next();
    assert_eq!(
        pool.shutdown_timeout(Duration::ZERO),
        Err(ShutdownError::TimedOut)
    );
    drop(visitor);
    assert_eq!(pool.shutdown_timeout(Duration::MAX), Ok(()));
    handle.result().unwrap();
}

#[test]
fn submitting_races_shutting_down_and_every_task_ends() {
    let _guard = guard();
    for round in 0..20 {
        let pool = Arc::new(ProcessPoolExecutor::new(2).unwrap());
        let start = Arc::new(Barrier::new(4));
        let submitters: Vec<_> = (0..3)
            .map(|_| {
                let (pool, start) = (Arc::clone(&pool), Arc::clone(&start));
                std::thread::spawn(move || {
                    start.wait();
                    (0..50)
                        .map(|n: u32| pool.submit(|n| n, n))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        start.wait();
        match round % 3 {
            0 => pool.shutdown().unwrap(),
            1 => pool.shutdown_now().unwrap(),
            _ => pool.kill().unwrap(),
        }
        for handle in submitters.into_iter().flat_map(|it| it.join().unwrap()) {
            match soon(handle) {
                Ok(_) | Err(TaskError::Rejected(Rejection::ShutDown) | TaskError::Cancelled) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn cancelling_and_then_shutting_down() {
    let _guard = guard();
    for _ in 0..10 {
        let pool = ProcessPoolExecutor::new(2).unwrap();
        let gate = Gate::new();
        let handles: Vec<_> = (0..6).map(|_| pool.submit(visit, gate.path())).collect();
        let visitors = [gate.next(), gate.next()];
        for handle in &handles {
            assert_ne!(handle.cancel(), Cancel::TooLate);
        }
        drop(pool);
        assert!(
            handles
                .into_iter()
                .all(|it| matches!(it.result(), Err(TaskError::Cancelled)))
        );
        drop(visitors);
    }
}

#[test]
fn the_thread_that_has_started_a_worker_may_end() {
    let _guard = guard();
    let gate = Gate::new();
    let path = gate.path();
    let (pool, handle) = std::thread::spawn(move || {
        let pool = ProcessPoolExecutor::new(1).unwrap();
        let handle = pool.submit(visit, path);
        (pool, handle)
    })
    .join()
    .unwrap();
    let visitor = gate.next();
    let pid = visitor.pid;
    drop(visitor);
    assert_eq!(soon(handle).unwrap(), pid);
    assert_eq!(soon(pool.submit(|()| std::process::id(), ())).unwrap(), pid);
}
