//! Tasks that borrow never outlive what they borrow.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use crate::support::{Drops, OnDrop, run, simulate, try_run};
use green_tasks::sync::Event;
use green_tasks::{
    FutureResult, Runtime, RuntimeError, Scope, TaskError, no_suspend, scope, sleep, spawn_future,
    spawn_local, timeout, yield_now,
};

const LONG: Duration = Duration::from_secs(1 << 30);

/// Fails if used after its drop.
struct Alive(Cell<bool>);

impl Alive {
    fn check(&self) {
        assert!(self.0.get());
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[test]
fn all_tasks_have_ended_when_the_scope_returns() {
    run(|| {
        let ended = Cell::new(0);
        let result = scope(|s| {
            for n in 0..5 {
                let ended = &ended;
                drop(s.spawn(move || {
                    (0..n).for_each(|_| yield_now());
                    ended.set(ended.get() + 1);
                }));
            }
            "result"
        });
        assert_eq!((result, ended.get()), ("result", 5));
    });
}

#[test]
fn tasks_spawn_more_into_the_same_scope() {
    fn visit<'scope>(s: &'scope Scope<'scope, '_>, count: &'scope Cell<u32>, n: u32) {
        count.set(count.get() + 1);
        for child in 0..n {
            drop(s.spawn(move || {
                yield_now();
                visit(s, count, child);
            }));
        }
    }
    run(|| {
        let count = Cell::new(0);
        scope(|s| visit(s, &count, 6));
        assert_eq!(count.get(), 64);
    });
}

#[test]
fn a_panic_of_the_closure_cancels_the_tasks_and_waits_for_them() {
    run(|| {
        let drops = Drops::default();
        let result = catch_unwind(AssertUnwindSafe(|| {
            let alive = Alive(Cell::new(true));
            scope(|s| {
                let (alive, drops) = (&alive, &drops);
                drop(s.spawn(move || {
                    let _counted = drops.counted();
                    let _on_drop = OnDrop(|| {
                        yield_now();
                        alive.check();
                    });
                    sleep(LONG);
                }));
                yield_now();
                panic!("on purpose");
            });
        }));
        assert!(result.is_err());
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn cancelling_the_parent_cancels_the_tasks_first() {
    run(|| {
        let drops = Drops::default();
        let parent = spawn_local({
            let drops = drops.clone();
            move || {
                let alive = Alive(Cell::new(true));
                scope(|s| {
                    for _ in 0..3 {
                        drop(s.spawn(|| {
                            let _counted = drops.counted();
                            let _on_drop = OnDrop(|| {
                                yield_now();
                                alive.check();
                            });
                            sleep(LONG);
                        }));
                    }
                });
            }
        });
        yield_now();
        yield_now();
        let _ = parent.cancel();
        assert!(matches!(parent.result(), Err(TaskError::Cancelled)));
        assert_eq!(drops.get(), 3);
    });
}

#[test]
fn a_time_limit_around_a_scope_ends_its_tasks() {
    simulate(1, || {
        let ended = Cell::new(false);
        let elapsed = timeout(Duration::from_secs(1), || {
            scope(|s| {
                drop(s.spawn(|| {
                    let _on_drop = OnDrop(|| ended.set(true));
                    sleep(LONG);
                }));
            });
        });
        assert!(elapsed.is_err() && ended.get());
    });
}

#[test]
fn a_deadlock_does_not_end_a_scope_before_its_tasks() {
    let ended = try_run(|| {
        let alive = Alive(Cell::new(true));
        scope(|s| {
            drop(s.spawn(|| {
                let _on_drop = OnDrop(|| alive.check());
                Event::new().wait();
            }));
        });
    });
    assert!(matches!(ended, Err(RuntimeError::Deadlock(_))));
}

/// The parent's stack stays, with what the task borrows.
#[test]
fn a_task_that_is_left_behind_keeps_its_scope() {
    let other = thread::spawn(|| {
        let drops = Drops::default();
        let ran = try_run(|| {
            let counted = drops.counted();
            let parent = spawn_local(move || {
                let counted = counted;
                scope(|s| {
                    drop(s.spawn(|| {
                        let _borrowed = &counted;
                        let _on_drop = OnDrop(|| Event::new().wait());
                        sleep(LONG);
                    }));
                });
            });
            yield_now();
            yield_now();
            let _ = parent.cancel();
            yield_now();
            yield_now();
        });
        assert!(matches!(ran, Err(RuntimeError::Stuck(_))));
        assert_eq!(drops.get(), 0);
    });
    other.join().unwrap();
}

#[test]
fn a_scope_is_refused_where_nothing_may_suspend() {
    run(|| {
        let called = Cell::new(false);
        let result = catch_unwind(AssertUnwindSafe(|| {
            no_suspend(|| scope(|_| called.set(true)));
        }));
        assert!(result.is_err() && !called.get());
        // Spawning does not wait.
        scope(|s| drop(no_suspend(|| s.spawn(|| called.set(true)))));
        assert!(called.get());
    });
}

#[test]
fn what_a_scope_refuses_is_dropped_and_not_waited_for() {
    let drops = Drops::default();
    let outside = scope(|s| {
        let counted = drops.counted();
        s.spawn(move || drop(counted)).result()
    });
    assert!(outside.is_err());
    let stackless = Runtime::new().run(|| {
        scope(|s| {
            let counted = drops.counted();
            s.spawn(move || drop(counted)).result()
        })
    });
    assert!(stackless.unwrap().is_err());
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_future_may_open_a_scope_on_the_threads_stack() {
    run(|| {
        let sum = Rc::new(Cell::new(0));
        let future = spawn_future({
            let sum = Rc::clone(&sum);
            async move {
                let numbers = [1, 2, 3];
                scope(|s| {
                    for number in &numbers {
                        let sum = &sum;
                        drop(s.spawn(move || {
                            yield_now();
                            sum.set(sum.get() + number);
                        }));
                    }
                });
            }
        });
        future.result().unwrap();
        assert_eq!(sum.get(), 6);
    });
}

#[test]
fn values_that_borrow_come_out_through_their_handles() {
    run(|| {
        let text = String::from("one two three");
        let longest = scope(|s| {
            let handles: Vec<_> = text.split(' ').map(|word| s.spawn(move || word)).collect();
            let words = handles.into_iter().map(|handle| handle.result().unwrap());
            words.max_by_key(|word| word.len())
        });
        assert_eq!(longest, Some("three"));
    });
}
