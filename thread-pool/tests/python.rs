//! Proves that what is known to be broken in Python's `concurrent.futures` works here.
//!
//! At least one test for each entry; other files test it in depth.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use future_result::Shared;
use thread_pool::{
    Cancel, CompletionSet, FutureResult, JoinHandle, ShutdownError, Status, TaskError,
    ThreadPoolExecutor, TryError, When, as_completed, wait,
};

use self::support::occupy;

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Python's `concurrent.futures`: a cancelled future hangs its waiters until a worker gets to it.
#[test]
fn cancel_wakes_a_registered_waiter_within_the_call_though_the_worker_is_busy() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let mut handle = pool.submit(|| ());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    assert!(handle.poll_done(&mut context).is_pending());
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert!(handle.poll_done(&mut context).is_ready());
    drop(gate);
}

type Wait = fn(Shared<JoinHandle<()>>) -> bool;

/// Python's `concurrent.futures`: a cancelled future hangs its waiters until a worker gets to it.
#[test]
fn cancel_ends_every_kind_of_wait_though_the_worker_is_busy() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let waits: [Wait; 5] = [
        |handle| matches!(handle.result(), Err(TaskError::Cancelled)),
        |mut handle| {
            handle.wait();
            handle.status() == Status::Cancelled
        },
        |handle| wait(&mut [handle], When::All, None).done == [0],
        |handle| as_completed([handle]).all(|(_, result)| result.is_err()),
        |handle| {
            let mut set = CompletionSet::new();
            set.insert((), handle);
            matches!(set.wait_next(), Some(((), Err(TaskError::Cancelled))))
        },
    ];
    for a_wait in waits {
        for _ in 0..20 {
            let handle = pool.submit(|| ()).shared();
            let canceller = handle.clone();
            let (waiting, wait_for_waiter) = channel();
            let waiter = thread::spawn(move || {
                waiting.send(()).unwrap();
                a_wait(handle)
            });
            wait_for_waiter.recv().unwrap();
            assert_ne!(canceller.cancel(), Cancel::TooLate);
            assert!(waiter.join().unwrap());
        }
    }
    drop(gate);
}

/// Python's `concurrent.futures`: a cancelled future hangs its waiters until a worker gets to it.
#[test]
fn a_cancelled_handle_is_in_done_and_not_in_pending() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let mut handles = [0, 1].map(|n| pool.submit(move || n));
    assert_eq!(handles[1].cancel(), Cancel::Prevented);
    let waited = wait(&mut handles, When::All, Some(Duration::ZERO));
    assert_eq!((waited.done, waited.pending), (vec![1], vec![0]));
    assert!(waited.timed_out);
    drop(gate);
}

/// Python's `concurrent.futures`: dropping a map that never started cancels nothing, a started one the rest.
#[test]
fn a_dropped_map_leaves_nothing_to_run_whether_it_had_started_or_not() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    for started in [false, true] {
        let runs = Arc::new(AtomicUsize::new(0));
        let (second, wait_for_second) = channel();
        let (gate, wait_for_gate) = channel::<()>();
        let (in_job, wait_for_gate) = (Arc::clone(&runs), Mutex::new(wait_for_gate));
        let function = move |n| {
            in_job.fetch_add(1, Ordering::Relaxed);
            if n == 1 {
                second.send(()).unwrap();
                wait_for_gate.lock().unwrap().recv().unwrap_err();
            }
        };
        let mut map = pool.map(function, 0..100);
        if started {
            map.next().unwrap().unwrap();
            wait_for_second.recv().unwrap();
        }
        drop(map);
        drop(gate);
        pool.submit(|| ()).result().unwrap();
        // The first was taken and the second was running.
        let expected = if started { 2 } else { 0 };
        assert_eq!(runs.load(Ordering::Relaxed), expected);
    }
}

/// Python's `concurrent.futures`: whether a dropped map's tasks run depends on whether it had started.
#[test]
fn a_map_s_tasks_run_without_it_if_it_is_detached() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let (log, seen) = channel();
    let mut map = pool
        .map(move |n| log.send(n).unwrap(), 0..10)
        .buffer_size(3);
    drop(gate);
    map.next().unwrap().unwrap();
    map.detach();
    assert!(seen.iter().eq(0..3));
}

