//! Proves what users of this pool's peers have asked for, or have suffered from not having.
//!
//! One short test for each entry; other files test it in depth.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use thread_pool::{
    Cancel, CancelToken, FutureResult, Rejection, ShutdownError, TaskError, ThreadPoolExecutor,
    WhenFull, try_join_all, with_worker_state,
};

use self::support::occupy;

/// rayon: whoever waits under a lock may steal a task that wants the same lock, and deadlocks.
#[test]
fn a_wait_under_a_lock_runs_nobody_who_wants_the_lock() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let lock = Arc::new(Mutex::new(Vec::new()));
    let gate = occupy(&pool);
    let (its_pool, its_lock) = (Arc::clone(&pool), Arc::clone(&lock));
    let holder = pool.submit(move || {
        let mut log = its_lock.lock().unwrap();
        log.push(its_pool.submit(|| "awaited").result().unwrap());
    });
    let its_lock = Arc::clone(&lock);
    let stranger = pool.submit(move || its_lock.lock().unwrap().push("stranger"));
    drop(gate);
    try_join_all([holder, stranger]).unwrap();
    assert_eq!(*lock.lock().unwrap(), ["awaited", "stranger"]);
}

/// rayon: a wait steals a task that waits and steals, and so on, until the stack overflows.
#[test]
fn a_wait_runs_no_other_task_on_its_stack() {
    thread_local!(static DEPTH: Cell<usize> = const { Cell::new(0) });

    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let gate = occupy(&pool);
    let handles: Vec<_> = (0..1000)
        .map(|_| {
            let its_pool = Arc::clone(&pool);
            pool.submit(move || {
                DEPTH.set(DEPTH.get() + 1);
                its_pool.submit(|| ()).result().unwrap();
                DEPTH.replace(DEPTH.get() - 1)
            })
        })
        .collect();
    drop(gate);
    let depths = try_join_all(handles).unwrap();
    assert!(depths.into_iter().all(|depth| depth == 1));
}

/// rayon, threadpool: `spawn` and `execute` give nothing back, so that each user builds a channel.
#[test]
fn a_submission_gives_its_result() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    assert_eq!(
        pool.submit(|| "its own result").result().unwrap(),
        "its own result"
    );
}

/// rayon: a pool is dropped while its threads go on, and nothing tells when they have ended.
#[test]
fn after_a_shutdown_all_tasks_have_run_and_all_threads_have_left() {
    let left = Arc::new(AtomicUsize::new(0));
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&left);
    let builder = ThreadPoolExecutor::builder().workers(3);
    let pool = builder
        .exit_hook(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    for _ in 0..100 {
        let runs = Arc::clone(&runs);
        pool.execute(move || {
            runs.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
    }
    pool.shutdown().unwrap();
    let counts = [&runs, &left].map(|count| count.load(Ordering::Relaxed));
    assert_eq!((counts, pool.metrics().threads), ([100, 3], 0));
}

/// rayon, futures: a panic in a spawned task aborts the process, or costs the pool a thread for good.
#[test]
fn a_panic_is_its_waiter_s_and_the_worker_lives_on() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let id = || thread::current().id();
    let before = pool.submit(id).result().unwrap();
    let unlucky = pool.submit(|| std::panic::resume_unwind(Box::new("unlucky")));
    assert!(matches!(
        unlucky.result(),
        Err::<(), _>(TaskError::Panicked(_))
    ));
    pool.execute(|| std::panic::resume_unwind(Box::new("unlucky")))
        .unwrap();
    assert_eq!(pool.submit(id).result().unwrap(), before);
}

/// Python's `concurrent.futures`, rayon, tokio: the queue has no bound, so a fast producer fills the memory.
#[test]
fn a_full_queue_holds_up_refuses_or_uses_whoever_submits() {
    let build = |policy| {
        let builder = ThreadPoolExecutor::builder().workers(1).queue_bound(1);
        builder.when_full(policy).build().unwrap()
    };
    let id = || thread::current().id();

    let pool = build(WhenFull::Reject);
    let gate = occupy(&pool);
    let queued = pool.submit(id);
    let refused = pool.submit(id).result();
    assert!(matches!(refused, Err(TaskError::Rejected(Rejection::Full))));
    drop(gate);
    queued.result().unwrap();

    let pool = build(WhenFull::CallerRuns);
    let gate = occupy(&pool);
    let queued = pool.submit(id);
    assert_eq!(pool.submit(id).result().unwrap(), id());
    drop(gate);
    queued.result().unwrap();

    let pool = Arc::new(build(WhenFull::Block));
    let gate = occupy(&pool);
    let submitted = Arc::new(AtomicUsize::new(0));
    let (count, its_pool) = (Arc::clone(&submitted), Arc::clone(&pool));
    let (waits, wait_for_it) = channel();
    let submitter = thread::spawn(move || {
        for _ in 0..2 {
            waits.send(()).unwrap();
            its_pool.execute(|| ()).unwrap();
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    // The first is queued, and the second waits until the worker takes it.
    wait_for_it.iter().take(2).for_each(drop);
    assert_eq!(submitted.load(Ordering::SeqCst), 1);
    drop(gate);
    submitter.join().unwrap();
}

/// rayon: neither the length of the queue nor the state of the threads can be seen.
#[test]
fn the_depth_of_the_queue_and_the_threads_at_work_can_be_asked_for() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let queued = pool.submit_all([|| (); 5]);
    let metrics = pool.metrics();
    assert_eq!(
        (metrics.queued, metrics.running, metrics.threads),
        (5, 1, 1)
    );
    drop(gate);
    try_join_all(queued).unwrap();
}

/// rayon: there is no hook around what each thread does.
#[test]
fn hooks_run_at_each_worker_s_beginning_and_end() {
    let (log, seen) = channel();
    let ending = log.clone();
    let pool = ThreadPoolExecutor::builder()
        .workers(2)
        .initializer(move |index| log.send(("begins", index)).unwrap())
        .exit_hook(move |index| ending.send(("ends", index)).unwrap())
        .build()
        .unwrap();
    pool.shutdown().unwrap();
    drop(pool);
    let mut all: Vec<_> = seen.iter().collect();
    all.sort_unstable();
    assert_eq!(
        all,
        [("begins", 0), ("begins", 1), ("ends", 0), ("ends", 1)]
    );
}

/// rayon, Python's `concurrent.futures`: a parallel iterator loses the order, or reads all of its input first.
#[test]
fn a_map_of_an_endless_input_streams_in_order() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let pulled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&pulled);
    let input = (0..).inspect(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut map = pool.map(|n: usize| n * 2, input).buffer_size(4);
    for taken in 0..100 {
        assert_eq!(map.next().unwrap().unwrap(), taken * 2);
        assert!(pulled.load(Ordering::Relaxed) <= taken + 4);
    }
}

/// rayon: idle threads poll for work and burn CPU; here they are blocked and are not even woken.
#[cfg(target_os = "linux")]
#[test]
fn idle_workers_are_not_scheduled() {
    /// For each worker, whether it is blocked and how often it was switched to.
    fn workers() -> Vec<(bool, String)> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let statuses =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok());
        let ours = statuses.filter(|status| status.starts_with("Name:\tdozing-"));
        ours.map(|status| {
            let switches = status.lines().filter(|line| line.contains("ctxt_switches"));
            (status.contains("State:\tS"), switches.collect())
        })
        .collect()
    }

    let builder = ThreadPoolExecutor::builder().workers(3).name("dozing");
    let idle = builder.build().unwrap();
    try_join_all(idle.submit_all([|| (); 100])).unwrap();
    let busy = ThreadPoolExecutor::new(1).unwrap();
    // They may still be falling asleep. Workers that poll would never stay unchanged.
    let stays_asleep = (0..1000).any(|_| {
        let before = workers();
        for n in 0..100 {
            busy.submit(move || n).result().unwrap();
        }
        before.len() == 3 && before.iter().all(|worker| worker.0) && workers() == before
    });
    assert!(stays_asleep, "{:?}", workers());
}

