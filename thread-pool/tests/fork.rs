//! Proves that a child process that uses its parent's pool gets errors and does not hang, and that its
//! own pools work. A separate program, since a process with the test harness's threads should not be
//! forked.
#![cfg_attr(
    all(unix, not(pool_loom)),
    expect(
        clippy::disallowed_types,
        clippy::unwrap_used,
        reason = "tests count with std's atomics, and their helpers unwrap"
    )
)]

#[cfg(not(all(unix, not(any(pool_loom, pool_sim)))))]
fn main() {}

#[cfg(all(unix, not(any(pool_loom, pool_sim))))]
fn main() {
    fork::a_parent_s_pool_refuses_everything();
    fork::a_bounded_pool_of_the_parent_refuses_everything();
    fork::waits_for_what_the_parent_would_do_end();
    fork::tasks_of_the_parent_can_be_cancelled_and_detached();
    fork::a_pool_of_the_child_works();
    fork::a_grandchild_tells_both_apart();
    fork::a_task_may_fork();
    fork::locks_that_the_parent_s_threads_held_are_left_alone();
    println!("fork: all children have ended as they should");
}

#[cfg(all(unix, not(any(pool_loom, pool_sim))))]
mod support;

#[cfg(all(unix, not(any(pool_loom, pool_sim))))]
mod fork {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use thread_pool::{
        Cancel, FutureResult, JoinHandle, Priority, Rejection, ShutdownError, TaskError,
        ThreadPoolExecutor, When, as_completed, wait,
    };

    use crate::support::occupy;

    const FAR: Duration = Duration::from_secs(3600);

    /// Runs `child` in a child process, and waits for its end. Panics if it panics or hangs.
    fn in_child(child: impl FnOnce()) {
        // SAFETY: the child may allocate and lock, which the C libraries that these tests run with
        // allow if no other thread of ours holds a lock that it needs.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "cannot fork");
        if pid == 0 {
            // SAFETY: no memory is involved.
            unsafe { libc::alarm(20) };
            let succeeded = catch_unwind(AssertUnwindSafe(child)).is_ok();
            // SAFETY: the process ends here, without destructors, which are the parent's.
            unsafe { libc::_exit(i32::from(!succeeded)) };
        }
        let mut status = 0;
        // SAFETY: `status` may be written.
        let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(ended, pid);
        assert!(
            !libc::WIFSIGNALED(status),
            "killed by signal {}",
            libc::WTERMSIG(status)
        );
        assert_eq!(libc::WEXITSTATUS(status), 0, "the child has failed");
    }

    fn assert_forked<T>(handle: JoinHandle<T>) {
        match handle.result() {
            Err(TaskError::Rejected(Rejection::Forked)) => {}
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it ran"),
        }
    }

    fn assert_lost<T>(result: Result<T, TaskError>) {
        match result {
            Err(TaskError::Lost(cause)) => assert!(cause.to_string().contains("forked")),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it ran"),
        }
    }

    fn refuses_everything(pool: ThreadPoolExecutor) {
        assert_forked(pool.submit(|| ()));
        let refused = pool.try_submit(|| 7).unwrap_err();
        assert_eq!(
            (refused.reason(), refused.into_job()()),
            (Rejection::Forked, 7)
        );
        assert_eq!(pool.execute(|| ()).unwrap_err().reason(), Rejection::Forked);
        pool.submit_all((0..3).map(|n| move || n))
            .into_iter()
            .for_each(assert_forked);
        pool.broadcast(|_| ()).into_iter().for_each(assert_forked);
        for priority in [Priority::Low, Priority::Normal, Priority::High] {
            let task = pool.task().priority(priority).time_limit(FAR);
            assert_forked(task.submit(|| ()));
            assert_eq!(
                task.try_submit(|| ()).unwrap_err().reason(),
                Rejection::Forked
            );
        }
        let mut map = pool.map(|n: u32| n, 0..3);
        assert!(matches!(
            map.next(),
            Some(Err(TaskError::Rejected(Rejection::Forked)))
        ));
        drop(map);
        assert!(format!("{pool:?}").contains("ThreadPoolExecutor"));
        assert_eq!(pool.metrics().threads, 0);
        assert_eq!(pool.shutdown(), Err(ShutdownError::Forked));
        assert_eq!(pool.shutdown_now(), Err(ShutdownError::Forked));
        assert_eq!(pool.shutdown_timeout(FAR), Err(ShutdownError::Forked));
        drop(pool);
    }

    pub(crate) fn a_parent_s_pool_refuses_everything() {
        let pool = ThreadPoolExecutor::new(2).unwrap();
        let gate = occupy(&pool);
        let limited = pool.task().time_limit(FAR).submit(|| 7);
        let mut pool = Some(pool);
        in_child(|| refuses_everything(pool.take().unwrap()));
        in_child(|| pool.take().unwrap().detach());
        // The parent's pool is unaffected.
        drop(gate);
        assert_eq!(limited.result().unwrap(), 7);
        pool.unwrap().shutdown().unwrap();
    }

    pub(crate) fn a_bounded_pool_of_the_parent_refuses_everything() {
        let builder = ThreadPoolExecutor::builder().workers(1).queue_bound(1);
        let pool = builder.build().unwrap();
        let gate = occupy(&pool);
        let full = pool.submit(|| 7);
        let mut pool = Some(pool);
        in_child(|| refuses_everything(pool.take().unwrap()));
        drop(gate);
        assert_eq!(full.result().unwrap(), 7);
    }

