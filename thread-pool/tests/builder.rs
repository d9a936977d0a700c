//! Proves that every setting of the builder does what it says, and that bad ones are errors.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::error::Error;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use thread_pool::{BuildError, FutureResult, Rejection, TaskError, ThreadPoolExecutor};

/// The names of all the workers of a pool.
fn names(pool: &ThreadPoolExecutor) -> BTreeSet<String> {
    // Ends only if each task gets its own worker.
    let barrier = Arc::new(Barrier::new(pool.workers()));
    let handles: Vec<_> = (0..pool.workers())
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            pool.submit(move || {
                barrier.wait();
                thread::current().name().unwrap().to_owned()
            })
        })
        .collect();
    let names = handles.into_iter().map(|name| name.result().unwrap());
    names.collect()
}

#[test]
fn the_default_is_a_worker_for_each_cpu_with_the_default_name() {
    let pool = ThreadPoolExecutor::builder().build().unwrap();
    assert_eq!(pool.workers(), num_cpus::get());
    let expected = (0..num_cpus::get()).map(|n| format!("thread-pool-{n}"));
    assert_eq!(names(&pool), expected.collect());
}

#[test]
fn workers_are_as_many_as_asked_for_and_named_by_number() {
    for workers in [1, 3, 17] {
        let builder = ThreadPoolExecutor::builder().workers(workers);
        let pool = builder.name("grünes Licht").build().unwrap();
        assert_eq!(pool.workers(), workers);
        let expected = (0..workers).map(|n| format!("grünes Licht-{n}"));
        assert_eq!(names(&pool), expected.collect());
    }
}

#[test]
fn no_workers_is_an_error() {
    let error = ThreadPoolExecutor::new(0).unwrap_err();
    assert!(matches!(error, BuildError::NoWorkers));
    assert!(error.to_string().contains("at least one worker"));
    assert!(error.source().is_none());
}

#[test]
fn a_queue_without_room_is_an_error() {
    let error = ThreadPoolExecutor::builder().queue_bound(0).build();
    let error = error.unwrap_err();
    assert!(matches!(error, BuildError::NoQueue));
    assert!(error.to_string().contains("at least 1"));
}

#[test]
fn a_thread_that_cannot_be_started_is_an_error_with_the_systems_reason() {
    let builder = ThreadPoolExecutor::builder().workers(2);
    let error = builder.stack_size(1 << 60).build().unwrap_err();
    assert!(matches!(error, BuildError::Spawn(_)), "{error}");
    assert!(error.source().is_none(), "the text has it all");
}

#[test]
fn a_name_that_no_thread_can_have_is_an_error_and_not_a_panic() {
    let build = || ThreadPoolExecutor::builder().name("nul\0inside").build();
    let built = catch_unwind(AssertUnwindSafe(build)).expect("`build` panicked");
    built.unwrap_err();
}

#[test]
fn the_stack_is_as_large_as_asked_for() {
    #[inline(never)]
    fn hungry() -> u8 {
        let large = black_box([1_u8; 6 << 20]);
        large[black_box(large.len() / 2)]
    }

    let builder = ThreadPoolExecutor::builder().workers(1);
    let pool = builder.stack_size(32 << 20).build().unwrap();
    // Three times the default stack: it would kill the process.
    assert_eq!(pool.submit(hungry).result().unwrap(), 1);
}

thread_local! {
    static INITIALIZED_AS: Cell<Option<usize>> = const { Cell::new(None) };
}

#[test]
fn the_initializer_runs_once_on_each_worker_before_its_first_job() {
    for workers in [1, 4] {
        let calls: Arc<[AtomicUsize]> = (0..workers).map(|_| AtomicUsize::new(0)).collect();
        let in_initializer = Arc::clone(&calls);
        let pool = ThreadPoolExecutor::builder()
            .workers(workers)
            .initializer(move |index| {
                in_initializer[index].fetch_add(1, Ordering::Relaxed);
                assert_eq!(INITIALIZED_AS.replace(Some(index)), None);
            })
            .build()
            .unwrap();
        let handles: Vec<_> = (0..200)
            .map(|_| {
                pool.submit(|| {
                    (
                        INITIALIZED_AS.get(),
                        thread::current().name().unwrap().to_owned(),
                    )
                })
            })
            .collect();
        for handle in handles {
            let (index, name) = handle.result().unwrap();
            let index = index.expect("the worker is initialized");
            assert_eq!(name, format!("thread-pool-{index}"));
        }
        pool.shutdown().unwrap();
        assert!(calls.iter().all(|calls| calls.load(Ordering::Relaxed) == 1));
    }
}

