//! Cancelling unwinds a task from where it waits, and nothing else.
#![expect(
    clippy::disallowed_types,
    reason = "tests that std's lock is not poisoned"
)]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::support::{Drops, OnDrop, run, simulate, stackful, try_run};
use future_result::pair;
use green_tasks::sync::{Event, Mutex};
use green_tasks::{
    Cancel, Elapsed, FutureResult, RuntimeError, TaskError, checkpoint, shield, sleep, spawn,
    spawn_future, spawn_local, timeout, yield_now,
};

const LONG: Duration = Duration::from_secs(1 << 30);

fn is_cancelled<T>(result: Result<T, TaskError>) -> bool {
    matches!(result, Err(TaskError::Cancelled))
}

#[test]
fn a_task_that_has_not_started_never_does() {
    run(|| {
        let drops = Drops::default();
        let counted = drops.counted();
        let handle = spawn_local(move || drop(counted));
        assert_eq!(handle.cancel(), Cancel::Prevented);
        assert!(is_cancelled(handle.result()));
        yield_now();
        assert_eq!(drops.get(), 1);

        let counted = drops.counted();
        let handle = spawn_future(async move { drop(counted) });
        assert_eq!(handle.cancel(), Cancel::Prevented);
        yield_now();
        assert_eq!(drops.get(), 2);
    });
}

#[test]
fn a_task_that_waits_unwinds_and_drops_what_it_has() {
    run(|| {
        let drops = Drops::default();
        for wait in [
            (|| sleep(LONG)) as fn(),
            || Event::new().wait(),
            || drop(pair::<()>().1.result()),
            || green_tasks::await_future(std::future::pending::<()>()),
        ] {
            let before = drops.get();
            let counted = drops.counted();
            let handle = spawn_local(move || {
                let _counted = counted;
                wait();
                // A pair whose completer is gone does not wait.
                sleep(LONG);
            });
            yield_now();
            assert_eq!(handle.cancel(), Cancel::Requested);
            assert!(is_cancelled(handle.result()));
            assert_eq!(drops.get(), before + 1);
        }
        let counted = drops.counted();
        let future = spawn_future(async move {
            let _counted = counted;
            std::future::pending::<()>().await;
        });
        yield_now();
        assert_eq!(future.cancel(), Cancel::Requested);
        assert!(is_cancelled(future.result()));
        assert_eq!(drops.get(), 5);
    });
}

#[test]
fn a_task_is_cancelled_from_another_thread() {
    run(|| {
        let (sender, receiver) = mpsc::channel::<green_tasks::JoinHandle<()>>();
        let other = thread::spawn(move || {
            let handle = receiver.recv().unwrap();
            assert_ne!(handle.cancel(), Cancel::TooLate);
            handle.result()
        });
        let (done, main_waits) = pair();
        sender
            .send(spawn_local(move || {
                let _done = OnDrop({
                    let mut done = Some(done);
                    move || {
                        let _ = done.take().map(|done| done.complete(()));
                    }
                });
                sleep(LONG);
            }))
            .unwrap();
        // Even if it was prevented: then the closure is dropped.
        let _ = main_waits.result();
        assert!(is_cancelled(other.join().unwrap()));
    });
}

/// Its scheduler never gets a turn to learn of it.
#[test]
fn a_task_that_only_computes_is_cancelled_by_another_thread_at_a_checkpoint() {
    for threads in [1, 2] {
        let (computes, is_computing) = mpsc::channel();
        let (sender, receiver) = mpsc::channel::<green_tasks::JoinHandle<()>>();
        let other = thread::spawn(move || {
            let handle = receiver.recv().unwrap();
            is_computing.recv().unwrap();
            assert_eq!(handle.cancel(), Cancel::Requested);
            handle.result()
        });
        let runtime = stackful().threads(threads).build().unwrap();
        let ran = runtime.run(|| {
            let computing = spawn(move || {
                computes.send(()).unwrap();
                loop {
                    checkpoint();
                }
            });
            sender.send(computing).unwrap();
            yield_now();
            is_cancelled(other.join().unwrap())
        });
        assert!(ran.unwrap());
    }
}

