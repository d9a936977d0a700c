//! Proves that a deadline ends what has not started, asks what is running to stop, and leaves the
//! others alone.
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
use std::time::{Duration, Instant};

use thread_pool::{
    Cancel, CancelToken, FutureResult, Rejection, ShutdownError, Status, TaskError,
    ThreadPoolExecutor, WhenFull, as_completed,
};

use self::support::occupy;

/// So far away that it is never reached.
const FAR: Duration = Duration::from_secs(3600);
/// So near that it is worth waiting for.
const NEAR: Duration = Duration::from_millis(5);

struct CountsDrops(Arc<AtomicUsize>);

impl Drop for CountsDrops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_deadline_that_is_past_fails_at_once_and_queues_nothing() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = CountsDrops(Arc::clone(&drops));
    let late = pool
        .task()
        .deadline(Instant::now())
        .submit(move || drop(counted));
    assert_eq!(late.status(), Status::Failed);
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    assert!(matches!(late.result(), Err(TaskError::TimedOut)));
    let late = pool
        .task()
        .time_limit(Duration::ZERO)
        .try_submit(|| ())
        .unwrap();
    assert!(matches!(late.result(), Err(TaskError::TimedOut)));
    assert_eq!(pool.metrics().queued, 0);
    drop(gate);
}

#[test]
fn a_queued_task_ends_at_its_deadline_and_its_closure_is_dropped() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = CountsDrops(Arc::clone(&drops));
    let queued = pool.task().time_limit(NEAR).submit(move || {
        drop(counted);
        unreachable!("the worker is busy");
    });
    // The wait has no limit: the timer ends it.
    assert!(matches!(queued.result(), Err(TaskError::TimedOut)));
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    // Its tombstone is still there, and no panic.
    assert_eq!(pool.metrics().queued, 1);
    drop(gate);
    pool.shutdown().unwrap();
    let metrics = pool.metrics();
    assert_eq!(
        (metrics.panicked, metrics.cancelled, metrics.done),
        (0, 1, 1)
    );
}

#[test]
fn a_running_task_is_asked_to_stop_and_keeps_its_outcome() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (started, wait_for_start) = channel();
    let job = move || {
        let token = CancelToken::current();
        started.send(()).unwrap();
        while !token.is_cancelled() {
            thread::yield_now();
        }
        "stopped"
    };
    // Enough to start in; if not, the task is submitted again.
    let mut limit = NEAR;
    loop {
        let handle = pool.task().time_limit(limit).submit(job.clone());
        match handle.result() {
            Ok(outcome) => break assert_eq!(outcome, "stopped"),
            Err(error) => assert!(matches!(error, TaskError::TimedOut)),
        }
        limit *= 2;
    }
    wait_for_start.recv().unwrap();
}

#[test]
fn a_deadline_that_is_not_reached_changes_nothing() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let patient = pool.task().time_limit(FAR);
    let handles: Vec<_> = (0..1000).map(|n| patient.submit(move || n)).collect();
    let sum: u32 = as_completed(handles)
        .map(|(_, result)| result.unwrap())
        .sum();
    assert_eq!(sum, 499_500);
    let token = patient.submit(|| CancelToken::current().is_cancelled());
    assert!(!token.result().unwrap());
    // Nor does one beyond the clock's range.
    let endless = pool.task().time_limit(Duration::MAX).submit(|| 7);
    assert_eq!(endless.result().unwrap(), 7);
    // The timer sleeps until then, but does not keep the pool alive.
    pool.shutdown().unwrap();
}

#[test]
fn an_earlier_deadline_wakes_a_timer_that_sleeps_for_a_later_one() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let late = pool.task().time_limit(FAR).submit(|| "late");
    for _ in 0..3 {
        let early = pool.task().time_limit(NEAR).submit(|| "early");
        assert!(matches!(early.result(), Err(TaskError::TimedOut)));
    }
    assert_eq!(late.status(), Status::Pending);
    drop(gate);
    assert_eq!(late.result().unwrap(), "late");
}

