//! The races of what holds tasks: the inbox, the ring, and claims.
//!
//! Run by `./check.sh loom`, which reports a cell that is lost or freed twice.
#![cfg(pool_loom)]
#![expect(
    clippy::disallowed_types,
    reason = "a model's own counters are no part of it"
)]

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use future_result::claim::{Claim, Role, task_with_guard};
use future_result::{
    Cancel, CancelToken, CellId, FutureResult, InPlace, JoinHandle, OwnQueue, PoolId, Status, Task,
    TaskDeque, TaskError, TaskInbox, TaskList, task_in,
};
use loom::thread;

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u32>>>);

impl Log {
    #[expect(clippy::unwrap_used, reason = "nobody panics under the lock")]
    fn add(&self, what: u32) {
        self.0.lock().unwrap().push(what);
    }

    /// A task that adds this when it runs.
    fn task(&self, what: u32) -> Task {
        let log = self.clone();
        Task::detached(move || log.add(what))
    }

    /// Adds this when it is dropped.
    fn dropped(&self, what: u32) -> Dropped {
        Dropped(self.clone(), what)
    }

    #[expect(clippy::unwrap_used, reason = "nobody panics under the lock")]
    fn get(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }

    fn sorted(&self) -> Vec<u32> {
        let mut all = self.get();
        all.sort_unstable();
        all
    }
}

struct Dropped(Log, u32);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

fn run_all(mut tasks: TaskList) {
    while let Some(task) = tasks.pop_front() {
        task.run();
    }
}

#[expect(clippy::unwrap_used, reason = "the ring has room")]
fn push(deque: &TaskDeque, log: &Log, what: u32) {
    deque.push(log.task(what)).unwrap();
}

#[test]
fn pushes_race_take_all_and_each_producers_order_is_kept() {
    loom::model(|| {
        let log = Log::default();
        let inbox = Arc::new(TaskInbox::new());
        let producers = [&[1, 2][..], &[3]].map(|tasks| {
            let (inbox, log) = (Arc::clone(&inbox), log.clone());
            thread::spawn(move || {
                for &what in tasks {
                    inbox.push(log.task(what)).unwrap();
                }
            })
        });
        run_all(inbox.take_all());
        for producer in producers {
            producer.join().unwrap();
        }
        run_all(inbox.take_all());
        let mut first = log.get();
        first.retain(|&what| what < 3);
        assert_eq!(first, [1, 2]);
        assert_eq!(log.sorted(), [1, 2, 3]);
    });
}

#[test]
fn push_races_close_and_the_task_is_taken_or_given_back() {
    loom::model(|| {
        let log = Log::default();
        let inbox = Arc::new(TaskInbox::new());
        let producer = thread::spawn({
            let (inbox, log) = (Arc::clone(&inbox), log.clone());
            move || {
                if let Err(task) = inbox.push(log.task(1)) {
                    task.run();
                }
            }
        });
        run_all(inbox.close());
        producer.join().unwrap();
        assert_eq!(log.get(), [1]);
        assert!(inbox.push(log.task(2)).is_err());
    });
}

#[test]
fn push_of_many_races_a_push_and_none_comes_between() {
    loom::model(|| {
        let log = Log::default();
        let inbox = Arc::new(TaskInbox::new());
        let producer = thread::spawn({
            let (inbox, log) = (Arc::clone(&inbox), log.clone());
            move || inbox.push(log.task(9)).unwrap()
        });
        let mut tasks = TaskList::new();
        tasks.extend([1, 2, 3].map(|what| log.task(what)));
        inbox.push_all(tasks).unwrap();
        run_all(inbox.take_all());
        producer.join().unwrap();
        run_all(inbox.take_all());
        assert!([[1, 2, 3, 9], [9, 1, 2, 3]].contains(&<[u32; 4]>::try_from(log.get()).unwrap()));
    });
}

#[test]
fn push_of_many_races_close_and_all_or_none_are_given_back() {
    loom::model(|| {
        let log = Log::default();
        let inbox = Arc::new(TaskInbox::new());
        let producer = thread::spawn({
            let (inbox, log) = (Arc::clone(&inbox), log.clone());
            move || {
                let mut tasks = TaskList::new();
                tasks.extend([1, 2].map(|what| log.task(what)));
                if let Err(tasks) = inbox.push_all(tasks) {
                    assert_eq!(tasks.len(), 2);
                    run_all(tasks);
                }
            }
        });
        run_all(inbox.close());
        producer.join().unwrap();
        assert_eq!(log.get(), [1, 2]);
    });
}

