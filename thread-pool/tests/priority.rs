//! Proves that workers take from the highest lane, that no lane starves, and that a lane keeps every
//! promise of the queue.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};

use thread_pool::{
    Cancel, FutureResult, JoinHandle, Priority, Rejection, TaskError, ThreadPoolExecutor, WhenFull,
    as_completed,
};

use self::support::occupy;

const ALL: [Priority; 3] = [Priority::Low, Priority::Normal, Priority::High];

fn submit<T: Send + 'static>(
    pool: &ThreadPoolExecutor,
    priority: Priority,
    job: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    pool.task().priority(priority).submit(job)
}

/// The order in which one worker runs this many tasks of each priority, all queued before the first.
fn order(tasks: [usize; 3]) -> Vec<(Priority, usize)> {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let (log, order) = channel();
    for (priority, tasks) in ALL.into_iter().zip(tasks) {
        for number in 0..tasks {
            let log = log.clone();
            drop(submit(&pool, priority, move || {
                log.send((priority, number))
            }));
        }
    }
    drop((gate, log));
    order.iter().collect()
}

#[test]
fn the_highest_lane_goes_first_and_each_is_first_in_first_out() {
    let numbered = |priority| (0..10).map(move |number| (priority, number));
    let expected = numbered(Priority::High)
        .chain(numbered(Priority::Normal).take(6))
        // Passed over 16 times.
        .chain(numbered(Priority::Low).take(1))
        .chain(numbered(Priority::Normal).skip(6))
        .chain(numbered(Priority::Low).skip(1));
    assert_eq!(order([10, 10, 10]), expected.collect::<Vec<_>>());
}

#[test]
fn each_lower_lane_gets_one_task_after_sixteen_from_above() {
    let order = order([5, 5, 100]);
    let place = |lane| {
        order
            .iter()
            .position(|&(priority, _)| priority == lane)
            .unwrap()
    };
    assert_eq!((place(Priority::Normal), place(Priority::Low)), (16, 17));
    let highs = order
        .iter()
        .take(100)
        .filter(|(priority, _)| *priority == Priority::High);
    assert_eq!(highs.count(), 90);
}

#[test]
fn an_endless_stream_of_urgent_tasks_does_not_starve_the_others() {
    fn stream(pool: &Arc<ThreadPoolExecutor>, stop: &Arc<AtomicBool>) {
        if !stop.load(Ordering::Relaxed) {
            let (next, its_stop) = (Arc::clone(pool), Arc::clone(stop));
            drop(submit(pool, Priority::High, move || {
                stream(&next, &its_stop)
            }));
        }
    }
    let pool = Arc::new(ThreadPoolExecutor::new(2).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..8 {
        stream(&pool, &stop);
    }
    let low = submit(&pool, Priority::Low, || "low");
    let normal = pool.submit(|| "normal");
    assert_eq!(
        (low.result().unwrap(), normal.result().unwrap()),
        ("low", "normal")
    );
    stop.store(true, Ordering::Relaxed);
    pool.shutdown().unwrap();
}

#[test]
fn a_worker_that_submits_without_end_does_not_starve_the_lanes() {
    fn stream(pool: &Arc<ThreadPoolExecutor>, stop: &Arc<AtomicBool>) {
        if !stop.load(Ordering::Relaxed) {
            let (next, its_stop) = (Arc::clone(pool), Arc::clone(stop));
            pool.execute(move || stream(&next, &its_stop)).unwrap();
        }
    }
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    stream(&pool, &stop);
    for priority in ALL {
        assert_eq!(
            submit(&pool, priority, move || priority).result().unwrap(),
            priority
        );
    }
    stop.store(true, Ordering::Relaxed);
    pool.shutdown().unwrap();
}

#[test]
fn what_a_worker_submits_overtakes_its_own_deque() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let same = Arc::clone(&pool);
    let (log, order) = channel();
    pool.execute(move || {
        for priority in [Priority::Normal, Priority::Low, Priority::High] {
            let log = log.clone();
            drop(submit(&same, priority, move || log.send(priority)));
        }
    })
    .unwrap();
    let order: Vec<_> = order.iter().collect();
    assert_eq!(order, [Priority::High, Priority::Normal, Priority::Low]);
}

#[test]
fn an_urgent_task_overtakes_a_batch_that_a_worker_has_taken() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let first = occupy(&pool);
    let (started, wait_for_start) = channel();
    let (gate, wait_for_gate) = channel::<()>();
    let (log, order) = channel();
    pool.execute(move || {
        started.send(()).unwrap();
        wait_for_gate.recv().unwrap_err();
    })
    .unwrap();
    for _ in 0..10 {
        let log = log.clone();
        pool.execute(move || log.send(Priority::Normal).unwrap())
            .unwrap();
    }
    // The second gate and what follows it are one batch.
    drop(first);
    wait_for_start.recv().unwrap();
    drop(submit(&pool, Priority::High, move || {
        log.send(Priority::High)
    }));
    drop(gate);
    assert_eq!(order.recv().unwrap(), Priority::High);
    assert_eq!(order.iter().count(), 10);
}

