//! Tasks that only yield to each other.

use green_tasks::{FutureResult, spawn_future, spawn_local, yield_now};
use may::go;

use crate::group::{Group, Run, Workload, timed};
use crate::limit::Switches;
use crate::pools::{self, LocalAsync, done, green, local, may, python};

/// Yields of all tasks together.
const YIELDS: u64 = 200_000;

fn ours(tasks: u64) -> Run {
    let task = move || (0..YIELDS / tasks).for_each(|_| yield_now());
    timed(|| {
        let handles: Vec<_> = (0..tasks).map(|_| spawn_local(task)).collect();
        handles.into_iter().for_each(|handle| done(handle.result()));
    })
}

fn ours_as_futures(tasks: u64) -> Run {
    let task = move || async move {
        for _ in 0..YIELDS / tasks {
            futures_lite::future::yield_now().await;
        }
    };
    timed(|| {
        let handles: Vec<_> = (0..tasks).map(|_| spawn_future(task())).collect();
        handles.into_iter().for_each(|handle| done(handle.result()));
    })
}

fn with_may<const TASKS: u64>() -> Run {
    let task = || (0..YIELDS / TASKS).for_each(|_| may::coroutine::yield_now());
    timed(|| {
        let handles: Vec<_> = (0..TASKS).map(|_| go!(task)).collect();
        for handle in handles {
            assert!(handle.join().is_ok());
        }
    })
}

fn futures<P: LocalAsync>(pool: P, tasks: u64) -> Workload {
    let task = move || async move {
        for _ in 0..YIELDS / tasks {
            P::yield_now().await;
        }
    };
    local(pool, async move |pool: P| {
        let start = std::time::Instant::now();
        let handles: Vec<_> = (0..tasks).map(|_| pool.spawn(task())).collect();
        for handle in handles {
            handle.await;
        }
        Run::since(start)
    })
}

fn switches(tasks: u64) -> Workload {
    Box::new(move || {
        let mut switches = Switches::new(tasks, YIELDS / tasks);
        timed(|| switches.run())
    })
}

fn group<const TASKS: u64>(name: &'static str, aim: f64) -> Group {
    Group::new(name, YIELDS, 10)
        .about("Tasks that only yield to each other: two of them, and then a thousand.")
        .aim_everywhere(aim, Some("may"))
        .ours("green-tasks", || green(|| ours(TASKS)))
        .ours("green-tasks: futures", || green(|| ours_as_futures(TASKS)))
        .peer("may", || may(1, with_may::<TASKS>))
        .peer("futures: LocalPool", || {
            futures(pools::futures_local(), TASKS)
        })
        .peer("async-executor: local", || {
            futures(pools::async_local(), TASKS)
        })
        .peer("tokio: LocalSet", || futures(pools::tokio_local(), TASKS))
        .foreign("gevent", move || python("green.py", name))
        .reference("limit: switches alone", || switches(TASKS))
}

pub(super) fn groups() -> [Group; 2] {
    [
        group::<2>("yield/2", 0.35),
        group::<1_000>("yield/1000", 0.3),
    ]
}