    pub(crate) fn waits_for_what_the_parent_would_do_end() {
        let pool = ThreadPoolExecutor::new(1).unwrap();
        let (started, wait_for_start) = channel();
        let (gate, wait_for_gate) = channel::<()>();
        let mut running = Some(pool.submit(move || {
            started.send(()).unwrap();
            wait_for_gate.recv().unwrap_err();
            1
        }));
        wait_for_start.recv().unwrap();
        let done = pool.submit(|| 0);
        let mut queued: Vec<_> = (0..100).map(|n| pool.submit(move || n)).collect();
        let mut shared = pool.submit(|| 3).shared();
        in_child(|| {
            assert_lost(running.take().unwrap().result());
            assert_lost(shared.clone().result());
            assert!(shared.wait_timeout(FAR));
            let all = std::mem::take(&mut queued);
            let mut results = 0;
            for (_, result) in as_completed(all) {
                assert_lost(result);
                results += 1;
            }
            assert_eq!(results, 100);
        });
        in_child(|| {
            let waited = wait(&mut queued, When::All, None);
            assert!(waited.pending.is_empty());
        });
        drop(gate);
        assert_eq!(running.unwrap().result().unwrap(), 1);
        assert_eq!(
            queued
                .into_iter()
                .map(|handle| handle.result().unwrap())
                .sum::<u32>(),
            4950
        );
        // What ended before the fork stays available.
        let mut done = done;
        done.wait();
        let mut done = Some(done);
        in_child(|| assert_eq!(done.take().unwrap().result().unwrap(), 0));
    }

    pub(crate) fn tasks_of_the_parent_can_be_cancelled_and_detached() {
        let builder = ThreadPoolExecutor::builder().workers(1).queue_bound(2);
        let pool = builder.build().unwrap();
        let gate = occupy(&pool);
        let mut handles = [1, 2].map(|n| Some(pool.submit(move || n)));
        in_child(|| {
            let [cancelled, detached] = &mut handles;
            let cancelled = cancelled.take().unwrap();
            assert_eq!(cancelled.cancel(), Cancel::Prevented);
            assert!(matches!(cancelled.result(), Err(TaskError::Cancelled)));
            drop(detached.take());
        });
        drop(gate);
        assert_eq!(
            handles.map(|handle| handle.unwrap().result().unwrap()),
            [1, 2]
        );
    }

    fn works(pool: &ThreadPoolExecutor) {
        let handles = pool.submit_all((1..=100).map(|n| move || n));
        let sum: u32 = as_completed(handles)
            .map(|(_, result)| result.unwrap())
            .sum();
        assert_eq!(sum, 5050);
        let limited = pool.task().priority(Priority::High).time_limit(FAR);
        assert_eq!(limited.submit(|| 7).result().unwrap(), 7);
        let late = pool.task().time_limit(Duration::ZERO).submit(|| 7);
        assert!(matches!(late.result(), Err(TaskError::TimedOut)));
    }

    pub(crate) fn a_pool_of_the_child_works() {
        let inherited = ThreadPoolExecutor::new(1).unwrap();
        in_child(|| {
            let pool = ThreadPoolExecutor::new(2).unwrap();
            works(&pool);
            assert_forked(inherited.submit(|| ()));
            pool.shutdown().unwrap();
        });
        works(&inherited);
    }

    pub(crate) fn a_grandchild_tells_both_apart() {
        let grandparent_s = ThreadPoolExecutor::new(1).unwrap();
        in_child(|| {
            let parent_s = ThreadPoolExecutor::new(1).unwrap();
            works(&parent_s);
            in_child(|| {
                assert_forked(grandparent_s.submit(|| ()));
                assert_forked(parent_s.submit(|| ()));
                works(&ThreadPoolExecutor::new(1).unwrap());
            });
            works(&parent_s);
            parent_s.shutdown().unwrap();
        });
        works(&grandparent_s);
    }

    pub(crate) fn a_task_may_fork() {
        let pool = std::sync::Arc::new(ThreadPoolExecutor::new(2).unwrap());
        let same = std::sync::Arc::clone(&pool);
        let forks = pool.submit(move || {
            in_child(|| {
                assert_forked(same.submit(|| ()));
                assert_eq!(same.execute(|| ()).unwrap_err().reason(), Rejection::Forked);
                assert_eq!(same.shutdown(), Err(ShutdownError::Forked));
                works(&ThreadPoolExecutor::new(2).unwrap());
            });
            same.submit(|| "its pool goes on").result()
        });
        assert_eq!(forks.result().unwrap().unwrap(), "its pool goes on");
    }

    pub(crate) fn locks_that_the_parent_s_threads_held_are_left_alone() {
        let builder = ThreadPoolExecutor::builder().workers(2).queue_bound(4);
        let (bounded, open) = (
            builder.build().unwrap(),
            ThreadPoolExecutor::new(2).unwrap(),
        );
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for pool in [&bounded, &open] {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        drop(
                            pool.task()
                                .priority(Priority::High)
                                .time_limit(FAR)
                                .submit(|| ()),
                        );
                        pool.execute(|| ()).unwrap();
                        let _ = pool.metrics();
                    }
                });
            }
            for _ in 0..100 {
                in_child(|| {
                    for pool in [&bounded, &open] {
                        assert_forked(pool.submit(|| ()));
                        assert_forked(pool.task().priority(Priority::Low).submit(|| ()));
                        assert_eq!(pool.metrics().threads, 0);
                        assert_eq!(pool.shutdown_now(), Err(ShutdownError::Forked));
                    }
                });
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
