//! Ten thousand tasks that sleep for 10 ms at the same time.

use std::time::{Duration, Instant};

use green_tasks::{FutureResult, sleep, sleep_async, spawn_future, spawn_local};
use may::go;

use crate::group::{Group, Run, Workload, timed};
use crate::pools::{self, LocalAsync, done, green, local, may, python};

const TASKS: u64 = 10_000;
const TIME: Duration = Duration::from_millis(10);

fn ours() -> Run {
    timed(|| {
        let handles: Vec<_> = (0..TASKS).map(|_| spawn_local(|| sleep(TIME))).collect();
        handles.into_iter().for_each(|handle| done(handle.result()));
    })
}

fn ours_as_futures() -> Run {
    let task = || async {
        sleep_async(TIME).await;
    };
    timed(|| {
        let handles: Vec<_> = (0..TASKS).map(|_| spawn_future(task())).collect();
        handles.into_iter().for_each(|handle| done(handle.result()));
    })
}

fn with_may() -> Run {
    timed(|| {
        let handles: Vec<_> = (0..TASKS)
            .map(|_| go!(|| may::coroutine::sleep(TIME)))
            .collect();
        for handle in handles {
            assert!(handle.join().is_ok());
        }
    })
}

fn futures<P: LocalAsync>(pool: P, sleep: impl AsyncFn() + Copy + 'static) -> Workload {
    local(pool, async move |pool: P| {
        let start = Instant::now();
        let tasks = (0..TASKS).map(|_| pool.spawn(async move { sleep().await }));
        let handles: Vec<_> = tasks.collect();
        for handle in handles {
            handle.await;
        }
        Run::since(start)
    })
}

pub(super) fn group() -> Group {
    let with_smol = async || {
        smol::Timer::after(TIME).await;
    };
    let with_tokio = async || tokio::time::sleep(TIME).await;
    Group::new("timers", TASKS, 6)
        .about("Ten thousand tasks that sleep for 10 ms at the same time; the time is the total divided by their number.")
        .aim_everywhere(1.0, Some("smol"))
        .aim_of("green-tasks: futures", 1.0, "smol")
        .ours("green-tasks", || green(ours))
        .ours("green-tasks: futures", || green(ours_as_futures))
        .peer("smol", move || futures(pools::smol(), with_smol))
        .peer("tokio: LocalSet", move || {
            futures(pools::tokio_local(), with_tokio)
        })
        .peer("may", || may(1, with_may))
        .foreign("gevent", || python("green.py", "timers"))
        .reference("limit: one sleep", || {
            Box::new(|| timed(|| std::thread::sleep(TIME)))
        })
}
