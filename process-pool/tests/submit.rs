//! Submitting, mapping and waiting, when only tasks themselves fail.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use process_pool::{
    Bytes, CompletionSet, FutureResult, ProcessPoolExecutor, TaskError, TryError, as_completed,
    try_join_all,
};
use serde::{Deserialize, Serialize};
use support::{Gate, guard, soon, visit};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Circle { radius: f64 },
    Polygon(Vec<(f64, f64)>),
    Named(BTreeMap<String, Option<Box<Shape>>>),
}

fn identity<T>(value: T) -> T {
    value
}

#[test]
fn values_of_many_kinds_travel_both_ways() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let shape = Shape::Named(BTreeMap::from([
        ("a".to_owned(), None),
        (
            "b".to_owned(),
            Some(Box::new(Shape::Circle { radius: 0.5 })),
        ),
        (
            "c".to_owned(),
            Some(Box::new(Shape::Polygon(vec![(1.0, 2.0); 9]))),
        ),
    ]));
    assert_eq!(soon(pool.submit(identity, shape.clone())).unwrap(), shape);
    assert_eq!(soon(pool.submit(identity, ())).unwrap(), ());
    let text = "naïve — 数".repeat(1000);
    assert_eq!(soon(pool.submit(identity, text.clone())).unwrap(), text);
    let result: Result<u8, String> = Err("no".to_owned());
    assert_eq!(soon(pool.submit(identity, result.clone())).unwrap(), result);
    assert_eq!(
        soon(pool.submit(|(a, b): (u8, u8)| a + b, (1, 2))).unwrap(),
        3
    );
}

#[test]
fn the_function_runs_in_another_process_and_an_idle_one_is_used_again() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(3).unwrap();
    let pid = |()| std::process::id();
    let first = soon(pool.submit(pid, ())).unwrap();
    assert_ne!(first, std::process::id());
    for _ in 0..20 {
        assert_eq!(soon(pool.submit(pid, ())).unwrap(), first);
    }
    assert_eq!(pool.pids(), [first]);
}

#[test]
fn as_many_tasks_run_at_once_as_there_are_workers() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(3).unwrap();
    let gate = Gate::new();
    let handles = [0; 3].map(|_| pool.submit(visit, gate.path()));
    let visitors = [0; 3].map(|_| gate.next());
    let mut pids = visitors.map(|visitor| visitor.pid);
    pids.sort_unstable();
    let mut results = handles.map(|handle| soon(handle).unwrap());
    results.sort_unstable();
    assert_eq!(pids, results);
    assert!(pids[0] != pids[1] && pids[1] != pids[2]);
}

#[test]
fn a_panic_is_told_with_its_place_and_the_worker_lives_on() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let pid = soon(pool.submit(|()| std::process::id(), ())).unwrap();
    let line = line!() + 1;
    let error = soon(pool.submit(|n: u32| -> u32 { panic!("no luck with {n}") }, 7)).unwrap_err();
    let text = error.to_string();
    let TaskError::Panicked(panic) = error else {
        panic!("{text}")
    };
    assert_eq!(panic.message(), "no luck with 7");
    let place = panic.location().unwrap();
    assert!(place.contains(&format!("submit.rs:{line}:")), "{place}");
    assert_eq!(
        text,
        format!("the task panicked at {place}: no luck with 7")
    );
    assert_eq!(soon(pool.submit(|()| std::process::id(), ())).unwrap(), pid);
}

#[test]
fn a_pool_may_be_used_where_panics_are_caught() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let caught = catch_unwind(|| soon(pool.submit(identity, 7)).unwrap());
    assert_eq!(caught.unwrap(), 7);
}

#[test]
fn a_map_is_ordered_lazy_and_keeps_errors_apart() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let divide = |n: u32| 100 / n;
    for chunk in [1, 3, 100] {
        let results: Vec<_> = pool.map(divide, [1, 0, 4, 5]).chunk_size(chunk).collect();
        let values: Vec<_> = results.iter().map(|it| it.as_ref().ok().copied()).collect();
        assert_eq!(values, [Some(100), None, Some(25), Some(20)]);
        let Err(TaskError::Panicked(panic)) = &results[1] else {
            panic!("{results:?}")
        };
        assert!(panic.location().is_some());
    }
    let mut pulled = 0;
    let input = std::iter::repeat_with(|| {
        pulled += 1;
        1
    });
    let first = pool.map(identity::<u32>, input).buffer_size(4).next();
    assert_eq!(first.unwrap().unwrap(), 1);
    assert_eq!(pulled, 4);
}

