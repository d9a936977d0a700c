//! The races for the cell of a task or a pair, in all interleavings that loom can reach.
//!
//! Run by `./check.sh loom`. Cells are allocated through loom, which reports one that is leaked or freed
//! twice, and any access to a payload that is not ordered after the one before it.
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

use future_result::{
    Cancel, CancelToken, FutureResult, JoinHandle, PoolId, TaskError, pair, task, task_in,
};
use loom::thread;

use self::support::drops::Drops;
use self::support::wakes::Wakes;

fn poll_done<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> bool {
    let mut context = Context::from_waker(waker);
    handle.poll_done(&mut context) == Poll::Ready(())
}

#[test]
fn complete_races_wait_and_the_value_arrives() {
    loom::model(|| {
        let (completer, handle) = pair();
        let other = thread::spawn(move || completer.complete(Box::new(7)));
        assert_eq!(*handle.result().unwrap(), 7);
        other.join().unwrap().unwrap();
    });
}

#[test]
fn run_races_wait_and_the_result_arrives() {
    loom::model(|| {
        let (task, handle) = task(|| Box::new(7));
        let other = thread::spawn(|| task.run());
        assert_eq!(*handle.result().unwrap(), 7);
        other.join().unwrap();
    });
}

#[test]
fn complete_races_drop_of_the_handle_and_the_value_is_dropped_once() {
    loom::model(|| {
        let drops = Drops::default();
        let (completer, handle) = pair();
        let value = drops.guard();
        let other = thread::spawn(move || drop(completer.complete(value)));
        drop(handle);
        other.join().unwrap();
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn run_races_drop_of_a_waiting_handle_and_the_value_is_dropped_once() {
    loom::model(|| {
        let drops = Drops::default();
        let value = drops.guard();
        let (task, mut handle) = task(move || value);
        let other = thread::spawn(|| task.run());
        let wakes = Arc::new(Wakes::default());
        for _ in 0..2 {
            poll_done(&mut handle, &Waker::from(Arc::clone(&wakes)));
        }
        drop(handle);
        other.join().unwrap();
        assert_eq!(drops.count(), 1);
        assert_eq!(Arc::strong_count(&wakes), 1, "the waker was dropped");
    });
}

#[test]
fn panicking_drop_of_the_value_races_drop_of_the_handle_and_frees_the_cell() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("bomb"));
        }
    }

    loom::model(|| {
        let (task, handle) = task(|| Bomb);
        let other = thread::spawn(|| task.run());
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(handle)));
        other.join().unwrap();
        // Whoever had to drop it has, and the cell is free: loom would report a leak.
        drop(dropped);
    });
}

#[test]
fn cancel_races_run_and_exactly_one_of_them_happens() {
    loom::model(|| {
        let runs = Arc::new(AtomicUsize::new(0));
        let drops = Drops::default();
        let captured = drops.guard();
        let (task, handle) = task({
            let runs = Arc::clone(&runs);
            move || {
                let _captured = captured;
                runs.fetch_add(1, Ordering::Relaxed);
            }
        });
        let other = thread::spawn(|| task.run());
        let cancel = handle.cancel();
        let result = handle.result();
        other.join().unwrap();
        let ran = runs.load(Ordering::Relaxed) == 1;
        assert_eq!(ran, result.is_ok());
        assert_eq!(ran, cancel != Cancel::Prevented);
        assert_eq!(drops.count(), 1, "the closure was dropped once");
    });
}

#[test]
fn cancel_races_cancel_races_run() {
    loom::model(|| {
        let drops = Drops::default();
        let captured = drops.guard();
        let (task, handle) = task(move || drop(captured));
        let handle = Arc::new(handle);
        let runner = thread::spawn(|| task.run());
        let canceller = thread::spawn({
            let handle = Arc::clone(&handle);
            move || {
                let _ = handle.cancel();
            }
        });
        let _ = handle.cancel();
        runner.join().unwrap();
        canceller.join().unwrap();
        assert_eq!(drops.count(), 1);
        assert!(handle.is_done());
    });
}

