//! Proves that both closures of a join have ended when it returns or unwinds, that each runs once,
//! and that a worker waiting for a stolen one does nothing unrelated.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use thread_pool::{FutureResult, ThreadPoolExecutor};

fn pool(workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::new(workers).unwrap()
}

fn fib(pool: &ThreadPoolExecutor, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = pool.join(|| fib(pool, n - 1), || fib(pool, n - 2));
    a + b
}

#[test]
fn results_are_right_on_any_number_of_workers() {
    for workers in [1, 2, 3, 8] {
        let pool = pool(workers);
        assert_eq!(fib(&pool, 18), 2584);
        assert_eq!(pool.join(|| fib(&pool, 15), || fib(&pool, 15)), (610, 610));
    }
}

#[test]
fn each_closure_runs_once_and_both_borrow() {
    let pool = pool(4);
    let runs: Vec<AtomicUsize> = (0..1000).map(|_| AtomicUsize::new(0)).collect();
    fn mark(pool: &ThreadPoolExecutor, runs: &[AtomicUsize]) {
        match runs {
            [] => {}
            [one] => {
                one.fetch_add(1, SeqCst);
            }
            _ => {
                let (left, right) = runs.split_at(runs.len() / 2);
                pool.join(|| mark(pool, left), || mark(pool, right));
            }
        }
    }
    for round in 1..=50 {
        mark(&pool, &runs);
        assert!(runs.iter().all(|runs| runs.load(SeqCst) == round));
    }
}

#[test]
fn both_run_at_the_same_time_if_there_is_somebody_to_run_the_second() {
    let pool = pool(2);
    let barrier = Barrier::new(2);
    for _ in 0..100 {
        let (a, b) = pool.join(|| barrier.wait().is_leader(), || barrier.wait().is_leader());
        assert!(a != b);
    }
}

#[test]
fn a_panic_of_the_first_waits_for_the_second_or_drops_it() {
    let pool = pool(2);
    let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for _ in 0..200 {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            pool.join(
                || resume_unwind(Box::new("first")),
                || {
                    begun.fetch_add(1, SeqCst);
                    thread::yield_now();
                    ended.fetch_add(1, SeqCst);
                },
            )
        }));
        assert_eq!(*unwound.unwrap_err().downcast::<&str>().unwrap(), "first");
        assert_eq!(begun.load(SeqCst), ended.load(SeqCst));
    }
}

#[test]
fn a_panic_of_the_second_is_the_joins() {
    let pool = pool(2);
    for _ in 0..200 {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            pool.join(thread::yield_now, || resume_unwind(Box::new("second")))
        }));
        assert_eq!(*unwound.unwrap_err().downcast::<&str>().unwrap(), "second");
    }
    // Inside, where it may have been stolen.
    let barrier = Barrier::new(2);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        pool.join(
            || barrier.wait(),
            || {
                barrier.wait();
                resume_unwind(Box::new("stolen"))
            },
        )
    }));
    assert_eq!(*unwound.unwrap_err().downcast::<&str>().unwrap(), "stolen");
    assert_eq!(fib(&pool, 10), 55);
}

#[test]
fn closures_and_results_are_dropped_once() {
    struct Counted<'a>(&'a AtomicUsize);

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    let pool = pool(3);
    let (closures, results) = (AtomicUsize::new(0), AtomicUsize::new(0));
    fn tree(pool: &ThreadPoolExecutor, counts: [&AtomicUsize; 2], depth: usize, panics: bool) {
        if depth == 0 {
            if panics {
                resume_unwind(Box::new("leaf"));
            }
            return;
        }
        let captured = [Counted(counts[0]), Counted(counts[0])].map(Some);
        let [left, right] = captured;
        let branch = |captured: Option<Counted<'_>>, panics| {
            drop(captured);
            tree(pool, counts, depth - 1, panics);
            Counted(counts[1])
        };
        pool.join(
            move || branch(left, panics && depth.is_multiple_of(2)),
            move || branch(right, panics && depth % 2 == 1),
        );
    }
    tree(&pool, [&closures, &results], 8, false);
    assert_eq!((closures.load(SeqCst), results.load(SeqCst)), (510, 510));
    for _ in 0..50 {
        closures.store(0, SeqCst);
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            tree(&pool, [&closures, &results], 8, true);
        }));
        assert!(unwound.is_err());
        assert!(closures.load(SeqCst).is_multiple_of(2));
    }
}

