//! Proves that `try_join_all` gives every value in its place, or the first error at once with
//! everything else cancelled.
#![cfg(not(pool_loom))]
#![expect(clippy::disallowed_types, reason = "tests count with std's atomics")]

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::Context;
use std::{fmt, io, thread};

use future_result::{
    BoxedResult, Cancel, CancelToken, Cause, Completer, FirstError, FutureResult, JoinHandle,
    PoolId, Rejection, Task, TaskError, TryError, pair, task, task_in, try_join_all,
    try_join_all_with,
};

const ROUNDS: usize = if cfg!(miri) { 20 } else { 300 };

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn pairs<T>(count: usize) -> (Vec<Completer<T>>, Vec<JoinHandle<T>>) {
    (0..count).map(|_| pair()).unzip()
}

fn failed<T>(error: TaskError) -> JoinHandle<T> {
    let (completer, handle) = pair();
    completer.fail(error);
    handle
}

#[test]
fn no_handles_give_no_values() {
    assert_eq!(try_join_all(Vec::<JoinHandle<u8>>::new()).unwrap(), []);
}

#[test]
fn values_stand_in_the_order_of_the_handles_whatever_the_order_of_completion() {
    for _ in 0..ROUNDS {
        let (completers, handles) = pairs(5);
        let others = thread::spawn(|| {
            let mut completers: Vec<_> = completers.into_iter().enumerate().collect();
            completers.rotate_left(2);
            for (index, completer) in completers.into_iter().rev() {
                completer.complete(index).unwrap();
            }
        });
        assert_eq!(try_join_all(handles).unwrap(), [0, 1, 2, 3, 4]);
        others.join().unwrap();
    }
}

#[test]
fn late_error_does_not_wait_for_an_early_handle_and_cancels_it() {
    let (mut completers, handles) = pairs::<u8>(3);
    let failing = completers.remove(1);
    let failing = thread::spawn(|| failing.fail(TaskError::TimedOut));
    let first = try_join_all(handles).unwrap_err();
    assert_eq!(first.index, 1);
    assert!(matches!(first.error, TaskError::TimedOut));
    assert!(completers.iter().all(Completer::is_cancelled));
    failing.join().unwrap();
}

#[test]
fn first_error_in_the_order_of_completion_is_the_one() {
    let (mut completers, handles) = pairs::<u8>(2);
    let (other, kept) = (completers.pop().unwrap(), completers.pop().unwrap());
    let (go, wait_for_go) = mpsc::channel::<()>();
    let errors = thread::spawn(move || {
        other.fail(TaskError::TimedOut);
        // The other error comes only when the first was given.
        wait_for_go.recv().unwrap_err();
        assert!(kept.is_cancelled());
        kept.fail(TaskError::Lost(Cause::new("too late")));
    });
    assert_eq!(try_join_all(handles).unwrap_err().index, 1);
    drop(go);
    errors.join().unwrap();
}

#[test]
fn of_errors_that_are_there_already_the_foremost_is_the_one() {
    let full = TaskError::Rejected(Rejection::Full);
    let handles = [failed::<u8>(TaskError::TimedOut), failed(full)];
    assert_eq!(try_join_all(handles).unwrap_err().index, 0);
}