/// Python's `concurrent.futures`: a task's own `TimeoutError` looks like a waiter's time-out.
#[test]
fn a_tasks_own_time_out_and_a_waiters_have_different_types() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let mut handle = pool.submit(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
    assert!(handle.wait_timeout(Duration::MAX));
    // The wait was in time, the task has a value, and that value is an error.
    let in_time: Result<_, JoinHandle<_>> = handle.result_timeout(Duration::ZERO);
    let has_value: Result<_, TaskError> = in_time.unwrap();
    let value: Result<(), io::Error> = has_value.unwrap();
    assert_eq!(value.unwrap_err().kind(), io::ErrorKind::TimedOut);

    let gate = occupy(&pool);
    let late = pool.submit(|| "later");
    let handle = late.result_timeout(Duration::ZERO).unwrap_err();
    drop(gate);
    assert_eq!(handle.result().unwrap(), "later");
}

/// Python's `concurrent.futures`: `map` loses everything after an error.
#[test]
fn map_goes_on_after_an_error_and_can_be_asked_to_stop_at_it() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let divide = |n: u32| 12 / n;
    let results: Vec<_> = pool.map(divide, [1, 0, 2, 0, 3]).collect();
    let values: Vec<_> = results.iter().flatten().copied().collect();
    assert_eq!(values, [12, 6, 4]);
    assert_eq!(results.len(), 5);
    let all: Result<Vec<_>, _> = pool.map(divide, [1, 0, 2, 0, 3]).collect();
    assert!(matches!(all, Err(TaskError::Panicked(_))));
    let checked = |n: u32| 12_u32.checked_div(n).ok_or("by zero");
    let mut until_error = pool.try_map(checked, [1, 0, 2]);
    assert_eq!(until_error.next().unwrap().unwrap(), 12);
    let error = until_error.next().unwrap().unwrap_err();
    assert!(matches!(error, TryError::Returned("by zero")));
    assert!(until_error.next().is_none());
}

/// Python's `concurrent.futures`: callbacks that are added by callbacks run out of order.
#[test]
fn callbacks_run_first_in_first_out_also_when_one_adds_another() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let order = Arc::new(Mutex::new(Vec::new()));
    let log = |text: &'static str| {
        let order = Arc::clone(&order);
        move |_: Result<&i32, &TaskError>| order.lock().unwrap().push(text)
    };
    let handle = Arc::new(Mutex::new(pool.submit(|| 1)));
    {
        let mut adding = handle.lock().unwrap();
        let (first, nested) = (log("1"), log("nested"));
        let its_handle = Arc::clone(&handle);
        adding.on_done(move |result| {
            first(result);
            its_handle.lock().unwrap().on_done(nested);
        });
        adding.on_done(log("1b"));
        adding.on_done(log("2"));
    }
    drop(gate);
    pool.shutdown().unwrap();
    // Python 3.11: 1, nested, 1b, 2.
    assert_eq!(*order.lock().unwrap(), ["1", "1b", "2", "nested"]);
    assert_eq!(Arc::strong_count(&handle), 1, "a callback still lives");
    let handle = Arc::into_inner(handle).unwrap().into_inner().unwrap();
    assert_eq!(handle.result().unwrap(), 1);
}

/// Python's `concurrent.futures`: what a callback raises is logged at best.
#[test]
fn a_panicking_callback_does_not_stop_the_next() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let (log, seen) = channel();
    let mut handle = pool.submit(|| 1);
    handle.on_done(|_| panic!("in a callback"));
    handle.on_done(move |result| log.send(result.copied().unwrap()).unwrap());
    drop(gate);
    assert_eq!(seen.recv().unwrap(), 1);
    assert_eq!(handle.result().unwrap(), 1);
}

/// Runs this many jobs that go on once all of them are running.
fn meet(pool: &ThreadPoolExecutor, jobs: usize) {
    let barrier = Arc::new(Barrier::new(jobs));
    let submit = |_| {
        let barrier = Arc::clone(&barrier);
        pool.submit(move || barrier.wait().is_leader())
    };
    let handles: Vec<_> = (0..jobs).map(submit).collect();
    let leaders = handles.into_iter().map(|handle| handle.result().unwrap());
    assert_eq!(leaders.filter(|&is_leader| is_leader).count(), 1);
}

/// Python's `concurrent.futures`: a stale idle count suppresses a wake-up or a spawn.
#[test]
fn idle_workers_are_all_woken_after_cancelled_and_in_place_work() {
    const WORKERS: usize = 3;
    let pool = Arc::new(ThreadPoolExecutor::new(WORKERS).unwrap());
    for round in 0..150_usize {
        // Whatever may upset a count of idle workers: cancelled, run in place, abandoned.
        for n in 0..round % 8 {
            drop(pool.submit(move || n).cancel_on_drop());
            let its_pool = Arc::clone(&pool);
            drop(pool.submit(move || its_pool.submit(move || n).result().unwrap()));
        }
        meet(&pool, WORKERS);
    }
}