#[test]
fn a_lock_held_around_a_join_is_not_entered_by_unrelated_work() {
    let pool = Arc::new(pool(2));
    let lock = Arc::new(Mutex::new(0));
    let others: Vec<_> = (0..100)
        .map(|_| {
            let lock = Arc::clone(&lock);
            pool.submit(move || *lock.lock().unwrap() += 1)
        })
        .collect();
    let inside = Arc::clone(&pool);
    let holder = pool.submit({
        let lock = Arc::clone(&lock);
        move || {
            (0..100)
                .map(|_| {
                    let held = lock.lock().unwrap();
                    let sum = fib(&inside, 12);
                    drop(held);
                    sum
                })
                .sum::<u64>()
        }
    });
    assert_eq!(holder.result().unwrap(), 14_400);
    others.into_iter().for_each(|other| other.result().unwrap());
    assert_eq!(*lock.lock().unwrap(), 100);
}

#[test]
fn very_deep_joins_are_ordinary_calls() {
    fn chain(pool: &ThreadPoolExecutor, depth: usize) -> usize {
        if depth == 0 {
            return 0;
        }
        let (below, one) = pool.join(|| chain(pool, depth - 1), || 1);
        below + one
    }

    let pool = ThreadPoolExecutor::builder()
        .workers(2)
        .stack_size(64 << 20)
        .build()
        .unwrap();
    assert_eq!(chain(&pool, 5000), 5000);
}

#[test]
fn a_panic_below_very_deep_joins_drops_every_second_closure_also_one_that_panics() {
    struct PanicsWhenDropped;

    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            resume_unwind(Box::new("dropped"));
        }
    }

    fn leaf() {
        resume_unwind(Box::new("leaf"));
    }

    fn chain(pool: &ThreadPoolExecutor, kept: &Arc<()>, depth: usize) {
        if depth == 0 {
            let panics = PanicsWhenDropped;
            pool.join(leaf, move || drop(panics));
            return;
        }
        let captured = Arc::clone(kept);
        pool.join(|| chain(pool, kept, depth - 1), move || drop(captured));
    }

    let pool = ThreadPoolExecutor::builder()
        .workers(1)
        .stack_size(64 << 20)
        .build()
        .unwrap();
    let kept = Arc::new(());
    let unwound = catch_unwind(AssertUnwindSafe(|| chain(&pool, &kept, 2000)));
    assert_eq!(*unwound.unwrap_err().downcast::<&str>().unwrap(), "leaf");
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[test]
fn a_pool_that_is_shut_down_leaves_it_to_the_caller() {
    let pool = pool(2);
    pool.shutdown().unwrap();
    let caller = thread::current().id();
    let here = || thread::current().id();
    assert_eq!(pool.join(here, here), (caller, caller));
}

#[test]
fn joins_of_two_pools_inside_each_other() {
    let (one, two) = (pool(2), pool(2));
    let (a, b) = one.join(
        || two.join(|| fib(&one, 10), || fib(&two, 10)),
        || two.join(|| fib(&two, 8), || fib(&one, 8)),
    );
    assert_eq!((a, b), ((55, 55), (21, 21)));
}

#[test]
fn joins_tasks_and_waits_mix() {
    let pool = Arc::new(pool(3));
    let handles: Vec<_> = (0..200_u64)
        .map(|n| {
            let inner = Arc::clone(&pool);
            pool.submit(move || {
                let (a, b) = inner.join(
                    || inner.submit(move || n).result().unwrap(),
                    || fib(&inner, 8),
                );
                a + b
            })
        })
        .collect();
    for (n, handle) in (0..).zip(handles) {
        assert_eq!(handle.result().unwrap(), n + 21);
    }
}
