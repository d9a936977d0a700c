//! Proves that `map` is ordered and lazy, cancels or detaches as asked, and fails per item.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use thread_pool::{CancelToken, FutureResult, Rejection, TaskError, ThreadPoolExecutor};

use self::support::occupy;

/// Returns when the only worker has run or skipped everything that is queued now.
fn pass_through(pool: &ThreadPoolExecutor) {
    pool.submit(|| ()).result().unwrap();
}

/// A function for `map` that stops at one item until told to go on.
struct Stopper {
    /// The items that were begun, in order.
    begun: Arc<Mutex<Vec<usize>>>,
    started: Receiver<()>,
    gate: Sender<()>,
}

impl Stopper {
    fn at(item: usize) -> (Self, impl Fn(usize) -> usize + Send + Sync + 'static) {
        let begun = Arc::new(Mutex::new(Vec::new()));
        let (start, started) = channel();
        let (gate, wait_for_gate) = channel();
        let wait_for_gate = Mutex::new(wait_for_gate);
        let log = Arc::clone(&begun);
        let function = move |n| {
            log.lock().unwrap().push(n);
            if n == item {
                start.send(()).unwrap();
                // Ends when the gate is dropped.
                assert!(wait_for_gate.lock().unwrap().recv().is_err());
            }
            n
        };
        let stopper = Self {
            begun,
            started,
            gate,
        };
        (stopper, function)
    }

    fn begun(&self) -> Vec<usize> {
        self.begun.lock().unwrap().clone()
    }
}

/// An iterator that counts how many of its items were pulled.
fn counted(items: impl Iterator<Item = usize>) -> (Arc<AtomicUsize>, impl Iterator<Item = usize>) {
    let pulled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&pulled);
    let items = items.inspect(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    (pulled, items)
}

#[test]
fn results_come_in_the_order_of_the_input_whatever_order_they_complete_in() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let (release, wait_for_release) = channel();
    let (release, wait_for_release) = (Mutex::new(release), Mutex::new(wait_for_release));
    let function = move |n: u32| {
        // The first item ends after the second.
        match n {
            0 => wait_for_release.lock().unwrap().recv().unwrap(),
            1 => release.lock().unwrap().send(()).unwrap(),
            _ => {}
        }
        n
    };
    let results: Vec<_> = pool
        .map(function, 0..100)
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(results, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_hundred_thousand_items_each_computed_once() {
    let pool = ThreadPoolExecutor::new(3).unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let in_job = Arc::clone(&runs);
    let function = move |n: usize| {
        in_job.fetch_add(1, Ordering::Relaxed);
        n
    };
    let mut results = pool.map(function, 0..100_000).chunk_size(32);
    for expected in 0..100_000 {
        assert_eq!(results.next().unwrap().unwrap(), expected);
    }
    assert!(results.next().is_none());
    assert_eq!(runs.load(Ordering::Relaxed), 100_000);
}

#[test]
fn nothing_is_pulled_and_nothing_submitted_before_the_first_next() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let in_job = Arc::clone(&runs);
    let (pulled, input) = counted(0..100);
    let map = pool.map(move |_| in_job.fetch_add(1, Ordering::Relaxed), input);
    drop(map);
    pool.shutdown().unwrap();
    assert_eq!(pulled.load(Ordering::Relaxed), 0);
    assert_eq!(runs.load(Ordering::Relaxed), 0);
    assert_eq!(Arc::strong_count(&runs), 1, "the function still lives");
}

#[test]
fn the_input_is_pulled_just_buffer_size_ahead() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let (pulled, input) = counted(0..1000);
    let mut map = pool.map(|n| n, input).buffer_size(10);
    for taken in 1..=900 {
        map.next().unwrap().unwrap();
        assert_eq!(pulled.load(Ordering::Relaxed), taken + 9);
    }
}

#[test]
fn chunks_are_pulled_whole_and_buffer_size_counts_them() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let (pulled, input) = counted(0..1000);
    let mut map = pool.map(|n| n, input).buffer_size(3).chunk_size(20);
    for taken in 0..600 {
        assert_eq!(map.next().unwrap().unwrap(), taken);
        assert_eq!(pulled.load(Ordering::Relaxed), (taken / 20 + 3) * 20);
    }
}

#[test]
fn unordered_pulls_no_further_ahead_either() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let (pulled, input) = counted(0..1000);
    let mut map = pool.map(|n| n, input).buffer_size(10).unordered();
    for taken in 1..=900 {
        map.next().unwrap().unwrap();
        assert_eq!(pulled.load(Ordering::Relaxed), taken + 9);
    }
}