#[test]
fn error_cancels_what_is_queued_and_asks_what_is_running_to_stop() {
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = Counted(drops.clone());
    let (queued, queued_handle) = task(move || drop(counted));
    let (started, wait_for_start) = mpsc::channel();
    let (go, wait_for_go) = mpsc::channel::<()>();
    let (told, was_told) = mpsc::channel();
    let (running, running_handle) = task(move || {
        started.send(()).unwrap();
        wait_for_go.recv().unwrap_err();
        told.send(CancelToken::current().is_cancelled()).unwrap();
    });
    let runner = thread::spawn(|| running.run());
    wait_for_start.recv().unwrap();
    let handles = [queued_handle, running_handle, failed(TaskError::TimedOut)];
    assert_eq!(try_join_all(handles).unwrap_err().index, 2);
    assert!(queued.is_stale());
    assert_eq!(drops.load(SeqCst), 1, "its closure is gone at once");
    drop(go);
    assert!(was_told.recv().unwrap());
    runner.join().unwrap();
    queued.run();
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn panic_of_a_task_is_an_error() {
    let (task, handle) = task(|| -> u8 { resume_unwind(Box::new("no luck")) });
    task.run();
    let first = try_join_all([handle]).unwrap_err();
    assert!(matches!(first.error, TaskError::Panicked(_)));
    assert_eq!(first.to_string(), "task 0: the task panicked: no luck");
}

#[test]
fn handle_that_somebody_else_cancelled_is_an_error() {
    let (_task, handle) = task(|| 1);
    assert_eq!(handle.cancel(), Cancel::Prevented);
    let first = try_join_all([handle]).unwrap_err();
    assert!(matches!(first.error, TaskError::Cancelled));
}

#[test]
fn nothing_is_cancelled_without_an_error() {
    let tokens: Vec<_> = {
        let (completers, handles) = pairs(3);
        let tokens = completers.iter().map(Completer::token).collect();
        for completer in completers {
            completer.complete(()).unwrap();
        }
        try_join_all(handles).unwrap();
        tokens
    };
    assert!(!tokens.iter().any(CancelToken::is_cancelled));
}

#[test]
fn tasks_own_errors_are_values_unless_flattened() {
    let parsed = || {
        let (completer, slow) = pair();
        let (task, wrong) = task(|| "two".parse::<u32>());
        task.run();
        (completer, [slow, wrong])
    };
    let (completer, handles) = parsed();
    completer.complete("1".parse()).unwrap();
    let values = try_join_all(handles).unwrap();
    assert_eq!(values[0], Ok(1));
    assert!(values[1].is_err());

    let (completer, handles) = parsed();
    let first = try_join_all_with(handles, TryError::flatten).unwrap_err();
    assert_eq!(first.index, 1);
    assert!(matches!(first.error, TryError::Returned(_)));
    assert!(completer.is_cancelled());

    let (completer, handles) = parsed();
    completer.fail(TaskError::TimedOut);
    let first = try_join_all_with(handles, TryError::flatten).unwrap_err();
    assert_eq!(first.index, 0);
    assert!(matches!(first.error, TryError::Task(TaskError::TimedOut)));
}

#[test]
fn judge_may_forgive() {
    let (completer, handle) = pair();
    completer.complete(1).unwrap();
    let handles = [failed(TaskError::TimedOut), handle];
    let values = try_join_all_with(handles, |result| Ok::<_, TaskError>(result.unwrap_or(0)));
    assert_eq!(values.unwrap(), [0, 1]);
}

#[test]
fn panic_of_the_judge_cancels_the_rest() {
    let (waiting, pending) = pair::<u8>();
    let handles = [pending, failed(TaskError::TimedOut)];
    let panicking = catch_unwind(AssertUnwindSafe(|| {
        try_join_all_with(handles, |_| -> Result<u8, u8> {
            resume_unwind(Box::new("from the judge"))
        })
    }));
    assert!(panicking.is_err());
    assert!(waiting.is_cancelled());
}

#[test]
fn panic_of_the_handles_iterator_cancels_those_before() {
    let (waiting, pending) = pair::<u8>();
    let mut pending = Some(pending);
    let handles = std::iter::from_fn(|| match pending.take() {
        None => resume_unwind(Box::new("from the input")),
        handle => handle,
    });
    assert!(catch_unwind(AssertUnwindSafe(|| try_join_all(handles))).is_err());
    assert!(waiting.is_cancelled());
}

#[test]
fn outcome_that_was_taken_panics_and_cancels_the_rest() {
    let (completer, mut taken) = pair();
    completer.complete(1).unwrap();
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::Pin::new(&mut taken).poll(&mut context).is_ready());
    let (waiting, pending) = pair();
    let joined = catch_unwind(AssertUnwindSafe(|| try_join_all([pending, taken])));
    assert!(joined.is_err());
    assert!(waiting.is_cancelled());
}