#[test]
fn owner_races_a_thief_and_each_task_is_taken_once() {
    loom::model(|| {
        let log = Log::default();
        let mine = TaskDeque::new();
        let stealer = mine.stealer();
        push(&mine, &log, 1);
        let thief = thread::spawn(move || {
            for _ in 0..2 {
                if let Some(task) = stealer.steal() {
                    task.run();
                }
            }
        });
        push(&mine, &log, 2);
        while let Some(task) = mine.pop() {
            task.run();
        }
        thief.join().unwrap();
        assert_eq!(log.sorted(), [1, 2]);
    });
}

#[test]
fn owner_races_a_thief_of_many_and_each_task_is_taken_once() {
    loom::model(|| {
        let log = Log::default();
        let mine = TaskDeque::new();
        let stealer = mine.stealer();
        for what in 1..=3 {
            push(&mine, &log, what);
        }
        let thief = thread::spawn(move || {
            let own = TaskDeque::new();
            if let Some(task) = stealer.steal_into(&own) {
                task.run();
            }
            while let Some(task) = own.pop() {
                task.run();
            }
        });
        while let Some(task) = mine.pop() {
            task.run();
        }
        thief.join().unwrap();
        assert_eq!(log.sorted(), [1, 2, 3]);
    });
}

#[test]
fn two_thieves_race_and_each_task_is_taken_once() {
    loom::model(|| {
        let log = Log::default();
        let mine = TaskDeque::new();
        for what in 1..=3 {
            push(&mine, &log, what);
        }
        let thieves = [mine.stealer(), mine.stealer()].map(|stealer| {
            thread::spawn(move || {
                let own = TaskDeque::new();
                if let Some(task) = stealer.steal_into(&own) {
                    task.run();
                }
                while let Some(task) = own.pop() {
                    task.run();
                }
            })
        });
        for thief in thieves {
            thief.join().unwrap();
        }
        while let Some(task) = mine.pop() {
            task.run();
        }
        assert_eq!(log.sorted(), [1, 2, 3]);
    });
}

#[test]
fn thief_that_reads_a_slot_used_again_takes_nothing_twice() {
    loom::model(|| {
        let log = Log::default();
        let mine = TaskDeque::new();
        let stealer = mine.stealer();
        for what in 1..=TaskDeque::CAPACITY as u32 {
            push(&mine, &log, what);
        }
        let thief = thread::spawn(move || {
            let own = TaskDeque::new();
            if let Some(task) = stealer.steal_into(&own) {
                task.run();
            }
            while let Some(task) = own.pop() {
                task.run();
            }
        });
        // Wraps round: the new task gets the slot of the first. There is room for the next one only if
        // the thief has made some.
        mine.pop().unwrap().run();
        let newest = TaskDeque::CAPACITY as u32 + 2;
        push(&mine, &log, newest - 1);
        if let Err(task) = mine.push(log.task(newest)) {
            task.run();
        }
        while let Some(task) = mine.pop() {
            task.run();
        }
        thief.join().unwrap();
        assert_eq!(log.sorted(), (1..=newest).collect::<Vec<_>>());
    });
}

/// A worker's queue as its waits see it.
struct Own(Rc<TaskDeque>);

impl OwnQueue for Own {
    fn take_if_next(&self, task: CellId) -> Option<Task> {
        self.0.pop_if(task)
    }

    fn count(&self, _: Option<Status>) {}

    fn refusal(&self, _: PoolId) -> Option<TaskError> {
        None
    }
}

/// Gives another task than the one asked for.
struct Wrong(Cell<Option<Task>>);

impl OwnQueue for Wrong {
    fn take_if_next(&self, _: CellId) -> Option<Task> {
        self.0.take()
    }

    fn count(&self, _: Option<Status>) {}

    fn refusal(&self, _: PoolId) -> Option<TaskError> {
        None
    }
}

#[test]
fn queue_that_gives_another_task_races_its_cancel_and_it_runs_or_is_cancelled() {
    loom::model(|| {
        let pool = PoolId::new();
        let (asked_for, mut handle) = task_in(pool, || ());
        let (given, others) = task_in(pool, || 1);
        let canceller = thread::spawn(move || {
            let prevented = others.cancel() == Cancel::Prevented;
            assert_eq!(others.result().is_err(), prevented);
        });
        pool.enter_with(Rc::new(Wrong(Cell::new(Some(given)))), || {
            assert_eq!(handle.run_in_place(), InPlace::Never);
        });
        canceller.join().unwrap();
        drop((asked_for, handle));
    });
}

