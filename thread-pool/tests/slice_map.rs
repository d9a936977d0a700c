//! Proves that a map over a slice or a vector makes one call for each item, keeps the order, and loses
//! nothing when a call panics.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use thread_pool::{FutureResult, ThreadPoolExecutor};

fn pool(workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::new(workers).unwrap()
}

/// Some work, so that the others get a share.
fn work(steps: usize) -> usize {
    (0..steps).fold(0, |sum, step| std::hint::black_box(sum ^ step))
}

struct Counted<'a>(&'a AtomicUsize, usize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn every_item_is_called_once_and_results_are_in_order() {
    for workers in [1, 2, 4] {
        let pool = pool(workers);
        for len in [0, 1, 2, 3, 10, 1000, 20_000] {
            let calls: Vec<AtomicUsize> = (0..len).map(|_| AtomicUsize::new(0)).collect();
            let items: Vec<usize> = (0..len).collect();
            let results = pool.map_slice(&items, |&n| {
                calls[n].fetch_add(1, SeqCst);
                work(50);
                n * 2
            });
            assert!(
                results
                    .iter()
                    .enumerate()
                    .all(|(n, &result)| result == 2 * n)
            );
            assert_eq!(results.len(), len);
            assert!(calls.iter().all(|calls| calls.load(SeqCst) == 1));
        }
    }
}

#[test]
fn items_of_a_vector_are_given_away_and_dropped_once() {
    let pool = pool(3);
    let (items, results) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let input: Vec<_> = (0..5000).map(|n| Counted(&items, n)).collect();
    let output = pool.map_vec(input, |item| {
        work(50);
        Counted(&results, item.1)
    });
    assert_eq!(items.load(SeqCst), 5000);
    assert!(output.iter().enumerate().all(|(n, result)| result.1 == n));
    drop(output);
    assert_eq!(results.load(SeqCst), 5000);
}

#[test]
fn a_panic_drops_what_was_made_and_what_was_not_begun() {
    let pool = pool(3);
    for bad in [0, 1, 500, 4999] {
        let (items, results, made) = Default::default();
        let (items, results, made): (&AtomicUsize, &AtomicUsize, &AtomicUsize) =
            (&items, &results, &made);
        let input: Vec<_> = (0..5000).map(|n| Counted(items, n)).collect();
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            pool.map_vec(input, |item| {
                work(50);
                if item.1 == bad {
                    resume_unwind(Box::new(bad));
                }
                made.fetch_add(1, SeqCst);
                Counted(results, item.1)
            })
        }));
        let payload = unwound.map(drop).unwrap_err();
        assert_eq!(*payload.downcast::<usize>().unwrap(), bad);
        assert_eq!(items.load(SeqCst), 5000);
        assert_eq!(results.load(SeqCst), made.load(SeqCst));
    }
    assert_eq!(pool.map_slice(&[1, 2], |n| n + 1), [2, 3]);
}

#[test]
fn inside_tasks_and_inside_each_other() {
    for workers in [1, 2] {
        let pool = Arc::new(pool(workers));
        let inside = Arc::clone(&pool);
        let sum = pool.submit(move || {
            let rows: Vec<usize> = (0..50).collect();
            let sums = inside.map_slice(&rows, |&row| {
                let columns: Vec<usize> = (0..50).collect();
                let cells = inside.map_vec(columns, |column| row * column);
                work(100);
                cells.into_iter().sum::<usize>()
            });
            sums.into_iter().sum::<usize>()
        });
        assert_eq!(sum.result().unwrap(), 1225 * 1225);
    }
}

#[test]
fn a_pool_that_is_busy_or_shut_down_leaves_it_to_the_caller() {
    let pool = pool(2);
    let items: Vec<usize> = (0..1000).collect();
    pool.shutdown().unwrap();
    let results = pool.map_slice(&items, |&n| {
        work(100);
        n
    });
    assert_eq!(results, items);
}

#[test]
fn items_without_size() {
    let pool = pool(2);
    assert_eq!(pool.map_slice(&[(); 1000], |()| ()).len(), 1000);
    assert_eq!(pool.map_vec(vec![(); 1000], |()| ()).len(), 1000);
}
