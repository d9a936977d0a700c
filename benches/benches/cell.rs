//! What a result costs when nothing else is going on: one thread makes, completes and takes it.

use criterion::{Criterion, criterion_group, criterion_main};
use future_result::{FutureResult, pair, task};
use std::hint::black_box;

fn make_complete_take(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cell");
    group.bench_function("limit: box + 2 RMWs", |bencher| {
        bencher.iter(benches::box_and_two_rmws);
    });
    group.bench_function("future-result: pair", |bencher| {
        bencher.iter(|| {
            let (completer, handle) = pair();
            let _ = completer.complete(black_box(7_u64));
            black_box(handle.result().unwrap_or(0))
        });
    });
    group.bench_function("oneshot: channel", |bencher| {
        bencher.iter(|| {
            let (sender, receiver) = oneshot::channel();
            let _ = sender.send(black_box(7_u64));
            black_box(receiver.recv().unwrap_or(0))
        });
    });
    group.bench_function("future-result: task", |bencher| {
        bencher.iter(|| {
            let (task, handle) = task(|| black_box(7_u64));
            task.run();
            black_box(handle.result().unwrap_or(0))
        });
    });
    group.bench_function("oneshot: channel + boxed closure", |bencher| {
        bencher.iter(|| {
            let (sender, receiver) = oneshot::channel();
            let job: Box<dyn FnOnce() + Send> = Box::new(move || {
                let _ = sender.send(black_box(7_u64));
            });
            job();
            black_box(receiver.recv().unwrap_or(0))
        });
    });
    group.finish();
}

criterion_group!(cell, make_complete_take);
criterion_main!(cell);
