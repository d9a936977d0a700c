//! When nothing can ever go on, `run` ends and reports what each task waits for; and only then.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use crate::support::{Drops, OnDrop, run, stackful, try_run};
use future_result::pair;
use green_tasks::net::UnixStream;
use green_tasks::sync::{Event, Mutex};
use green_tasks::{
    Deadlock, FutureResult, JoinHandle, RuntimeError, TaskError, shield, spawn_future, spawn_local,
    yield_now,
};

fn deadlock<R>(main: impl FnOnce() -> R) -> Deadlock {
    match try_run(main) {
        Err(RuntimeError::Deadlock(deadlock)) => deadlock,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it has ended"),
    }
}

/// Two tasks that wait for each other's result.
fn circle() -> JoinHandle<u32> {
    let place: Rc<RefCell<Option<JoinHandle<u32>>>> = Rc::default();
    let first = spawn_local({
        let place = Rc::clone(&place);
        move || {
            let handle = place.borrow_mut().take().unwrap();
            handle.result().unwrap()
        }
    });
    let second = spawn_local(move || first.result().unwrap());
    place.borrow_mut().replace(second);
    spawn_local(|| 1)
}

#[test]
fn tasks_that_wait_for_each_other_are_named_with_places_and_partners() {
    let drops = Drops::default();
    let report = deadlock(|| {
        circle().result().unwrap();
        let lock = Rc::new(Mutex::new(drops.counted()));
        let _guard = lock.lock();
        let waiting = spawn_local({
            let lock = Rc::clone(&lock);
            move || drop(lock.lock())
        });
        waiting.result()
    });
    assert_eq!(report.tasks().len(), 4, "{report}");
    let [main, first, second, waiting] = report.tasks() else {
        unreachable!()
    };
    assert!(
        main.contains("main task") && main.contains("waits for a result of task 4"),
        "{main}"
    );
    assert!(
        first.contains("task 1, spawned at") && first.contains("of task 2"),
        "{first}"
    );
    assert!(second.contains("of task 1"), "{second}");
    assert!(
        waiting.contains("waits for a lock at") && waiting.contains("deadlock.rs:"),
        "{waiting}"
    );
    assert_eq!(drops.get(), 1);
}

#[test]
fn handles_elsewhere_learn_of_it() {
    let mut kept = None;
    let report = deadlock(|| {
        kept = Some(spawn_local(|| Event::new().wait()));
        Event::new().wait();
    });
    let error = kept.unwrap().result().unwrap_err();
    let TaskError::Deadlock(cause) = error else {
        panic!("{error}")
    };
    assert_eq!(cause.to_string(), report.to_string());
}

#[test]
fn a_shield_does_not_keep_it_waiting() {
    let report = deadlock(|| shield(|| Event::new().wait()));
    assert_eq!(report.tasks().len(), 1);
}

#[test]
fn a_task_of_another_thread_is_no_deadlock() {
    let (completer, handle) = pair();
    let (go, gone) = std::sync::mpsc::channel();
    let other = thread::spawn(move || {
        gone.recv().unwrap();
        completer.complete(3).unwrap();
    });
    let value = run(|| {
        let waiting = spawn_local(|| handle.result().unwrap());
        let behind = spawn_local(move || waiting.result().unwrap());
        let last = spawn_local(move || {
            // The others are suspended by now, and the scheduler is about to sleep.
            go.send(()).unwrap();
            behind.result().unwrap()
        });
        last.result().unwrap()
    });
    assert_eq!(value, 3);
    other.join().unwrap();
}

#[test]
fn a_handle_of_another_thread_that_comes_late_is_no_deadlock() {
    for _ in 0..50 {
        let (completer, handle) = pair();
        let other = thread::spawn(|| completer.complete(3).unwrap());
        run(|| {
            let lock = Rc::new(Mutex::new(()));
            let holding = spawn_local({
                let lock = Rc::clone(&lock);
                move || {
                    let _guard = lock.lock();
                    handle.result().unwrap()
                }
            });
            yield_now();
            drop(lock.lock());
            assert_eq!(holding.result().unwrap(), 3);
        });
        other.join().unwrap();
    }
}

#[test]
fn somebody_who_sleeps_is_no_deadlock() {
    let runtime = stackful().deterministic(1).build().unwrap();
    let ran = runtime.run(|| {
        let event = Rc::new(Event::new());
        drop(spawn_local({
            let event = Rc::clone(&event);
            move || {
                green_tasks::sleep(Duration::from_secs(3600));
                event.set();
            }
        }));
        event.wait();
    });
    assert!(ran.is_ok());
}

#[test]
fn a_future_whose_waker_others_may_have_is_no_deadlock() {
    let (completer, handle) = pair();
    let other = thread::spawn(|| completer.complete(3).unwrap());
    let value = run(|| {
        let future = spawn_future(handle);
        future.result().unwrap().unwrap()
    });
    assert_eq!(value, 3);
    other.join().unwrap();
}

#[test]
fn main_may_catch_it_and_come_to_an_end() {
    let ran = try_run(|| {
        let caught = std::panic::catch_unwind(|| Event::new().wait());
        assert!(caught.is_err());
        spawn_local(|| 1)
    });
    assert!(ran.is_ok());
}

/// To std the whole thread is panicking, so `main` may be unwinding.
#[test]
fn main_is_ended_also_beside_a_task_that_is_left_behind_in_its_unwinding() {
    let other = thread::spawn(|| {
        deadlock(|| {
            let handle = spawn_local(|| {
                let _on_drop = OnDrop(|| Event::new().wait());
                Event::new().wait();
            });
            yield_now();
            let _ = handle.cancel();
            yield_now();
            assert!(thread::panicking());
            Event::new().wait();
        })
    });
    assert_eq!(other.join().unwrap().tasks().len(), 2);
}

/// It was woken, but can only go on once the future above it on the thread's stack has ended.
#[test]
fn main_that_is_woken_below_a_future_that_blocks_for_ever_is_no_hope() {
    let deadlock = deadlock(|| {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        drop(spawn_future(async move {
            there.write_all(b"x").unwrap();
            Event::new().wait();
        }));
        here.read_exact(&mut [0]).unwrap();
    });
    assert_eq!(deadlock.tasks().len(), 2);
}
