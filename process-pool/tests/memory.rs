//! Workers with too much memory: replaced after a task, or ended in one.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::collections::BTreeSet;

use process_pool::{JoinHandle, ProcessPoolExecutor, Rejection, TaskError, WorkerDied};
use support::{guard, soon};

/// Leaks this many bytes, and takes long enough for the worker to look.
fn leak(bytes: usize) -> u32 {
    std::mem::forget(std::hint::black_box(vec![1_u8; bytes]));
    let begin = std::time::Instant::now();
    while begin.elapsed().as_millis() < 5 {
        std::hint::spin_loop();
    }
    std::process::id()
}

#[test]
fn a_worker_that_keeps_too_much_is_replaced_and_no_task_is_lost() {
    let _guard = guard();
    // With tasks ahead of it, a full worker may begin one more before the pool takes them back.
    let builder = ProcessPoolExecutor::builder().workers(2).prefetch(1);
    let pool = builder.max_rss(200 << 20).build().unwrap();
    // Two of these are allowed, three are not.
    let handles: Vec<_> = (0..20).map(|_| pool.submit(leak, 80 << 20)).collect();
    let mut tasks = std::collections::BTreeMap::new();
    for handle in handles {
        *tasks.entry(soon(handle).unwrap()).or_insert(0) += 1;
    }
    assert!(tasks.values().all(|&count| count <= 3), "{tasks:?}");
}

#[test]
fn a_worker_that_gives_its_memory_back_stays() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let pool = builder.max_rss(200 << 20).build().unwrap();
    let use_and_free = |bytes: usize| {
        drop(std::hint::black_box(vec![1_u8; bytes]));
        leak(0)
    };
    let pids: BTreeSet<u32> = (0..5)
        .map(|_| soon(pool.submit(use_and_free, 400 << 20)).unwrap())
        .collect();
    assert_eq!(pids.len(), 1);
}

/// A worker with several tasks in its pipe is never without one, however much is queued.
#[test]
fn a_full_worker_gets_no_more_of_a_backlog() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(1).prefetch(64);
    // Any worker has more after its first task.
    let pool = builder.max_rss(1).build().unwrap();
    let handles: Vec<_> = (0..3000)
        .map(|_| pool.submit(|()| std::process::id(), ()))
        .collect();
    let mut tasks = std::collections::BTreeMap::new();
    for handle in handles {
        *tasks.entry(soon(handle).unwrap()).or_insert(0) += 1;
    }
    assert!(tasks.values().all(|&count| count <= 64), "{tasks:?}");
}

#[test]
fn a_task_that_needs_too_much_under_a_memory_limit_dies_alone_and_says_why() {
    let _guard = guard();
    const LIMIT: u64 = 256 << 20;
    let builder = ProcessPoolExecutor::builder().workers(2);
    let pool = builder.memory_limit(LIMIT).build().unwrap();
    let allocate = |bytes: usize| std::hint::black_box(vec![1_u8; bytes]).len();
    let grow = |step: usize| -> usize {
        let mut all = Vec::new();
        loop {
            all.push(std::hint::black_box(vec![1_u8; step]));
        }
    };
    let mut handles = Vec::new();
    for n in 0..40 {
        let lost = match n % 10 {
            0 => Some(pool.submit(allocate, 300 << 20)),
            // In small pieces, for which the heap grows.
            5 => Some(pool.submit(grow, 1000)),
            _ => None,
        };
        let is_lost = lost.is_some();
        let handle = lost.unwrap_or_else(|| pool.submit(allocate, 100 << 20));
        handles.push((is_lost, handle));
    }
    for (is_lost, handle) in handles {
        match soon(handle) {
            Ok(length) => assert!(!is_lost && length == 100 << 20),
            Err(error) => {
                assert!(is_lost, "{error}");
                let died = WorkerDied::of(&error).unwrap();
                assert_eq!(died.signal(), Some(6));
                let text = died.to_string();
                assert!(text.contains(&format!("{LIMIT} bytes of memory")), "{text}");
                assert!(text.contains("memory allocation of"), "{text}");
                // What threads and the executable reserve is more than that.
                assert!(died.peak_rss().is_none_or(|peak| peak < LIMIT + (64 << 20)));
            }
        }
    }
}

#[test]
fn what_is_only_reserved_under_a_memory_limit_does_not_count() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let pool = builder.memory_limit(256 << 20).build().unwrap();
    // For each of these threads the allocator reserves a quarter of that.
    let use_threads_and = |bytes: usize| {
        let threads: Vec<_> = (0..3)
            .map(|n| std::thread::spawn(move || vec![1_u8; 1000 + n].len()))
            .collect();
        let sum: usize = threads.into_iter().map(|it| it.join().unwrap()).sum();
        sum + std::hint::black_box(vec![1_u8; bytes]).len()
    };
    let expected = 3003 + (150 << 20);
    assert_eq!(
        soon(pool.submit(use_threads_and, 150 << 20)).unwrap(),
        expected
    );
}

#[test]
fn a_limit_in_which_no_worker_can_live_breaks_the_pool() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let pool = builder.memory_limit(0).build().unwrap();
    // Some allocations use memory that is already there.
    let allocate = |bytes: usize| std::hint::black_box(vec![1_u8; bytes]).len();
    let handle: JoinHandle<usize> = pool.submit(allocate, 64 << 20);
    let error = soon(handle).unwrap_err();
    let is_told = WorkerDied::of(&error).is_some();
    let is_broken = matches!(error, TaskError::Rejected(Rejection::Broken));
    assert!(is_told || is_broken, "{error}");
}
