//! What it costs a thread to submit a job to a pool whose workers are asleep: the time of the submission
//! alone, most of which goes into waking a worker.

use std::thread;
use std::time::{Duration, Instant};

use crate::group::{Group, Run, Workload};
use crate::limit;
use crate::pools::{self, Async, Pool, WithOneshot};

const SUBMISSIONS: u64 = 200;
const REST: Duration = Duration::from_micros(200);

fn run<P: Pool>(start: fn() -> P) -> impl Fn() -> Workload {
    move || {
        let pool = start();
        rested(move |n| {
            let start = Instant::now();
            let handle = pool.submit(move || n);
            let elapsed = start.elapsed();
            assert_eq!(pool.take(handle), n);
            elapsed
        })
    }
}

/// Rests before each submission.
fn rested(mut submit: impl FnMut(u64) -> Duration + 'static) -> Workload {
    Box::new(move || {
        let each = (0..SUBMISSIONS).map(|n| {
            thread::sleep(REST);
            submit(n)
        });
        let each: Vec<_> = each.collect();
        let total = each.iter().sum();
        Run {
            each,
            ..Run::of(total)
        }
    })
}

fn unpark() -> Workload {
    let sleeper = limit::Sleeper::start();
    rested(move |_| {
        let start = Instant::now();
        sleeper.wake();
        let elapsed = start.elapsed();
        sleeper.wait();
        elapsed
    })
}

pub(super) fn group() -> Group {
    Group::new("idle_wake", SUBMISSIONS, 3)
        .about(
            "The submission alone, after a rest of 200 µs: what waking a worker costs the submitter.",
        )
        .aim_everywhere(1.0, None)
        .and_spread()
        .ours("thread-pool", run(pools::ours))
        .reference("limit: unpark", unpark)
        .peer("rayon + oneshot", run(|| WithOneshot(pools::rayon())))
        .peer(
            "executors: channel + oneshot",
            run(|| WithOneshot(pools::executors_channel())),
        )
        .peer(
            "executors: stealing + oneshot",
            run(|| WithOneshot(pools::executors_stealing())),
        )
        .peer("rusty_pool", run(pools::rusty_pool))
        .peer(
            "threadpool + oneshot",
            run(|| WithOneshot(pools::threadpool())),
        )
        .peer("async-executor", run(|| Async(pools::async_executor())))
        .peer("tokio: spawn", run(|| Async(pools::tokio())))
        .peer("tokio: spawn_blocking", run(pools::tokio_blocking))
        .python(pools::PYTHON_THREADS)
}
