//! The races of waits for several handles, and of several waits for one, in all interleavings that loom can reach.
#![cfg(pool_loom)]

use std::task::{Context, Waker};

use future_result::{
    CompletionSet, FutureResult, PoolId, TaskError, When, pair, task, task_in, wait,
};
use loom::thread;

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