/// Python's `concurrent.futures`: a stale idle count suppresses a wake-up or a spawn.
#[test]
fn a_pool_that_grows_starts_a_thread_for_each_job_that_needs_one() {
    const WORKERS: usize = 3;
    for idle in 0..50_usize {
        let builder = ThreadPoolExecutor::builder().workers(WORKERS);
        let pool = builder.min_workers(1).build().unwrap();
        for n in 0..idle % 5 {
            drop(pool.submit(move || n).cancel_on_drop());
            pool.submit(|| ()).result().unwrap();
        }
        meet(&pool, WORKERS);
    }
}

/// Python's `concurrent.futures`: `result()` in a worker deadlocks.
#[test]
fn the_deadlock_of_pythons_documentation_ends() {
    // max_workers=1: "wait_on_future" submits pow(5, 2) and waits for it.
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let its_pool = Arc::clone(&pool);
    let wait_on_future = pool.submit(move || its_pool.submit(|| 5_i32.pow(2)).result().unwrap());
    assert_eq!(wait_on_future.result().unwrap(), 25);
}

/// Python's `concurrent.futures`: two tasks that wait for each other wait forever.
#[test]
fn of_two_tasks_that_wait_for_each_other_one_is_told() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let (log, told) = channel();
    let [one, other] = [0; 2].map(|_| {
        let (gate, its_handle) = channel::<JoinHandle<()>>();
        let log = log.clone();
        let task = pool.submit(move || {
            let awaited = its_handle.recv().unwrap().result();
            log.send(matches!(awaited, Err(TaskError::Deadlock(_))))
                .unwrap();
        });
        (gate, task)
    });
    drop(log);
    one.0.send(other.1).unwrap();
    other.0.send(one.1).unwrap();
    assert_eq!(told.iter().filter(|&is_deadlock| is_deadlock).count(), 1);
}

/// Python's `concurrent.futures`: `shutdown(wait=True)` in a worker joins itself.
#[test]
fn shutdown_in_a_worker_is_an_error_and_not_a_hang() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let its_pool = Arc::clone(&pool);
    let answer = pool.submit(move || its_pool.shutdown()).result().unwrap();
    assert_eq!(answer, Err(ShutdownError::FromWorker));
}

/// Python's `concurrent.futures`: the interpreter's exit joins a stuck worker forever.
#[test]
fn a_stuck_worker_can_be_given_up() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    assert_eq!(
        pool.shutdown_timeout(Duration::ZERO),
        Err(ShutdownError::TimedOut)
    );
    // Neither this nor the end of the scope waits, though the worker is stuck.
    pool.detach();
    assert_eq!(gate.send(()), Ok(()), "the worker is still there");
}

/// A handle that counts how often it is looked at.
struct Watched {
    handle: JoinHandle<usize>,
    looks: Arc<AtomicUsize>,
}

impl Watched {
    fn look(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }
}

impl Future for Watched {
    type Output = Result<usize, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.look();
        Pin::new(&mut self.handle).poll(context)
    }
}

impl FutureResult for Watched {
    type Value = usize;

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.look();
        self.handle.poll_done(context)
    }

    fn status(&self) -> Status {
        self.look();
        self.handle.status()
    }

    fn cancel(&self) -> Cancel {
        self.handle.cancel()
    }
}

/// Python's `concurrent.futures`: `wait` and `as_completed` sort the futures and hold all their locks.
#[test]
fn as_completed_and_wait_look_at_each_handle_a_fixed_number_of_times() {
    const TASKS: usize = 5000;
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let looks = Arc::new(AtomicUsize::new(0));
    let submit = |n: usize| Watched {
        handle: pool.submit(move || n),
        looks: Arc::clone(&looks),
    };
    let gates = [occupy(&pool), occupy(&pool)];
    let completed = as_completed((0..TASKS).map(submit));
    assert_eq!(looks.swap(0, Ordering::Relaxed), TASKS);
    drop(gates);
    let mut seen = vec![false; TASKS];
    for (index, result) in completed {
        assert_eq!(result.unwrap(), index);
        assert!(!std::mem::replace(&mut seen[index], true), "{index} twice");
    }
    assert!(seen.into_iter().all(|seen| seen));
    assert_eq!(looks.swap(0, Ordering::Relaxed), TASKS);

    let gates = [occupy(&pool), occupy(&pool)];
    let mut handles: Vec<_> = (0..TASKS).map(submit).collect();
    drop(gates);
    let waited = wait(&mut handles, When::All, None);
    assert_eq!(waited.done.len(), TASKS);
    // To register, to look after the wake-up, to ask for the status.
    assert!(looks.load(Ordering::Relaxed) <= 3 * TASKS);
}