#[test]
fn buffer_size_and_chunk_size_of_zero_count_as_one() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (pulled, input) = counted(0..10);
    let mut map = pool.map(|n| n, input).buffer_size(0).chunk_size(0);
    assert_eq!(map.next().unwrap().unwrap(), 0);
    assert_eq!(pulled.load(Ordering::Relaxed), 1);
    assert_eq!(map.map(Result::unwrap).sum::<usize>(), 45);
}

#[test]
fn the_default_buffer_is_eight_for_each_worker() {
    let pool = ThreadPoolExecutor::new(3).unwrap();
    let (pulled, input) = counted(0..1000);
    let mut map = pool.map(|n| n, input);
    map.next().unwrap().unwrap();
    assert_eq!(pulled.load(Ordering::Relaxed), 24);
}

#[test]
fn unordered_yields_the_fast_one_while_the_slow_one_runs() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let (stopper, function) = Stopper::at(0);
    let mut map = pool.map(function, 0..3).unordered();
    let fast = [map.next().unwrap().unwrap(), map.next().unwrap().unwrap()];
    assert_eq!(
        fast.into_iter().collect::<HashSet<_>>(),
        HashSet::from([1, 2])
    );
    drop(stopper.gate);
    assert_eq!(map.next().unwrap().unwrap(), 0);
    assert!(map.next().is_none());
}

#[test]
fn unordered_yields_each_item_once() {
    let pool = ThreadPoolExecutor::new(3).unwrap();
    for chunk_size in [1, 7] {
        let map = pool.map(|n| n, 0..2000).unordered().chunk_size(chunk_size);
        let mut results: Vec<_> = map.map(Result::unwrap).collect();
        results.sort_unstable();
        assert_eq!(results, (0..2000).collect::<Vec<_>>());
    }
}

#[test]
fn a_panic_costs_its_own_item_and_the_rest_goes_on() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let function = |n: usize| {
        assert_ne!(n % 10, 3, "unlucky {n}");
        n
    };
    for chunk_size in [1, 8] {
        let map = pool.map(function, 0..95).chunk_size(chunk_size);
        let results: Vec<_> = map.collect();
        assert_eq!(results.len(), 95);
        for (n, result) in results.into_iter().enumerate() {
            match result {
                Ok(value) => assert_eq!(value, n),
                Err(TaskError::Panicked(panic)) => {
                    assert_eq!(n % 10, 3);
                    assert!(panic.message().contains(&format!("unlucky {n}")));
                }
                Err(other) => unreachable!("{other}"),
            }
        }
    }
}

#[test]
fn a_chunk_size_larger_than_the_input_makes_one_task() {
    let pool = ThreadPoolExecutor::new(4).unwrap();
    let map = pool.map(|n| (n, std::thread::current().id()), 0..10);
    let results: Vec<_> = map.chunk_size(1000).map(Result::unwrap).collect();
    assert_eq!(results.len(), 10);
    assert!(results.iter().all(|(_, thread)| *thread == results[0].1));
}

#[test]
fn an_empty_input_is_an_empty_output() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    assert!(pool.map(|n: u8| n, []).next().is_none());
    assert!(pool.map(|n: u8| n, []).unordered().next().is_none());
    let timed = pool.map(|n: u8| n, []).timeout(Duration::MAX);
    assert_eq!(timed.count(), 0);
}

#[test]
fn an_endless_input_yields_as_long_as_it_is_asked() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let sum: u64 = pool.map(|n| n, 0_u64..).take(1000).flatten().sum();
    assert_eq!(sum, 499_500);
    let sum = pool.map(|n| n, 0_u64..).unordered().take(1000).flatten();
    assert!(sum.sum::<u64>() >= 499_500);
}

#[test]
fn the_end_is_final_and_the_input_is_not_asked_again() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let mut calls = 0;
    let input = std::iter::from_fn(|| {
        calls += 1;
        // Not fused: after the end it would go on.
        (calls != 3).then_some(calls)
    });
    let mut map = pool.map(|n| n, input);
    assert_eq!(map.next().unwrap().unwrap(), 1);
    assert_eq!(map.next().unwrap().unwrap(), 2);
    assert!(map.next().is_none());
    assert!(map.next().is_none());
    drop(map);
    assert_eq!(calls, 3);
}

#[test]
fn size_hint_is_exact_for_an_exact_input_all_the_way() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    for chunk_size in [1, 4] {
        let mut map = pool.map(|n| n, 0..10).chunk_size(chunk_size).buffer_size(2);
        for left in (0..=10).rev() {
            assert_eq!(map.size_hint(), (left, Some(left)));
            assert_eq!(map.next().is_some(), left > 0);
        }
    }
}

