//! How a task waits for a handle: it looks before it registers its waker.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::support::run;
use future_result::Status;
use green_tasks::{
    Cancel, FutureResult, JoinHandle, TaskError, no_suspend, spawn_future, spawn_local, yield_now,
};

/// A handle that counts how often it was polled with a waker.
struct Asked {
    handle: JoinHandle<u32>,
    times: Rc<Cell<u32>>,
}

impl Asked {
    fn new(handle: JoinHandle<u32>) -> (Self, Rc<Cell<u32>>) {
        let times = Rc::default();
        let this = Self {
            handle,
            times: Rc::clone(&times),
        };
        (this, times)
    }
}

impl Future for Asked {
    type Output = Result<u32, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(context)
    }
}

impl FutureResult for Asked {
    type Value = u32;

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.times.set(self.times.get() + 1);
        self.handle.poll_done(context)
    }

    fn status(&self) -> Status {
        self.handle.status()
    }

    fn cancel(&self) -> Cancel {
        self.handle.cancel()
    }
}

#[test]
fn nobody_is_asked_to_wake_who_waits_for_a_task_that_ends_in_its_first_turn() {
    run(|| {
        for by_task in [false, true] {
            let wait = || {
                for handle in [spawn_local(|| 1), spawn_future(async { 1 })] {
                    let (asked, times) = Asked::new(handle);
                    assert_eq!(asked.result().unwrap(), 1);
                    assert_eq!(times.get(), 0);
                }
            };
            if by_task {
                spawn_local(wait).result().unwrap();
            } else {
                wait();
            }
        }
    });
}

#[test]
fn who_waits_for_a_task_of_several_turns_is_woken_once_it_has_ended() {
    run(|| {
        let handle = spawn_local(|| {
            for _ in 0..5 {
                yield_now();
            }
            2
        });
        let (asked, times) = Asked::new(handle);
        assert_eq!(asked.result().unwrap(), 2);
        assert_eq!(times.get(), 2, "before it rests, and once woken");
    });
}

#[test]
fn tasks_that_were_spawned_before_a_wait_have_their_turn_before_it_ends() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    run(|| {
        let note = |name| {
            let seen = Rc::clone(&seen);
            move || seen.borrow_mut().push(name)
        };
        let (first, second) = (spawn_local(note("first")), spawn_local(note("second")));
        first.result().unwrap();
        note("main")();
        second.result().unwrap();
    });
    assert_eq!(seen.take(), ["first", "second", "main"]);
}

#[test]
fn a_task_that_is_cancelled_while_it_waits_for_the_first_turn_unwinds_from_there() {
    run(|| {
        let waiting = spawn_local(|| {
            let endless = spawn_local(|| {
                loop {
                    yield_now();
                }
            });
            endless.cancel_on_drop().result()
        });
        yield_now();
        // It has started to wait, and nobody has woken it.
        assert_eq!(waiting.cancel(), Cancel::Requested);
        assert!(matches!(waiting.result(), Err(TaskError::Cancelled)));
    });
}

#[test]
fn what_is_done_is_taken_without_a_turn_of_the_others() {
    run(|| {
        let handle = spawn_local(|| 3);
        yield_now();
        let other = spawn_local(|| 4);
        let (asked, _) = Asked::new(handle);
        assert_eq!(no_suspend(|| asked.result()).unwrap(), 3);
        assert!(!other.is_done());
        assert_eq!(other.result().unwrap(), 4);
    });
}
