//! A pool without work uses no CPU: its workers are blocked in the kernel, and are not woken.
//!
//! Only Linux shows it. Nothing is timed: a thread that sleeps for good makes no context switch, however
//! long this program watches it, and one that polls makes many.
#![cfg_attr(
    all(target_os = "linux", not(any(pool_loom, pool_sim))),
    expect(clippy::expect_used, reason = "a failed expectation is a failed test")
)]

#[cfg(not(all(target_os = "linux", not(any(pool_loom, pool_sim)))))]
fn main() {}

#[cfg(all(target_os = "linux", not(any(pool_loom, pool_sim))))]
fn main() {
    idle::workers_that_never_had_work_sleep();
    idle::workers_sleep_again_after_work();
    idle::workers_of_a_pool_that_can_shrink_sleep();
    println!("idle: no worker woke up");
}

#[cfg(all(target_os = "linux", not(any(pool_loom, pool_sim))))]
mod idle {
    use std::fs;
    use std::thread;
    use std::time::Duration;

    use thread_pool::{Builder, FutureResult, ThreadPoolExecutor};

    const WORKERS: usize = 3;
    /// How often this program yields between two looks: far more often than any worker looks for work
    /// before it sleeps.
    const YIELDS: usize = 20_000;

    fn builder() -> Builder {
        ThreadPoolExecutor::builder().workers(WORKERS).name("nap")
    }

    /// For each worker of ours: whether it is blocked, and its voluntary and other context switches.
    fn workers() -> Vec<(bool, String)> {
        let tasks = fs::read_dir("/proc/self/task").expect("this is Linux");
        let statuses = tasks.filter_map(|task| {
            // A thread that has just ended has no files.
            fs::read_to_string(task.ok()?.path().join("status")).ok()
        });
        let ours = statuses.filter(|status| status.starts_with("Name:\tnap-"));
        ours.map(|status| {
            let lines = || status.lines();
            let is_blocked = lines().any(|line| line.starts_with("State:\tS"));
            let switches = lines().filter(|line| line.contains("ctxt_switches"));
            (is_blocked, switches.collect::<Vec<_>>().join(" "))
        })
        .collect()
    }

    /// Returns once there are at least this many workers, and nothing has changed for some looks. A worker
    /// that polls would keep it forever, so too many looks in vain are a failure.
    fn all_fall_asleep(at_least: usize) {
        const LOOKS: usize = 1000;
        const QUIET: usize = 5;
        let mut before = Vec::new();
        let mut quiet = 0;
        for _ in 0..LOOKS {
            let now = workers();
            let are_blocked = now.len() >= at_least && now.iter().all(|worker| worker.0);
            quiet = if are_blocked && now == before {
                quiet + 1
            } else {
                0
            };
            if quiet == QUIET {
                return;
            }
            before = now;
            (0..YIELDS).for_each(|_| thread::yield_now());
        }
        panic!("idle workers are not left alone: {before:?}");
    }

    pub(crate) fn workers_that_never_had_work_sleep() {
        let pool = builder().build().expect("threads can be started");
        all_fall_asleep(WORKERS);
        drop(pool);
    }

    pub(crate) fn workers_sleep_again_after_work() {
        let pool = builder().build().expect("threads can be started");
        for handle in pool.submit_all((0..1000).map(|n| move || n)) {
            handle.result().expect("it ran");
        }
        all_fall_asleep(WORKERS);
        // Asking for the numbers wakes nobody if there is nothing to do.
        assert_eq!(pool.metrics().queued, 0);
        all_fall_asleep(WORKERS);
    }

    /// A worker that may leave sleeps until then.
    pub(crate) fn workers_of_a_pool_that_can_shrink_sleep() {
        let builder = builder().min_workers(1);
        let pool = builder
            .keep_alive(Duration::MAX)
            .build()
            .expect("threads can be started");
        for _ in 0..100 {
            pool.submit(|| ()).result().expect("it ran");
        }
        all_fall_asleep(1);
    }
}