#[test]
fn timeout_of_nothing_submitted_is_one_closing_error() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (pulled, input) = counted(0..1000);
    let mut map = pool.map(|n| n, input).timeout(Duration::ZERO);
    assert!(matches!(map.next(), Some(Err(TaskError::TimedOut))));
    assert!(map.next().is_none());
    assert_eq!(pulled.load(Ordering::Relaxed), 0);
}

#[test]
fn timeout_yields_what_is_done_then_an_error_for_each_submitted_and_one_for_the_rest() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    for unordered in [false, true] {
        let (stopper, function) = Stopper::at(3);
        let mut map = pool.map(function, 0..1000).buffer_size(6);
        if unordered {
            map = map.unordered();
        }
        assert_eq!(map.next().unwrap().unwrap(), 0);
        // With one worker, item 3 starts once item 2 has ended. Submitted: 1 to 5.
        stopper.started.recv().unwrap();
        let mut map = map.timeout(Duration::ZERO);
        assert_eq!(map.next().unwrap().unwrap(), 1);
        assert_eq!(map.next().unwrap().unwrap(), 2);
        let rest: Vec<_> = map.by_ref().collect();
        // One for each of 3, 4, 5, and one for the rest.
        assert_eq!(rest.len(), 4, "{rest:?}");
        let timed_out = |result: &_| matches!(result, Err(TaskError::TimedOut));
        assert!(rest.iter().all(timed_out), "{rest:?}");
        assert!(map.next().is_none());
        let begun = Arc::clone(&stopper.begun);
        drop(stopper);
        // Once the queue is drained, no more items can begin.
        pass_through(&pool);
        assert_eq!(*begun.lock().unwrap(), [0, 1, 2, 3]);
    }
}

#[test]
fn timeout_of_an_input_that_was_submitted_whole_has_no_closing_error() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (stopper, function) = Stopper::at(1);
    let mut map = pool.map(function, 0..4).chunk_size(1);
    assert_eq!(map.next().unwrap().unwrap(), 0);
    stopper.started.recv().unwrap();
    let rest: Vec<_> = map.timeout(Duration::ZERO).collect();
    assert_eq!(rest.len(), 3, "{rest:?}");
    assert!(rest.iter().all(|r| matches!(r, Err(TaskError::TimedOut))));
    drop(stopper);
}

#[test]
fn timeout_of_chunks_is_an_error_for_each_item_of_them() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (stopper, function) = Stopper::at(5);
    let mut map = pool.map(function, 0..100).chunk_size(5).buffer_size(3);
    assert_eq!(map.next().unwrap().unwrap(), 0);
    stopper.started.recv().unwrap();
    let rest: Vec<_> = map.timeout(Duration::ZERO).collect();
    // 1 to 4 are done, 5 to 14 are submitted, and the rest gets one.
    assert_eq!(rest.len(), 4 + 10 + 1, "{rest:?}");
    assert!(rest[..4].iter().all(Result::is_ok));
    assert!(
        rest[4..]
            .iter()
            .all(|r| matches!(r, Err(TaskError::TimedOut)))
    );
    drop(stopper);
}

#[test]
fn timeout_without_end_changes_nothing() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    for limit in [Duration::MAX, Duration::from_secs(3600)] {
        let map = pool.map(|n| n, 0..100).timeout(limit);
        assert_eq!(map.map(Result::unwrap).sum::<usize>(), 4950);
    }
}

#[test]
fn dropping_a_started_map_cancels_what_has_not_started() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    for unordered in [false, true] {
        let (stopper, function) = Stopper::at(1);
        let mut map = pool.map(function, 0..1000).buffer_size(10);
        if unordered {
            map = map.unordered();
        }
        assert_eq!(map.next().unwrap().unwrap(), 0);
        stopper.started.recv().unwrap();
        drop(map);
        let begun = Arc::clone(&stopper.begun);
        drop(stopper);
        pass_through(&pool);
        assert_eq!(*begun.lock().unwrap(), [0, 1]);
        assert_eq!(Arc::strong_count(&begun), 1, "the function still lives");
    }
}

#[test]
fn dropping_a_started_map_asks_the_running_item_to_stop() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (sender, receiver) = channel();
    let function = move |n| {
        if n > 0 {
            let token = CancelToken::current();
            sender.send(token.clone()).unwrap();
            while !token.is_cancelled() {
                std::thread::yield_now();
            }
        }
    };
    let mut map = pool.map(function, 0..10);
    map.next().unwrap().unwrap();
    let token = receiver.recv().unwrap();
    assert!(!token.is_cancelled());
    drop(map);
    assert!(token.is_cancelled());
    pool.shutdown().unwrap();
}

