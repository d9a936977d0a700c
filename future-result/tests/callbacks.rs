//! Proves that `on_done` callbacks run once each, in the order they were added, before the outcome can be
//! taken, whatever they do and whoever is left.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use future_result::{
    Cancel, CompletionSet, FutureResult, JoinHandle, Panic, PoolId, Status, TaskError, pair, task,
    task_in,
};

const ROUNDS: usize = if cfg!(miri) { 20 } else { 400 };

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// A callback that logs the outcome under a name.
    fn callback<T: std::fmt::Debug>(
        &self,
        name: &'static str,
    ) -> impl FnOnce(Result<&T, &TaskError>) + Send + 'static {
        let log = self.clone();
        move |result| match result {
            Ok(value) => log.add(format!("{name} {value:?}")),
            Err(TaskError::Cancelled) => log.add(format!("{name} cancelled")),
            Err(TaskError::Lost(_)) => log.add(format!("{name} lost")),
            Err(TaskError::Panicked(panic)) => log.add(format!("{name} {}", panic.message())),
            Err(other) => log.add(format!("{name} {other}")),
        }
    }
}

struct WakesInto(Log);

impl Wake for WakesInto {
    fn wake(self: Arc<Self>) {
        self.0.add("woken");
    }
}

fn poll<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, TaskError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

#[test]
fn callbacks_run_in_order_and_before_the_waker() {
    let log = Log::default();
    let waker = Waker::from(Arc::new(WakesInto(log.clone())));
    // The waker may come first, in between, or last.
    for place in 0..=3 {
        let (completer, mut handle) = pair();
        for (index, name) in ["first", "second", "third", ""].into_iter().enumerate() {
            if index == place {
                assert!(poll(&mut handle, &waker).is_pending());
            }
            if !name.is_empty() {
                handle.on_done(log.callback(name));
            }
        }
        assert_eq!(log.take(), [""; 0]);
        completer.complete(1).unwrap();
        assert_eq!(log.take(), ["first 1", "second 1", "third 1", "woken"]);
        assert_eq!(handle.result().unwrap(), 1);
    }
}

#[test]
fn callbacks_added_by_callbacks_run_after_those_added_before() {
    let log = Log::default();
    let (completer, handle) = pair::<u8>();
    let handle = Arc::new(Mutex::new(handle));
    {
        let mut guard = handle.lock().unwrap();
        let (again, inner) = (handle.clone(), log.clone());
        guard.on_done(move |_| {
            inner.add("one");
            let (again2, inner2) = (again.clone(), inner.clone());
            again.lock().unwrap().on_done(move |_| {
                inner2.add("nested");
                again2
                    .lock()
                    .unwrap()
                    .on_done(inner2.callback("nested twice"));
            });
        });
        guard.on_done(log.callback("two"));
        guard.on_done(log.callback("three"));
    }
    completer.complete(5).unwrap();
    assert_eq!(
        log.take(),
        ["one", "two 5", "three 5", "nested", "nested twice 5"]
    );
    let handle = Arc::into_inner(handle).unwrap().into_inner().unwrap();
    assert_eq!(handle.result().unwrap(), 5);
}

#[test]
fn callback_that_panics_does_not_stop_the_others() {
    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            if !thread::panicking() {
                resume_unwind(Box::new(()));
            }
        }
    }

    let log = Log::default();
    let (task, mut handle) = task(|| 1);
    handle.on_done(log.callback("before"));
    handle.on_done(|_| resume_unwind(Box::new("from a callback")));
    handle.on_done(log.callback("between"));
    let captured = PanicsOnDrop;
    handle.on_done(move |_| drop(captured));
    let uncalled = PanicsOnDrop;
    // Dropped by the return, after the body.
    handle.on_done(move |_| {
        let _uncalled = &uncalled;
    });
    // A payload that panics in turn.
    handle.on_done(|_| resume_unwind(Box::new(PanicsOnDrop)));
    handle.on_done(log.callback("after"));
    task.run();
    assert_eq!(log.take(), ["before 1", "between 1", "after 1"]);
    // Late ones, on the thread that adds them.
    handle.on_done(|_| resume_unwind(Box::new("late")));
    handle.on_done(log.callback("late"));
    assert_eq!(log.take(), ["late 1"]);
    assert_eq!(handle.result().unwrap(), 1);
}

#[test]
fn callback_that_panics_in_the_drop_of_an_unwinding_thread_is_contained() {
    let log = Log::default();
    let (completer, mut handle) = pair::<u8>();
    handle.on_done(|_| resume_unwind(Box::new("second panic")));
    handle.on_done(log.callback("after"));
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _completer = completer;
        resume_unwind(Box::new("first panic"));
    }));
    assert_eq!(
        *unwound.unwrap_err().downcast::<&str>().unwrap(),
        "first panic"
    );
    assert_eq!(log.take(), ["after lost"]);
    assert!(matches!(handle.result(), Err(TaskError::Lost(_))));
}

