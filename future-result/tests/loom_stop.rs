//! The races of a request to stop with running work, in all interleavings that loom can reach.
#![cfg(pool_loom)]
#![expect(
    clippy::disallowed_types,
    reason = "a model's own counters are no part of it"
)]

mod support {
    pub(crate) mod drops;
    pub(crate) mod wakes;
}

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use future_result::{
    Cancel, Completer, FutureResult, PoolId, block_until, pair, pair_with_hook, task_by_hand,
};
use loom::thread;

use self::support::drops::Drops;
use self::support::wakes::Wakes;

#[test]
fn request_to_stop_races_completion_and_the_hook_is_dropped_once() {
    loom::model(|| {
        let drops = Drops::default();
        let calls = Arc::new(AtomicUsize::new(0));
        let captured = drops.guard();
        let hook = {
            let calls = Arc::clone(&calls);
            move || {
                let _kept = &captured;
                calls.fetch_add(1, Ordering::Relaxed);
            }
        };
        let (mut completer, handle) = pair_with_hook(PoolId::new(), hook);
        assert!(completer.start());
        let working = thread::spawn(move || completer.complete(1).is_ok());
        let cancel = handle.cancel();
        drop(handle);
        working.join().unwrap();
        let requested = usize::from(cancel == Cancel::Requested);
        assert_eq!(calls.load(Ordering::Relaxed), requested);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn cancel_races_a_task_that_hands_its_cell_on_and_all_is_dropped_once() {
    loom::model(|| {
        let (closures, hooks, values) = (Drops::default(), Drops::default(), Drops::default());
        let calls = Arc::new(AtomicUsize::new(0));
        let hook = {
            let (calls, captured) = (Arc::clone(&calls), hooks.guard());
            move |_| {
                let _kept = &captured;
                calls.fetch_add(1, Ordering::Relaxed);
            }
        };
        let (captured, value) = (closures.guard(), values.guard());
        let (task, handle) = task_by_hand(PoolId::new(), hook, move |completer| {
            drop(captured);
            // The cell outlives its task.
            let _ = completer.complete(value);
        });
        let worker = thread::spawn(move || task.run());
        let cancel = handle.cancel();
        let result = handle.result();
        worker.join().unwrap();
        assert_eq!(result.is_ok(), cancel != Cancel::Prevented);
        drop(result);
        let requested = usize::from(cancel == Cancel::Requested);
        assert_eq!(calls.load(Ordering::Relaxed), requested);
        assert_eq!([closures.count(), hooks.count(), values.count()], [1; 3]);
    });
}

#[test]
fn a_cell_that_was_handed_on_is_completed_by_another_while_its_handle_goes() {
    loom::model(|| {
        let (hooks, values) = (Drops::default(), Drops::default());
        let captured = hooks.guard();
        let hook = move |_| {
            let _kept = &captured;
        };
        let (hand_over, handed) = std::sync::mpsc::channel();
        let (task, handle) = task_by_hand(PoolId::new(), hook, move |completer: Completer<_>| {
            hand_over.send(completer).unwrap();
        });
        task.run();
        let completer = handed.recv().unwrap();
        let value = values.guard();
        let elsewhere = thread::spawn(move || drop(completer.complete(value)));
        let _ = handle.cancel();
        drop(handle);
        elsewhere.join().unwrap();
        assert_eq!([hooks.count(), values.count()], [1; 2]);
    });
}

#[test]
fn cancel_races_the_wait_for_it_and_the_wait_ends() {
    loom::model(|| {
        let (mut completer, handle) = pair::<()>();
        assert!(completer.start());
        let mut cancelled = completer.token().cancelled();
        let canceller = thread::spawn(move || handle.cancel());
        block_until(None, |context| Pin::new(&mut cancelled).poll(context)).unwrap();
        assert_eq!(canceller.join().unwrap(), Cancel::Requested);
        drop(completer);
    });
}

#[test]
fn cancel_races_the_end_of_the_wait_for_it_and_no_waker_stays() {
    loom::model(|| {
        let wakes = Arc::new(Wakes::default());
        let (completer, handle) = pair::<()>();
        let mut cancelled = completer.token().cancelled();
        let canceller = thread::spawn(move || handle.cancel());
        let waker = Waker::from(Arc::clone(&wakes));
        let polled = Pin::new(&mut cancelled).poll(&mut Context::from_waker(&waker));
        drop((cancelled, waker));
        assert_eq!(canceller.join().unwrap(), Cancel::Prevented);
        // Whoever was told at once is not woken.
        assert!(polled.is_pending() || wakes.count() <= 1);
        assert_eq!(Arc::strong_count(&wakes), 1);
    });
}
