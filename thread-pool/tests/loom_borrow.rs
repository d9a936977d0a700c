//! Borrows from a stack, in all interleavings that loom can reach: nobody touches them after the call
//! that lent them has ended, and what was done to them is seen afterwards.
//!
//! Run by `./check.sh loom`.
#![cfg(pool_loom)]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use future_result::{Blocker, with_blocker};
use loom::cell::UnsafeCell;
use loom::thread;
use thread_pool::{FutureResult, ThreadPoolExecutor};

/// A model with at most this many preemptions. With two workers there is time for none; there threads
/// only switch where they yield or wait.
fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(f);
}

#[expect(clippy::unwrap_used, reason = "a model starts its threads")]
fn pool(workers: usize) -> ThreadPoolExecutor {
    ThreadPoolExecutor::new(workers).unwrap()
}

/// What a task may touch while it is lent; loom fails on any access that is not ordered.
struct Lent(UnsafeCell<u32>);

// SAFETY: loom checks every access, which is what the models are for.
unsafe impl Sync for Lent {}

impl Lent {
    fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    fn set(&self) {
        // SAFETY: loom fails the model if anybody else looks meanwhile.
        self.0.with_mut(|value| unsafe { *value = 7 });
    }

    fn get(&self) -> u32 {
        // SAFETY: loom fails the model if anybody writes meanwhile.
        self.0.with(|value| unsafe { *value })
    }
}

/// Touches what it borrows once more when it is dropped.
struct Last<'a>(&'a Lent);

impl Drop for Last<'_> {
    fn drop(&mut self) {
        self.0.set();
    }
}

#[test]
fn a_scope_outlives_a_task_whose_handle_is_gone() {
    model(2, || {
        let pool = pool(1);
        let lent = Lent::new();
        pool.scope(|scope| drop(scope.spawn(|| lent.set())));
        assert_eq!(lent.get(), 7);
    });
}

#[test]
fn a_scope_outlives_a_value_that_nobody_takes() {
    model(2, || {
        let pool = pool(1);
        let lent = Lent::new();
        pool.scope(|scope| drop(scope.spawn(|| Last(&lent))));
        assert_eq!(lent.get(), 7);
    });
}

#[test]
fn a_scope_outlives_a_task_that_is_cancelled_while_it_begins() {
    model(2, || {
        let pool = pool(1);
        let lent = Lent::new();
        pool.scope(|scope| {
            let last = Last(&lent);
            let handle = scope.spawn(move || drop(last));
            let _ = handle.cancel();
        });
        assert_eq!(lent.get(), 7);
    });
}

#[test]
fn a_scope_outlives_a_task_that_panics_and_panics_in_turn() {
    model(2, || {
        let pool = pool(1);
        let lent = Lent::new();
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            pool.scope(|scope| {
                drop(scope.spawn(|| {
                    let _last = Last(&lent);
                    resume_unwind(Box::new("the task's"));
                }));
            });
        }));
        assert!(unwound.is_err());
        assert_eq!(lent.get(), 7);
    });
}

#[test]
fn a_scope_that_unwinds_outlives_its_task() {
    model(2, || {
        let pool = pool(1);
        let lent = Lent::new();
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            pool.scope(|scope| {
                drop(scope.spawn(|| lent.set()));
                resume_unwind(Box::new("the scope's"));
            })
        }));
        assert!(unwound.is_err());
        assert_eq!(lent.get(), 7);
    });
}

#[test]
fn a_scope_whose_blocker_panics_outlives_its_task() {
    struct Panics;

    impl Blocker for Panics {
        fn block(&self, _: Option<Instant>, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
            if poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                resume_unwind(Box::new("the blocker's"));
            }
        }
    }

    model(2, || {
        let pool = pool(1);
        let lent = Lent::new();
        let _unwound = catch_unwind(AssertUnwindSafe(|| {
            with_blocker(Rc::new(Panics), || {
                pool.scope(|scope| drop(scope.spawn(|| lent.set())));
            });
        }));
        assert_eq!(lent.get(), 7);
    });
}

#[test]
fn a_scope_on_the_only_worker_runs_its_task_itself() {
    model(2, || {
        let pool = Arc::new(pool(1));
        let inside = Arc::clone(&pool);
        let outer = pool.submit(move || {
            let lent = Lent::new();
            inside.scope(|scope| drop(scope.spawn(|| lent.set())));
            lent.get()
        });
        assert!(matches!(outer.result(), Ok(7)));
    });
}

#[test]
fn a_join_outlives_its_thief() {
    model(0, || {
        let pool = Arc::new(pool(2));
        let inside = Arc::clone(&pool);
        let outer = pool.submit(move || {
            let lent = Lent::new();
            let ((), other) = inside.join(thread::yield_now, || Last(&lent));
            drop(other);
            lent.get()
        });
        assert!(matches!(outer.result(), Ok(7)));
    });
}

#[test]
fn a_join_that_unwinds_outlives_its_thief() {
    model(0, || {
        let pool = Arc::new(pool(2));
        let inside = Arc::clone(&pool);
        let outer = pool.submit(move || {
            let lent = Lent::new();
            let last = Last(&lent);
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                inside.join(
                    || {
                        thread::yield_now();
                        resume_unwind(Box::new("the first's"))
                    },
                    move || drop(last),
                )
            }));
            assert!(unwound.is_err());
            lent.get()
        });
        assert!(matches!(outer.result(), Ok(7)));
    });
}

#[test]
fn a_thief_sees_what_was_done_before_the_join_and_wakes_who_waits() {
    model(0, || {
        let pool = Arc::new(pool(2));
        let inside = Arc::clone(&pool);
        let outer = pool.submit(move || {
            let lent = Lent::new();
            lent.set();
            let steal = || {
                // Gives the other time to fall asleep.
                thread::yield_now();
                lent.get()
            };
            inside.join(thread::yield_now, steal).1
        });
        assert!(matches!(outer.result(), Ok(7)));
    });
}

#[test]
fn a_join_from_outside_races_shutdown_and_is_run_by_somebody() {
    model(2, || {
        let pool = Arc::new(pool(1));
        let inside = Arc::clone(&pool);
        let joining = thread::spawn(move || inside.join(|| 1, || 2));
        assert!(pool.shutdown().is_ok());
        assert!(matches!(joining.join(), Ok((1, 2))));
    });
}

#[test]
fn a_map_outlives_its_helpers() {
    model(0, || {
        let pool = pool(2);
        let lent = [Lent::new(), Lent::new(), Lent::new()];
        let results = pool.map_slice(&lent, |lent| {
            lent.set();
            thread::yield_now();
            Box::new(lent.get())
        });
        assert!(results.iter().all(|result| **result == 7));
        assert!(lent.iter().all(|lent| lent.get() == 7));
    });
}