#[test]
fn late_callback_runs_here_and_leaves_the_outcome() {
    let log = Log::default();
    let here = thread::current().id();
    let (completer, mut handle) = pair();
    thread::spawn(move || completer.complete(vec![1]).unwrap())
        .join()
        .unwrap();
    let seen = log.clone();
    handle.on_done(move |_| {
        assert_eq!(thread::current().id(), here);
        seen.add("here");
    });
    handle.on_done(log.callback("late"));
    assert_eq!(log.take(), ["here", "late [1]"]);
    assert_eq!(handle.result().unwrap(), [1]);
}

#[test]
fn late_callback_after_early_ones_runs_once() {
    let log = Log::default();
    let (completer, mut handle) = pair();
    handle.on_done(log.callback("early"));
    completer.complete(1).unwrap();
    handle.on_done(log.callback("late"));
    assert_eq!(log.take(), ["early 1", "late 1"]);
}

#[test]
fn callbacks_outlive_the_handle() {
    let log = Log::default();
    let (task, mut handle) = task(|| 3);
    handle.on_done(log.callback("kept"));
    drop(handle);
    assert!(!task.is_stale(), "callbacks are a reason to run");
    task.run();
    assert_eq!(log.take(), ["kept 3"]);

    let (completer, mut handle) = pair::<u8>();
    handle.on_done(log.callback("kept"));
    drop(handle);
    assert_eq!(completer.complete(4), Ok(()), "a callback took it");
    assert_eq!(log.take(), ["kept 4"]);
}

#[test]
fn callbacks_hear_of_every_kind_of_end() {
    let log = Log::default();

    let (cancelled, mut handle) = task(|| 1);
    handle.on_done(log.callback("task"));
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(
        log.take(),
        ["task cancelled"],
        "at once, by the thread that cancels"
    );
    cancelled.run();

    let (lost, mut handle) = task(|| 1);
    handle.on_done(log.callback("task"));
    drop(lost);
    assert_eq!(log.take(), ["task lost"]);

    let (panicking, mut handle) = task(|| -> u8 { resume_unwind(Box::new("boom")) });
    handle.on_done(log.callback("task"));
    panicking.run();
    assert_eq!(log.take(), ["task boom"]);

    let (failed, mut handle) = pair::<u8>();
    handle.on_done(log.callback("pair"));
    failed.fail(TaskError::TimedOut);
    assert_eq!(
        log.take(),
        ["pair the task was not done within its time limit"]
    );

    let (completer, mut handle) = pair::<u8>();
    handle.on_done(log.callback("pair"));
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(log.take(), ["pair cancelled"]);
    assert_eq!(completer.complete(1), Err(1));
    assert_eq!(log.take(), [""; 0]);

    let (completer, mut handle) = pair::<u8>();
    handle.on_done(log.callback("pair"));
    drop(handle);
    drop(completer);
    assert_eq!(log.take(), ["pair lost"]);

    let pool = PoolId::new();
    let (tombstone, mut handle) = task_in(pool, || 8);
    handle.on_done(log.callback("in place"));
    assert_eq!(pool.enter(|| handle.result()).unwrap(), 8);
    assert_eq!(log.take(), ["in place 8"]);
    drop(tombstone);
}

#[test]
fn outcome_cannot_be_seen_before_the_callbacks_have_run() {
    let (completer, mut handle) = pair();
    let (entered, wait_for_entry) = mpsc::channel();
    let (leave, wait_to_leave) = mpsc::channel::<()>();
    handle.on_done(move |_| {
        entered.send(()).unwrap();
        wait_to_leave.recv().unwrap_err();
    });
    let runner = thread::spawn(move || completer.complete(1).unwrap());
    wait_for_entry.recv().unwrap();
    assert!(!handle.is_done());
    assert_eq!(handle.status(), Status::Pending);
    assert_eq!(
        handle.cancel(),
        Cancel::Requested,
        "it has its value and cannot be prevented"
    );
    assert!(poll(&mut handle, Waker::noop()).is_pending());
    // Added by another thread while the first is running.
    let log = Log::default();
    handle.on_done(log.callback("during"));
    assert_eq!(log.take(), [""; 0]);
    drop(leave);
    assert_eq!(handle.result().unwrap(), 1);
    assert_eq!(log.take(), ["during 1"]);
    runner.join().unwrap();
}

#[test]
fn handle_dropped_while_a_callback_runs_lets_the_others_run() {
    let log = Log::default();
    let (completer, handle) = pair();
    let cell = Arc::new(Mutex::new(Some(handle)));
    {
        let mut guard = cell.lock().unwrap();
        let handle = guard.as_mut().unwrap();
        let own = cell.clone();
        handle.on_done(move |_| drop(own.lock().unwrap().take()));
        handle.on_done(log.callback("after"));
        // In the list when the handle goes.
        let waker = Waker::from(Arc::new(WakesInto(log.clone())));
        assert!(poll(handle, &waker).is_pending());
    }
    let value = Arc::new(1);
    completer.complete(value.clone()).unwrap();
    assert_eq!(log.take()[0], "after 1");
    assert_eq!(
        Arc::strong_count(&value),
        1,
        "the value went with the handle"
    );
    assert_eq!(Arc::strong_count(&log.0), 1, "so did callbacks and waker");
}

