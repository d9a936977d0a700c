//! Proves that a future with no pool behind it is a handle like any other.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use future_result::{Cancel, FutureResult, Status, TaskError, as_completed, pair};
use futures_lite::future::{poll_once, yield_now};
use futures_lite_bridge::{FutureHandle, block_on, spawn};

use crate::common::{Counted, pool};

#[test]
fn it_is_run_by_whoever_waits_and_by_nobody_before() {
    static POLLS: AtomicUsize = AtomicUsize::new(0);
    let handle = FutureHandle::new(async {
        POLLS.fetch_add(1, Ordering::SeqCst);
        yield_now().await;
        7
    });
    assert_eq!(handle.status(), Status::Pending);
    assert_eq!(POLLS.load(Ordering::SeqCst), 0);
    assert_eq!(handle.result().unwrap(), 7);
}

#[test]
fn a_wait_leaves_the_outcome_there_to_be_taken() {
    let mut handle = FutureHandle::new(async { "there" });
    handle.wait();
    assert_eq!(handle.status(), Status::Succeeded);
    assert_eq!(handle.cancel(), Cancel::TooLate);
    assert!(handle.wait_timeout(Duration::ZERO));
    assert_eq!(block_on(&mut handle).unwrap(), "there");
    assert_eq!(handle.status(), Status::Taken);
    let again = catch_unwind(AssertUnwindSafe(|| block_on(&mut handle)));
    assert!(again.is_err());
}

#[test]
fn a_wait_that_is_over_gives_it_back_and_it_goes_on_where_it_was() {
    let (completer, by_hand) = pair();
    let handle = FutureHandle::new(by_hand);
    let handle = handle.result_timeout(Duration::from_millis(1)).unwrap_err();
    completer.complete(3).unwrap();
    assert_eq!(handle.result().unwrap().unwrap(), 3);
}

#[test]
fn among_handles_of_pools_it_comes_in_the_order_of_completion() {
    let pool = pool(1);
    let (completer, by_hand) = pair();
    let mut set = as_completed([
        FutureHandle::new(async { by_hand.await.unwrap() }).boxed(),
        pool.submit(|| 2).boxed(),
    ]);
    assert!(matches!(set.next(), Some((1, Ok(2)))));
    completer.complete(1).unwrap();
    assert!(matches!(set.next(), Some((0, Ok(1)))));
    assert!(set.next().is_none());
}

#[test]
fn cancelled_before_its_first_poll_it_is_dropped_there_and_then() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let counted = Counted::new(&DROPS);
    let handle = FutureHandle::new(async move { drop(counted) });
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
    assert_eq!(handle.status(), Status::Cancelled);
    assert_eq!(handle.cancel(), Cancel::TooLate);
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
}

/// Counts its wake-ups.
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn cancelled_while_it_waits_it_is_dropped_and_its_waiter_is_woken() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let counted = Counted::new(&DROPS);
    let (started, wait_for_start) = std::sync::mpsc::channel();
    let waiting = FutureHandle::new(async move {
        let _counted = counted;
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    })
    .shared();
    let other = waiting.clone();
    let waiter = std::thread::spawn(move || other.result());
    wait_for_start.recv().unwrap();
    let _ = waiting.cancel();
    assert!(matches!(waiter.join().unwrap(), Err(TaskError::Cancelled)));
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);

    let woken = Arc::new(Woken(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut waiting = FutureHandle::new(std::future::pending::<()>());
    // Polled first by another, which no longer waits.
    for waker in [Waker::noop(), &waker] {
        let polled = waiting.poll_done(&mut Context::from_waker(waker));
        assert!(polled.is_pending());
    }
    assert_eq!(waiting.cancel(), Cancel::Requested);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert!(matches!(waiting.result(), Err(TaskError::Cancelled)));
}

/// Panics when it is dropped, and when it is polled if told so.
struct Spiteful {
    panics_when_polled: bool,
}

impl Future for Spiteful {
    type Output = Counted;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Counted> {
        assert!(!self.panics_when_polled, "no luck");
        Poll::Ready(Counted::new(&SPITEFUL))
    }
}

impl Drop for Spiteful {
    fn drop(&mut self) {
        panic!("not even gone in peace");
    }
}

static SPITEFUL: AtomicUsize = AtomicUsize::new(0);

#[test]
fn panics_of_the_future_and_of_its_destructor_are_values_and_its_result_is_dropped_once() {
    for panics_when_polled in [true, false] {
        let handle = FutureHandle::new(Spiteful { panics_when_polled });
        assert!(matches!(handle.result(), Err(TaskError::Panicked(_))));
    }
    assert_eq!(SPITEFUL.load(Ordering::SeqCst), 1);
    let handle = FutureHandle::new(Spiteful {
        panics_when_polled: false,
    });
    assert_eq!(handle.cancel(), Cancel::Prevented);
}

#[test]
fn on_the_only_worker_a_spare_one_runs_what_it_awaits() {
    let pool = Arc::new(pool(1));
    let same = Arc::clone(&pool);
    let sum = pool.submit(move || {
        let inner = spawn(&same, async {
            yield_now().await;
            2
        });
        let mut one = FutureHandle::new(inner);
        one.wait();
        let inner = spawn(&same, async { 3 });
        let other = FutureHandle::new(inner);
        let Ok(other) = other.result_timeout(Duration::from_secs(600)) else {
            panic!("nobody stands in")
        };
        one.result().unwrap().unwrap() + other.unwrap().unwrap()
    });
    assert_eq!(sum.result().unwrap(), 5);
}

#[test]
fn dropping_what_borrows_it_at_each_point_loses_nothing_and_dropping_it_drops_the_future() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let steps = |counted: Counted| async move {
        let _counted = counted;
        let mut sum = 0;
        for step in 0..10 {
            yield_now().await;
            sum += step;
        }
        sum
    };
    for points in 0..=10 {
        let mut handle = FutureHandle::new(steps(Counted::new(&DROPS)));
        block_on(async {
            for _ in 0..points {
                assert!(poll_once(&mut handle).await.is_none());
                yield_now().await;
            }
        });
        if points % 2 == 0 {
            drop(handle);
        } else {
            assert!(matches!(as_completed([handle]).next(), Some((0, Ok(45)))));
        }
        assert_eq!(DROPS.load(Ordering::SeqCst), points + 1);
    }
}

#[test]
fn it_wakes_the_last_one_who_polled() {
    let (completer, by_hand) = pair();
    let mut handle = FutureHandle::new(by_hand);
    // Polled first by another waker.
    assert!(block_on(poll_once(&mut handle)).is_none());
    let waiter = std::thread::spawn(move || {
        block_on(poll_fn(|context| Pin::new(&mut handle).poll(context)))
    });
    completer.complete(5).unwrap();
    assert_eq!(waiter.join().unwrap().unwrap().unwrap(), 5);
}
