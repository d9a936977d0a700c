//! Proves that `CompletionSet` and `as_completed` yield every handle exactly once, in the order of
//! completion, whatever wakes them.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support {
    pub(crate) mod probe;
    pub(crate) mod wakes;
}

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use future_result::{
    Cancel, Completer, CompletionSet, FutureResult, JoinHandle, PoolId, Task, TaskError,
    WaitTimedOut, as_completed, pair, task, task_in,
};
use futures_lite::{Stream, StreamExt};

use self::support::probe::Probe;
use self::support::wakes::Wakes;

/// Longer than the slowest machine takes; reached only if a wake-up was lost.
const LONG: Duration = Duration::from_secs(100);

const ROUNDS: usize = if cfg!(miri) { 20 } else { 300 };

fn pairs<T>(count: usize) -> (Vec<Completer<T>>, Vec<JoinHandle<T>>) {
    (0..count).map(|_| pair()).unzip()
}

#[test]
fn completions_come_in_their_order_those_before_the_call_first() {
    let (completers, handles) = pairs(5);
    let mut completers: Vec<_> = completers.into_iter().map(Some).collect();
    let mut complete = |place: usize| {
        let completer = completers[place].take().unwrap();
        completer.complete(10 * place).unwrap();
    };
    complete(3);
    complete(1);
    let mut completed = as_completed(handles);
    complete(4);
    complete(0);
    complete(2);
    let mut order = Vec::new();
    for (place, result) in &mut completed {
        assert_eq!(result.unwrap(), 10 * place);
        order.push(place);
    }
    // Among those done before, the order in which they were given counts.
    assert_eq!(order, [1, 3, 4, 0, 2]);
    assert!(completed.next().is_none());
}

#[test]
fn every_kind_of_end_is_yielded() {
    let (dropped, lost) = pair::<u8>();
    let (cancelled_task, cancelled) = task(|| 1);
    let (panicking, panicked) = task(|| std::panic::resume_unwind(Box::new(())));
    let (fine, value) = task(|| 4);
    let mut set = CompletionSet::new();
    let cancelled = cancelled.shared();
    set.insert("lost", lost.boxed());
    set.insert("cancelled", cancelled.clone().boxed());
    set.insert("panicked", panicked.boxed());
    set.insert("value", value.boxed());
    // In the set, cancelled by somebody else.
    assert_eq!(cancelled.cancel(), Cancel::Prevented);
    assert!(matches!(
        set.wait_next(),
        Some(("cancelled", Err(TaskError::Cancelled)))
    ));
    drop(dropped);
    panicking.run();
    fine.run();
    assert!(matches!(
        set.wait_next(),
        Some(("lost", Err(TaskError::Lost(_))))
    ));
    assert!(matches!(
        set.wait_next(),
        Some(("panicked", Err(TaskError::Panicked(_))))
    ));
    assert!(matches!(set.wait_next(), Some(("value", Ok(4)))));
    assert!(set.wait_next().is_none());
    drop(cancelled_task);
}

#[test]
fn hundred_thousand_completed_by_four_threads_are_yielded_once_each() {
    const HANDLES: usize = if cfg!(miri) { 200 } else { 100_000 };
    let (completers, handles) = pairs(HANDLES);
    let mut shares: [Vec<_>; 4] = Default::default();
    for (index, completer) in completers.into_iter().enumerate() {
        shares[index % 4].push((index, completer));
    }
    let barrier = Barrier::new(5);
    thread::scope(|scope| {
        for share in shares {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                for (index, completer) in share {
                    completer.complete(index).unwrap();
                }
            });
        }
        barrier.wait();
        let mut seen = vec![false; HANDLES];
        for (place, result) in as_completed(handles) {
            assert_eq!(result.unwrap(), place);
            assert!(
                !std::mem::replace(&mut seen[place], true),
                "{place} came twice"
            );
        }
        assert!(seen.into_iter().all(|seen| seen));
    });
}