#[test]
fn many_deadlines_end_all_their_tasks() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let handles: Vec<_> = (0..500)
        .map(|n| {
            // In random order.
            let limit = NEAR + Duration::from_micros(n * 7919 % 1000);
            pool.task().time_limit(limit).submit(|| ())
        })
        .collect();
    for (_, result) in as_completed(handles) {
        assert!(matches!(result, Err(TaskError::TimedOut)));
    }
    drop(gate);
}

#[test]
fn cancel_before_the_deadline_stands() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let cancelled = pool.task().time_limit(NEAR).submit(|| ());
    // Unless the deadline was faster.
    let prevented = cancelled.cancel() == Cancel::Prevented;
    let later = pool.task().time_limit(2 * NEAR).submit(|| ());
    assert!(matches!(later.result(), Err(TaskError::TimedOut)));
    match cancelled.result() {
        Err(TaskError::Cancelled) => assert!(prevented),
        Err(TaskError::TimedOut) => assert!(!prevented),
        other => unreachable!("{other:?}"),
    }
    drop(gate);
}

#[test]
fn deadlines_race_claims_and_each_job_runs_once_or_times_out() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let (runs, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handles: Vec<_> = (0..2000_u64)
        .map(|n| {
            let runs = Arc::clone(&runs);
            let counted = CountsDrops(Arc::clone(&drops));
            let limit = Duration::from_micros(1 + n % 50);
            pool.task().time_limit(limit).submit(move || {
                runs.fetch_add(1, Ordering::Relaxed);
                drop(counted);
            })
        })
        .collect();
    let results = as_completed(handles).map(|(_, result)| result);
    let ran = results.filter(Result::is_ok).count();
    assert_eq!(ran, runs.load(Ordering::Relaxed));
    assert_eq!(drops.load(Ordering::Relaxed), 2000);
}

#[test]
fn a_draining_pool_still_keeps_time() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let gate = occupy(&pool);
    let queued = pool.task().time_limit(FAR / 2).submit(|| "drained");
    let late = pool.task().time_limit(4 * NEAR).submit(|| "never");
    assert_eq!(
        pool.shutdown_timeout(Duration::ZERO),
        Err(ShutdownError::TimedOut)
    );
    assert!(matches!(late.result(), Err(TaskError::TimedOut)));
    drop(gate);
    assert_eq!(queued.result().unwrap(), "drained");
    pool.shutdown().unwrap();
}

#[test]
fn a_detached_pool_still_keeps_time_and_ends() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let late = pool.task().time_limit(4 * NEAR).submit(|| "never");
    pool.detach();
    assert!(matches!(late.result(), Err(TaskError::TimedOut)));
    drop(gate);
}

#[test]
fn shutdown_now_does_not_wait_for_deadlines() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let mut queued = pool.task().time_limit(FAR).submit(|| ());
    queued.on_done(move |_| drop(gate));
    pool.shutdown_now().unwrap();
    assert!(matches!(queued.result(), Err(TaskError::Cancelled)));
    let refused = pool.task().time_limit(FAR).submit(|| ());
    assert!(matches!(
        refused.result(),
        Err(TaskError::Rejected(Rejection::ShutDown))
    ));
}

#[test]
fn the_last_owner_of_a_pool_may_be_dropped_by_its_timer() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let gate = occupy(&pool);
    let (dropped, wait_for_drop) = channel();
    let owner = Arc::clone(&pool);
    let late = pool.task().time_limit(4 * NEAR).submit(move || drop(owner));
    // Either owner may go first; either way nobody waits for itself.
    thread::spawn(move || {
        drop(pool);
        dropped.send(()).unwrap();
    });
    assert!(matches!(late.result(), Err(TaskError::TimedOut)));
    drop(gate);
    wait_for_drop.recv().unwrap();
}