#[test]
fn every_worker_finds_every_lane() {
    for workers in 1..=4 {
        let pool = ThreadPoolExecutor::new(workers).unwrap();
        for priority in ALL {
            // All at the same time, each woken from sleep.
            let barrier = Arc::new(Barrier::new(workers));
            let waits = (0..workers).map(|_| {
                let barrier = Arc::clone(&barrier);
                submit(&pool, priority, move || barrier.wait().is_leader())
            });
            let leaders = as_completed(waits).filter(|(_, leader)| *leader.as_ref().unwrap());
            assert_eq!(leaders.count(), 1);
        }
    }
}

#[test]
fn cancel_in_a_lane_prevents_the_task() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    for priority in ALL {
        let cancelled = submit(&pool, priority, || unreachable!("it was cancelled"));
        assert_eq!(cancelled.cancel(), Cancel::Prevented);
        assert!(matches!(cancelled.result(), Err(TaskError::Cancelled)));
    }
    assert_eq!(pool.metrics().queued, 3);
    drop(gate);
    pool.shutdown().unwrap();
    assert_eq!(pool.metrics().cancelled, 3);
}

#[test]
fn cancelled_tasks_do_not_fill_a_lane() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    for priority in [Priority::Low, Priority::High] {
        for _ in 0..10_000 {
            let handle = submit(&pool, priority, || ());
            assert_eq!(handle.cancel(), Cancel::Prevented);
        }
    }
    let queued = pool.metrics().queued;
    assert!(queued < 5_000, "{queued} tombstones");
    drop(gate);
    pool.shutdown().unwrap();
    assert_eq!(pool.metrics().cancelled, 20_000);
}

#[test]
fn a_wait_on_a_worker_runs_its_task_in_place_out_of_any_lane() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    for priority in ALL {
        let same = Arc::clone(&pool);
        let outer = pool.submit(move || submit(&same, priority, move || priority).result());
        assert_eq!(outer.result().unwrap().unwrap(), priority);
    }
}

#[test]
fn shutdown_drains_all_lanes() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let gates = [occupy(&pool), occupy(&pool)];
    let runs = Arc::new(AtomicUsize::new(0));
    for number in 0..300 {
        let runs = Arc::clone(&runs);
        drop(submit(&pool, ALL[number % 3], move || {
            runs.fetch_add(1, Ordering::Relaxed)
        }));
    }
    drop(gates);
    pool.shutdown().unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 300);
    for priority in ALL {
        let refused = submit(&pool, priority, || ());
        assert!(matches!(
            refused.result(),
            Err(TaskError::Rejected(Rejection::ShutDown))
        ));
        let refused = pool.task().priority(priority).try_submit(|| 7).unwrap_err();
        assert_eq!(
            (refused.reason(), refused.into_job()()),
            (Rejection::ShutDown, 7)
        );
    }
}

#[test]
fn shutdown_now_cancels_all_lanes() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let mut handles: Vec<_> = (0..300)
        .map(|n| submit(&pool, ALL[n % 3], || unreachable!("it was cancelled")))
        .collect();
    let last = handles.last_mut().unwrap();
    last.on_done(move |_| drop(gate));
    pool.shutdown_now().unwrap();
    for handle in handles {
        assert!(matches!(
            handle.result(),
            Err::<(), _>(TaskError::Cancelled)
        ));
    }
}

#[test]
fn a_bound_counts_all_lanes_together() {
    let builder = ThreadPoolExecutor::builder().workers(1).queue_bound(3);
    let pool = builder.when_full(WhenFull::Reject).build().unwrap();
    let gate = occupy(&pool);
    let handles = ALL.map(|priority| submit(&pool, priority, move || priority));
    for priority in ALL {
        let refused = pool
            .task()
            .priority(priority)
            .try_submit(|| ())
            .unwrap_err();
        assert_eq!(refused.reason(), Rejection::Full);
        let refused = submit(&pool, priority, || ());
        assert!(matches!(
            refused.result(),
            Err(TaskError::Rejected(Rejection::Full))
        ));
    }
    drop(gate);
    assert_eq!(handles.map(|handle| handle.result().unwrap()), ALL);
}

#[test]
fn a_submitter_that_waits_for_room_gets_it_in_any_lane() {
    let pool = ThreadPoolExecutor::builder()
        .workers(2)
        .queue_bound(1)
        .build()
        .unwrap();
    let handles = (0..3000).map(|n| submit(&pool, ALL[n % 3], move || n));
    let sum: usize = as_completed(handles)
        .map(|(_, result)| result.unwrap())
        .sum();
    assert_eq!(sum, 4_498_500);
}

#[test]
fn pools_that_grow_start_threads_for_any_lane() {
    let builder = ThreadPoolExecutor::builder().workers(4).min_workers(1);
    let pool = builder.build().unwrap();
    let barrier = Arc::new(Barrier::new(4));
    let waits = [Priority::High, Priority::Low, Priority::High, Priority::Low].map(|priority| {
        let barrier = Arc::clone(&barrier);
        submit(&pool, priority, move || barrier.wait().is_leader())
    });
    let leaders = as_completed(waits).filter(|(_, leader)| *leader.as_ref().unwrap());
    assert_eq!(leaders.count(), 1);
}
