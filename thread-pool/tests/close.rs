//! Proves that a closed pool still starts the threads that its tasks need, and that nobody leaves
//! while running tasks may still add work.
#![cfg(not(pool_loom))]

use std::sync::{Arc, Barrier};
use std::thread;

use thread_pool::{FutureResult, ThreadPoolExecutor};

/// Submits as many jobs as `together`, none of which ends before all of them run.
fn submit_meeting(pool: &ThreadPoolExecutor, together: usize) {
    let barrier = Arc::new(Barrier::new(together));
    for _ in 0..together {
        let barrier = Arc::clone(&barrier);
        drop(pool.submit(move || barrier.wait()));
    }
}

#[test]
fn a_growing_pool_that_is_dropped_runs_jobs_that_need_each_other() {
    for _ in 0..50 {
        let pool = ThreadPoolExecutor::builder().workers(8).min_workers(1);
        let pool = pool.build().unwrap();
        submit_meeting(&pool, 5);
        drop(pool);
    }
}

#[test]
fn a_task_of_a_closed_pool_is_helped_with_its_scope_and_its_join() {
    for _ in 0..50 {
        let pool = Arc::new(ThreadPoolExecutor::new(4).unwrap());
        let barrier = Arc::new(Barrier::new(2));
        let task = pool.submit({
            let (pool, barrier) = (Arc::clone(&pool), Arc::clone(&barrier));
            move || {
                barrier.wait();
                while pool.try_submit(|| ()).is_ok() {
                    thread::yield_now();
                }
                let meeting = Barrier::new(2);
                pool.scope(|scope| {
                    scope.spawn(|| meeting.wait());
                    scope.spawn(|| meeting.wait());
                });
                pool.join(|| meeting.wait(), || meeting.wait());
            }
        });
        barrier.wait();
        pool.shutdown().unwrap();
        assert!(task.result().is_ok());
    }
}