#[test]
fn insertions_race_completions_and_none_is_slept_through() {
    let (to_complete, completers) = mpsc::channel::<Completer<usize>>();
    thread::scope(|scope| {
        scope.spawn(move || {
            for (number, completer) in completers.into_iter().enumerate() {
                completer.complete(number).unwrap();
            }
        });
        let mut set = CompletionSet::new();
        let mut yielded = 0;
        for round in 0..ROUNDS {
            for _ in 0..round % 3 + 1 {
                let (completer, handle) = pair();
                to_complete.send(completer).unwrap();
                set.insert((), handle);
            }
            // One at a time, so that the set is often waited for while almost empty.
            set.wait_next().unwrap().1.unwrap();
            yielded += 1;
        }
        yielded += count_rest(&mut set);
        assert_eq!(
            yielded,
            (0..ROUNDS).map(|round| round % 3 + 1).sum::<usize>()
        );
        drop(to_complete);
    });
}

fn count_rest<K, F: FutureResult>(set: &mut CompletionSet<K, F>) -> usize {
    set.into_iter().count()
}

#[test]
fn stale_waker_does_not_yield_the_next_user_of_its_slot() {
    let first = Probe::default();
    let mut set = CompletionSet::new();
    set.insert("first", first.clone());
    let stale = first.latest_waker();
    first.complete();
    assert!(matches!(set.wait_next(), Some(("first", Ok(())))));

    let second = Probe::default();
    set.insert("second", second.clone());
    let polls = second.polls();
    stale.wake_by_ref();
    assert_eq!(
        set.wait_next_timeout(Duration::ZERO).unwrap_err(),
        WaitTimedOut
    );
    assert_eq!(second.polls(), polls, "looked at for another's wake-up");
    assert_eq!(set.len(), 1);

    // Done, announced by its own waker and twice by the stale one: still once.
    stale.wake_by_ref();
    second.complete();
    stale.wake_by_ref();
    assert!(matches!(set.wait_next(), Some(("second", Ok(())))));
    assert!(set.wait_next().is_none());
    assert!(set.is_empty());
}

#[test]
fn woken_many_times_is_yielded_once() {
    let probe = Probe::default();
    let mut set = CompletionSet::new();
    set.insert(1, probe.clone());
    set.insert(2, Probe::default());
    probe.with(|probed| probed.done = true);
    for _ in 0..5 {
        probe.latest_waker().wake();
    }
    assert!(matches!(set.wait_next(), Some((1, Ok(())))));
    assert!(set.wait_next_timeout(Duration::ZERO).is_err());
    assert_eq!(set.len(), 1);
}

#[test]
fn woken_for_nothing_is_registered_again() {
    let probe = Probe::default();
    let mut set = CompletionSet::new();
    set.insert((), probe.clone());
    probe.latest_waker().wake();
    assert!(set.wait_next_timeout(Duration::ZERO).is_err());
    assert_eq!(probe.polls(), 2);
    probe.complete();
    assert!(set.wait_next().is_some());
}

#[test]
fn slots_are_reused_and_keys_stay_right() {
    let mut set = CompletionSet::new();
    let mut waiting = Vec::new();
    for number in 0..200 {
        let (completer, handle) = pair();
        set.insert(number, handle);
        waiting.push((number, completer));
        // The oldest, the youngest, one in the middle.
        if number % 2 == 1 {
            let (key, completer) = waiting.remove(number * 7 % waiting.len());
            completer.complete(key).unwrap();
            let (yielded, result) = set.wait_next().unwrap();
            assert_eq!((yielded, result.unwrap()), (key, key));
        }
    }
    assert_eq!(set.len(), waiting.len());
    for (key, completer) in waiting {
        completer.complete(key).unwrap();
    }
    for (key, result) in &mut set {
        assert_eq!(result.unwrap(), key);
    }
    assert!(set.is_empty());
}

