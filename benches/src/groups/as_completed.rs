//! Jobs of 0 to 50 µs, whose results one thread takes as they complete.

use std::sync::{Arc, mpsc};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use futures::task::SpawnExt;
use tokio::task::JoinSet;

use crate::group::{Group, Workload, timed};
use crate::limit;
use crate::pools::{self, done};
use crate::work::{STEPS_1_US, irregular, work};

const JOBS: u64 = 10_000;

/// Runs `take_all`, which adds up the results of all jobs.
fn jobs(take_all: impl Fn(&[u64]) -> u64 + 'static) -> Workload {
    let jobs = irregular(JOBS as usize, 50 * STEPS_1_US);
    let sum = add(jobs.iter().map(|&job| work(job)));
    Box::new(move || timed(|| assert_eq!(take_all(&jobs), sum)))
}

fn add(results: impl Iterator<Item = u64>) -> u64 {
    results.fold(0, u64::wrapping_add)
}

fn ours() -> Workload {
    let pool = pools::ours();
    jobs(move |jobs| {
        let handles = jobs.iter().map(|&job| pool.submit(move || work(job)));
        add(thread_pool::as_completed(handles).map(|(_, result)| done(result)))
    })
}

fn rayon_and_channel() -> Workload {
    let pool = pools::rayon();
    jobs(move |jobs| {
        let (sender, results) = mpsc::channel();
        for &job in jobs {
            let sender = sender.clone();
            pool.spawn(move || done(sender.send(work(job))));
        }
        drop(sender);
        add(results.into_iter())
    })
}

fn tokio_join_set() -> Workload {
    let runtime = Arc::clone(&pools::tokio().0);
    jobs(move |jobs| {
        runtime.block_on(async {
            let tasks = jobs.iter().map(|&job| async move { work(job) });
            let mut tasks: JoinSet<_> = tasks.collect();
            let mut sum = 0_u64;
            while let Some(result) = tasks.join_next().await {
                sum = sum.wrapping_add(done(result));
            }
            sum
        })
    })
}

fn futures_unordered() -> Workload {
    let pool = pools::futures_pool();
    jobs(move |jobs| {
        let spawn = |&job| done(pool.spawn_with_handle(async move { work(job) }));
        let handles: FuturesUnordered<_> = jobs.iter().map(spawn).collect();
        let sum = handles.fold(0, |sum, result| async move { result.wrapping_add(sum) });
        futures::executor::block_on(sum)
    })
}

/// All jobs one after another, divided by the number of CPUs: nothing can be faster.
fn ideal() -> Workload {
    let mut run = jobs(|jobs| add(jobs.iter().map(|&job| work(job))));
    Box::new(move || {
        let mut run = run();
        run.total /= limit::cpus();
        run
    })
}

pub(super) fn group() -> Group {
    Group::new("as_completed", JOBS, 1)
        .about("Jobs of 0 to 50 µs, whose results one thread takes as they complete.")
        .aim_everywhere(1.0, None)
        .ours("thread-pool", ours)
        .reference("limit: the work alone, on all CPUs", ideal)
        .peer("rayon + channel", rayon_and_channel)
        .peer("tokio: JoinSet", tokio_join_set)
        .peer("futures: FuturesUnordered", futures_unordered)
}
