//! Proves that two ends of a cell that act at the same moment agree on who won, and drop everything once.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support {
    pub(crate) mod drops;
    pub(crate) mod wakes;
}

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use future_result::{Cancel, FutureResult, JoinHandle, PoolId, TaskError, pair, task, task_in};

use self::support::drops::{Drops, Guard};
use self::support::wakes::Wakes;

/// How often a race is run; each run takes some ten microseconds.
const ROUNDS: usize = if cfg!(miri) { 20 } else { 400 };

fn poll<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, TaskError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

/// Runs both at the same time, and returns their results.
fn race<A: Send, B: Send>(
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            barrier.wait();
            other()
        });
        barrier.wait();
        let one = one();
        (one, other.join().unwrap())
    })
}

#[test]
fn cancel_races_claim_runs_once_or_never() {
    for _ in 0..ROUNDS {
        let (closure, value) = (Drops::default(), Drops::default());
        let runs = AtomicUsize::new(0);
        let runs = Arc::new(runs);
        let (task, handle) = {
            let (guard, value, runs) = (closure.guard(), value.guard(), runs.clone());
            task(move || {
                let _guard = guard;
                runs.fetch_add(1, SeqCst);
                value
            })
        };
        let ((), cancel) = race(|| task.run(), || handle.cancel());
        let result = handle.result();
        match cancel {
            Cancel::Prevented => {
                assert!(matches!(result, Err(TaskError::Cancelled)));
                assert_eq!(runs.load(SeqCst), 0);
            }
            Cancel::Requested | Cancel::TooLate => {
                assert!(result.is_ok());
                assert_eq!(runs.load(SeqCst), 1);
            }
        }
        drop(result);
        assert_eq!((closure.count(), value.count()), (1, 1));
    }
}

#[test]
fn cancel_races_complete_gives_the_value_to_one_side() {
    for round in 0..ROUNDS {
        let value = Drops::default();
        let (mut completer, handle) = pair();
        let given = value.guard();
        let (back, cancel) = race(
            move || {
                // Both ways to complete: with the right to, and winning it in the same step.
                if round % 2 == 0 && !completer.start() {
                    drop(completer);
                    return Err(given);
                }
                completer.complete(given)
            },
            || handle.cancel(),
        );
        assert_eq!(back.is_err(), cancel == Cancel::Prevented);
        assert_eq!(handle.result().is_err(), back.is_err());
        drop(back);
        assert_eq!(value.count(), 1);
    }
}

#[test]
fn drop_of_the_handle_races_run_value_dropped_once() {
    for round in 0..ROUNDS {
        let value = Drops::default();
        let guard = value.guard();
        let (task, mut handle) = task(move || guard);
        let wakes = Arc::<Wakes>::default();
        if round % 2 == 0 {
            assert!(poll(&mut handle, &Waker::from(wakes.clone())).is_pending());
        }
        race(|| task.run(), || drop(handle));
        assert_eq!(value.count(), 1);
        assert_eq!(Arc::strong_count(&wakes), 1);
    }
}

#[test]
fn drop_of_both_ends_and_a_token_race_free_once() {
    for _ in 0..ROUNDS {
        let value = Drops::default();
        let (completer, handle) = pair::<Guard>();
        let (token, given) = (completer.token(), value.guard());
        thread::scope(|scope| {
            let barrier = Arc::new(Barrier::new(3));
            let (here, there) = (barrier.clone(), barrier.clone());
            scope.spawn(move || {
                here.wait();
                drop(handle);
            });
            scope.spawn(move || {
                there.wait();
                drop(token.clone());
                drop(token);
            });
            barrier.wait();
            drop(completer.complete(given));
        });
        assert_eq!(value.count(), 1);
    }
}

#[test]
fn poll_races_complete_is_ready_or_woken() {
    for round in 0..ROUNDS {
        let (completer, mut handle) = pair();
        let wakes = Arc::<Wakes>::default();
        let waker = Waker::from(wakes.clone());
        if round % 2 == 0 {
            // Another waker is in the slot, to be replaced.
            assert!(poll(&mut handle, Waker::noop()).is_pending());
        }
        let (polled, ()) = race(
            || poll(&mut handle, &waker),
            || completer.complete(round).unwrap(),
        );
        match polled {
            Poll::Ready(result) => assert_eq!(result.unwrap(), round),
            Poll::Pending => {
                assert_eq!(wakes.count(), 1, "slept through the completion");
                assert_eq!(handle.result().unwrap(), round);
            }
        }
        drop(waker);
        assert_eq!(Arc::strong_count(&wakes), 1);
    }
}

#[test]
fn poll_with_the_same_waker_races_complete_is_ready_or_woken() {
    for round in 0..ROUNDS {
        let (completer, mut handle) = pair();
        let wakes = Arc::<Wakes>::default();
        // A clone, like the one in the slot: a waker's table need not be at the same place as that of its clones.
        let waker = Waker::clone(&Waker::from(wakes.clone()));
        assert!(poll(&mut handle, &waker).is_pending());
        // Compares with the waker in the slot, while the runner may be taking it out.
        let (polled, ()) = race(
            || poll(&mut handle, &waker),
            || completer.complete(round).unwrap(),
        );
        assert_eq!(wakes.count(), 1, "registered before, so woken in any case");
        if polled.is_pending() {
            assert_eq!(handle.result().unwrap(), round);
        }
        drop(waker);
        assert_eq!(Arc::strong_count(&wakes), 1);
    }
}

#[test]
fn time_out_races_complete_gives_value_or_handle() {
    for _ in 0..ROUNDS {
        let value = Drops::default();
        let (completer, handle) = pair();
        let given = value.guard();
        let (waited, ()) = race(
            || handle.result_timeout(Duration::ZERO),
            move || completer.complete(given).unwrap(),
        );
        match waited {
            Ok(result) => drop(result.unwrap()),
            Err(handle) => drop(handle.result().unwrap()),
        }
        assert_eq!(value.count(), 1);
    }
}

#[test]
fn claim_in_place_races_pop_runs_once() {
    let pool = PoolId::new();
    for _ in 0..ROUNDS {
        let (closure, value) = (Drops::default(), Drops::default());
        let runs = Arc::new(AtomicUsize::new(0));
        let (task, handle) = {
            let (guard, value, runs) = (closure.guard(), value.guard(), runs.clone());
            task_in(pool, move || {
                let _guard = guard;
                runs.fetch_add(1, SeqCst);
                value
            })
        };
        let ((), result) = race(|| task.run(), || pool.enter(|| handle.result()));
        assert!(result.is_ok());
        assert_eq!(runs.load(SeqCst), 1);
        drop(result);
        assert_eq!((closure.count(), value.count()), (1, 1));
    }
}

#[test]
fn two_cancels_race_prevent_once_and_drop_the_closure_once() {
    for _ in 0..ROUNDS {
        let closure = Drops::default();
        let guard = closure.guard();
        let (task, handle) = task(move || drop(guard));
        let (one, other) = race(|| handle.cancel(), || handle.cancel());
        assert!(one == Cancel::Prevented || other == Cancel::Prevented);
        assert_ne!(one, Cancel::TooLate);
        assert_ne!(other, Cancel::TooLate);
        assert_eq!(closure.count(), 1);
        task.run();
        assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    }
}