#[test]
fn handle_that_wakes_itself_does_not_keep_a_timed_wait() {
    // Like a future that yields to its executor; tokio's own do so when their budget is used up.
    const FAR_TOO_OFTEN: usize = 10_000;
    let probe = Probe::default();
    probe.with(|probed| probed.self_wakes = FAR_TOO_OFTEN);
    let mut set = CompletionSet::new();
    set.insert((), probe.clone());
    let waited = set.wait_next_timeout(Duration::ZERO);
    assert!(waited.is_err());
    let left = probe.with(|probed| probed.self_wakes);
    assert!(left > 0, "the wait went on until the handle had enough");
}

#[test]
fn handle_that_wakes_itself_gives_the_polling_task_its_turn_back() {
    const FAR_TOO_OFTEN: usize = 10_000;
    let probe = Probe::default();
    probe.with(|probed| probed.self_wakes = FAR_TOO_OFTEN);
    let mut set = CompletionSet::new();
    set.insert((), probe.clone());
    let wakes = Arc::<Wakes>::default();
    let waker = Waker::from(wakes.clone());
    let polled = pin!(set.next()).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    assert!(wakes.count() > 0, "must be polled again");
    let left = probe.with(|probed| probed.self_wakes);
    assert!(left > 0, "one poll went on until the handle had enough");
}

#[test]
fn handle_whose_poll_panics_is_not_waited_for_again() {
    let (completer, mut handle) = pair();
    completer.complete(1).unwrap();
    assert!(
        Pin::new(&mut handle)
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    );
    let mut set = CompletionSet::new();
    // Its outcome is gone, so taking it again panics.
    set.insert("taken", handle);
    let (other, handle) = pair();
    set.insert("other", handle);
    assert!(catch_unwind(AssertUnwindSafe(|| set.wait_next())).is_err());
    other.complete(2).unwrap();
    assert!(matches!(set.wait_next(), Some(("other", Ok(2)))));
    let rest = catch_unwind(AssertUnwindSafe(|| set.wait_next_timeout(Duration::ZERO)));
    assert!(
        matches!(rest, Ok(Ok(None))),
        "the set still waits for what cannot come: {rest:?}"
    );
}

