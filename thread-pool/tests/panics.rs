//! Proves that no panic of user code, wherever it comes from, costs a worker or another's result.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use thread_pool::{Cancel, FutureResult, Panic, Status, TaskError, ThreadPoolExecutor};

use self::support::occupy;

/// A pool whose only worker must survive.
struct Survivor {
    pool: ThreadPoolExecutor,
    worker: ThreadId,
}

impl Survivor {
    fn new() -> Self {
        let pool = ThreadPoolExecutor::new(1).unwrap();
        let worker = pool.submit(|| thread::current().id()).result().unwrap();
        Self { pool, worker }
    }

    /// The same worker still works.
    fn lives_on(&self) {
        let now = self.pool.submit(|| thread::current().id());
        assert_eq!(now.result().unwrap(), self.worker);
    }
}

/// Panics when it is dropped, and counts that.
struct Bomb(Arc<AtomicUsize>);

impl Bomb {
    fn new() -> (Arc<AtomicUsize>, Self) {
        let drops = Arc::new(AtomicUsize::new(0));
        (Arc::clone(&drops), Self(drops))
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        // A second panic while one unwinds would abort.
        if !thread::panicking() {
            panic!("bomb");
        }
    }
}

fn panic_of<T>(result: Result<T, TaskError>) -> Panic {
    match result {
        Err(TaskError::Panicked(panic)) => panic,
        Err(other) => unreachable!("{other}"),
        Ok(_) => unreachable!("it did not panic"),
    }
}

#[test]
fn panic_in_task_reaches_waiter_with_its_message_and_the_worker_lives_on() {
    let survivor = Survivor::new();
    let handle = survivor.pool.submit(|| panic!("plain"));
    assert_eq!(panic_of::<()>(handle.result()).message(), "plain");
    let number = 3;
    let handle = survivor.pool.submit(move || panic!("formatted {number}"));
    assert_eq!(panic_of::<()>(handle.result()).message(), "formatted 3");
    survivor.lives_on();
}

#[test]
fn panic_resumes_in_the_waiter_with_its_original_payload() {
    #[derive(Debug, PartialEq)]
    struct Payload(u32);

    let survivor = Survivor::new();
    let handle = survivor.pool.submit(|| panic_any(Payload(7)));
    let panic = panic_of::<()>(handle.result());
    let again = catch_unwind(AssertUnwindSafe(|| panic.resume())).unwrap_err();
    assert_eq!(*again.downcast::<Payload>().unwrap(), Payload(7));
    survivor.lives_on();
}

#[test]
fn panic_resumed_through_two_levels_of_waits_arrives_outside() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let its_pool = Arc::clone(&pool);
    let outer = pool.submit(move || {
        let inner = its_pool.submit(|| panic!("deep inside"));
        panic_of::<()>(inner.result()).resume()
    });
    assert_eq!(panic_of::<()>(outer.result()).message(), "deep inside");
    assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
}

#[test]
fn a_thousand_panics_do_not_wear_the_workers_out() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let handles: Vec<_> = (0..1000)
        .map(|n| pool.submit(move || assert_eq!(n % 2, 0)))
        .collect();
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.result().is_ok(), n % 2 == 0);
    }
}