#[test]
fn detaching_a_started_map_lets_run_what_was_submitted_and_no_more() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    for unordered in [false, true] {
        let (stopper, function) = Stopper::at(1);
        let (pulled, input) = counted(0..1000);
        let mut map = pool.map(function, input).buffer_size(10);
        if unordered {
            map = map.unordered();
        }
        assert_eq!(map.next().unwrap().unwrap(), 0);
        map.detach();
        let begun = Arc::clone(&stopper.begun);
        drop(stopper);
        pass_through(&pool);
        assert_eq!(*begun.lock().unwrap(), (0..10).collect::<Vec<_>>());
        assert_eq!(pulled.load(Ordering::Relaxed), 10);
    }
}

#[test]
fn detaching_a_map_that_never_started_runs_nothing() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (stopper, function) = Stopper::at(usize::MAX);
    pool.map(function, 0..10).detach();
    pool.shutdown().unwrap();
    assert_eq!(stopper.begun(), []);
}

#[test]
fn a_panic_of_the_input_reaches_the_caller_and_cancels_with_the_map() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let runs = Arc::new(AtomicUsize::new(0));
    let in_job = Arc::clone(&runs);
    let input = (0..10).inspect(|&n| assert_ne!(n, 5, "bad input"));
    let mut map = pool.map(move |_| in_job.fetch_add(1, Ordering::Relaxed), input);
    let panic = catch_unwind(AssertUnwindSafe(|| map.next().is_some())).unwrap_err();
    assert!(panic.downcast::<String>().unwrap().contains("bad input"));
    drop(map);
    drop(gate);
    pool.shutdown().unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

#[test]
fn map_after_shutdown_gives_one_error_for_each_item() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    pool.shutdown().unwrap();
    let is_rejected =
        |result: &Result<_, _>| matches!(result, Err(TaskError::Rejected(Rejection::ShutDown)));
    for chunk_size in [1, 2, 100] {
        let map = pool.map(|n| n, 0..5).chunk_size(chunk_size);
        let results: Vec<_> = map.collect();
        assert_eq!(results.len(), 5);
        assert!(results.iter().all(is_rejected), "{results:?}");
    }
    let results: Vec<_> = pool.map(|n| n, 0..5).unordered().collect();
    assert_eq!(results.len(), 5);
    assert!(results.iter().all(is_rejected), "{results:?}");
}

#[test]
fn shutdown_amid_a_map_gives_values_then_errors_and_loses_no_item() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let mut map = pool.map(|n| n, 0..10).buffer_size(4);
    assert_eq!(map.next().unwrap().unwrap(), 0);
    pool.shutdown().unwrap();
    let rest: Vec<_> = map.collect();
    assert_eq!(rest.len(), 9);
    for (result, n) in rest.iter().zip(1..) {
        // Submitted before: 1, 2, 3.
        match result {
            Ok(value) => assert!(*value == n && n <= 3),
            Err(error) => assert!(matches!(error, TaskError::Rejected(_)) && n > 3),
        }
    }
}

#[test]
fn input_items_are_dropped_once_in_every_way_to_end() {
    struct Item(Arc<AtomicUsize>);

    impl Drop for Item {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let pool = ThreadPoolExecutor::new(2).unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    let made = Arc::new(AtomicUsize::new(0));
    let items = || {
        let (drops, made) = (Arc::clone(&drops), Arc::clone(&made));
        (0..50).map(move |_| {
            made.fetch_add(1, Ordering::Relaxed);
            Item(Arc::clone(&drops))
        })
    };
    assert_eq!(pool.map(|item| item, items()).count(), 50);
    assert_eq!(
        pool.map(drop, items()).chunk_size(4).unordered().count(),
        50
    );
    assert_eq!(pool.map(|item| item, items()).take(7).count(), 7);
    let panicking = pool.map(|_item| panic!("with an item"), items());
    assert_eq!(panicking.filter(|r: &Result<(), _>| r.is_err()).count(), 50);
    let mut timed = pool.map(|item| item, items()).chunk_size(3);
    drop(timed.next());
    drop(timed.timeout(Duration::ZERO).collect::<Vec<_>>());
    let mut detached = pool.map(|item| item, items());
    drop(detached.next());
    detached.detach();
    pool.shutdown().unwrap();
    assert_eq!(pool.map(|item| item, items()).count(), 50);
    let made = made.load(Ordering::Relaxed);
    assert!(made > 200);
    assert_eq!(drops.load(Ordering::Relaxed), made);
}

#[test]
fn two_maps_of_one_pool_interleave() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let one = pool.map(|n| n, 0..500).buffer_size(3);
    let two = pool.map(|n| 2 * n, 0..500).chunk_size(11);
    for (one, two) in one.zip(two) {
        assert_eq!(2 * one.unwrap(), two.unwrap());
    }
}
