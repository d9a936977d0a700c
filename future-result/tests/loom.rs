//! Every race of the cell and of the waits, in all interleavings that loom can reach.
//!
//! Run by `./check.sh loom`. Cells are allocated through loom, which reports one that is leaked or
//! freed twice, and any access to a payload that is not ordered after the one before it.
#![cfg(pool_loom)]
#![expect(
    clippy::disallowed_types,
    reason = "what a model counts with is no part of the model"
)]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use future_result::{
    Cancel, CancelToken, Completer, CompletionSet, FutureResult, JoinHandle, PoolId, TaskError,
    When, block_until, pair, pair_with_hook, task, task_by_hand, task_in, wait,
};
use loom::thread;

/// Counts how often what it counts was dropped.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

struct Counted(Drops);

impl Drops {
    fn counted(&self) -> Counted {
        Counted(self.clone())
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A waker that only counts.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

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
        let value = drops.counted();
        let other = thread::spawn(move || drop(completer.complete(value)));
        drop(handle);
        other.join().unwrap();
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn run_races_drop_of_a_waiting_handle_and_the_value_is_dropped_once() {
    loom::model(|| {
        let drops = Drops::default();
        let value = drops.counted();
        let (task, mut handle) = task(move || value);
        let other = thread::spawn(|| task.run());
        let wakes = Arc::new(Wakes::default());
        for _ in 0..2 {
            poll_done(&mut handle, &Waker::from(Arc::clone(&wakes)));
        }
        drop(handle);
        other.join().unwrap();
        assert_eq!(drops.get(), 1);
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
        // Whoever had to drop it has, and the cell is free: loom would tell of a leak.
        drop(dropped);
    });
}

#[test]
fn cancel_races_run_and_exactly_one_of_them_happens() {
    loom::model(|| {
        let runs = Arc::new(AtomicUsize::new(0));
        let drops = Drops::default();
        let captured = drops.counted();
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
        assert_eq!(drops.get(), 1, "the closure was dropped once");
    });
}

#[test]
fn cancel_races_cancel_races_run() {
    loom::model(|| {
        let drops = Drops::default();
        let captured = drops.counted();
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
        assert_eq!(drops.get(), 1);
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
        assert!(done || second.0.load(Ordering::Relaxed) == 1);
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
        let value = drops.counted();
        let other = thread::spawn(move || completer.complete(value).is_err());
        let prevented = handle.cancel() == Cancel::Prevented;
        let result = handle.result();
        let given_back = other.join().unwrap();
        assert_eq!(prevented, given_back);
        assert_eq!(prevented, result.is_err());
        drop(result);
        assert_eq!(drops.get(), 1);
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
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(*handle.result().unwrap(), 1);
    });
}

#[test]
fn callback_races_drop_of_the_handle_and_runs_once() {
    loom::model(|| {
        let calls = Drops::default();
        let drops = Drops::default();
        let (completer, mut handle) = pair();
        let value = drops.counted();
        let call = calls.counted();
        handle.on_done(move |_| drop(call));
        let other = thread::spawn(move || drop(completer.complete(value)));
        drop(handle);
        other.join().unwrap();
        assert_eq!(calls.get(), 1);
        assert_eq!(drops.get(), 1);
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
        // Joined only now: otherwise the end of the other would order what the cell has to.
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
fn shared_clones_wait_in_two_threads_and_both_get_the_value() {
    loom::model(|| {
        let (completer, handle) = pair();
        let one = handle.shared();
        let two = one.clone();
        let other = thread::spawn(move || two.result().unwrap());
        completer.complete(9).unwrap();
        assert_eq!(one.result().unwrap(), 9);
        assert_eq!(other.join().unwrap(), 9);
    });
}

#[test]
fn shared_clone_dropped_while_it_looks_strands_nobody() {
    loom::model(|| {
        let (completer, handle) = pair();
        let one = handle.shared();
        let mut two = one.clone();
        let other = thread::spawn(move || {
            let mut context = Context::from_waker(Waker::noop());
            let _ = two.poll_done(&mut context);
            drop(two);
        });
        let completing = thread::spawn(move || completer.complete(9).unwrap());
        assert_eq!(one.result().unwrap(), 9);
        other.join().unwrap();
        completing.join().unwrap();
    });
}

#[test]
fn shared_cancel_races_look() {
    loom::model(|| {
        let (completer, handle) = pair::<u8>();
        let mut one = handle.shared();
        let two = one.clone();
        let other = thread::spawn(move || {
            let _ = two.cancel();
        });
        let _ = one.poll_done(&mut Context::from_waker(Waker::noop()));
        other.join().unwrap();
        assert!(matches!(one.result(), Err(TaskError::Cancelled)));
        drop(completer);
    });
}

#[test]
fn shared_look_races_the_worker_that_is_to_run_the_task_in_place() {
    loom::model(|| {
        let pool = PoolId::new();
        let (task, handle) = task_in(pool, || 5);
        let worker = handle.shared();
        let mut other = worker.clone();
        let looking = thread::spawn(move || {
            let _ = other.poll_done(&mut Context::from_waker(Waker::noop()));
            let _ = other.is_done();
        });
        // Nobody else will ever run it.
        assert_eq!(pool.enter(|| worker.result()).unwrap(), 5);
        looking.join().unwrap();
        task.run();
    });
}

#[test]
fn shared_look_races_the_worker_that_waits_for_a_set() {
    loom::model(|| {
        let pool = PoolId::new();
        let (task, handle) = task_in(pool, || 5);
        let worker = handle.shared();
        let mut other = worker.clone();
        let looking = thread::spawn(move || {
            let _ = other.poll_done(&mut Context::from_waker(Waker::noop()));
        });
        let mut set = CompletionSet::new();
        set.insert((), worker);
        assert_eq!(pool.enter(|| set.wait_next()).unwrap().1.unwrap(), 5);
        looking.join().unwrap();
        task.run();
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

#[test]
fn completion_set_yields_each_once_also_a_cancelled_one() {
    loom::model(|| {
        let (first, first_handle) = pair();
        let (second, second_handle) = task(|| 20);
        let mut set = CompletionSet::new();
        set.insert(1, first_handle);
        set.insert(2, second_handle);
        let completing = thread::spawn(move || first.complete(10).unwrap());
        let cancelling = thread::spawn(move || second.fail(TaskError::Cancelled));
        let mut keys: Vec<_> = set.into_iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        assert_eq!(keys, [1, 2]);
        completing.join().unwrap();
        cancelling.join().unwrap();
    });
}

#[test]
fn completion_set_sleeps_through_no_completion() {
    loom::model(|| {
        let mut set = CompletionSet::new();
        let (completer, handle) = pair();
        set.insert((), handle);
        let completing = thread::spawn(move || completer.complete(1).unwrap());
        assert_eq!(set.wait_next().unwrap().1.unwrap(), 1);
        assert!(set.is_empty());
        completing.join().unwrap();
    });
}

#[test]
fn wait_for_all_races_complete_and_drop_of_the_completer() {
    loom::model(|| {
        let (first, first_handle) = pair();
        let (second, second_handle) = pair::<u8>();
        let completing = thread::spawn(move || first.complete(1).unwrap());
        let losing = thread::spawn(move || drop(second));
        let mut handles = [first_handle, second_handle];
        let waited = wait(&mut handles, When::All, None);
        assert_eq!(waited.done.len(), 2);
        assert!(waited.pending.is_empty());
        completing.join().unwrap();
        losing.join().unwrap();
    });
}

#[test]
fn request_to_stop_races_completion_and_the_hook_is_dropped_once() {
    loom::model(|| {
        let drops = Drops::default();
        let calls = Arc::new(AtomicUsize::new(0));
        let captured = drops.counted();
        let hook = {
            let calls = Arc::clone(&calls);
            move || {
                let Counted(_) = &captured;
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
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn cancel_races_a_task_that_hands_its_cell_on_and_all_is_dropped_once() {
    loom::model(|| {
        let (closures, hooks, values) = (Drops::default(), Drops::default(), Drops::default());
        let calls = Arc::new(AtomicUsize::new(0));
        let hook = {
            let (calls, captured) = (Arc::clone(&calls), hooks.counted());
            move |_| {
                let Counted(_) = &captured;
                calls.fetch_add(1, Ordering::Relaxed);
            }
        };
        let (captured, value) = (closures.counted(), values.counted());
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
        assert_eq!([closures.get(), hooks.get(), values.get()], [1; 3]);
    });
}

#[test]
fn a_cell_that_was_handed_on_is_completed_by_another_while_its_handle_goes() {
    loom::model(|| {
        let (hooks, values) = (Drops::default(), Drops::default());
        let captured = hooks.counted();
        let hook = move |_| {
            let Counted(_) = &captured;
        };
        let (hand_over, handed) = std::sync::mpsc::channel();
        let (task, handle) = task_by_hand(PoolId::new(), hook, move |completer: Completer<_>| {
            hand_over.send(completer).unwrap();
        });
        task.run();
        let completer = handed.recv().unwrap();
        let value = values.counted();
        let elsewhere = thread::spawn(move || drop(completer.complete(value)));
        let _ = handle.cancel();
        drop(handle);
        elsewhere.join().unwrap();
        assert_eq!([hooks.get(), values.get()], [1; 2]);
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
        // Nobody is woken who was told at once.
        assert!(polled.is_pending() || wakes.0.load(Ordering::Relaxed) <= 1);
        assert_eq!(Arc::strong_count(&wakes), 1);
    });
}
