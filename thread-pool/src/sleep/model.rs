//! Models of the protocol alone, with workers that only look for work and sleep: two workers of a
//! whole pool are more than loom can explore.

use std::sync::Arc;
use std::time::Duration;

use future_result::sync::Counter;
use future_result::{Rejection, Task, TaskDeque, TaskList, TaskStealer};
use loom::thread;

use super::*;
use crate::injector::Injector;

struct Pool {
    sleep: Sleep,
    injector: Injector,
    stealer: TaskStealer,
    /// All threads of a model are one real thread, so no count is lost.
    runs: Arc<Counter>,
}

impl Pool {
    /// With a deque that others may steal from.
    fn new(sleep: Sleep) -> (Arc<Self>, TaskDeque) {
        let deque = TaskDeque::new();
        let pool = Self {
            sleep,
            injector: Injector::new(),
            stealer: deque.stealer(),
            runs: Arc::default(),
        };
        (Arc::new(pool), deque)
    }

    fn task(&self) -> Task {
        let runs = Arc::clone(&self.runs);
        Task::detached(move || {
            runs.add(1);
        })
    }

    fn runs(&self) -> u64 {
        self.runs.get()
    }

    fn sees_work(&self) -> bool {
        !self.injector.is_empty() || !self.stealer.is_empty()
    }

    /// As a submitter does.
    fn push(&self) -> Wake {
        assert!(self.injector.push(self.task()).is_ok());
        fence(Ordering::SeqCst);
        self.wake()
    }

    fn wake(&self) -> Wake {
        if !self.sleep.is_wanting() {
            return Wake::Nobody;
        }
        let wake = self.sleep.wake_one();
        if let Wake::Sleeper(bed) = &wake {
            bed.wake();
        }
        wake
    }

    /// A worker that ends after one task, still counted as active. False if it left before.
    fn run_one(&self) -> bool {
        let bed = Arc::new(Bed::new());
        loop {
            if let Some(task) = self.injector.pop().or_else(|| self.stealer.steal()) {
                if self.sleep.stop_searching() && self.sees_work() {
                    assert!(!matches!(self.wake(), Wake::Start));
                }
                task.run();
                return true;
            }
            let to_do = |has_place| has_place && self.sees_work();
            if self.sleep.sleep(&bed, to_do, || true) == Awake::Leave {
                self.sleep.left();
                return false;
            }
        }
    }
}

fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(f);
}

fn start(pool: &Arc<Pool>) -> thread::JoinHandle<bool> {
    let pool = Arc::clone(pool);
    thread::spawn(move || pool.run_one())
}

#[test]
fn two_pushes_race_two_sleepers_and_each_finds_one() {
    model(2, || {
        let (pool, _) = Pool::new(Sleep::new(2, 2, Duration::ZERO));
        let workers = [start(&pool), start(&pool)];
        assert!(!matches!(pool.push(), Wake::Start));
        assert!(!matches!(pool.push(), Wake::Start));
        for worker in workers {
            assert!(worker.join().unwrap());
        }
        assert_eq!(pool.runs(), 2);
    });
}

#[test]
fn finder_of_the_first_of_two_wakes_the_other() {
    model(2, || {
        let (pool, _) = Pool::new(Sleep::new(2, 2, Duration::ZERO));
        let workers = [start(&pool), start(&pool)];
        let mut tasks = TaskList::new();
        tasks.extend([pool.task(), pool.task()]);
        assert!(pool.injector.push_all(tasks).is_ok());
        fence(Ordering::SeqCst);
        // One wake-up for both.
        assert!(!matches!(pool.wake(), Wake::Start));
        for worker in workers {
            assert!(worker.join().unwrap());
        }
        assert_eq!(pool.runs(), 2);
    });
}

