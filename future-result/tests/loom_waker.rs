//! Wakers that lie in a cell, beside its other owners, in all interleavings that loom can reach.
#![cfg(pool_loom)]
#![expect(
    clippy::disallowed_types,
    reason = "a model's own counters are no part of it"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use future_result::{FutureResult, PoolId, WakeRef, Wakes, pair_with_waker};
use loom::thread;

/// Counts wakes; its `Arc` tells how many of it there are.
#[derive(Clone, Default)]
struct Hook(Arc<AtomicUsize>);

impl Wakes for Hook {
    fn cancel(&self) {}

    fn wake(this: &WakeRef<Self>) {
        let sent = WakeRef::clone(this);
        sent.0.fetch_add(1, Ordering::Relaxed);
    }

    fn another(&self) -> Self {
        self.clone()
    }
}

#[test]
fn a_waker_races_the_outcome_and_its_taking_and_the_last_one_frees() {
    loom::model(|| {
        let hook = Hook::default();
        let (mut completer, handle) = pair_with_waker(PoolId::new(), hook.clone());
        assert!(completer.start());
        let waker = Waker::clone(&completer.waker().unwrap());
        let waking = thread::spawn(move || waker.wake());
        let working = thread::spawn(move || completer.complete(Box::new(1)).is_ok());
        assert_eq!(*handle.result().unwrap(), 1);
        assert!(working.join().unwrap());
        waking.join().unwrap();
        assert_eq!(hook.0.load(Ordering::Relaxed), 1);
        assert_eq!(Arc::strong_count(&hook.0), 1);
    });
}

/// A task that waits for its own outcome: the waker in the slot is a token of the same cell.
#[test]
fn a_waker_of_the_cell_in_its_own_slot_races_the_end_of_the_handle() {
    loom::model(|| {
        let hook = Hook::default();
        let (completer, mut handle) = pair_with_waker(PoolId::new(), hook.clone());
        let waker = Waker::clone(&completer.waker().unwrap());
        let mut context = std::task::Context::from_waker(&waker);
        assert!(handle.poll_done(&mut context).is_pending());
        drop(waker);
        let working = thread::spawn(move || completer.into_slim().into_completer().complete(1));
        drop(handle);
        let _ = working.join().unwrap();
        assert_eq!(Arc::strong_count(&hook.0), 1);
    });
}

#[test]
fn cancelling_races_the_start_of_a_completer_in_one_pointer() {
    loom::model(|| {
        let hook = Hook::default();
        let (completer, handle) = pair_with_waker(PoolId::new(), hook.clone());
        let mut slim = completer.into_slim();
        let cancelling = thread::spawn(move || {
            let _ = handle.cancel();
            handle.result().is_ok()
        });
        let started = slim.start();
        let given = slim.into_completer().complete(1).is_ok();
        assert_eq!(started, given);
        assert_eq!(cancelling.join().unwrap(), given);
        assert_eq!(Arc::strong_count(&hook.0), 1);
    });
}
