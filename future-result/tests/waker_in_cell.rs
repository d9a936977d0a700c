//! Wakers that lie in a task's cell: what they keep, and for how long.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    reason = "tests count and coordinate with std's atomics and locks"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Waker};
use std::thread;

use future_result::{
    Cancel, Completer, FutureResult, PoolId, SlimCompleter, WakeRef, Wakes, pair, pair_with_waker,
    waker_of,
};

/// Counts what it was told; the `Arc`s tell how many of it there are.
#[derive(Clone, Default)]
struct Hook {
    wakes: Arc<AtomicUsize>,
    cancels: Arc<AtomicUsize>,
}

impl Wakes for Hook {
    fn cancel(&self) {
        self.cancels.fetch_add(1, SeqCst);
    }

    fn wake(this: &WakeRef<Self>) {
        // Like a pool that sends it elsewhere.
        let sent = WakeRef::clone(this);
        sent.wakes.fetch_add(1, SeqCst);
    }

    fn another(&self) -> Self {
        self.clone()
    }
}

impl Hook {
    /// Whether this one is the last.
    fn is_alone(&self) -> bool {
        Arc::strong_count(&self.wakes) == 1
    }
}

fn own<T>(completer: &Completer<T>) -> Waker {
    let waker = completer.waker();
    waker.map_or_else(|| panic!("it has none"), |waker| Waker::clone(&waker))
}

#[test]
fn wakers_that_outlive_the_outcome_keep_the_hook_and_wake_by_it() {
    let hook = Hook::default();
    let (completer, handle) = pair_with_waker(PoolId::new(), hook.clone());
    let (first, second) = (own(&completer), own(&completer));
    assert!(first.will_wake(&second));
    completer.waker().unwrap().wake_by_ref();
    completer.complete("value").unwrap();
    assert_eq!(handle.result().unwrap(), "value");
    let other = thread::spawn(move || first.wake());
    other.join().unwrap();
    second.wake_by_ref();
    assert_eq!(hook.wakes.load(SeqCst), 3);
    assert!(!hook.is_alone());
    drop(second);
    assert!(hook.is_alone());
}

#[test]
fn a_handle_whose_own_task_waits_for_it_leaks_nothing() {
    for drop_handle_first in [false, true] {
        let hook = Hook::default();
        let (completer, mut handle) = pair_with_waker::<Vec<u8>, _>(PoolId::new(), hook.clone());
        let waker = own(&completer);
        let mut context = Context::from_waker(&waker);
        assert!(handle.poll_done(&mut context).is_pending());
        drop(waker);
        if drop_handle_first {
            drop(handle);
            let _ = completer.complete(vec![1]);
        } else {
            completer.complete(vec![1]).unwrap();
            assert_eq!(handle.result().unwrap(), [1]);
        }
        assert_eq!(hook.wakes.load(SeqCst), usize::from(!drop_handle_first));
        assert!(hook.is_alone());
    }
}

#[test]
fn a_value_that_has_a_waker_of_its_own_cell_leaks_nothing() {
    let hook = Hook::default();
    for take in [true, false] {
        let (completer, handle) = pair_with_waker(PoolId::new(), hook.clone());
        let waker = own(&completer);
        completer.complete(waker).unwrap();
        if take {
            drop(handle.result().unwrap());
        } else {
            drop(handle);
        }
        assert!(hook.is_alone());
    }
}

#[test]
fn a_completer_in_one_pointer_knows_whether_it_has_started() {
    assert_eq!(size_of::<Option<SlimCompleter<u64>>>(), size_of::<usize>());
    let hook = Hook::default();
    let make = || pair_with_waker::<u64, _>(PoolId::new(), hook.clone());

    let (completer, handle) = make();
    let mut slim = completer.into_slim();
    assert!(slim.start() && slim.start());
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert_eq!(hook.cancels.load(SeqCst), 1);
    slim.waker().unwrap().wake_by_ref();
    assert_eq!(slim.into_completer().complete(5), Ok(()));
    assert_eq!(handle.result().unwrap(), 5);

    let (completer, handle) = make();
    let mut slim = completer.into_slim();
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert!(!slim.start());
    assert_eq!(slim.into_completer().complete(5), Err(5));
    drop(handle);

    for started in [false, true] {
        let (completer, handle) = make();
        let mut slim = completer.into_slim();
        assert!(!started || slim.start());
        drop(slim);
        assert!(handle.result().is_err());
    }
    assert!(hook.is_alone());
}

#[test]
fn a_waker_without_a_task_and_a_pair_without_a_waker() {
    let hook = Hook::default();
    let waker = waker_of(hook.clone());
    waker.wake_by_ref();
    waker.wake();
    assert_eq!(hook.wakes.load(SeqCst), 2);
    assert!(hook.is_alone());
    let (completer, _handle) = pair::<u64>();
    assert!(completer.waker().is_none() && completer.into_slim().waker().is_none());
}

/// More would abort if all were counted in one cell.
#[test]
#[cfg_attr(
    miri,
    ignore = "two million clones, which takes it longer than all else"
)]
fn wakers_are_cloned_without_end() {
    let hook = Hook::default();
    let first = waker_of(hook.clone());
    let clones: Vec<_> = (0..1 << 21).map(|_| first.clone()).collect();
    let last = first.clone();
    assert!(first.will_wake(&clones[0]) && !first.will_wake(&last));
    last.wake();
    assert_eq!(hook.wakes.load(SeqCst), 1);
    drop((first, clones));
    assert!(hook.is_alone());
}