#[test]
fn batch_that_is_moved_races_a_worker_that_falls_asleep() {
    model(3, || {
        let (pool, deque) = Pool::new(Sleep::new(2, 2, Duration::ZERO));
        assert!(pool.injector.push(pool.task()).is_ok());
        assert!(pool.injector.push(pool.task()).is_ok());
        let worker = start(&pool);
        // This thread is the other worker, and takes both tasks at once.
        let _ = pool.sleep.stop_searching();
        pool.injector.refill(&deque, 1);
        fence(Ordering::SeqCst);
        if pool.sleep.is_wanting() && pool.sees_work() {
            assert!(!matches!(pool.wake(), Wake::Start));
        }
        assert!(worker.join().unwrap());
        // The worker may have been faster, and may have hidden the other task from us.
        while let Some(task) = deque.pop().or_else(|| pool.injector.pop()) {
            task.run();
        }
        assert_eq!(pool.runs(), 2);
    });
}

#[test]
fn push_races_a_worker_that_leaves_and_the_task_runs() {
    model(3, || {
        // This thread is the worker that stays, and is busy.
        let (pool, _) = Pool::new(Sleep::new(1, 2, Duration::ZERO));
        pool.sleep.started();
        let _ = pool.sleep.stop_searching();
        assert!(matches!(pool.wake(), Wake::Start));
        pool.sleep.started();
        let worker = start(&pool);
        let starts = matches!(pool.push(), Wake::Start);
        let ran = worker.join().unwrap();
        assert_ne!(
            starts, ran,
            "a worker runs it, or another is started for it"
        );
    });
}

#[test]
fn thread_that_cannot_be_started_races_the_last_worker() {
    model(3, || {
        let (pool, _) = Pool::new(Sleep::new(1, 2, Duration::ZERO));
        pool.sleep.started();
        // The work for the other thread is done by the time that thread fails to start.
        let _ = pool.sleep.stop_searching();
        assert!(matches!(pool.wake(), Wake::Start));
        pool.sleep.start_searching();
        let worker = start(&pool);
        // This relies on it.
        let wake = pool.push();
        assert!(!matches!(wake, Wake::Start));
        assert!(!pool.sleep.not_started(1));
        pool.sleep.wake_instead();
        assert!(worker.join().unwrap());
    });
}

#[test]
fn finder_whose_task_adds_another_races_a_worker_that_leaves() {
    model(3, || {
        let (pool, _) = Pool::new(Sleep::new(2, 2, Duration::ZERO));
        assert!(!pool.sleep.close());
        let leaving = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                // It goes on looking, unless it leaves.
                !pool.sleep.is_quiet() || pool.sees_work() || pool.sleep.leave() && pool.sees_work()
            }
        });
        // This thread is the other worker, and has taken a task.
        let _ = pool.sleep.stop_searching();
        let starts = matches!(pool.push(), Wake::Start);
        assert!(leaving.join().unwrap() || starts, "nobody runs it");
    });
}

#[test]
fn worker_that_blocks_races_a_push_and_a_thread_is_started() {
    model(3, || {
        // This thread is the only worker, and has taken a task.
        let (pool, _) = Pool::new(Sleep::new(1, 1, Duration::ZERO));
        pool.sleep.started();
        let _ = pool.sleep.stop_searching();
        let pushing = thread::spawn({
            let pool = Arc::clone(&pool);
            move || matches!(pool.push(), Wake::Start)
        });
        pool.sleep.block();
        let starts = pool.sees_work() && matches!(pool.wake(), Wake::Start);
        assert_ne!(pushing.join().unwrap(), starts, "one is started");
    });
}

#[test]
fn queue_that_is_closed_races_a_finder_and_a_thread_is_started_for_the_rest() {
    model(3, || {
        // This thread is the only worker of two, and has taken a task; another is left.
        let (pool, _) = Pool::new(Sleep::new(1, 2, Duration::ZERO));
        pool.sleep.started();
        assert!(pool.injector.push(pool.task()).is_ok());
        let closing = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                pool.injector.close(Rejection::ShutDown);
                fence(Ordering::SeqCst);
                pool.sees_work() && matches!(pool.wake(), Wake::Start)
            }
        });
        let finds_more = pool.sleep.stop_searching() && pool.sees_work();
        let starts = finds_more && matches!(pool.wake(), Wake::Start);
        assert_ne!(closing.join().unwrap(), starts, "one is started");
    });
}