#[test]
fn the_timer_is_no_worker_but_may_submit_and_is_told_that_it_cannot_shut_down() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let gate = occupy(&pool);
    let (tell, told) = channel();
    let same = Arc::clone(&pool);
    let mut late = pool.task().time_limit(4 * NEAR).submit(|| ());
    late.on_done(move |_| {
        // On the submitting thread, if the deadline was faster.
        if thread::current().name() == Some("thread-pool-timer") {
            let submitted = same.submit(|| "from the timer");
            tell.send((same.shutdown(), submitted)).unwrap();
        }
    });
    if let Ok((shutdown, submitted)) = told.recv() {
        assert_eq!(shutdown, Err(ShutdownError::FromWorker));
        drop(gate);
        assert_eq!(submitted.result().unwrap(), "from the timer");
    }
}

#[test]
fn a_panic_in_what_the_timer_drops_costs_nobody_else_its_deadline() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in the destructor of a closure");
        }
    }
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let bomb = Bomb;
    let first = pool.task().time_limit(NEAR).submit(move || drop(bomb));
    let second = pool.task().time_limit(2 * NEAR).submit(|| ());
    assert!(matches!(first.result(), Err(TaskError::TimedOut)));
    assert!(matches!(second.result(), Err(TaskError::TimedOut)));
    drop(gate);
}

#[test]
fn a_task_that_timed_out_makes_room_in_a_bounded_queue() {
    let pool = ThreadPoolExecutor::builder()
        .workers(1)
        .queue_bound(1)
        .build()
        .unwrap();
    let gate = occupy(&pool);
    let late = pool.task().time_limit(4 * NEAR).submit(|| ());
    assert!(matches!(late.result(), Err(TaskError::TimedOut)));
    let next = pool.try_submit(|| "has room").unwrap();
    drop(gate);
    assert_eq!(next.result().unwrap(), "has room");
}

#[test]
fn a_wait_for_room_ends_at_the_deadline_and_passes_its_turn_on() {
    let pool = ThreadPoolExecutor::builder()
        .workers(1)
        .queue_bound(1)
        .build()
        .unwrap();
    let gate = occupy(&pool);
    let queued = pool.submit(|| "in the queue");
    let late = pool.task().time_limit(NEAR).submit(|| "no room");
    assert!(matches!(late.result(), Err(TaskError::TimedOut)));
    let barrier = Barrier::new(2);
    let patient = thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            barrier.wait();
            pool.submit(|| "after the one that gave up")
        });
        barrier.wait();
        drop(gate);
        waiting.join().unwrap()
    });
    assert_eq!(queued.result().unwrap(), "in the queue");
    assert_eq!(patient.result().unwrap(), "after the one that gave up");
}

#[test]
fn a_full_queue_does_what_it_does_for_others() {
    let builder = || ThreadPoolExecutor::builder().workers(1).queue_bound(1);
    let pool = builder().when_full(WhenFull::Reject).build().unwrap();
    let gate = occupy(&pool);
    let queued = pool.task().time_limit(FAR).submit(|| 1);
    let refused = pool.task().time_limit(FAR).submit(|| 2);
    assert!(matches!(
        refused.result(),
        Err(TaskError::Rejected(Rejection::Full))
    ));
    drop(gate);
    assert_eq!(queued.result().unwrap(), 1);

    let pool = builder().when_full(WhenFull::CallerRuns).build().unwrap();
    let gate = occupy(&pool);
    let queued = pool.task().time_limit(FAR).submit(|| 1);
    let by_caller = pool
        .task()
        .time_limit(FAR)
        .submit(|| thread::current().id());
    assert_eq!(by_caller.result().unwrap(), thread::current().id());
    drop(gate);
    assert_eq!(queued.result().unwrap(), 1);
}

#[test]
fn a_worker_submits_with_a_deadline_more_than_its_deque_holds() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let same = Arc::clone(&pool);
    let outer = pool.submit(move || {
        let patient = same.task().time_limit(FAR);
        let handles: Vec<_> = (0..1000_u32).map(|n| patient.submit(move || n)).collect();
        as_completed(handles)
            .map(|(_, result)| result.unwrap())
            .sum::<u32>()
    });
    assert_eq!(outer.result().unwrap(), 499_500);
}
