//! Proves that `wait` returns once what it was told to wait for has happened, and lists every handle exactly once.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support {
    pub(crate) mod probe;
}

use std::future::Future;
use std::pin::Pin;
use std::sync::Barrier;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use future_result::{
    Cancel, Completer, FutureResult, JoinHandle, PoolId, Task, TaskError, Waited, When, pair,
    task_in, wait,
};

use self::support::probe::Probe;

/// Longer than the slowest machine takes; reached only if a wake-up was lost.
const LONG: Duration = Duration::from_secs(100);

const ROUNDS: usize = if cfg!(miri) { 20 } else { 300 };

fn pairs<T>(count: usize) -> (Vec<Completer<T>>, Vec<JoinHandle<T>>) {
    (0..count).map(|_| pair()).unzip()
}

#[test]
fn handle_that_wakes_itself_does_not_keep_a_timed_wait_for_many() {
    const FAR_TOO_OFTEN: usize = 10_000;
    let probe = Probe::default();
    probe.with(|probed| probed.self_wakes = FAR_TOO_OFTEN);
    let waited = wait(&mut [probe.clone()], When::All, Some(Duration::ZERO));
    assert!(waited.timed_out);
    let left = probe.with(|probed| probed.self_wakes);
    assert!(left > 0, "the wait went on until the handle had enough");
}

/// Indices as `wait` returns them.
fn waited(done: &[usize], pending: &[usize], timed_out: bool) -> Waited {
    let mut waited = Waited::default();
    waited.done = done.to_vec();
    waited.pending = pending.to_vec();
    waited.timed_out = timed_out;
    waited
}

#[test]
fn wait_for_nothing_is_over_at_once() {
    for when in [When::FirstCompleted, When::FirstError, When::All] {
        let handles: &mut [JoinHandle<()>] = &mut [];
        assert_eq!(wait(handles, when, None), waited(&[], &[], false));
    }
}

#[test]
fn wait_lists_what_was_done_before_first() {
    let (mut completers, mut handles) = pairs(4);
    completers.remove(3).complete(()).unwrap();
    completers.remove(1).complete(()).unwrap();
    let found = wait(&mut handles, When::FirstCompleted, None);
    assert_eq!(found, waited(&[1, 3], &[0, 2], false));
    // Nothing was taken: asked again, the same.
    assert_eq!(wait(&mut handles, When::FirstCompleted, None), found);
    let found = wait(&mut handles, When::All, Some(Duration::ZERO));
    assert_eq!(found, waited(&[1, 3], &[0, 2], true));
    handles.remove(3).result().unwrap();
}

#[test]
fn wait_for_the_first_comes_back_with_it() {
    let (mut completers, mut handles) = pairs(3);
    let first = completers.remove(1);
    let other = thread::spawn(move || first.complete(()).unwrap());
    let found = wait(&mut handles, When::FirstCompleted, Some(LONG));
    assert_eq!(found, waited(&[1], &[0, 2], false));
    other.join().unwrap();
}

#[test]
fn wait_for_the_first_error_passes_over_values_and_cancellations() {
    let (mut completers, mut handles) = pairs::<()>(5);
    assert_eq!(handles[1].cancel(), Cancel::Prevented);
    completers.remove(0).complete(()).unwrap();
    let other = thread::spawn(move || {
        let [_cancelled, two, three, four] = completers.try_into().unwrap();
        four.complete(()).unwrap();
        three.fail(TaskError::TimedOut);
        two
    });
    let mut found = wait(&mut handles, When::FirstError, Some(LONG));
    // Some of them may have been done before the call.
    found.done.sort_unstable();
    assert_eq!(found, waited(&[0, 1, 3, 4], &[2], false));
    drop(other.join().unwrap());
}