#[test]
fn submissions_before_the_initializer_ends_wait_for_it() {
    let (go, wait_for_go) = channel();
    let wait_for_go = Mutex::new(wait_for_go);
    let pool = ThreadPoolExecutor::builder()
        .workers(1)
        .initializer(move |index| {
            let value = wait_for_go.lock().unwrap().recv().unwrap();
            INITIALIZED_AS.set(Some(index + value));
        })
        .build()
        .unwrap();
    let handle = pool.submit(|| INITIALIZED_AS.get());
    assert!(!handle.is_done());
    go.send(41).unwrap();
    assert_eq!(handle.result().unwrap(), Some(41));
}

fn is_broken<T>(result: Result<T, TaskError>) -> bool {
    matches!(result, Err(TaskError::Rejected(Rejection::Broken)))
}

#[test]
fn an_initializer_that_panics_breaks_the_pool_for_queued_and_later_jobs() {
    let (go, wait_for_go) = channel::<()>();
    let wait_for_go = Mutex::new(wait_for_go);
    let pool = ThreadPoolExecutor::builder()
        .workers(1)
        .initializer(move |_| {
            wait_for_go.lock().unwrap().recv().unwrap_err();
            panic!("no licence");
        })
        .build()
        .unwrap();
    let owned = Arc::new(());
    let queued: Vec<_> = (0..10)
        .map(|_| {
            let owned = Arc::clone(&owned);
            pool.submit(move || drop(owned))
        })
        .collect();
    let executed = Arc::clone(&owned);
    pool.execute(move || drop(executed)).unwrap();
    drop(go);
    for handle in queued {
        assert!(is_broken(handle.result()));
    }
    assert!(is_broken(pool.submit(|| ()).result()));
    let refused = pool.try_submit(|| ()).unwrap_err();
    assert_eq!(refused.reason(), Rejection::Broken);
    assert_eq!(pool.execute(|| ()).unwrap_err().reason(), Rejection::Broken);
    let map: Vec<_> = pool.map(|n| n, 0..3).collect();
    assert_eq!(map.len(), 3);
    assert!(map.into_iter().all(is_broken));
    pool.shutdown().unwrap();
    assert_eq!(Arc::strong_count(&owned), 1);
    assert!(
        is_broken(pool.submit(|| ()).result()),
        "the first reason stays"
    );
}

#[test]
fn one_worker_that_fails_to_initialize_breaks_the_pool_after_what_runs() {
    for failing in [0, 1, 2] {
        let barrier = Arc::new(Barrier::new(2));
        let at_failure = Arc::clone(&barrier);
        let pool = ThreadPoolExecutor::builder()
            .workers(3)
            .initializer(move |index| {
                if index == failing {
                    // Only once a task is running on one of the others.
                    at_failure.wait();
                    panic!("no licence");
                }
            })
            .build()
            .unwrap();
        let (go, wait_for_go) = channel::<()>();
        let running = pool.submit(move || {
            barrier.wait();
            wait_for_go.recv().unwrap_err();
            "was running"
        });
        // Until the pool is broken.
        while pool.submit(|| ()).result().is_ok() {}
        assert!(is_broken(pool.submit(|| ()).result()));
        drop(go);
        assert_eq!(running.result().unwrap(), "was running");
        pool.shutdown().unwrap();
    }
}

#[test]
fn a_broken_pool_can_be_dropped_detached_and_shut_down() {
    let broken = || {
        let builder = ThreadPoolExecutor::builder().workers(2);
        builder
            .initializer(|_| panic!("no licence"))
            .build()
            .unwrap()
    };
    for _ in 0..50 {
        drop(broken());
        broken().detach();
        broken().shutdown().unwrap();
        broken().shutdown_now().unwrap();
    }
}

#[test]
fn an_initializer_can_use_other_pools() {
    let helper = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let pool = ThreadPoolExecutor::builder()
        .workers(2)
        .initializer(move |index| {
            let value = helper.submit(move || index + 10).result().unwrap();
            INITIALIZED_AS.set(Some(value));
        })
        .build()
        .unwrap();
    let value = pool.submit(|| INITIALIZED_AS.get().unwrap());
    assert!(value.result().unwrap() >= 10);
}

#[test]
fn debug_of_a_builder_tells_its_settings() {
    let builder = ThreadPoolExecutor::builder().workers(3).name("io");
    let text = format!("{:?}", builder.queue_bound(5).initializer(|_| ()));
    for part in ["Some(3)", "\"io\"", "Some(5)", "initializer: true"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}
