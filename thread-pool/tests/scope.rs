//! Proves that a scope ends after all its tasks, whatever becomes of its handles and whoever panics,
//! and that its tasks may borrow.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use thread_pool::{
    Cancel, FutureResult, Scope, TaskError, ThreadPoolExecutor, When, as_completed, wait,
};

fn pool(workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::new(workers).unwrap()
}

struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Leaks a value on purpose, and keeps it where LeakSanitizer finds it.
fn leak<T>(value: T) {
    static LEAKED: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let place = Box::into_raw(Box::new(value));
    LEAKED.lock().unwrap().push(place.expose_provenance());
}

#[test]
fn tasks_borrow_and_results_borrow() {
    let pool = pool(2);
    let words = ["a", "bb", "ccc"].map(String::from);
    let mut lengths = vec![0; 3];
    let longest = pool.scope(|scope| {
        for (word, length) in words.iter().zip(&mut lengths) {
            drop(scope.spawn(move || *length = word.len()));
        }
        let longest = scope.spawn(|| words.iter().max_by_key(|word| word.len()));
        longest.result().unwrap()
    });
    assert_eq!(longest, Some(&words[2]));
    assert_eq!(lengths, [1, 2, 3]);
}

#[test]
fn scope_waits_for_tasks_whose_handles_were_dropped_or_leaked() {
    let pool = pool(2);
    let (ended, dropped) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for _ in 0..100 {
        ended.store(0, SeqCst);
        dropped.store(0, SeqCst);
        pool.scope(|scope| {
            for n in 0..20 {
                let handle = scope.spawn(|| {
                    thread::yield_now();
                    ended.fetch_add(1, SeqCst);
                    Counted(&dropped)
                });
                match n % 4 {
                    0 => drop(handle),
                    1 => leak(handle),
                    2 => drop(handle.result()),
                    _ => drop(handle.cancel_on_drop()),
                }
            }
        });
        let ended = ended.load(SeqCst);
        assert!((15..=20).contains(&ended), "{ended}");
        // The leaked values stay; all others are gone.
        assert_eq!(dropped.load(SeqCst), ended - 5);
    }
}

#[test]
fn scope_on_the_only_worker_runs_its_tasks_in_place() {
    let pool = Arc::new(pool(1));
    let inner = Arc::clone(&pool);
    let sum = pool.submit(move || {
        let numbers = [1, 2, 3];
        let total = AtomicUsize::new(0);
        inner.scope(|scope| {
            for number in &numbers {
                let total = &total;
                drop(scope.spawn(move || total.fetch_add(*number, SeqCst)));
            }
        });
        total.into_inner()
    });
    assert_eq!(sum.result().unwrap(), 6);
}

#[test]
fn nested_scopes_and_spawns_from_tasks_all_end() {
    fn grow<'scope>(scope: &'scope Scope<'scope, '_>, leaves: &'scope AtomicUsize, depth: usize) {
        if depth == 0 {
            leaves.fetch_add(1, SeqCst);
            return;
        }
        for _ in 0..3 {
            drop(scope.spawn(move || grow(scope, leaves, depth - 1)));
        }
    }

    for workers in [1, 2, 4] {
        let pool = Arc::new(pool(workers));
        let leaves = AtomicUsize::new(0);
        pool.scope(|scope| grow(scope, &leaves, 5));
        assert_eq!(leaves.load(SeqCst), 243);
        let inside = Arc::clone(&pool);
        let again = pool.submit(move || {
            let leaves = AtomicUsize::new(0);
            inside.scope(|outer| {
                let leaves = &leaves;
                for _ in 0..3 {
                    let inside = &inside;
                    drop(outer.spawn(move || inside.scope(|scope| grow(scope, leaves, 3))));
                }
            });
            leaves.into_inner()
        });
        assert_eq!(again.result().unwrap(), 81);
    }
}

#[test]
fn panic_of_the_closure_waits_for_the_tasks() {
    let pool = pool(2);
    let ended = AtomicUsize::new(0);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        pool.scope(|scope| {
            for _ in 0..50 {
                drop(scope.spawn(|| ended.fetch_add(1, SeqCst)));
            }
            resume_unwind(Box::new("the closure's"));
        })
    }));
    let payload = unwound.unwrap_err().downcast::<&str>().unwrap();
    assert_eq!(*payload, "the closure's");
    assert_eq!(ended.load(SeqCst), 50);
}