#[test]
fn claim_in_place_races_pop_and_runs_once() {
    loom::model(|| {
        let runs = Arc::new(AtomicUsize::new(0));
        let pool = PoolId::new();
        let (task, handle) = task_in(pool, {
            let runs = Arc::clone(&runs);
            move || Box::new(runs.fetch_add(1, Ordering::Relaxed))
        });
        let other = thread::spawn(|| task.run());
        assert_eq!(*pool.enter(|| handle.result()).unwrap(), 0);
        other.join().unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn claim_in_place_races_drop_of_the_queue() {
    loom::model(|| {
        let pool = PoolId::new();
        let (task, handle) = task_in(pool, || Box::new(1));
        let other = thread::spawn(|| drop(task));
        match pool.enter(|| handle.result()) {
            Ok(value) => assert_eq!(*value, 1),
            Err(error) => assert!(matches!(error, TaskError::Lost(_))),
        }
        other.join().unwrap();
    });
}

#[test]
fn complete_races_change_of_waker_and_the_last_one_is_woken() {
    loom::model(|| {
        let (completer, mut handle) = pair();
        let other = thread::spawn(move || completer.complete(Box::new(1)).unwrap());
        let (first, second) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        let mut done = poll_done(&mut handle, &Waker::from(Arc::clone(&first)));
        done |= poll_done(&mut handle, &Waker::from(Arc::clone(&first)));
        done |= poll_done(&mut handle, &Waker::from(Arc::clone(&second)));
        other.join().unwrap();
        assert!(done || second.count() == 1);
        assert_eq!(*handle.result().unwrap(), 1);
        assert_eq!(Arc::strong_count(&first), 1);
        assert_eq!(Arc::strong_count(&second), 1);
    });
}

#[test]
fn complete_races_cancel_of_a_pair_and_the_value_is_with_one_of_them() {
    loom::model(|| {
        let drops = Drops::default();
        let (completer, handle) = pair();
        let value = drops.guard();
        let other = thread::spawn(move || completer.complete(value).is_err());
        let prevented = handle.cancel() == Cancel::Prevented;
        let result = handle.result();
        let given_back = other.join().unwrap();
        assert_eq!(prevented, given_back);
        assert_eq!(prevented, result.is_err());
        drop(result);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn start_races_cancel_of_a_pair() {
    loom::model(|| {
        let (mut completer, handle) = pair();
        let other = thread::spawn(move || {
            let started = completer.start();
            if started {
                completer.complete(Box::new(3)).unwrap();
            }
            started
        });
        let cancel = handle.cancel();
        let result = handle.result();
        let started = other.join().unwrap();
        assert_eq!(started, result.is_ok());
        assert_eq!(started, cancel != Cancel::Prevented);
    });
}

#[test]
fn drop_of_the_completer_races_wait_and_ends_it() {
    loom::model(|| {
        let (completer, handle) = pair::<Box<u8>>();
        let other = thread::spawn(move || drop(completer));
        assert!(matches!(handle.result(), Err(TaskError::Lost(_))));
        other.join().unwrap();
    });
}

#[test]
fn tombstone_outlives_the_handle_and_is_freed_by_the_queue() {
    loom::model(|| {
        let (task, handle) = task(|| Box::new(1));
        let other = thread::spawn(move || task.run());
        assert_eq!(
            handle.cancel() == Cancel::Prevented,
            handle.result().is_err()
        );
        other.join().unwrap();
    });
}

#[test]
fn token_outlives_the_task_and_the_handle() {
    loom::model(|| {
        let (task, handle) = task(CancelToken::current);
        let other = thread::spawn(|| task.run());
        let cancel = handle.cancel();
        if let Ok(token) = handle.result() {
            assert_eq!(token.is_cancelled(), cancel == Cancel::Requested);
        }
        other.join().unwrap();
    });
}

#[test]
fn token_frees_the_cell_of_a_detached_task() {
    loom::model(|| {
        let (mut completer, handle) = pair();
        let token = completer.token();
        assert!(completer.start());
        drop(handle);
        let other = thread::spawn(move || drop(token));
        assert!(completer.complete(Box::new(1)).is_err());
        other.join().unwrap();
    });
}

#[test]
fn taker_overtakes_the_wake_up() {
    loom::model(|| {
        let (completer, mut handle) = pair();
        assert!(!poll_done(&mut handle, Waker::noop()));
        let other = thread::spawn(move || completer.complete(Box::new(1)).unwrap());
        if poll_done(&mut handle, Waker::noop()) {
            assert_eq!(*handle.result().unwrap(), 1);
        }
        // Joined only now: otherwise the other's end would give the order that the cell has to.
        other.join().unwrap();
    });
}

#[test]
fn token_dropped_elsewhere_races_the_end_of_its_task() {
    loom::model(|| {
        let (completer, handle) = pair();
        let token = completer.token();
        let other = thread::spawn(move || token.is_cancelled());
        let canceller = thread::spawn(move || {
            let _ = handle.cancel();
        });
        drop(completer.complete(Box::new(1)));
        other.join().unwrap();
        canceller.join().unwrap();
    });
}

#[test]
fn take_races_the_end_of_patience() {
    loom::model(|| {
        let (completer, mut handle) = pair();
        let other = thread::spawn(move || completer.complete(Box::new(6)).unwrap());
        // As a timed wait does: registers, looks once more, gives up, and comes back later.
        let mut done = poll_done(&mut handle, Waker::noop());
        done |= poll_done(&mut handle, Waker::noop());
        if !done {
            handle.wait();
        }
        assert_eq!(*handle.result().unwrap(), 6);
        other.join().unwrap();
    });
}