#[test]
fn callback_that_polls_its_own_handle_finds_it_pending_and_is_woken() {
    let log = Log::default();
    let (completer, handle) = pair();
    let handle = Arc::new(Mutex::new(handle));
    let (own, inner) = (handle.clone(), log.clone());
    handle.lock().unwrap().on_done(move |_| {
        let waker = Waker::from(Arc::new(WakesInto(inner.clone())));
        let polled = poll(&mut own.lock().unwrap(), &waker);
        inner.add(if polled.is_pending() {
            "pending"
        } else {
            "ready"
        });
    });
    completer.complete(2).unwrap();
    assert_eq!(log.take(), ["pending", "woken"]);
    let handle = Arc::into_inner(handle).unwrap().into_inner().unwrap();
    assert_eq!(handle.result().unwrap(), 2);
}

#[test]
fn callback_that_ends_another_task_nests() {
    let log = Log::default();
    let (first, mut one) = pair();
    let (second, mut two) = pair();
    two.on_done(log.callback("inner"));
    let inner = log.clone();
    one.on_done(move |result| {
        second.complete(*result.unwrap() + 1).unwrap();
        inner.add("outer");
    });
    first.complete(1).unwrap();
    assert_eq!(log.take(), ["inner 2", "outer"]);
    assert_eq!(two.result().unwrap() + one.result().unwrap(), 3);
}

#[test]
fn callback_added_to_a_handle_in_a_set_keeps_it_there() {
    let log = Log::default();
    let (completer, handle) = pair();
    let mut set = CompletionSet::new();
    set.insert("key", handle);
    // Out and in again: the set's waker lies in the cell while the callback comes.
    let mut pending: Vec<_> = set.into_pending().collect();
    pending[0].1.on_done(log.callback("callback"));
    let mut set = CompletionSet::new();
    for (key, handle) in pending {
        set.insert(key, handle);
    }
    completer.complete(6).unwrap();
    assert_eq!(log.take(), ["callback 6"]);
    assert!(matches!(set.wait_next(), Some(("key", Ok(6)))));
}

#[test]
fn add_races_complete_runs_once() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = |calls: &Arc<AtomicUsize>| {
        let calls = calls.clone();
        move |result: Result<&usize, &TaskError>| {
            assert!(result.is_ok());
            calls.fetch_add(1, SeqCst);
        }
    };
    for round in 0..ROUNDS {
        let log = Log::default();
        let (completer, mut handle) = pair();
        let early = round % 3;
        if early == 1 {
            handle.on_done(count(&calls));
        }
        if early == 2 {
            let waker = Waker::from(Arc::new(WakesInto(log.clone())));
            assert!(poll(&mut handle, &waker).is_pending());
        }
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                completer.complete(round).unwrap();
            });
            barrier.wait();
            handle.on_done(count(&calls));
            handle.on_done(count(&calls));
        });
        assert_eq!(calls.swap(0, SeqCst), 2 + usize::from(early == 1));
        assert_eq!(
            log.take(),
            vec!["woken"; usize::from(early == 2)],
            "woken once"
        );
        assert_eq!(Arc::strong_count(&log.0), 1);
        assert_eq!(handle.result().unwrap(), round);
    }
}

#[test]
fn add_and_drop_race_complete_runs_once() {
    let calls = Arc::new(AtomicUsize::new(0));
    for round in 0..ROUNDS {
        let value = Arc::new(round);
        let (completer, mut handle) = pair();
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                completer.complete(value.clone()).unwrap_or_else(drop);
            });
            barrier.wait();
            let calls = calls.clone();
            handle.on_done(move |_| {
                calls.fetch_add(1, SeqCst);
            });
            drop(handle);
        });
        assert_eq!(calls.swap(0, SeqCst), 1);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}

#[test]
fn callback_can_keep_a_panic_and_the_taker_gets_it_too() {
    let (log, seen) = mpsc::channel::<Panic>();
    let (task, mut handle) = task(|| -> () { resume_unwind(Box::new(41_u8)) });
    handle.on_done(move |result| {
        if let Err(TaskError::Panicked(panic)) = result {
            log.send(panic.clone()).unwrap();
        }
    });
    task.run();
    let payload = seen.recv().unwrap().into_payload();
    assert_eq!(*payload.downcast::<u8>().unwrap(), 41);
    let Err(TaskError::Panicked(panic)) = handle.result() else {
        unreachable!("it panicked")
    };
    assert_eq!(panic.message(), "a panic whose payload is not text");
}
