//! Proves that cancelling is final, is told at once, and leaves nothing behind in the queue.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use thread_pool::{
    Cancel, CancelToken, FutureResult, Status, TaskError, ThreadPoolExecutor, When, as_completed,
    wait,
};

use self::support::occupy;

/// How many jobs the pool says are queued, tombstones included.
fn queued(pool: &ThreadPoolExecutor) -> usize {
    let text = format!("{pool:?}");
    let (_, after) = text.split_once("queued: ").unwrap();
    let digits = after.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().unwrap()
}

#[test]
fn cancel_of_a_queued_task_prevents_it_and_drops_its_closure_at_once() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let owned = Arc::new(());
    let in_job = Arc::clone(&owned);
    let handle = pool.submit(move || drop(in_job));
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(Arc::strong_count(&owned), 1, "the closure still lives");
    assert_eq!(handle.status(), Status::Cancelled);
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    drop(gate);
    pool.shutdown().unwrap();
}

#[test]
fn cancel_of_a_running_task_is_seen_by_its_token() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (started, wait_for_start) = channel();
    let handle = pool.submit(move || {
        let token = CancelToken::current();
        started.send(token.clone()).unwrap();
        while !token.is_cancelled() {
            thread::yield_now();
        }
        "stopped when told to"
    });
    let token = wait_for_start.recv().unwrap();
    assert!(!token.is_cancelled());
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert!(token.is_cancelled());
    assert_eq!(handle.result().unwrap(), "stopped when told to");
}

#[test]
fn cancel_of_a_done_task_is_too_late_and_the_value_stays() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let mut handle = pool.submit(|| 7);
    handle.wait();
    assert_eq!(handle.cancel(), Cancel::TooLate);
    assert_eq!(handle.status(), Status::Succeeded);
    assert_eq!(handle.result().unwrap(), 7);
}

#[test]
fn a_task_that_nobody_cancelled_sees_an_uncancelled_token() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (started, wait_for_start) = channel();
    let (go, wait_for_go) = channel();
    let cancelled = pool.submit(move || {
        started.send(()).unwrap();
        wait_for_go.recv().unwrap();
        CancelToken::current().is_cancelled()
    });
    wait_for_start.recv().unwrap();
    assert_eq!(cancelled.cancel(), Cancel::Requested);
    let other = pool.submit(|| CancelToken::current().is_cancelled());
    go.send(()).unwrap();
    assert!(cancelled.result().unwrap());
    assert!(!other.result().unwrap());
    // Jobs without a handle have no token, neither their own nor the previous task's.
    let (sender, receiver) = channel();
    pool.execute(move || sender.send(CancelToken::current().is_cancelled()).unwrap())
        .unwrap();
    assert!(!receiver.recv().unwrap());
}

#[test]
fn cancel_races_claim_runs_once_or_never() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let (mut expected, mut prevented) = (0, 0);
    for round in 0..4000_usize {
        let in_job = Arc::clone(&runs);
        let handle = pool.submit(move || in_job.fetch_add(1, Ordering::Relaxed));
        for _ in 0..round % 7 {
            thread::yield_now();
        }
        let cancel = handle.cancel();
        let result = handle.result();
        match cancel {
            Cancel::Prevented => {
                assert!(matches!(result, Err(TaskError::Cancelled)));
                prevented += 1;
            }
            Cancel::Requested | Cancel::TooLate => {
                result.unwrap();
                expected += 1;
            }
        }
    }
    pool.shutdown().unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), expected);
    assert_eq!(Arc::strong_count(&runs), 1);
    assert_eq!(expected + prevented, 4000);
}

#[test]
fn two_cancels_race_and_only_a_prevented_task_never_runs() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    for _ in 0..300 {
        let gate = occupy(&pool);
        let runs = Arc::new(AtomicUsize::new(0));
        let in_job = Arc::clone(&runs);
        let handle = pool.submit(move || in_job.fetch_add(1, Ordering::Relaxed));
        let barrier = Barrier::new(2);
        let answers = thread::scope(|scope| {
            let other = scope.spawn(|| {
                barrier.wait();
                handle.cancel()
            });
            barrier.wait();
            let mine = handle.cancel();
            [mine, other.join().unwrap()]
        });
        drop(gate);
        assert!(answers.contains(&Cancel::Prevented), "{answers:?}");
        assert!(!answers.contains(&Cancel::TooLate), "{answers:?}");
        assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
        assert_eq!(Arc::strong_count(&runs), 1);
        assert_eq!(runs.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn cancel_tells_a_callback_before_it_returns() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let (sender, receiver) = channel();
    let mut handle = pool.submit(|| ());
    handle.on_done(move |result| {
        let cancelled = matches!(result, Err(TaskError::Cancelled));
        sender.send((cancelled, thread::current().id())).unwrap();
    });
    assert_eq!(handle.cancel(), Cancel::Prevented);
    let told = receiver.try_recv().expect("told within the call");
    assert_eq!(told, (true, thread::current().id()));
    drop(gate);
}

#[test]
fn a_cancelled_task_counts_as_completed_though_the_worker_is_busy() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let handles: Vec<_> = (0..4).map(|n| pool.submit(move || n)).collect();
    assert_eq!(handles[2].cancel(), Cancel::Prevented);
    let mut completed = as_completed(handles);
    let (index, result) = completed.next().unwrap();
    assert_eq!(index, 2);
    assert!(matches!(result, Err(TaskError::Cancelled)));
    assert_eq!(completed.pending(), 3);
    drop(gate);
    let mut rest: Vec<_> = completed.map(|(_, result)| result.unwrap()).collect();
    rest.sort_unstable();
    assert_eq!(rest, [0, 1, 3]);
}

