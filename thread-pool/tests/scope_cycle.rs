//! Proves that a cycle of waits through the end of a scope or of a map ends: that end cannot give up,
//! so a wait for a handle does, whichever of them came last.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests use std's locks, and their helpers unwrap"
)]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use thread_pool::{
    FutureResult, JoinHandle, TaskError, ThreadPoolExecutor, When, as_completed, wait,
};

const ROUNDS: usize = 200;

fn pool(workers: usize) -> Arc<ThreadPoolExecutor> {
    Arc::new(ThreadPoolExecutor::new(workers).unwrap())
}

fn is_deadlock<T>(result: &Result<T, TaskError>) -> bool {
    matches!(result, Err(TaskError::Deadlock(_)))
}

/// Submits a task that gets its own handle, shared so that many may wait for it.
fn with_own_handle<R: Clone + Send + Sync + 'static>(
    pool: &ThreadPoolExecutor,
    task: impl FnOnce(thread_pool::Shared<JoinHandle<R>>) -> R + Send + 'static,
) -> Result<R, TaskError> {
    let (sender, receiver) = channel();
    let handle = pool.submit(move || task(receiver.recv().unwrap()));
    let handle = handle.shared();
    sender.send(handle.clone()).unwrap();
    handle.result()
}

#[test]
fn a_part_that_waits_for_the_task_of_its_scope_gets_the_error() {
    for workers in [1, 2] {
        let pool = pool(workers);
        for _ in 0..ROUNDS {
            let inside = Arc::clone(&pool);
            let found = with_own_handle(&pool, move |own| {
                let mut found = false;
                inside.scope(|scope| {
                    let found = &mut found;
                    scope.spawn(move || *found = is_deadlock(&own.result()));
                });
                found
            });
            assert!(found.unwrap());
        }
    }
}

#[test]
fn every_part_that_waits_for_the_task_of_its_scope_gets_the_error() {
    let pool = pool(4);
    for _ in 0..ROUNDS {
        let inside = Arc::clone(&pool);
        let found = with_own_handle(
            &pool,
            move |own: thread_pool::Shared<JoinHandle<Vec<bool>>>| {
                let mut found = vec![false; 3];
                inside.scope(|scope| {
                    for (n, found) in found.iter_mut().enumerate() {
                        let own = own.clone();
                        scope.spawn(move || {
                            *found = match n {
                                0 => is_deadlock(&own.result()),
                                1 => is_deadlock(&as_completed([own]).next().unwrap().1),
                                _ => {
                                    let mut own = [own];
                                    let waited = wait(&mut own, When::All, None);
                                    let [own] = own;
                                    waited.pending.is_empty() && is_deadlock(&own.result())
                                }
                            };
                        });
                    }
                });
                found
            },
        );
        assert_eq!(found.unwrap(), [true; 3]);
    }
}

#[test]
fn a_part_that_a_part_has_spawned_is_seen() {
    let pool = pool(2);
    for _ in 0..ROUNDS {
        let inside = Arc::clone(&pool);
        let found = with_own_handle(&pool, move |own| {
            let found = Mutex::new(false);
            inside.scope(|scope| {
                let found = &found;
                scope.spawn(move || {
                    scope.spawn(move || *found.lock().unwrap() = is_deadlock(&own.result()));
                });
            });
            found.into_inner().unwrap()
        });
        assert!(found.unwrap());
    }
}

#[test]
fn a_cycle_through_a_scope_and_a_task_outside_ends_with_one_error() {
    let pool = pool(4);
    for _ in 0..ROUNDS {
        let (errors, seen) = channel();
        let (sender, receiver): (Sender<thread_pool::Shared<JoinHandle<()>>>, Receiver<_>) =
            channel();
        let outside = pool.submit({
            let errors = errors.clone();
            move || {
                errors
                    .send(is_deadlock(&receiver.recv().unwrap().result()))
                    .unwrap()
            }
        });
        let inside = Arc::clone(&pool);
        let ended = with_own_handle(&pool, move |own| {
            sender.send(own).unwrap();
            inside.scope(|scope| {
                scope.spawn(move || errors.send(is_deadlock(&outside.result())).unwrap());
            });
        });
        ended.unwrap();
        assert_eq!(seen.iter().filter(|&found| found).count(), 1);
    }
}

#[test]
fn a_scope_of_another_pool_is_seen() {
    let (one, other) = (pool(1), pool(1));
    for _ in 0..ROUNDS {
        let other = Arc::clone(&other);
        let found = with_own_handle(&one, move |own| {
            let mut found = false;
            other.scope(|scope| {
                let found = &mut found;
                scope.spawn(move || *found = is_deadlock(&own.result()));
            });
            found
        });
        assert!(found.unwrap());
    }
}

#[test]
fn a_call_of_a_map_that_waits_for_the_task_of_the_map_gets_the_error() {
    let pool = pool(2);
    for _ in 0..ROUNDS / 10 {
        let inside = Arc::clone(&pool);
        let found = with_own_handle(&pool, move |own: thread_pool::Shared<JoinHandle<bool>>| {
            let caller = thread::current().id();
            let (begun, wait_for_helper) = channel();
            let helper = Mutex::new(Some((begun, own)));
            let callers = Mutex::new(wait_for_helper);
            let items: Vec<usize> = (0..1000).collect();
            let results = inside.map_slice(&items, |&n| {
                if thread::current().id() != caller {
                    let first = helper.lock().unwrap().take();
                    return first.is_some_and(|(begun, own)| {
                        begun.send(()).unwrap();
                        is_deadlock(&own.result())
                    });
                }
                if n < 100 {
                    // Slow enough to be worth a helper.
                    (0..100).for_each(|_| thread::yield_now());
                } else if n == 500 {
                    callers.lock().unwrap().recv().unwrap();
                }
                false
            });
            results.contains(&true)
        });
        assert!(found.unwrap());
    }
}

#[test]
fn the_error_names_the_tasks_of_the_cycle() {
    let pool = pool(2);
    let inside = Arc::clone(&pool);
    let text = with_own_handle(
        &pool,
        move |own: thread_pool::Shared<JoinHandle<String>>| {
            let mut text = String::new();
            inside.scope(|scope| {
                let text = &mut text;
                scope.spawn(move || *text = own.result().unwrap_err().to_string());
            });
            text
        },
    );
    let text = text.unwrap();
    let parts = text.matches("waits for").count();
    // Two if the end of the scope ran the part in place.
    assert!(parts == 3 || parts == 2, "{text}");
    assert!(text.contains("with_own_handle"), "{text}");
}

#[test]
fn waits_that_go_through_a_scope_and_come_to_an_end_are_left_alone() {
    let pool = pool(3);
    for _ in 0..ROUNDS {
        let inside = Arc::clone(&pool);
        let (sender, receiver) = channel();
        let outside = pool.submit(move || receiver.recv().unwrap());
        let sum = pool.submit(move || {
            let mut sums = [0; 3];
            inside.scope(|scope| {
                let [first, second, third] = &mut sums;
                let one = scope.spawn(|| {
                    thread::yield_now();
                    1
                });
                scope.spawn(move || *first = outside.result().unwrap() + 1);
                scope.spawn(move || {
                    *second = one.result().unwrap() + 1;
                    sender.send(20).unwrap();
                });
                scope.spawn(move || *third = 100);
            });
            sums.iter().sum::<i32>()
        });
        assert_eq!(sum.result().unwrap(), 123);
    }
}
