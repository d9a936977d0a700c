//! The races of callbacks with the outcome, and with whoever takes it, in all interleavings that loom can
//! reach.
#![cfg(pool_loom)]
#![expect(
    clippy::disallowed_types,
    reason = "a model's own counters are no part of it"
)]

mod support {
    pub(crate) mod drops;
    pub(crate) mod wakes;
}

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use future_result::{FutureResult, JoinHandle, pair, task};
use loom::thread;

use self::support::drops::Drops;
use self::support::wakes::Wakes;

fn poll_done<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> bool {
    let mut context = Context::from_waker(waker);
    handle.poll_done(&mut context) == Poll::Ready(())
}

#[test]
fn callback_added_races_complete_and_runs_once_before_the_taker() {
    loom::model(|| {
        let calls = Arc::new(AtomicUsize::new(0));
        let (completer, mut handle) = pair();
        let other = thread::spawn(move || completer.complete(Box::new(4)).unwrap());
        handle.on_done({
            let calls = Arc::clone(&calls);
            move |result| {
                assert_eq!(**result.unwrap(), 4);
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert_eq!(*handle.result().unwrap(), 4);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        other.join().unwrap();
    });
}

#[test]
fn callbacks_run_in_order_when_run_races_their_addition() {
    loom::model(|| {
        let order = Arc::new(AtomicUsize::new(0));
        let (task, mut handle) = task(|| Box::new(5));
        let other = thread::spawn(|| task.run());
        for place in 0..2 {
            let order = Arc::clone(&order);
            handle.on_done(move |_| {
                assert_eq!(order.fetch_add(1, Ordering::Relaxed), place);
            });
        }
        assert_eq!(*handle.result().unwrap(), 5);
        assert_eq!(order.load(Ordering::Relaxed), 2);
        other.join().unwrap();
    });
}

#[test]
fn waker_moved_into_the_list_of_callbacks_is_woken() {
    loom::model(|| {
        let (completer, mut handle) = pair();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        assert!(!poll_done(&mut handle, &waker));
        let other = thread::spawn(move || completer.complete(Box::new(1)).unwrap());
        handle.on_done(|_| {});
        other.join().unwrap();
        assert_eq!(wakes.count(), 1);
        assert_eq!(*handle.result().unwrap(), 1);
    });
}

#[test]
fn callback_races_drop_of_the_handle_and_runs_once() {
    loom::model(|| {
        let calls = Drops::default();
        let drops = Drops::default();
        let (completer, mut handle) = pair();
        let value = drops.guard();
        let call = calls.guard();
        handle.on_done(move |_| drop(call));
        let other = thread::spawn(move || drop(completer.complete(value)));
        drop(handle);
        other.join().unwrap();
        assert_eq!(calls.count(), 1);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn cancel_races_run_with_a_callback() {
    loom::model(|| {
        let calls = Arc::new(AtomicUsize::new(0));
        let (task, mut handle) = task(|| ());
        handle.on_done({
            let calls = Arc::clone(&calls);
            move |_| {
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
        let other = thread::spawn(|| task.run());
        let _ = handle.cancel();
        drop(handle.result());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        other.join().unwrap();
    });
}