/// tokio, rayon: what is running cannot be told to stop.
#[test]
fn a_running_task_is_told_to_stop_and_its_result_is_kept() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let (started, wait_for_start) = channel();
    let handle = pool.submit(move || {
        started.send(()).unwrap();
        let token = CancelToken::current();
        while !token.is_cancelled() {
            thread::yield_now();
        }
        "stopped"
    });
    wait_for_start.recv().unwrap();
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert_eq!(handle.result().unwrap(), "stopped");
}

/// tokio: a runtime that is dropped waits for a blocking task that never ends.
#[test]
fn a_task_that_does_not_end_does_not_hold_up_the_exit() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let ended = pool.shutdown_timeout(Duration::ZERO);
    assert_eq!(ended, Err(ShutdownError::TimedOut));
    pool.detach();
    assert_eq!(gate.send(()), Ok(()), "the task is still running");
}

/// rayon, futures: a pool hangs in a forked process, which lacks its threads.
#[cfg(all(unix, not(miri)))]
#[test]
fn a_forked_process_is_refused_and_does_not_hang() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    // SAFETY: until it ends, the child takes no lock that another thread may hold.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "cannot fork");
    if pid == 0 {
        // SAFETY: no memory is involved. The signal ends a hang.
        unsafe { libc::alarm(20) };
        let refused = pool.execute(|| ()).err().map(|refused| refused.reason());
        let status = i32::from(refused != Some(Rejection::Forked));
        // SAFETY: the process ends here, without destructors.
        unsafe { libc::_exit(status) };
    }
    let mut status = -1;
    // SAFETY: `status` may be written.
    let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!((ended, status), (pid, 0));
}

/// rayon: there is no state that belongs to a worker, but thread-locals that nobody resets.
#[test]
fn each_worker_keeps_a_state_for_its_tasks() {
    let builder = ThreadPoolExecutor::builder().workers(2);
    let pool = builder.worker_state(Cell::new).build().unwrap();
    let count = |_| with_worker_state(|state: &Cell<usize>| state.replace(state.get() + 10));
    for round in 0..3 {
        let states = try_join_all(pool.broadcast(count)).unwrap();
        assert_eq!(states, [Some(10 * round), Some(1 + 10 * round)]);
    }
}

/// rayon: a pool's size is fixed for its life.
#[test]
fn a_pool_grows_with_its_work_and_shrinks_without() {
    let builder = ThreadPoolExecutor::builder().workers(3).min_workers(1);
    let pool = builder.keep_alive(Duration::ZERO).build().unwrap();
    let barrier = Arc::new(Barrier::new(3));
    let handles = [0; 3].map(|_| {
        let barrier = Arc::clone(&barrier);
        pool.submit(move || {
            barrier.wait();
        })
    });
    try_join_all(handles).unwrap();
    while pool.metrics().threads > 1 {
        thread::yield_now();
    }
}