#[test]
fn a_time_limit_is_over_at_a_checkpoint_of_what_only_computes_and_wakes_the_others_as_well() {
    run(|| {
        let sleeping = spawn_local(|| sleep(Duration::from_micros(1)));
        yield_now();
        let computed = timeout(Duration::from_millis(2), || {
            loop {
                checkpoint();
                assert!(!sleeping.is_done(), "its turn has not come");
            }
        });
        assert_eq!(computed, Err::<(), _>(Elapsed));
        sleeping.result().unwrap();
        // Outside of the limit it goes on.
        checkpoint();
    });
}

/// The scheduler learns of it when the task has ended and another has its slot.
#[test]
fn a_cancellation_that_comes_late_is_not_the_next_tasks() {
    run(|| {
        let (sender, receiver) = mpsc::channel::<green_tasks::JoinHandle<()>>();
        let task = spawn_local(move || {
            let this = receiver.recv().unwrap();
            let other = thread::spawn(move || this.cancel());
            assert_eq!(other.join().unwrap(), Cancel::Requested);
        });
        sender.send(task).unwrap();
        yield_now();
        let (completer, handle) = pair();
        let next = spawn_local(move || handle.result());
        for _ in 0..200 {
            yield_now();
        }
        assert!(!next.is_done());
        completer.complete(()).unwrap();
        next.result().unwrap().unwrap();
    });
}

#[test]
fn whoever_catches_it_is_unwound_again_at_the_next_wait() {
    run(|| {
        let caught = Rc::new(Cell::new(0));
        let handle = spawn_local({
            let caught = Rc::clone(&caught);
            move || {
                for _ in 0..3 {
                    let result = catch_unwind(AssertUnwindSafe(|| sleep(LONG)));
                    assert!(result.is_err());
                    caught.set(caught.get() + 1);
                }
                yield_now();
                unreachable!();
            }
        });
        yield_now();
        assert_eq!(handle.cancel(), Cancel::Requested);
        assert!(is_cancelled(handle.result()));
        assert_eq!(caught.get(), 3);
    });
}

#[test]
fn a_task_that_ends_all_the_same_has_its_value() {
    run(|| {
        let handle = spawn_local(|| {
            let _ = catch_unwind(|| sleep(LONG));
            "made something of it"
        });
        yield_now();
        assert_eq!(handle.cancel(), Cancel::Requested);
        assert_eq!(handle.result().unwrap(), "made something of it");
    });
}

#[test]
fn a_destructor_may_wait_while_its_task_unwinds() {
    run(|| {
        let event = Rc::new(Event::new());
        let log = Rc::new(RefCell::new(Vec::new()));
        let handle = spawn_local({
            let (event, log) = (Rc::clone(&event), Rc::clone(&log));
            move || {
                let _on_drop = OnDrop(move || {
                    log.borrow_mut().push("drops");
                    event.wait();
                    yield_now();
                    log.borrow_mut().push("has dropped");
                });
                sleep(LONG);
            }
        });
        yield_now();
        assert_eq!(handle.cancel(), Cancel::Requested);
        yield_now();
        assert_eq!(*log.borrow(), ["drops"]);
        // A second call does nothing.
        let _ = handle.cancel();
        yield_now();
        event.set();
        assert!(is_cancelled(handle.result()));
        assert_eq!(*log.borrow(), ["drops", "has dropped"]);
    });
}

/// std counts panics by thread. A task that suspended before another did so while unwinding is not unwinding
/// itself, whatever std says.
#[test]
fn a_task_that_rests_is_cancelled_while_another_one_unwinds() {
    run(|| {
        let event = Rc::new(Event::new());
        let unwinding = spawn_local({
            let event = Rc::clone(&event);
            move || {
                let _on_drop = OnDrop(move || event.wait());
                sleep(LONG);
            }
        });
        let other = spawn_local(|| {
            let _on_drop = OnDrop(yield_now);
            sleep(LONG);
        });
        yield_now();
        let _ = unwinding.cancel();
        yield_now();
        assert!(thread::panicking(), "one of them is unwinding");
        let _ = other.cancel();
        assert!(is_cancelled(other.result()));
        event.set();
        assert!(is_cancelled(unwinding.result()));
        assert!(!thread::panicking());
    });
}

