//! Empty tasks, each spawned and waited for before the next.

use std::hint::black_box;

use corosensei::stack::DefaultStack;
use green_tasks::{FutureResult, spawn_future, spawn_local};
use may::go;

use crate::group::{Group, Run, Workload, timed};
use crate::limit::begin_and_end;
use crate::pools::{self, LocalAsync, done, green, local, may, python};

const TASKS: u64 = 10_000;

fn ours() -> Run {
    timed(|| {
        for n in 0..TASKS {
            assert_eq!(done(spawn_local(move || n).result()), n);
        }
    })
}

fn ours_as_futures() -> Run {
    timed(|| {
        for n in 0..TASKS {
            assert_eq!(done(spawn_future(async move { n }).result()), n);
        }
    })
}

fn with_may() -> Run {
    timed(|| {
        for n in 0..TASKS {
            assert!(go!(move || n).join().is_ok_and(|value| value == n));
        }
    })
}

fn futures<P: LocalAsync>(pool: P) -> Workload {
    local(pool, async |pool: P| {
        let start = std::time::Instant::now();
        for n in 0..TASKS {
            assert_eq!(pool.spawn(async move { n }).await, n);
        }
        Run::since(start)
    })
}

fn on_kept_stack() -> Workload {
    let mut kept = Some(DefaultStack::default());
    Box::new(move || {
        timed(|| {
            for n in 0..TASKS {
                if let Some(stack) = kept.take() {
                    let (stack, value) = begin_and_end(stack, black_box(n));
                    assert_eq!(value, n);
                    kept = Some(stack);
                }
            }
        })
    })
}

pub(super) fn group() -> Group {
    Group::new("green_spawn", TASKS, 20)
        .about("Empty tasks, each spawned and waited for before the next.")
        .aim_everywhere(0.4, Some("async-executor: local"))
        .ours("green-tasks", || green(ours))
        .ours("green-tasks: futures", || green(ours_as_futures))
        .peer("async-executor: local", || futures(pools::async_local()))
        .peer("futures: LocalPool", || futures(pools::futures_local()))
        .peer("tokio: LocalSet", || futures(pools::tokio_local()))
        .peer("may", || may(1, with_may))
        .foreign("gevent", || python("green.py", "green_spawn"))
        .reference("limit: begun and ended on a kept stack", on_kept_stack)
}