#[test]
fn wait_for_the_first_error_is_not_ended_by_a_cancelled_task() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let mut handles: Vec<_> = (0..3).map(|_| pool.submit(|| assert_ne!(1, 1))).collect();
    assert_eq!(handles[0].cancel(), Cancel::Prevented);
    let now = wait(&mut handles, When::FirstError, Some(Duration::ZERO));
    assert!(now.timed_out);
    assert_eq!((now.done, now.pending), (vec![0], vec![1, 2]));
    drop(gate);
    let later = wait(&mut handles, When::FirstError, None);
    assert!(!later.timed_out);
    assert!(later.done.iter().any(|&index| index > 0), "{later:?}");
}

#[test]
fn cancel_on_drop_prevents_what_is_queued_and_plain_drop_does_not() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let runs = Arc::new(AtomicUsize::new(0));
    let job = |weight: usize| {
        let runs = Arc::clone(&runs);
        move || {
            runs.fetch_add(weight, Ordering::Relaxed);
        }
    };
    drop(pool.submit(job(1)));
    drop(pool.submit(job(10)).cancel_on_drop());
    let kept = pool.submit(job(100)).cancel_on_drop();
    drop(gate);
    kept.result().unwrap();
    pool.shutdown().unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 101);
}

#[test]
fn cancelled_tasks_do_not_pile_up_behind_a_busy_worker() {
    const TASKS: usize = if cfg!(debug_assertions) {
        200_000
    } else {
        1_000_000
    };
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let mut longest = 0;
    for index in 0..TASKS {
        assert_eq!(
            pool.submit(|| unreachable!()).cancel(),
            Cancel::Prevented,
            "task {index}"
        );
        if index % 1000 == 0 {
            longest = longest.max(queued(&pool));
        }
    }
    assert!(longest.max(queued(&pool)) <= 4_000, "{longest} were queued");
    drop(gate);
}

#[test]
fn cancelled_tasks_between_live_ones_take_nobody_along() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let handles: Vec<_> = (0..5000).map(|n| pool.submit(move || n)).collect();
    let (kept, cancelled): (Vec<_>, Vec<_>) = handles
        .into_iter()
        .enumerate()
        .partition(|(index, _)| index % 10 == 0);
    for (_, handle) in &cancelled {
        assert_eq!(handle.cancel(), Cancel::Prevented);
    }
    // Enough for a sweep of the queue.
    let more: Vec<_> = (0..20_000).map(|n| pool.submit(move || n)).collect();
    assert!(queued(&pool) <= 20_500, "{}", queued(&pool));
    drop(gate);
    for (index, handle) in kept {
        assert_eq!(handle.result().unwrap(), index);
    }
    for (index, handle) in more.into_iter().enumerate() {
        assert_eq!(handle.result().unwrap(), index);
    }
    for (_, handle) in cancelled {
        assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    }
}

#[test]
fn cancel_by_one_clone_ends_the_wait_of_another() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    for _ in 0..200 {
        let gate = occupy(&pool);
        let one = pool.submit(|| ()).shared();
        let (waiting, wait_for_waiter) = channel();
        let other = one.clone();
        let waiter = thread::spawn(move || {
            waiting.send(()).unwrap();
            other.result()
        });
        wait_for_waiter.recv().unwrap();
        // The waiter may hold the handle at this very moment: then it cancels, at our request.
        assert_ne!(one.cancel(), Cancel::TooLate);
        assert!(matches!(waiter.join().unwrap(), Err(TaskError::Cancelled)));
        assert!(matches!(one.result(), Err(TaskError::Cancelled)));
        drop(gate);
    }
}