#[test]
fn pop_of_a_certain_task_races_a_thief_and_it_runs_once() {
    loom::model(|| {
        let log = Log::default();
        let pool = PoolId::new();
        let mine = Rc::new(TaskDeque::new());
        let (task, handle) = task_in(pool, {
            let log = log.clone();
            move || log.add(1)
        });
        mine.push(task).unwrap();
        push(&mine, &log, 2);
        let stealer = mine.stealer();
        let thief = thread::spawn(move || {
            if let Some(task) = stealer.steal() {
                task.run();
            }
        });
        pool.enter_with(Rc::new(Own(Rc::clone(&mine))), || handle.result())
            .unwrap();
        while let Some(task) = mine.pop() {
            task.run();
        }
        thief.join().unwrap();
        assert_eq!(log.sorted(), [1, 2]);
    });
}

#[test]
fn taken_by_its_waiter_a_task_races_its_own_token_and_is_freed_once() {
    loom::model(|| {
        let pool = PoolId::new();
        let mine = Rc::new(TaskDeque::new());
        let (task, handle) = task_in(pool, || {
            let token = CancelToken::current();
            thread::spawn(move || assert!(!token.is_cancelled()))
        });
        mine.push(task).unwrap();
        let other = pool.enter_with(Rc::new(Own(mine)), || handle.result());
        other.unwrap().join().unwrap();
    });
}

#[test]
fn taken_by_its_waiter_a_task_races_a_claim_and_runs_once() {
    loom::model(|| {
        let log = Log::default();
        let pool = PoolId::new();
        let mine = Rc::new(TaskDeque::new());
        let (task, handle) = task_in(pool, {
            let log = log.clone();
            move || log.add(1)
        });
        let claim = Claim::on(&task).unwrap();
        mine.push(task).unwrap();
        let other = thread::spawn(move || claim.run());
        pool.enter_with(Rc::new(Own(mine)), || handle.result())
            .unwrap();
        other.join().unwrap();
        assert_eq!(log.get(), [1]);
    });
}

/// A task that logs 1 when it runs, 2 when its closure is dropped, 3 when its value is, and 4 at the end.
#[expect(clippy::unwrap_used, reason = "a task with a handle can be claimed")]
fn guarded(log: &Log) -> (Task, JoinHandle<Dropped>, Claim) {
    let captured = log.dropped(2);
    let inside = log.clone();
    let closure = move || {
        let _captured = captured;
        inside.add(1);
        inside.dropped(3)
    };
    // SAFETY: nothing is borrowed.
    let (task, handle) =
        unsafe { task_with_guard(PoolId::new(), closure, log.dropped(4), Role::Task) };
    let claim = Claim::on(&task).unwrap();
    (task, handle, claim)
}

#[test]
fn claim_races_the_worker_and_the_task_runs_once() {
    loom::model(|| {
        let log = Log::default();
        let (task, handle, claim) = guarded(&log);
        let worker = thread::spawn(|| task.run());
        let _ = claim.run();
        worker.join().unwrap();
        drop(handle.result().unwrap());
        assert_eq!(log.get()[..2], [1, 2]);
        assert_eq!(log.sorted(), [1, 2, 3, 4]);
    });
}

#[test]
fn claim_races_cancel_races_the_worker_and_one_of_them_has_the_task() {
    loom::model(|| {
        let log = Log::default();
        let (task, handle, claim) = guarded(&log);
        let worker = thread::spawn(|| task.run());
        let claiming = thread::spawn(move || claim.run());
        let prevented = handle.cancel() == Cancel::Prevented;
        worker.join().unwrap();
        let claimed = claiming.join().unwrap();
        assert!(!(prevented && claimed));
        assert_eq!(handle.result().is_err(), prevented);
        let expected = if prevented {
            &[2, 4][..]
        } else {
            &[1, 2, 3, 4]
        };
        assert_eq!(log.sorted(), expected);
    });
}

#[test]
fn failing_claim_races_the_worker_and_the_task_runs_or_fails() {
    loom::model(|| {
        let log = Log::default();
        let (task, handle, claim) = guarded(&log);
        let worker = thread::spawn(|| task.run());
        claim.fail(TaskError::TimedOut);
        worker.join().unwrap();
        match handle.result() {
            Ok(value) => {
                drop(value);
                assert_eq!(log.sorted(), [1, 2, 3, 4]);
            }
            Err(error) => {
                assert!(matches!(error, TaskError::TimedOut));
                assert_eq!(log.get(), [2, 4]);
            }
        }
    });
}

#[test]
fn guard_goes_after_the_value_that_nobody_takes() {
    loom::model(|| {
        let log = Log::default();
        let (task, handle, claim) = guarded(&log);
        drop(handle);
        let worker = thread::spawn(|| task.run());
        let _ = claim.run();
        drop(claim);
        worker.join().unwrap();
        assert_eq!(log.get(), [1, 2, 3, 4]);
    });
}