#[test]
fn handles_of_several_kinds_can_be_mixed() {
    let pool = PoolId::new();
    let (completer, by_hand) = pair();
    let (by_task, task_handle) = task_in(pool, || 2);
    let (other, other_handle) = task(|| 3);
    let handles: Vec<BoxedResult<'_, u32>> = vec![
        by_hand.boxed(),
        task_handle.boxed(),
        other_handle.shared().boxed(),
    ];
    other.run();
    let elsewhere = thread::spawn(|| completer.complete(1));
    assert_eq!(pool.enter(|| try_join_all(handles)).unwrap(), [1, 2, 3]);
    assert!(by_task.is_stale(), "run in place by its pool's worker");
    elsewhere.join().unwrap().unwrap();
}

#[test]
fn lone_worker_runs_the_set_in_place_up_to_the_first_error() {
    let pool = PoolId::new();
    let ran = Arc::new(AtomicUsize::new(0));
    let submit = |number: usize| -> (Task, JoinHandle<usize>) {
        let ran = ran.clone();
        task_in(pool, move || {
            ran.fetch_add(1, SeqCst);
            if number == 3 {
                resume_unwind(Box::new("unlucky"));
            }
            number
        })
    };
    let (tasks, handles): (Vec<_>, Vec<_>) = (0..3).map(submit).unzip();
    assert_eq!(pool.enter(|| try_join_all(handles)).unwrap(), [0, 1, 2]);
    assert!(tasks.iter().all(Task::is_stale));

    let (tasks, handles): (Vec<_>, Vec<_>) = (2..9).map(submit).unzip();
    assert_eq!(pool.enter(|| try_join_all(handles)).unwrap_err().index, 1);
    assert!(tasks.iter().all(Task::is_stale));
    assert_eq!(ran.load(SeqCst), 3 + 2, "the others never ran");
}

#[test]
fn closures_and_values_are_dropped_once_wherever_the_error_is() {
    const COUNT: usize = 4;
    for wrong in 0..=COUNT {
        for run in 0..=COUNT {
            let drops = Arc::new(AtomicUsize::new(0));
            let (tasks, handles): (Vec<_>, Vec<_>) = (0..COUNT)
                .map(|number| {
                    let value = Counted(drops.clone());
                    task(move || {
                        if number == wrong {
                            resume_unwind(Box::new("unlucky"));
                        }
                        value
                    })
                })
                .unzip();
            let mut tasks = tasks.into_iter();
            tasks.by_ref().take(run).for_each(Task::run);
            // What is not run is lost, which is an error too.
            let late = thread::spawn(move || drop(tasks));
            let joined = try_join_all(handles);
            match &joined {
                Ok(values) => assert_eq!((values.len(), wrong, run), (COUNT, COUNT, COUNT)),
                Err(first) if wrong < run => assert_eq!(first.index, wrong),
                Err(first) => assert!(first.index >= run),
            }
            drop(joined);
            late.join().unwrap();
            assert_eq!(drops.load(SeqCst), COUNT);
        }
    }
}

#[test]
fn completions_race_the_error() {
    for _ in 0..ROUNDS {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut completers, handles) = pairs(4);
        let failing = completers.remove(2);
        let values: Vec<_> = (0..3).map(|_| Counted(drops.clone())).collect();
        let completing = thread::spawn(|| {
            for (completer, value) in completers.into_iter().zip(values) {
                // Given back if it was cancelled before.
                drop(completer.complete(value));
            }
        });
        let failing = thread::spawn(|| failing.fail(TaskError::TimedOut));
        assert_eq!(try_join_all(handles).err().unwrap().index, 2);
        completing.join().unwrap();
        failing.join().unwrap();
        assert_eq!(drops.load(SeqCst), 3);
    }
}

#[test]
fn error_leads_to_the_source_of_the_one_inside() {
    #[derive(Debug)]
    struct Outer(io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    let outer = TaskError::Lost(Cause::new(Outer(io::Error::other("inner"))));
    let first: FirstError = try_join_all([failed::<u8>(outer)]).unwrap_err();
    assert_eq!(first.to_string(), "task 0: the task was lost: outer");
    assert_eq!(first.source().unwrap().to_string(), "inner");
}