#[test]
fn a_map_over_many_more_items_than_workers_loses_none() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    for chunk in [1, 7, 1000] {
        let sum: u64 = pool
            .map(|n: u64| n * n, 0..3000)
            .chunk_size(chunk)
            .map(Result::unwrap)
            .sum();
        assert_eq!(sum, (0..3000).map(|n| n * n).sum::<u64>());
    }
    let mut unordered: Vec<u64> = pool
        .map(identity, 0..500)
        .unordered()
        .map(Result::unwrap)
        .collect();
    unordered.sort_unstable();
    assert_eq!(unordered, (0..500).collect::<Vec<_>>());
}

#[test]
fn try_map_ends_at_the_first_error_also_within_a_chunk() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let halve = |n: u32| {
        if n.is_multiple_of(2) {
            Ok(n / 2)
        } else {
            Err(format!("{n} is odd"))
        }
    };
    for chunk in [1, 2, 5] {
        let mut halves = pool.try_map(halve, [2, 4, 5, 6, 8]).chunk_size(chunk);
        assert!(matches!(halves.next(), Some(Ok(1))));
        assert!(matches!(halves.next(), Some(Ok(2))));
        let last = halves.next();
        assert!(matches!(last, Some(Err(TryError::Returned(text))) if text == "5 is odd"));
        assert!(halves.next().is_none());
    }
}

#[test]
fn handles_work_with_everything_that_takes_handles() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let double = |n: u32| 2 * n;
    let handles: Vec<_> = (0..50).map(|n| pool.submit(double, n)).collect();
    let mut seen: Vec<_> = as_completed(handles)
        .map(|(index, value)| (index as u32, value.unwrap()))
        .collect();
    seen.sort_unstable();
    assert!(seen.iter().all(|(index, value)| 2 * index == *value));
    assert_eq!(seen.len(), 50);

    let all = try_join_all((0..5).map(|n| pool.submit(double, n)));
    assert_eq!(all.unwrap(), [0, 2, 4, 6, 8]);

    let mut set = CompletionSet::new();
    set.insert("one", pool.submit(double, 1));
    assert_eq!(
        set.wait_next().map(|(key, value)| (key, value.unwrap())),
        Some(("one", 2))
    );

    let awaited = futures_lite::future::block_on(async {
        pool.submit(double, 4).await.unwrap() + pool.submit(double, 5).await.unwrap()
    });
    assert_eq!(awaited, 18);

    let shared = pool.submit(double, 3).shared();
    let other = shared.clone();
    assert_eq!((soon(shared).unwrap(), soon(other).unwrap()), (6, 6));
}

#[test]
fn a_dropped_handle_detaches_and_its_task_runs() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    drop(pool.submit(visit, gate.path()));
    drop(gate.next());
    assert!(soon(pool.submit(|()| true, ())).unwrap());
}

#[test]
fn large_data_goes_both_ways_with_several_outstanding() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let size = 3 << 20;
    let flip = |mut bytes: Bytes| {
        bytes.iter_mut().for_each(|byte| *byte ^= 0xFF);
        bytes
    };
    let handles: Vec<_> = (0..12_u8)
        .map(|n| (n, pool.submit(flip, Bytes::from(vec![n; size]))))
        .collect();
    for (n, handle) in handles {
        let bytes = soon(handle).unwrap();
        assert_eq!(bytes.len(), size);
        assert!(bytes.iter().all(|&byte| byte == n ^ 0xFF));
    }
}

#[test]
fn a_callback_on_the_pools_thread_may_submit() {
    let _guard = guard();
    let pool = std::sync::Arc::new(ProcessPoolExecutor::new(1).unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut first = pool.submit(|n: u32| n + 1, 1);
    let same = std::sync::Arc::clone(&pool);
    first.on_done(move |value| {
        let next = same.submit(|n: u32| n + 1, *value.unwrap());
        sender.send((next, same.shutdown())).unwrap();
    });
    let (second, shutdown) = receiver.recv_timeout(support::PATIENCE).unwrap();
    assert_eq!(soon(second).unwrap(), 3);
    assert_eq!(shutdown, Err(process_pool::ShutdownError::FromCallback));
}

#[test]
fn a_callback_on_the_pools_thread_that_waits_for_a_task_is_told_and_the_pool_goes_on() {
    let _guard = guard();
    let pool = std::sync::Arc::new(ProcessPoolExecutor::new(1).unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut first = pool.submit(|n: u32| n + 1, 1);
    let same = std::sync::Arc::downgrade(&pool);
    first.on_done(move |value| {
        let pool = same.upgrade().unwrap();
        let next = pool.submit(|n: u32| n + 1, *value.unwrap());
        sender.send(next.result()).unwrap();
    });
    let waited = receiver.recv_timeout(support::PATIENCE).unwrap();
    assert!(matches!(waited, Err(TaskError::Deadlock(_))), "{waited:?}");
    assert_eq!(soon(pool.submit(|n: u32| n + 1, 1)).unwrap(), 2);
}
