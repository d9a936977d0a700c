//! Many futures, woken, cancelled and left waiting from several threads: each ends once, and is dropped
//! once. Made for the sanitizers: `./check.sh asan tsan`.
//!
//! `STRESS_TASKS` says how many; 100,000 unless set.
#![expect(
    clippy::disallowed_types,
    clippy::expect_used,
    reason = "the counts are no part of what is tested, and a failed expectation is a failed test"
)]

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;

use future_result::pair;
use futures_lite_bridge::spawn;
use thread_pool::{FutureResult, TaskError, ThreadPoolExecutor};

fn main() {
    let tasks = std::env::var("STRESS_TASKS");
    let tasks: usize = tasks.map_or(100_000, |text| {
        text.parse().expect("STRESS_TASKS must be a number")
    });
    woken_and_cancelled_at_once(tasks / 2);
    pools_end_with_futures_that_wait(tasks / 1000);
    println!("stress: {tasks} futures, each to its end once");
}

/// Says that it is gone.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Each waits for another thread, while a third may cancel it, and wakes itself once besides.
fn woken_and_cancelled_at_once(tasks: usize) {
    let pool = ThreadPoolExecutor::new(2).expect("threads can be started");
    let gone = Arc::new(AtomicUsize::new(0));
    let (mut completers, mut handles) = (Vec::new(), Vec::new());
    for _ in 0..tasks {
        let (completer, awaited) = pair();
        let guard = Guard(Arc::clone(&gone));
        completers.push(completer);
        handles.push(spawn(&pool, async move {
            let _guard = guard;
            let mut has_yielded = false;
            poll_fn(|context| {
                if std::mem::replace(&mut has_yielded, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            awaited.await
        }));
    }
    let completing = thread::spawn(move || {
        for (n, completer) in completers.into_iter().enumerate() {
            // In vain where the future is gone.
            let _ = completer.complete(n);
        }
    });
    let mut cancelled = 0;
    for (n, handle) in handles.into_iter().enumerate() {
        if n % 3 == 0 {
            let _ = handle.cancel();
        }
        match handle.result() {
            Ok(value) => assert_eq!(value.expect("it was completed"), n),
            Err(TaskError::Cancelled) => cancelled += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(cancelled <= tasks.div_ceil(3));
    completing.join().expect("it did not panic");
    pool.shutdown().expect("not a worker");
    assert_eq!(gone.load(Ordering::Relaxed), tasks);
}

/// Pools are shut down while others still spawn and wake.
fn pools_end_with_futures_that_wait(pools: usize) {
    for n in 0..pools {
        let pool = Arc::new(ThreadPoolExecutor::new(2).expect("threads can be started"));
        let gone = Arc::new(AtomicUsize::new(0));
        let (same, counter) = (Arc::clone(&pool), Arc::clone(&gone));
        let (completer, awaited) = pair::<()>();
        let guard = Guard(Arc::clone(&gone));
        let waiting = spawn(&pool, async move {
            let _guard = guard;
            let _ = awaited.await;
            pending::<()>().await;
        });
        let spawning = thread::spawn(move || {
            let handles: Vec<_> = (0..20)
                .map(|_| {
                    let guard = Guard(Arc::clone(&counter));
                    spawn(&same, async move {
                        let _guard = guard;
                        pending::<()>().await;
                    })
                })
                .collect();
            let _ = completer.complete(());
            handles
        });
        let ended = if n % 2 == 0 {
            pool.shutdown()
        } else {
            pool.shutdown_now()
        };
        ended.expect("not a worker");
        let handles = spawning.join().expect("it did not panic");
        for handle in handles.into_iter().chain([waiting]) {
            let error = handle.result().expect_err("it never ends by itself");
            assert!(matches!(
                error,
                TaskError::Cancelled | TaskError::Rejected(_)
            ));
        }
        assert_eq!(gone.load(Ordering::Relaxed), 21);
    }
}
