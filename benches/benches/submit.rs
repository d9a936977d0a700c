//! Jobs that do nothing, submitted by one thread from outside, and every result taken: what the
//! pool itself costs. Two workers each.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use future_result::FutureResult;
use std::hint::black_box;
use std::time::Duration;

const JOBS: u64 = 100_000;
const WORKERS: usize = 2;

fn submit_and_take_all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("submit");
    group.throughput(Throughput::Elements(JOBS));
    group.sample_size(10);

    if let Ok(pool) = thread_pool::ThreadPoolExecutor::new(WORKERS) {
        group.bench_function("thread-pool", |bencher| {
            bencher.iter(|| {
                let handles: Vec<_> = (0..JOBS).map(|n| pool.submit(move || n)).collect();
                let values = handles.into_iter().map(|handle| handle.result());
                black_box(values.filter_map(Result::ok).sum::<u64>())
            });
        });
    }
    if let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build() {
        group.bench_function("rayon + oneshot", |bencher| {
            bencher.iter(|| with_oneshot(&pool));
        });
    }
    let pool = threadpool::ThreadPool::new(WORKERS);
    group.bench_function("threadpool + oneshot", |bencher| {
        bencher.iter(|| with_oneshot(&pool));
    });
    let pool = rusty_pool::ThreadPool::new(WORKERS, WORKERS, Duration::from_secs(60));
    group.bench_function("rusty_pool", |bencher| {
        bencher.iter(|| {
            let handles: Vec<_> = (0..JOBS).map(|n| pool.evaluate(move || n)).collect();
            let values = handles
                .into_iter()
                .map(|handle| handle.try_await_complete());
            black_box(values.filter_map(Result::ok).sum::<u64>())
        });
    });
    group.finish();
}

/// A pool that gives no results.
trait Spawn {
    fn spawn(&self, job: impl FnOnce() + Send + 'static);
}

impl Spawn for rayon::ThreadPool {
    fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        Self::spawn(self, job);
    }
}

impl Spawn for threadpool::ThreadPool {
    fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.execute(job);
    }
}

/// How one gets results from such a pool: by a channel for each job.
fn with_oneshot(pool: &impl Spawn) -> u64 {
    let jobs = (0..JOBS).map(|n| {
        let (sender, receiver) = oneshot::channel();
        pool.spawn(move || {
            let _ = sender.send(n);
        });
        receiver
    });
    let receivers: Vec<_> = jobs.collect();
    let values = receivers.into_iter().map(oneshot::Receiver::recv);
    black_box(values.filter_map(Result::ok).sum())
}

criterion_group!(submit, submit_and_take_all);
criterion_main!(submit);
