//! The races of several workers: who is woken, who is started, who leaves.
//!
//! Run by `./check.sh loom`. Two workers and a submitter are near to what loom can do, so these models
//! have fewer preemptions than the others; `tests/sim` runs larger ones.
#![cfg(pool_loom)]

use std::time::Duration;

use future_result::pair;
use loom::thread;
use thread_pool::{Builder, FutureResult, Rejection, TaskError, ThreadPoolExecutor};

/// Looks at all interleavings of `f` with so many preemptions.
fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.max_branches = 20_000;
    model.check(f);
}

/// One worker that stays, and another that leaves whenever it has nothing to do.
fn growing() -> Builder {
    ThreadPoolExecutor::builder()
        .workers(2)
        .min_workers(1)
        .keep_alive(Duration::ZERO)
}

#[test]
fn submit_races_a_worker_that_leaves_and_the_job_runs() {
    model(1, || {
        let pool = growing().build().unwrap();
        let (here, there) = (pair(), pair());
        // Two at a time bring up the second worker, which then leaves.
        let one = pool.submit(move || {
            here.0.complete(()).unwrap();
            there.1.result().unwrap();
        });
        here.1.result().unwrap();
        let two = pool.submit(move || there.0.complete(()).unwrap());
        two.result().unwrap();
        let three = pool.submit(|| 3);
        assert_eq!(three.result().unwrap(), 3);
        one.result().unwrap();
    });
}

#[test]
fn two_jobs_that_need_each_other_bring_up_the_second_worker() {
    model(1, || {
        let pool = growing().build().unwrap();
        let (here, there) = (pair(), pair());
        let one = pool.submit(move || {
            here.0.complete(()).unwrap();
            there.1.result().unwrap();
        });
        let two = pool.submit(move || {
            there.0.complete(()).unwrap();
            here.1.result().unwrap();
        });
        one.result().unwrap();
        two.result().unwrap();
    });
}

#[test]
fn worker_that_takes_a_batch_wakes_another_for_the_rest() {
    model(0, || {
        let pool = ThreadPoolExecutor::new(2).unwrap();
        let (here, there) = (pair(), pair());
        let handles = pool.submit_all([
            Box::new(move || {
                here.0.complete(()).unwrap();
                there.1.result().unwrap();
            }) as Box<dyn FnOnce() + Send>,
            Box::new(move || {
                there.0.complete(()).unwrap();
                here.1.result().unwrap();
            }),
        ]);
        for handle in handles {
            handle.result().unwrap();
        }
    });
}

#[test]
fn counting_what_is_queued_races_a_worker_that_falls_asleep_and_the_job_runs() {
    model(2, || {
        let pool = std::sync::Arc::new(ThreadPoolExecutor::new(1).unwrap());
        let looking = thread::spawn({
            let pool = std::sync::Arc::clone(&pool);
            move || drop(format!("{pool:?}"))
        });
        assert_eq!(pool.submit(|| 7).result().unwrap(), 7);
        looking.join().unwrap();
    });
}

#[test]
fn close_releases_two_who_wait_for_room() {
    model(1, || {
        let builder = ThreadPoolExecutor::builder().workers(1).queue_bound(1);
        let pool = std::sync::Arc::new(builder.build().unwrap());
        let (go, wait_for_go) = pair::<()>();
        let running = pool.submit(move || drop(wait_for_go.result()));
        let submitters = [1, 2].map(|n| {
            let pool = std::sync::Arc::clone(&pool);
            thread::spawn(move || {
                let handle = pool.submit(move || n);
                drop(pool);
                handle.result()
            })
        });
        // Ends the wait for room of both: without an end of the running job nobody gets any.
        let closing = std::sync::Arc::clone(&pool);
        assert!(!closing.shutdown_timeout(Duration::ZERO).is_ok_and(|()| false));
        drop(go);
        for (n, submitter) in (1..).zip(submitters) {
            match submitter.join().unwrap() {
                Ok(value) => assert_eq!(value, n),
                Err(error) => {
                    assert!(matches!(error, TaskError::Rejected(Rejection::ShutDown)));
                }
            }
        }
        running.result().unwrap();
    });
}
