//! Proves that `try_map` ends at the first error and cancels the rest. What holds for every pool is
//! proven next to `TryMap`.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thread_pool::{Rejection, TaskError, ThreadPoolExecutor, TryError};

fn pool(workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::new(workers).unwrap()
}

#[test]
fn values_come_in_the_order_of_the_input() {
    let pool = pool(3);
    let halves = pool.try_map(|n: u32| n.checked_mul(2).ok_or(n), 0..1000);
    let halves: Vec<_> = halves.collect::<Result<_, _>>().unwrap();
    assert!(halves.into_iter().eq((0..1000).map(|n| n * 2)));
}

#[test]
fn the_first_error_is_the_last_item_and_an_endless_input_ends() {
    let pool = pool(2);
    let results: Vec<_> = pool
        .try_map(|n: u32| if n < 5 { Ok(n) } else { Err(n) }, 0..)
        .collect();
    let (last, values) = results.split_last().unwrap();
    let values: Vec<_> = values
        .iter()
        .map(|value| *value.as_ref().unwrap())
        .collect();
    assert_eq!(values, [0, 1, 2, 3, 4]);
    assert!(matches!(last, Err(TryError::Returned(5))));
}

#[test]
fn no_more_starts_than_the_buffer_holds() {
    let pool = pool(1);
    let calls = Arc::new(AtomicUsize::new(0));
    let in_function = Arc::clone(&calls);
    let function = move |n: u32| {
        in_function.fetch_add(1, Ordering::Relaxed);
        Err::<(), _>(n)
    };
    let results = pool.try_map(function, 0..10_000).buffer_size(4);
    assert_eq!(results.count(), 1);
    pool.shutdown().unwrap();
    assert!(calls.load(Ordering::Relaxed) <= 4);
}

#[test]
fn a_panic_is_an_error_of_the_task() {
    let pool = pool(2);
    let divide = |n: u32| Ok::<_, ()>(10 / n);
    let result = pool
        .try_map(divide, [1, 0, 2])
        .collect::<Result<Vec<_>, _>>();
    assert!(matches!(
        result,
        Err(TryError::Task(TaskError::Panicked(_)))
    ));
}

#[test]
fn a_closed_pool_is_an_error_of_the_task() {
    let pool = pool(1);
    pool.shutdown().unwrap();
    let result = pool
        .try_map(Ok::<u32, ()>, [1, 2])
        .collect::<Result<Vec<_>, _>>();
    assert!(matches!(
        result,
        Err(TryError::Task(TaskError::Rejected(Rejection::ShutDown)))
    ));
}

#[test]
fn called_in_a_task_of_a_pool_of_one_it_does_not_deadlock() {
    let pool = Arc::new(pool(1));
    let same = Arc::clone(&pool);
    let sum = pool.submit(move || {
        same.try_map(Ok::<u32, ()>, 0..100)
            .map(Result::unwrap)
            .sum::<u32>()
    });
    assert_eq!(thread_pool::FutureResult::result(sum).unwrap(), 4950);
}
