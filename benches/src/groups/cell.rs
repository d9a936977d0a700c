//! What a result costs by itself: one thread creates, completes and takes it.

use std::hint::black_box;

use future_result::{FutureResult, pair, task};

use crate::group::{Group, Workload, timed};
use crate::limit;
use crate::pools::done;

const RESULTS: u64 = 100_000;

fn repeat(one: impl Fn(u64) -> u64 + 'static) -> Workload {
    Box::new(move || {
        timed(|| {
            for n in 0..RESULTS {
                black_box(one(black_box(n)));
            }
        })
    })
}

fn ours() -> Workload {
    repeat(|n| {
        let (completer, handle) = pair();
        let _ = completer.complete(n);
        done(handle.result())
    })
}

fn oneshot() -> Workload {
    repeat(|n| {
        let (sender, receiver) = oneshot::channel();
        let _ = sender.send(n);
        done(receiver.recv())
    })
}

fn tokio() -> Workload {
    repeat(|n| {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let _ = sender.send(n);
        done(futures_lite::future::block_on(receiver))
    })
}

fn task_of_ours() -> Workload {
    repeat(|n| {
        let (task, handle) = task(move || black_box(n));
        task.run();
        done(handle.result())
    })
}

fn boxed_closure() -> Workload {
    repeat(|n| {
        let (sender, receiver) = oneshot::channel();
        let job: Box<dyn FnOnce() + Send> = Box::new(move || {
            let _ = sender.send(black_box(n));
        });
        // Stands for a pool's queue: without it the compiler sees through the box and removes it.
        black_box(job)();
        done(receiver.recv())
    })
}

pub(super) fn groups() -> Vec<Group> {
    let limit = || repeat(|_| limit::box_and_two_rmws());
    vec![
        Group::new("cell/pair", RESULTS, 20)
            .about("A result created, completed and taken by one thread.")
            .aim_everywhere(1.0, None)
            .ours("future-result: pair", ours)
            .reference("limit: box and two atomic read-modify-writes", limit)
            .peer("oneshot: channel", oneshot)
            .peer("tokio: oneshot", tokio),
        Group::new("cell/task", RESULTS, 20)
            .about(
                "A closure that is run for its result; its panics are caught, and it can be cancelled.",
            )
            .aim_everywhere(1.0, None)
            .ours("future-result: task", task_of_ours)
            .peer("oneshot: channel and boxed closure", boxed_closure),
    ]
}
