//! Empty jobs, submitted by one thread outside the pool, and every result taken: what the pool itself costs.
//! In `submit_working` the submitting thread also does some work.

use std::hint::black_box;

use crate::Pin;
use crate::group::{Group, Workload, timed};
use crate::limit;
use crate::pools::{self, Async, Blocking, Pool, WithOneshot};
use crate::work::work;

const JOBS: u64 = 100_000;

/// Starts one of the pools; its submitting thread does `steps` of work before each job.
fn run<P: Pool>(start: fn() -> P, steps: u64) -> impl Fn() -> Workload {
    move || {
        let pool = start();
        Box::new(move || timed(|| submit_and_take_all(&pool, steps)))
    }
}

fn submit_and_take_all(pool: &impl Pool, steps: u64) {
    let submit = |n| {
        if steps > 0 {
            black_box(work(steps));
        }
        pool.submit(move || n)
    };
    let handles: Vec<_> = (0..JOBS).map(submit).collect();
    assert_eq!(pool.sum(handles), (0..JOBS).sum::<u64>());
}

fn in_place(n: u64, steps: u64) {
    if steps > 0 {
        black_box(work(steps));
    }
    assert_eq!(limit::boxed_call(n), n);
}

pub(super) fn group(name: &'static str, steps: u64) -> Group {
    let executors_channel = || WithOneshot(pools::executors_channel());
    let executors_stealing = || WithOneshot(pools::executors_stealing());
    let group = Group::new(name, JOBS, 2);
    // The work takes most of the time here, so no pool can be three times as fast as another.
    let group = if steps > 0 {
        group
            .about("The same, while the submitting thread works for 100 ns before each job.")
            .aim_everywhere(1.0, None)
    } else {
        group
            .about("Empty jobs, submitted by one thread outside the pool, and every result taken: what the pool itself costs.")
            .aim(Pin::Free, 0.3, None)
            .aim(Pin::One, 0.45, None)
    };
    group
        .and_spread()
        .ours("thread-pool", run(pools::ours, steps))
        .reference("limit: boxed closures, called at once", move || {
            Box::new(move || timed(|| (0..JOBS).for_each(|n| in_place(n, steps))))
        })
        .peer(
            "executors: channel + oneshot",
            run(executors_channel, steps),
        )
        .peer(
            "executors: stealing + oneshot",
            run(executors_stealing, steps),
        )
        .peer(
            "threadpool + oneshot",
            run(|| WithOneshot(pools::threadpool()), steps),
        )
        .peer(
            "rayon + oneshot",
            run(|| WithOneshot(pools::rayon()), steps),
        )
        .peer("rusty_pool", run(pools::rusty_pool, steps))
        .peer("blocking", run(|| Blocking, steps))
        .peer(
            "async-executor",
            run(|| Async(pools::async_executor()), steps),
        )
        .peer(
            "async-executor: leaked",
            run(|| Async(pools::leaked_executor()), steps),
        )
        .peer("tokio: spawn", run(|| Async(pools::tokio()), steps))
        .peer("tokio: spawn_blocking", run(pools::tokio_blocking, steps))
        .peer(
            "futures: ThreadPool",
            run(|| Async(pools::futures_pool()), steps),
        )
        .python(if steps > 0 {
            &[]
        } else {
            pools::PYTHON_THREADS
        })
}