#[test]
fn wait_for_the_first_error_without_one_waits_for_all() {
    let (completers, mut handles) = pairs(3);
    let other = thread::spawn(move || {
        for completer in completers.into_iter().rev() {
            completer.complete(()).unwrap();
        }
    });
    let found = wait(&mut handles, When::FirstError, Some(LONG));
    assert_eq!(found.pending, [0; 0]);
    assert!(!found.timed_out);
    assert_eq!(found.done.len(), 3);
    other.join().unwrap();

    let (_completers, mut handles) = pairs::<()>(2);
    for handle in &handles {
        assert_eq!(handle.cancel(), Cancel::Prevented);
    }
    let found = wait(&mut handles, When::FirstError, None);
    assert_eq!(found, waited(&[0, 1], &[], false));
}

#[test]
fn wait_races_completions_and_lists_each_once() {
    for round in 0..ROUNDS {
        let (completers, mut handles) = pairs(3);
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                for completer in completers {
                    completer.complete(round).unwrap();
                }
            });
            barrier.wait();
            let mut found = wait(&mut handles, When::All, Some(LONG));
            found.done.sort_unstable();
            assert_eq!(found, waited(&[0, 1, 2], &[], false));
        });
    }
}

#[test]
fn wait_that_timed_out_can_be_repeated_and_left() {
    let (completer, handle) = pair();
    let mut handles = [handle];
    for _ in 0..3 {
        let found = wait(&mut handles, When::All, Some(Duration::ZERO));
        assert_eq!(found, waited(&[], &[0], true));
    }
    completer.complete(1).unwrap();
    let [handle] = handles;
    assert_eq!(handle.result().unwrap(), 1);
}

#[test]
fn wait_takes_mixed_handles_and_spurious_wakes() {
    let probe = Probe::default();
    let (completer, handle) = pair();
    let mut mixed = [probe.clone().boxed(), handle.boxed()];
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&mut mixed, When::All, Some(LONG)));
        completer.complete(()).unwrap();
        while probe.polls() == 0 {
            thread::yield_now();
        }
        probe.latest_waker().wake();
        while probe.polls() < 2 {
            thread::yield_now();
        }
        probe.complete();
        let mut found = waiter.join().unwrap();
        found.done.sort_unstable();
        assert_eq!(found, waited(&[0, 1], &[], false));
    });
}

#[test]
fn worker_that_waits_for_several_runs_only_as_many_as_it_needs() {
    let pool = PoolId::new();
    let (mut tasks, mut handles): (Vec<Task>, Vec<_>) =
        (0..3).map(|number| task_in(pool, move || number)).unzip();
    let found = pool.enter(|| wait(&mut handles, When::FirstCompleted, None));
    assert_eq!(found, waited(&[0], &[1, 2], false));
    assert!(!tasks[1].is_stale() && !tasks[2].is_stale());
    drop(tasks.remove(2));
    let found = pool.enter(|| wait(&mut handles, When::FirstError, None));
    assert_eq!(found, waited(&[0, 2], &[1], false));
    let found = pool.enter(|| wait(&mut handles, When::All, None));
    assert_eq!(found, waited(&[0, 2, 1], &[], false));
}

#[test]
fn wait_counts_an_outcome_that_was_taken_as_done() {
    let (completer, mut handle) = pair();
    completer.complete(1).unwrap();
    assert!(
        Pin::new(&mut handle)
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    );
    let found = wait(&mut [handle], When::All, None);
    assert_eq!(found, waited(&[0], &[], false));
}

#[test]
fn completion_behind_a_spurious_wake_is_listed_after_the_deadline() {
    let (spurious, done) = (Probe::default(), Probe::default());
    spurious.with(|probed| probed.self_wakes = 2);
    done.with(|probed| {
        // Pending when it is registered, and done and announced right after.
        probed.self_wakes = 1;
        probed.done = true;
    });
    let limit = Some(Duration::ZERO);
    let found = wait(&mut [spurious, done], When::FirstCompleted, limit);
    assert_eq!(found, waited(&[1], &[0], false));
}
