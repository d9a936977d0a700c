//! Empty jobs, each submitted and waited for before the next: back to back, or after a rest in which the
//! workers fall asleep.

use std::thread;
use std::time::{Duration, Instant};

use crate::group::{Group, Run, Workload, timed};
use crate::limit;
use crate::pools::{self, Async, Pool, WithOneshot};

/// Starts one of the pools. Rests are not measured. With them each trip is timed separately; back to back,
/// reading the clock would add to the time.
fn run<P: Pool>(start: fn() -> P, trips: u64, rest: Duration) -> impl Fn() -> Workload {
    move || {
        let pool = start();
        let trip = move |n| assert_eq!(pool.take(pool.submit(move || n)), n);
        repeat(trip, trips, rest)
    }
}

/// What rayon has for a caller that waits right away: no box, and no channel.
fn install(trips: u64, rest: Duration) -> Workload {
    let pool = pools::rayon();
    repeat(move |n| assert_eq!(pool.install(move || n), n), trips, rest)
}

fn repeat(trip: impl Fn(u64) + 'static, trips: u64, rest: Duration) -> Workload {
    if rest.is_zero() {
        return Box::new(move || timed(|| (0..trips).for_each(&trip)));
    }
    Box::new(move || {
        let rested = |n| {
            thread::sleep(rest);
            let start = Instant::now();
            trip(n);
            start.elapsed()
        };
        let each: Vec<_> = (0..trips).map(rested).collect();
        let total = each.iter().sum();
        Run {
            each,
            ..Run::of(total)
        }
    })
}

/// A thread that wakes another, and is woken by it.
fn unpark(trips: u64, rest: Duration) -> Workload {
    let sleeper = limit::Sleeper::start();
    let trip = move |_| {
        sleeper.wake();
        sleeper.wait();
    };
    repeat(trip, trips, rest)
}

pub(super) fn group(name: &'static str, trips: u64, rest: Duration) -> Group {
    let executors_channel = || WithOneshot(pools::executors_channel());
    let executors_stealing = || WithOneshot(pools::executors_stealing());
    let scheduled = || WithOneshot(pools::scheduled());
    Group::new(name, trips, 3)
        .about(if rest.is_zero() {
            "Empty jobs, each submitted and waited for before the next."
        } else {
            "The same after a rest of 200 µs, in which the workers fall asleep."
        })
        .aim_everywhere(1.0, None)
        .and_spread()
        .ours("thread-pool", run(pools::ours, trips, rest))
        .reference("limit: unpark and park", move || unpark(trips, rest))
        .peer("rayon: install", move || install(trips, rest))
        .peer(
            "rayon + oneshot",
            run(|| WithOneshot(pools::rayon()), trips, rest),
        )
        .peer(
            "executors: channel + oneshot",
            run(executors_channel, trips, rest),
        )
        .peer(
            "executors: stealing + oneshot",
            run(executors_stealing, trips, rest),
        )
        .peer("rusty_pool", run(pools::rusty_pool, trips, rest))
        .peer(
            "threadpool + oneshot",
            run(|| WithOneshot(pools::threadpool()), trips, rest),
        )
        .peer(
            "async-executor",
            run(|| Async(pools::async_executor()), trips, rest),
        )
        .peer("tokio: spawn", run(|| Async(pools::tokio()), trips, rest))
        .peer(
            "tokio: spawn_blocking",
            run(pools::tokio_blocking, trips, rest),
        )
        .peer(
            "scheduled-thread-pool + oneshot",
            run(scheduled, trips, rest),
        )
        .python(pools::PYTHON_THREADS)
}