/// A task that suspends after that might be unwinding, too; then another panic, raised in a destructor, would abort
/// the process.
#[test]
fn a_cancellation_waits_while_the_task_may_be_unwinding_and_is_not_lost() {
    run(|| {
        let event = Rc::new(Event::new());
        let unwinding = spawn_local({
            let event = Rc::clone(&event);
            move || {
                let _on_drop = OnDrop(move || event.wait());
                sleep(LONG);
            }
        });
        yield_now();
        let _ = unwinding.cancel();
        yield_now();
        assert!(thread::panicking(), "one of them is unwinding");
        let other = spawn_local(|| sleep(LONG));
        yield_now();
        let _ = other.cancel();
        for _ in 0..3 {
            yield_now();
        }
        assert!(!other.is_done());
        event.set();
        assert!(is_cancelled(other.result()));
        assert!(is_cancelled(unwinding.result()));
        assert!(!thread::panicking());
    });
}

#[test]
fn a_panic_beside_a_task_that_unwinds_is_an_ordinary_one() {
    run(|| {
        let event = Rc::new(Event::new());
        let unwinding = spawn_local({
            let event = Rc::clone(&event);
            move || {
                let _on_drop = OnDrop(move || event.wait());
                panic!("the first");
            }
        });
        yield_now();
        let second = spawn_local(|| {
            yield_now();
            panic!("the second");
        });
        assert!(matches!(
            second.result(),
            Err::<(), _>(TaskError::Panicked(_))
        ));
        event.set();
        assert!(matches!(
            unwinding.result(),
            Err::<(), _>(TaskError::Panicked(_))
        ));
        assert!(!thread::panicking());
    });
}

#[test]
fn our_locks_are_not_poisoned_and_are_let_go() {
    run(|| {
        let lock = Rc::new(Mutex::new(1));
        let holding = spawn_local({
            let lock = Rc::clone(&lock);
            move || {
                let _guard = lock.lock();
                sleep(LONG);
            }
        });
        let waiting = spawn_local({
            let lock = Rc::clone(&lock);
            move || *lock.lock()
        });
        let given_up = spawn_local({
            let lock = Rc::clone(&lock);
            move || *lock.lock()
        });
        yield_now();
        let _ = given_up.cancel();
        let _ = holding.cancel();
        assert_eq!(waiting.result().unwrap(), 1);
        assert!(is_cancelled(given_up.result()));
        assert_eq!(*lock.lock(), 1);
    });
}

/// A neighbour can poison a std lock: recorded here to notice if that changes.
#[test]
fn a_std_lock_that_is_held_beside_a_task_that_unwinds_is_poisoned() {
    run(|| {
        let event = Rc::new(Event::new());
        let lock = std::sync::Mutex::new(());
        let guard = lock.lock().unwrap();
        let unwinding = spawn_local({
            let event = Rc::clone(&event);
            move || {
                let _on_drop = OnDrop(move || event.wait());
                sleep(LONG);
            }
        });
        yield_now();
        let _ = unwinding.cancel();
        yield_now();
        drop(guard);
        assert!(lock.is_poisoned());
        event.set();
        let _ = unwinding.result();
    });
}

#[test]
fn a_shield_holds_until_its_end_and_then_the_next_wait_unwinds() {
    run(|| {
        let log = Rc::new(RefCell::new(Vec::new()));
        let handle = spawn_local({
            let log = Rc::clone(&log);
            move || {
                shield(|| {
                    for _ in 0..3 {
                        yield_now();
                    }
                    checkpoint();
                    log.borrow_mut().push("shielded");
                });
                log.borrow_mut().push("after");
                checkpoint();
                log.borrow_mut().push("never");
            }
        });
        yield_now();
        let _ = handle.cancel();
        assert!(is_cancelled(handle.result()));
        assert_eq!(*log.borrow(), ["shielded", "after"]);
    });
}

#[test]
fn time_limits_end_the_outermost_that_is_over() {
    let second = Duration::from_secs(1);
    simulate(1, || {
        let before = green_tasks::now();
        let outcome = timeout(second * 5, || {
            let inner = timeout(second, || sleep(LONG));
            assert_eq!(inner, Err(Elapsed));
            let inner = timeout(second * 60, || sleep(LONG));
            unreachable!("{inner:?}: the outer limit has expired");
        });
        assert_eq!(outcome, Err::<(), _>(Elapsed));
        assert_eq!(green_tasks::now() - before, second * 5);
        // It expires while nothing waits: the value is there.
        let busy = timeout(Duration::ZERO, || 1);
        assert_eq!(busy, Ok(1));
        sleep(second);
    });
}

