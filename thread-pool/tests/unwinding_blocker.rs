//! Proves that a blocker's panic, while a scope or a map waits for what borrows from it, ends neither too
//! early, and reaches the caller.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Instant;

use future_result::{Blocker, with_blocker};
use thread_pool::{FutureResult, ThreadPoolExecutor};

/// Polls once, lets the others go on, and panics.
struct Panics {
    gate: Cell<Option<Sender<()>>>,
    waker: Cell<Option<Waker>>,
}

impl Panics {
    fn new(gate: Sender<()>, waker: Waker) -> Rc<Self> {
        Rc::new(Self {
            gate: Cell::new(Some(gate)),
            waker: Cell::new(Some(waker)),
        })
    }
}

impl Blocker for Panics {
    fn block(&self, _: Option<Instant>, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
        // Dropped here, so that the tasks have the last one.
        let waker = self.waker.take().unwrap();
        let polled = poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(self.gate.take());
        resume_unwind(Box::new("the blocker's"));
    }
}

/// A waker that panics at every use, and when dropped.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        resume_unwind(Box::new("the waker's"));
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            resume_unwind(Box::new("the waker's end"));
        }
    }
}

fn payload<R>(f: impl FnOnce() -> R) -> &'static str {
    let unwound = catch_unwind(AssertUnwindSafe(f));
    *unwound.map(drop).unwrap_err().downcast().unwrap()
}

#[test]
fn a_blocker_that_panics_at_the_end_of_a_scope_ends_it_after_its_tasks() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    for round in 0..200 {
        let ended = AtomicUsize::new(0);
        let (gate, wait_for_gate) = channel::<()>();
        let waker = if round % 2 == 0 {
            Waker::noop().clone()
        } else {
            Waker::from(Arc::new(Bomb))
        };
        let blocker = Panics::new(gate, waker);
        let payload = payload(|| {
            with_blocker(blocker, || {
                pool.scope(|scope| {
                    let ended = &ended;
                    scope.spawn(move || {
                        wait_for_gate.recv().unwrap_err();
                        thread::yield_now();
                        ended.fetch_add(1, SeqCst);
                    });
                });
            });
        });
        assert!(payload.starts_with("the "), "{payload}");
        assert_eq!(ended.load(SeqCst), 1);
    }
}

#[test]
fn the_panic_of_a_scopes_closure_comes_before_that_of_the_blocker() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (gate, wait_for_gate) = channel::<()>();
    let payload = payload(|| {
        with_blocker(Panics::new(gate, Waker::noop().clone()), || {
            pool.scope(|scope| {
                scope.spawn(move || wait_for_gate.recv().is_err());
                resume_unwind(Box::new("the closure's"))
            })
        })
    });
    assert_eq!(payload, "the closure's");
}

#[test]
fn a_blocker_that_panics_at_the_end_of_a_map_ends_it_after_its_calls_and_drops_the_results() {
    struct Counted<'a>(&'a AtomicUsize);

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    let pool = ThreadPoolExecutor::new(2).unwrap();
    let dropped = AtomicUsize::new(0);
    let (gate, wait_for_gate) = channel::<()>();
    let (begun, wait_for_helper) = channel();
    // The helper's ends, and the caller's.
    let helpers = Mutex::new(Some((begun, wait_for_gate)));
    let callers = Mutex::new(wait_for_helper);
    let caller = thread::current().id();
    let items: Vec<usize> = (0..1000).collect();
    let payload = payload(|| {
        with_blocker(Panics::new(gate, Waker::noop().clone()), || {
            pool.map_slice(&items, |&n| {
                if thread::current().id() != caller {
                    if let Some((begun, wait_for_gate)) = helpers.lock().unwrap().take() {
                        begun.send(()).unwrap();
                        wait_for_gate.recv().unwrap_err();
                    }
                } else if n < 100 {
                    // Slow enough to be worth a helper.
                    (0..100).for_each(|_| thread::yield_now());
                } else if n == 500 {
                    callers.lock().unwrap().recv().unwrap();
                }
                Counted(&dropped)
            })
        })
    });
    assert_eq!(payload, "the blocker's");
    assert_eq!(dropped.load(SeqCst), 1000);
    // The pool still works.
    assert_eq!(pool.submit(|| 7).result().unwrap(), 7);
}