#[test]
fn stream_yields_all_and_ends() {
    let (completers, handles) = pairs(10);
    let mut set = CompletionSet::new();
    for (key, handle) in handles.into_iter().enumerate() {
        set.insert(key, handle);
    }
    assert_eq!(Stream::size_hint(&set), (10, Some(10)));
    let other = thread::spawn(|| {
        for (value, completer) in completers.into_iter().enumerate().rev() {
            completer.complete(value).unwrap();
        }
    });
    let yielded = futures_lite::future::block_on(async {
        let mut yielded = Vec::new();
        while let Some((key, result)) = set.next().await {
            assert_eq!(result.unwrap(), key);
            yielded.push(key);
        }
        yielded
    });
    assert_eq!(yielded, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    other.join().unwrap();
}

#[test]
fn future_of_the_next_item_dropped_loses_nothing() {
    let (completers, handles) = pairs(2);
    let mut set = CompletionSet::new();
    for handle in handles {
        set.insert((), handle);
    }
    let (gone, stays) = (Arc::<Wakes>::default(), Arc::<Wakes>::default());
    let waker = Waker::from(gone.clone());
    assert!(
        pin!(set.next())
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let waker = Waker::from(stays.clone());
    assert!(
        pin!(set.next())
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    for completer in completers {
        completer.complete(()).unwrap();
    }
    assert_eq!(gone.count(), 0);
    assert_eq!(stays.count(), 1, "one wake-up is enough");
    assert_eq!(count_rest(&mut set), 2);
}

#[test]
fn set_moved_between_threads_wakes_where_it_waits_last() {
    let (completer, handle) = pair();
    let mut set = CompletionSet::new();
    set.insert((), handle);
    let mut set = thread::spawn(move || {
        assert!(set.wait_next_timeout(Duration::ZERO).is_err());
        set
    })
    .join()
    .unwrap();
    let (waiting, wait_for_it) = mpsc::channel();
    let waiter = thread::spawn(move || {
        waiting.send(()).unwrap();
        set.wait_next_timeout(LONG)
    });
    wait_for_it.recv().unwrap();
    completer.complete(1).unwrap();
    assert!(matches!(waiter.join().unwrap(), Ok(Some(((), Ok(1))))));
}

#[test]
fn dropped_set_detaches_and_frees_its_handles() {
    let (task, handle) = task(|| 1);
    let (completer, other) = pair::<u8>();
    let mut set = CompletionSet::new();
    set.insert((), handle);
    set.insert((), other);
    drop(set);
    assert!(!task.is_stale());
    task.run();
    assert_eq!(completer.complete(1), Err(1));
}

#[test]
fn deadline_ends_the_iteration_and_gives_back_what_is_pending() {
    let (mut completers, handles) = pairs(4);
    completers.remove(2).complete(2).unwrap();
    let mut completed = as_completed(handles).timeout(Duration::ZERO);
    assert_eq!(completed.size_hint(), (0, Some(4)));
    // What is done in time is yielded, even when the time is over.
    assert!(matches!(completed.next(), Some((2, Ok(2)))));
    assert!(completed.next().is_none());
    assert_eq!(completed.pending(), 3);
    let mut places = Vec::new();
    for (place, handle) in completed.into_pending() {
        assert_eq!(handle.cancel(), Cancel::Prevented);
        places.push(place);
    }
    places.sort_unstable();
    assert_eq!(places, [0, 1, 3]);
    for completer in completers {
        assert!(completer.is_cancelled());
    }
}

#[test]
fn deadline_that_no_clock_can_say_is_none() {
    let (completer, handle) = pair();
    let mut completed = as_completed([handle]).timeout(Duration::MAX);
    completer.complete(1).unwrap();
    assert!(completed.next().is_some());
    let (completer, mut handle) = pair();
    let other = thread::spawn(move || handle.wait_timeout(Duration::MAX));
    completer.complete(1).unwrap();
    assert!(other.join().unwrap());
}

#[test]
fn into_pending_also_gives_what_is_done_and_not_yielded() {
    let (completers, handles) = pairs(3);
    let mut set = CompletionSet::new();
    for (key, handle) in handles.into_iter().enumerate() {
        set.insert(key, handle);
    }
    for completer in completers {
        completer.complete(()).unwrap();
    }
    let (first, _) = set.wait_next().unwrap();
    assert_eq!(first, 0);
    let rest: Vec<usize> = set
        .into_pending()
        .map(|(key, handle)| {
            handle.result().unwrap();
            key
        })
        .collect();
    assert_eq!(rest, [1, 2]);
}

#[test]
fn worker_runs_the_oldest_queued_tasks_of_its_pool_in_place() {
    let (ours, theirs) = (PoolId::new(), PoolId::new());
    let mut queue: Vec<Task> = Vec::new();
    let mut set = CompletionSet::new();
    let mut submit = |pool, key: u8| {
        let (task, handle) = task_in(pool, move || key);
        queue.push(task);
        set.insert(key, handle);
    };
    submit(theirs, 0);
    submit(ours, 1);
    submit(ours, 2);
    submit(ours, 3);
    ours.enter(|| {
        for expected in 1..=3 {
            let (key, result) = set.wait_next().unwrap();
            assert_eq!((key, result.unwrap()), (expected, expected));
        }
    });
    assert!(
        set.wait_next_timeout(Duration::ZERO).is_err(),
        "another pool's"
    );
    for task in queue {
        task.run();
    }
    assert!(matches!(set.wait_next(), Some((0, Ok(0)))));
}

#[test]
fn worker_takes_what_is_done_before_it_runs_anything() {
    let pool = PoolId::new();
    let (queued, handle) = task_in(pool, || 1);
    let mut set = CompletionSet::new();
    set.insert(1, handle);
    let (ready, handle) = task_in(pool, || 2);
    set.insert(2, handle);
    ready.run();
    let next = pool.enter(|| set.wait_next());
    assert!(matches!(next, Some((2, Ok(2)))));
    assert!(!queued.is_stale());
    drop((queued, set));
}
