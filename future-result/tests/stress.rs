//! Cells by the hundred thousand, between threads that complete, run, cancel, wait and drop at the
//! same time. Made for the sanitizers: `./check.sh asan tsan memcheck`.
//!
//! `STRESS_TASKS` says how many; 1,000,000 unless set.
#![cfg_attr(
    not(pool_loom),
    expect(
        clippy::disallowed_types,
        reason = "the counts are no part of what is tested"
    )
)]
#![cfg_attr(
    not(pool_loom),
    expect(clippy::expect_used, reason = "a failed expectation is a failed test")
)]

#[cfg(pool_loom)]
fn main() {}

#[cfg(not(pool_loom))]
fn main() {
    let tasks = std::env::var("STRESS_TASKS");
    let tasks = tasks.map_or(1_000_000, |text| {
        text.parse().expect("STRESS_TASKS must be a number")
    });
    stress::tasks_run_or_are_cancelled_once(tasks / 2);
    stress::completions_are_yielded_once(tasks / 4);
    stress::pairs_change_wakers_and_callbacks(tasks / 4);
    println!("stress: {tasks} cells, each to its end once");
}

#[cfg(not(pool_loom))]
mod stress {
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Waker};
    use std::thread;

    use future_result::{
        Cancel, CancelToken, Completer, CompletionSet, FutureResult, PoolId, Task, TaskError, pair,
        task, task_in,
    };

    /// A queue between threads. Not one of std's: ThreadSanitizer does not see into them, as std
    /// comes compiled without it.
    struct Queue<T> {
        inner: parking_lot::Mutex<(VecDeque<T>, bool)>,
        changed: parking_lot::Condvar,
    }

    impl<T> Queue<T> {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                inner: parking_lot::Mutex::new((VecDeque::new(), false)),
                changed: parking_lot::Condvar::new(),
            })
        }

        fn push(&self, item: T) {
            self.inner.lock().0.push_back(item);
            self.changed.notify_one();
        }

        fn close(&self) {
            self.inner.lock().1 = true;
            self.changed.notify_one();
        }

        fn pop(&self) -> Option<T> {
            let mut inner = self.inner.lock();
            loop {
                match inner.0.pop_front() {
                    None if !inner.1 => self.changed.wait(&mut inner),
                    item => return item,
                }
            }
        }
    }

    /// Adds one to its counter when dropped.
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A thread runs what another cancels, drops, claims or waits for.
    pub(crate) fn tasks_run_or_are_cancelled_once(tasks: usize) {
        let dropped = Arc::new(AtomicUsize::new(0));
        let ran = Arc::new(AtomicUsize::new(0));
        let pool = PoolId::new();
        let queue = Queue::<Task>::new();
        let work = Arc::clone(&queue);
        let worker = thread::spawn(move || {
            while let Some(task) = work.pop() {
                task.run();
            }
        });
        let mut not_run = 0;
        pool.enter(|| {
            for n in 0..tasks {
                let captured = Counted(Arc::clone(&dropped));
                let ran = Arc::clone(&ran);
                let closure = move || {
                    let _captured = captured;
                    ran.fetch_add(1, Ordering::Relaxed);
                    if n % 100 == 99 {
                        std::panic::resume_unwind(Box::new(n));
                    }
                    CancelToken::current()
                };
                let (task, handle) = match n % 2 {
                    0 => task(closure),
                    _ => task_in(pool, closure),
                };
                queue.push(task);
                match n % 6 {
                    0 => drop(handle),
                    1 | 2 => match handle.result() {
                        Ok(_) | Err(TaskError::Panicked(_)) => {}
                        Err(error) => panic!("{error}"),
                    },
                    3 => {
                        if handle.cancel() == Cancel::Prevented {
                            not_run += 1;
                        }
                    }
                    4 => {
                        let prevented = handle.cancel() == Cancel::Prevented;
                        not_run += usize::from(prevented);
                        assert_eq!(
                            matches!(handle.result(), Err(TaskError::Cancelled)),
                            prevented
                        );
                    }
                    _ => {
                        let one = handle.shared();
                        let other = one.clone();
                        drop(one);
                        drop(other.result());
                    }
                }
            }
        });
        queue.close();
        worker.join().expect("the worker catches panics");
        assert_eq!(ran.load(Ordering::Relaxed) + not_run, tasks);
        assert_eq!(dropped.load(Ordering::Relaxed), tasks);
    }

    /// Four threads complete what one takes in the order of completion.
    pub(crate) fn completions_are_yielded_once(cells: usize) {
        let mut seen = vec![false; cells];
        let mut set = CompletionSet::new();
        let queues: Vec<_> = (0..4)
            .map(|_| Queue::<(usize, Completer<usize>)>::new())
            .collect();
        let threads: Vec<_> = queues
            .iter()
            .map(|queue| {
                let queue = Arc::clone(queue);
                thread::spawn(move || {
                    while let Some((n, completer)) = queue.pop() {
                        match n % 5 {
                            0 => drop(completer),
                            _ => completer.complete(n).expect("the set takes it"),
                        }
                    }
                })
            })
            .collect();
        for n in 0..cells {
            let (completer, handle) = pair();
            set.insert(n, handle);
            queues[n % 4].push((n, completer));
            if set.len() > 100 {
                let (key, result) = set.wait_next().expect("not empty");
                assert_eq!(result.is_err(), key % 5 == 0);
                assert!(!std::mem::replace(&mut seen[key], true));
            }
        }
        for (key, _) in set {
            assert!(!std::mem::replace(&mut seen[key], true));
        }
        assert!(seen.into_iter().all(|seen| seen));
        for queue in queues {
            queue.close();
        }
        for thread in threads {
            thread.join().expect("no completion was refused");
        }
    }

    /// The handle changes its mind about who is to be told, while the other completes.
    pub(crate) fn pairs_change_wakers_and_callbacks(cells: usize) {
        let called = Arc::new(AtomicUsize::new(0));
        let queue = Queue::<Completer<Box<usize>>>::new();
        let completers = Arc::clone(&queue);
        let thread = thread::spawn(move || {
            let mut n = 0;
            while let Some(completer) = completers.pop() {
                drop(completer.complete(Box::new(n)));
                n += 1;
            }
        });
        let mut with_callback = 0;
        for n in 0..cells {
            let (completer, mut handle) = pair();
            queue.push(completer);
            let mut context = Context::from_waker(Waker::noop());
            let _ = handle.poll_done(&mut context);
            if n % 3 == 0 {
                with_callback += 1;
                let called = Arc::clone(&called);
                handle.on_done(move |result| {
                    assert!(result.is_ok());
                    called.fetch_add(1, Ordering::Relaxed);
                });
            }
            match n % 4 {
                0 => drop(handle),
                1 => assert_eq!(*handle.result().expect("completed"), n),
                _ => {
                    let _ = handle.poll_done(&mut context);
                    drop(handle.result_timeout(std::time::Duration::ZERO));
                }
            }
        }
        queue.close();
        thread.join().expect("the thread does not panic");
        assert_eq!(called.load(Ordering::Relaxed), with_callback);
    }
}