#[test]
fn a_panic_that_nobody_has_seen_is_the_scopes() {
    let pool = pool(2);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        pool.scope(|scope| drop(scope.spawn(|| resume_unwind(Box::new(1)))));
    }));
    assert!(unwound.is_err());
    // Not if somebody took it.
    pool.scope(|scope| {
        let handle = scope.spawn(|| resume_unwind(Box::new(1)));
        assert!(matches!(
            handle.result(),
            Err::<(), _>(TaskError::Panicked(_))
        ));
        let handles = [1, 2].map(|n| scope.spawn(move || resume_unwind(Box::new(n))));
        for (_, result) in as_completed(handles) {
            assert!(matches!(result, Err::<(), _>(TaskError::Panicked(_))));
        }
    });
}

#[test]
fn cancelled_tasks_of_a_scope_never_run() {
    let pool = pool(1);
    let runs = AtomicUsize::new(0);
    pool.scope(|scope| {
        let (go, gate) = mpsc::channel::<()>();
        let busy = scope.spawn(move || gate.recv().is_err());
        let handles = [0; 10].map(|_| scope.spawn(|| runs.fetch_add(1, SeqCst)));
        for handle in &handles {
            assert_eq!(handle.cancel(), Cancel::Prevented);
        }
        drop(go);
        assert!(busy.result().unwrap());
    });
    assert_eq!(runs.load(SeqCst), 0);
}

#[test]
fn handles_of_a_scope_are_handles_like_any_other() {
    let pool = pool(2);
    let text = String::from("shared");
    pool.scope(|scope| {
        let mut handles = [1, 2].map(|n| scope.spawn(move || n));
        let waited = wait(&mut handles, When::All, None);
        assert!(waited.pending.is_empty());
        let shared = scope.spawn(|| text.as_str()).shared();
        assert_eq!(shared.clone().result().unwrap(), shared.result().unwrap());
        let boxed = scope.spawn(|| text.len()).boxed();
        assert_eq!(boxed.result().unwrap(), 6);
    });
}

#[test]
fn scope_of_a_pool_that_is_shut_down_runs_its_tasks_on_the_caller() {
    let pool = pool(1);
    pool.shutdown().unwrap();
    let here = thread::current().id();
    let ran_on = pool.scope(|scope| scope.spawn(|| thread::current().id()).result());
    assert_eq!(ran_on.unwrap(), here);
}

#[test]
fn a_task_that_a_shutdown_has_cancelled_is_the_scopes_failure() {
    let pool = Arc::new(pool(1));
    let other = Arc::clone(&pool);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        pool.scope(|scope| {
            let (started, wait_for_start) = mpsc::channel();
            let (go, gate) = mpsc::channel::<()>();
            scope.spawn(move || {
                started.send(()).unwrap();
                gate.recv().is_err()
            });
            wait_for_start.recv().unwrap();
            let mut queued = pool.submit(|| ());
            queued.on_done(move |_| drop(go));
            scope.spawn(|| unreachable!("it never runs"));
            let closing = thread::spawn(move || other.shutdown_now());
            closing.join().unwrap().unwrap();
        });
    }));
    assert!(unwound.is_err());
}

#[test]
fn a_job_without_a_result_needs_no_look_at_its_handle() {
    let pool = pool(2);
    let mut values = [0; 4];
    pool.scope(|scope| {
        for value in &mut values {
            scope.spawn(move || *value = 1);
        }
    });
    assert_eq!(values, [1; 4]);
}

#[test]
fn a_task_of_a_draining_pool_may_still_use_a_scope() {
    let pool = Arc::new(pool(1));
    let barrier = Arc::new(Barrier::new(2));
    let task = pool.submit({
        let (pool, barrier) = (Arc::clone(&pool), Arc::clone(&barrier));
        move || {
            barrier.wait();
            while pool.try_submit(|| ()).is_ok() {
                thread::yield_now();
            }
            pool.scope(|scope| scope.spawn(|| 7).result())
        }
    });
    barrier.wait();
    pool.shutdown().unwrap();
    assert_eq!(task.result().unwrap().unwrap(), 7);
}