#[test]
fn panic_in_an_executed_job_leaves_the_worker_alive() {
    let survivor = Survivor::new();
    survivor.pool.execute(|| panic!("nobody hears it")).unwrap();
    let (drops, bomb) = Bomb::new();
    survivor.pool.execute(move || panic_any(bomb)).unwrap();
    survivor.lives_on();
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[test]
fn panic_of_a_detached_task_leaves_the_worker_alive() {
    let survivor = Survivor::new();
    let gate = occupy(&survivor.pool);
    drop(survivor.pool.submit(|| panic!("nobody waits")));
    drop(gate);
    survivor.lives_on();
}

#[test]
fn closure_whose_drop_panics_when_run_is_a_panic_of_its_task() {
    let survivor = Survivor::new();
    let (drops, bomb) = Bomb::new();
    let handle = survivor.pool.submit(move || drop(bomb));
    assert_eq!(panic_of(handle.result()).message(), "bomb");
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    survivor.lives_on();
}

#[test]
fn closure_whose_drop_panics_when_cancelled_is_contained_and_cancelled() {
    let survivor = Survivor::new();
    let gate = occupy(&survivor.pool);
    let (drops, bomb) = Bomb::new();
    let handle = survivor.pool.submit(move || drop(bomb));
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    drop(gate);
    survivor.lives_on();
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[test]
fn closure_whose_drop_panics_when_rejected_is_contained() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    pool.shutdown().unwrap();
    let (drops, bomb) = Bomb::new();
    let handle = pool.submit(move || drop(bomb));
    assert!(matches!(handle.result(), Err(TaskError::Rejected(_))));
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[test]
fn closures_whose_drops_panic_at_shutdown_now_all_end_and_so_does_the_pool() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let drops = Arc::new(AtomicUsize::new(0));
    let mut handles = Vec::new();
    for _ in 0..10 {
        let bomb = Bomb(Arc::clone(&drops));
        handles.push(pool.submit(move || drop(bomb)));
        let bomb = Bomb(Arc::clone(&drops));
        pool.execute(move || drop(bomb)).unwrap();
    }
    let mut last = pool.submit(|| ());
    last.on_done(move |_| drop(gate));
    pool.shutdown_now().unwrap();
    assert_eq!(drops.load(Ordering::Relaxed), 20);
    for handle in handles {
        assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    }
}

#[test]
fn result_whose_drop_panics_with_no_handle_left_leaves_the_worker_alive() {
    let survivor = Survivor::new();
    let gate = occupy(&survivor.pool);
    let (drops, bomb) = Bomb::new();
    drop(survivor.pool.submit(move || bomb));
    drop(gate);
    survivor.lives_on();
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[test]
fn result_whose_drop_panics_with_its_handle_panics_there_and_once() {
    let survivor = Survivor::new();
    let (drops, bomb) = Bomb::new();
    let mut handle = survivor.pool.submit(move || bomb);
    handle.wait();
    let panic = catch_unwind(AssertUnwindSafe(|| drop(handle))).unwrap_err();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "bomb");
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    survivor.lives_on();
}

#[test]
fn payload_whose_drop_panics_with_no_handle_left_leaves_the_worker_alive() {
    let survivor = Survivor::new();
    let gate = occupy(&survivor.pool);
    let (drops, bomb) = Bomb::new();
    drop(survivor.pool.submit(move || panic_any(bomb)));
    drop(gate);
    survivor.lives_on();
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[test]
fn payload_whose_drop_panics_with_its_handle_is_contained() {
    let survivor = Survivor::new();
    let (drops, bomb) = Bomb::new();
    let mut handle = survivor.pool.submit(move || panic_any(bomb));
    handle.wait();
    assert_eq!(handle.status(), Status::Failed);
    drop(handle);
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    survivor.lives_on();
}

#[test]
fn callback_that_panics_costs_neither_the_others_nor_the_value() {
    let survivor = Survivor::new();
    let gate = occupy(&survivor.pool);
    let (log, seen) = channel();
    let mut handle = survivor.pool.submit(|| 7);
    for n in 0..3 {
        let log = log.clone();
        handle.on_done(move |result| {
            log.send((n, result.copied().unwrap())).unwrap();
            panic!("callback {n}");
        });
    }
    drop(gate);
    assert_eq!(handle.result().unwrap(), 7);
    drop(log);
    assert_eq!(seen.iter().collect::<Vec<_>>(), [(0, 7), (1, 7), (2, 7)]);
    survivor.lives_on();
}

#[test]
fn callback_that_panics_late_or_on_cancel_is_contained() {
    let survivor = Survivor::new();
    let mut handle = survivor.pool.submit(|| 7);
    handle.wait();
    handle.on_done(|_| panic!("late"));
    assert_eq!(handle.result().unwrap(), 7);
    let gate = occupy(&survivor.pool);
    let mut handle = survivor.pool.submit(|| 7);
    handle.on_done(|_| panic!("on cancel"));
    assert_eq!(handle.cancel(), Cancel::Prevented);
    drop(gate);
    survivor.lives_on();
}

#[test]
fn callback_whose_captives_drop_panics_is_contained() {
    let survivor = Survivor::new();
    let gate = occupy(&survivor.pool);
    let (drops, bomb) = Bomb::new();
    let mut handle = survivor.pool.submit(|| 7);
    handle.on_done(move |_| drop(bomb));
    drop(handle);
    drop(gate);
    survivor.lives_on();
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[test]
fn waker_that_panics_leaves_the_worker_alive_and_the_value_there() {
    struct Explosive(AtomicUsize);

    impl Wake for Explosive {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("in a waker");
        }
    }

    let survivor = Survivor::new();
    let gate = occupy(&survivor.pool);
    let explosive = Arc::new(Explosive(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&explosive));
    let mut handle = survivor.pool.submit(|| 7);
    let mut context = Context::from_waker(&waker);
    assert!(Pin::new(&mut handle).poll(&mut context).is_pending());
    drop(gate);
    survivor.lives_on();
    assert_eq!(explosive.0.load(Ordering::Relaxed), 1);
    let Poll::Ready(result) = Pin::new(&mut handle).poll(&mut context) else {
        unreachable!("the worker is past it")
    };
    assert_eq!(result.unwrap(), 7);
}

#[test]
fn panic_of_a_subtask_in_place_leaves_the_outer_task_alone() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let its_pool = Arc::clone(&pool);
    let outer = pool.submit(move || {
        let (drops, bomb) = Bomb::new();
        let panics = its_pool.submit(move || drop(bomb));
        assert_eq!(panic_of(panics.result()).message(), "bomb");
        let (more_drops, bomb) = Bomb::new();
        let panics = its_pool.submit(move || panic_any(bomb));
        drop(panic_of::<()>(panics.result()));
        drops.load(Ordering::Relaxed) + more_drops.load(Ordering::Relaxed)
    });
    assert_eq!(outer.result().unwrap(), 2);
}

#[test]
fn panics_in_a_map_leave_the_worker_alive_and_count_their_payloads() {
    let survivor = Survivor::new();
    for chunk_size in [1, 5] {
        let drops = Arc::new(AtomicUsize::new(0));
        let in_job = Arc::clone(&drops);
        let function = move |_| -> () { panic_any(Bomb(Arc::clone(&in_job))) };
        let map = survivor.pool.map(function, 0..20).chunk_size(chunk_size);
        assert_eq!(map.filter(Result::is_err).count(), 20);
        assert_eq!(drops.load(Ordering::Relaxed), 20);
    }
    survivor.lives_on();
}

#[test]
fn map_whose_results_panic_in_drop_when_abandoned_leaves_the_worker_alive() {
    let survivor = Survivor::new();
    let drops = Arc::new(AtomicUsize::new(0));
    let in_job = Arc::clone(&drops);
    let (started, wait_for_start) = channel();
    let (gate, wait_for_gate) = channel::<()>();
    let locked = std::sync::Mutex::new(wait_for_gate);
    let function = move |n| {
        if n == 0 {
            return None;
        }
        started.send(()).unwrap();
        locked.lock().unwrap().recv().unwrap_err();
        Some(Bomb(Arc::clone(&in_job)))
    };
    let mut map = survivor.pool.map(function, 0..5);
    assert!(map.next().unwrap().unwrap().is_none());
    wait_for_start.recv().unwrap();
    // Item 1 is running: nobody will take its result.
    drop(map);
    drop(gate);
    survivor.lives_on();
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}