#[test]
fn a_limit_that_is_over_while_an_inner_one_unwinds_is_the_one_that_ends_it() {
    let second = Duration::from_secs(1);
    simulate(1, || {
        let task = spawn_local(move || {
            let outer = timeout(second * 5, || {
                let inner = timeout(second, || {
                    let _on_drop = OnDrop(|| sleep(second * 10));
                    sleep(LONG);
                });
                unreachable!("{inner:?}: the outer limit has expired");
            });
            assert_eq!(outer, Err::<(), _>(Elapsed));
            sleep(second);
        });
        task.result().unwrap();
    });
}

#[test]
fn a_time_limit_does_not_hide_a_cancellation() {
    run(|| {
        let handle = spawn_local(|| timeout(LONG, || sleep(LONG)));
        yield_now();
        let _ = handle.cancel();
        assert!(is_cancelled(handle.result()));
    });
}

#[test]
fn leaving_run_ends_all_that_is_left() {
    let drops = Drops::default();
    run(|| {
        for n in 0..20 {
            let counted = drops.counted();
            drop(spawn_local(move || {
                let _counted = counted;
                let _on_drop = OnDrop(yield_now);
                match n % 3 {
                    0 => sleep(LONG),
                    1 => shield(yield_now),
                    _ => Event::new().wait(),
                }
                sleep(LONG);
            }));
            let counted = drops.counted();
            drop(spawn_future(async move {
                let _counted = counted;
                std::future::pending::<()>().await;
            }));
            if n == 10 {
                yield_now();
            }
        }
    });
    assert_eq!(drops.get(), 40);
}

#[test]
fn what_is_shielded_beyond_any_hope_ends_with_the_run_too() {
    let drops = Drops::default();
    run(|| {
        let counted = drops.counted();
        drop(spawn_local(move || {
            let _counted = counted;
            shield(|| Event::new().wait());
        }));
        yield_now();
    });
    assert_eq!(drops.get(), 1);
}

/// It never finishes unwinding; nor, as far as std knows, does its thread.
#[test]
fn a_task_that_can_neither_go_on_nor_unwind_is_left_behind_and_told_of() {
    let other = thread::spawn(|| {
        let drops = Drops::default();
        let ran = try_run(|| {
            let counted = drops.counted();
            let handle = spawn_local(move || {
                let _counted = counted;
                let _on_drop = OnDrop(|| Event::new().wait());
                sleep(LONG);
            });
            yield_now();
            let _ = handle.cancel();
            yield_now();
        });
        let Err(RuntimeError::Stuck(stuck)) = ran else {
            unreachable!()
        };
        assert_eq!(stuck.tasks().len(), 1);
        assert!(stuck.to_string().contains("waits for an event at"));
        assert_eq!(drops.get(), 0);
        assert!(matches!(try_run(|| ()), Err(RuntimeError::Panicking)));
    });
    other.join().unwrap();
}

#[test]
fn a_value_that_nobody_wants_is_dropped_in_its_task() {
    run(|| {
        let (completer, handle) = pair();
        let detached = spawn_local(|| {
            OnDrop({
                let mut completer = Some(completer);
                move || {
                    yield_now();
                    let _ = completer.take().map(|it| it.complete(()));
                }
            })
        });
        drop(detached);
        handle.result().unwrap();
    });
}

#[test]
fn a_storm_of_cancellations_at_every_point_loses_and_leaks_nothing() {
    for seed in 0..200 {
        let drops = Drops::default();
        let made = Rc::new(Cell::new(0));
        simulate(seed, || {
            let lock = Rc::new(Mutex::new(0_u32));
            let handles: Vec<_> = (0..20)
                .map(|n: u32| {
                    made.set(made.get() + 1);
                    let counted = drops.counted();
                    let lock = Rc::clone(&lock);
                    spawn_local(move || {
                        let _counted = counted;
                        for _ in 0..4 {
                            let mut guard = lock.lock();
                            let before = *guard;
                            sleep(Duration::from_millis(u64::from(n % 3)));
                            *guard = before + 1;
                        }
                    })
                })
                .collect();
            for (index, handle) in handles.iter().enumerate() {
                sleep(Duration::from_millis(1));
                if (index as u64 + seed).is_multiple_of(3) {
                    let _ = handle.cancel();
                }
            }
            let ended: Vec<_> = handles.into_iter().map(FutureResult::result).collect();
            let whole = ended.iter().filter(|result| result.is_ok()).count();
            assert!(*lock.lock() >= whole as u32 * 4);
        });
        assert_eq!(drops.get(), made.get(), "seed {seed}");
    }
}
