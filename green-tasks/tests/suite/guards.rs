//! One test for each thing that was proven unsound for coroutines: it cannot happen or, where only the promise of
//! `Stackful::assume` can rule it out, the guard that we offer works.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{PoisonError, TryLockError, mpsc};
use std::task::Poll;
use std::thread::{self, ThreadId};
use std::time::Duration;

use future_result::sync::atomic::{AtomicU32, Ordering};
use future_result::{CancelToken, block_until};
use green_tasks::sync::Event;
use green_tasks::{
    FutureResult, Runtime, RuntimeError, TaskError, no_suspend, spawn_local, timeout, yield_now,
};

use crate::support::{OnDrop, run, stackful, try_run};

/// Like the crate `scoped-tls`, but it detects whether the slot is right.
mod scoped {
    use super::*;

    thread_local! {
        static SLOT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// Where the real one stores a pointer to its caller's frame.
    pub(super) fn set<R>(value: u32, f: impl FnOnce() -> R) -> R {
        let before = SLOT.replace(Some(value));
        let _restore = OnDrop(|| SLOT.set(before));
        f()
    }

    pub(super) fn get() -> Option<u32> {
        SLOT.get()
    }
}

/// The promise is that no task suspends there. Without the guard, the slot belongs to a call that has returned.
#[test]
fn a_thread_local_scope_that_is_left_out_of_order_is_what_no_suspend_prevents() {
    run(|| {
        let within = |value, guarded: bool| {
            spawn_local(move || {
                scoped::set(value, || {
                    if guarded {
                        no_suspend(yield_now);
                    } else {
                        yield_now();
                        if value == 2 {
                            yield_now();
                        }
                    }
                })
            })
        };
        for handle in [within(1, false), within(2, false)] {
            handle.result().unwrap();
        }
        assert_eq!(
            scoped::get(),
            Some(1),
            "a dangling pointer, in the real one"
        );
        scoped::set(0, || {
            for handle in [within(1, true), within(2, true)] {
                assert!(handle.result().is_err());
            }
            assert_eq!(scoped::get(), Some(0));
        });
    });
}

#[test]
fn a_thread_local_that_suspends_while_it_is_initialized_is_what_no_suspend_prevents() {
    thread_local! {
        static VALUE: u32 = {
            no_suspend(yield_now);
            1
        };
    }
    run(|| {
        let task = spawn_local(|| VALUE.with(|value| *value));
        assert!(task.result().is_err());
        assert!(catch_unwind(|| VALUE.with(|value| *value)).is_err());
    });
}

/// Sound, but a deadlock that nobody can report: a thread waits for its own lock. In `no_suspend` the guard's owner
/// panics instead, before anybody has to wait.
#[test]
#[expect(clippy::disallowed_types, reason = "tests std's lock")]
fn a_lock_of_std_that_is_held_while_its_task_waits_is_what_no_suspend_prevents() {
    run(|| {
        let lock = Rc::new(std::sync::Mutex::new(0));
        let holding = |guarded: bool| {
            let lock = Rc::clone(&lock);
            spawn_local(move || {
                let mut value = lock.lock().unwrap_or_else(PoisonError::into_inner);
                *value += 1;
                if guarded {
                    no_suspend(yield_now);
                } else {
                    yield_now();
                }
            })
        };
        let holder = holding(false);
        yield_now();
        assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
        holder.result().unwrap();
        let refused = holding(true);
        yield_now();
        assert!(!matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
        assert!(matches!(refused.result(), Err(TaskError::Panicked(_))));
        // Our lock reports who waits for whom instead; and a panic does not poison it.
        let ours = Rc::new(green_tasks::sync::Mutex::new(0));
        let holders: Vec<_> = (0..2)
            .map(|_| {
                let ours = Rc::clone(&ours);
                spawn_local(move || {
                    let mut value = ours.lock();
                    yield_now();
                    *value += 1;
                })
            })
            .collect();
        holders.into_iter().for_each(|one| one.result().unwrap());
        assert_eq!(*ours.lock(), 2);
    });
}

/// Such as the lock of `stdout`, which cannot tell a thread's tasks apart.
#[test]
fn a_lock_that_its_thread_may_take_again_lets_another_task_in_unless_no_suspend_is_around() {
    run(|| {
        let is_within = Rc::new(Cell::new(false));
        let meets_another = |guarded: bool| {
            let is_within = Rc::clone(&is_within);
            move || {
                let _lock = std::io::stderr().lock();
                if is_within.replace(true) {
                    return true;
                }
                let _leave = OnDrop(|| is_within.set(false));
                if guarded {
                    no_suspend(yield_now);
                } else {
                    yield_now();
                }
                false
            }
        };
        let both = [
            spawn_local(meets_another(false)),
            spawn_local(meets_another(false)),
        ];
        let met: Vec<_> = both.into_iter().map(|one| one.result().unwrap()).collect();
        assert_eq!(met, [false, true], "both are inside");
        let both = [
            spawn_local(meets_another(true)),
            spawn_local(meets_another(true)),
        ];
        for one in both {
            assert!(matches!(one.result(), Err(TaskError::Panicked(_))));
        }
    });
}

/// A runtime is its settings; a scheduler lives in a call of `run`.
#[test]
fn a_runtime_in_a_thread_local_has_no_tasks_that_could_outlive_other_locals() {
    thread_local! {
        static RUNTIME: Runtime = stackful().build().unwrap();
        static LOCAL: RefCell<Option<Rc<Cell<bool>>>> = const { RefCell::new(None) };
    }
    let ended = thread::spawn(|| {
        let ended = Rc::new(Cell::new(false));
        LOCAL.set(Some(Rc::clone(&ended)));
        RUNTIME.with(|runtime| {
            let ran = runtime.run(|| {
                drop(spawn_local(move || {
                    let _on_drop = OnDrop(|| {
                        LOCAL.with_borrow(|local| local.as_ref().unwrap().set(true));
                    });
                    Event::new().wait();
                }));
                yield_now();
            });
            ran.unwrap();
        });
        ended.get()
    });
    assert!(ended.join().unwrap());
}

#[test]
fn a_run_in_the_destructor_of_a_thread_local_works_or_says_that_it_cannot() {
    struct Late(mpsc::Sender<Result<u32, RuntimeError>>);

    impl Drop for Late {
        fn drop(&mut self) {
            let runtime = stackful().build().unwrap();
            self.0
                .send(runtime.run(|| spawn_local(|| 1).result().unwrap()))
                .unwrap();
        }
    }

    thread_local! {
        static BEFORE: RefCell<Option<Late>> = const { RefCell::new(None) };
        static AFTER: RefCell<Option<Late>> = const { RefCell::new(None) };
    }
    for uses_runtime in [false, true] {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || {
            BEFORE.set(Some(Late(sender.clone())));
            if uses_runtime {
                run(|| spawn_local(|| ()).result().unwrap());
            }
            AFTER.set(Some(Late(sender)));
        });
        thread.join().unwrap();
        let results: Vec<_> = receiver.into_iter().collect();
        assert_eq!(results.len(), 2);
        for result in results {
            assert!(matches!(result, Ok(1) | Err(RuntimeError::ThreadEnds)));
        }
    }
}

/// The last clone is dropped on another thread; what the task holds is not `Send`.
#[test]
fn a_waker_owns_nothing_of_its_task() {
    struct Here(ThreadId);

    impl Drop for Here {
        fn drop(&mut self) {
            assert_eq!(thread::current().id(), self.0);
        }
    }

    let mut waker = None;
    run(|| {
        let (sender, receiver) = mpsc::channel();
        let task = spawn_local(move || {
            let _here = Here(thread::current().id());
            let polled = block_until(None, |context| {
                sender.send(context.waker().clone()).unwrap();
                Poll::<()>::Pending
            });
            unreachable!("{polled:?}");
        });
        yield_now();
        waker = Some(receiver.recv().unwrap());
        let other = waker.clone().unwrap();
        thread::spawn(move || other.wake()).join().unwrap();
        let _ = task.cancel();
    });
    thread::spawn(move || drop(waker)).join().unwrap();
}

#[test]
fn no_suspend_lets_through_what_does_not_wait() {
    run(|| {
        let done = spawn_local(|| 5);
        yield_now();
        let value = no_suspend(|| {
            green_tasks::checkpoint();
            let handle = spawn_local(|| ());
            let _ = handle.cancel();
            done.result().unwrap()
        });
        assert_eq!(value, 5);
    });
}

#[test]
fn what_is_told_to_stop_within_no_suspend_stops_after_it() {
    run(|| {
        let reached = Rc::new(Cell::new(0));
        let (sender, receiver) = mpsc::channel::<green_tasks::JoinHandle<()>>();
        let task = spawn_local({
            let reached = Rc::clone(&reached);
            move || {
                let this = receiver.recv().unwrap();
                no_suspend(|| {
                    let _ = this.cancel();
                    reached.set(1);
                });
                yield_now();
                reached.set(2);
            }
        });
        sender.send(task).unwrap();
        yield_now();
        yield_now();
        assert_eq!(reached.get(), 1);
    });
}

/// A started task never leaves its thread, so what it holds need not be `Send`; every way to another thread
/// requires that.
#[test]
fn a_started_task_stays_on_its_thread() {
    run(|| {
        let handles: Vec<_> = (0..10)
            .map(|_| {
                spawn_local(|| {
                    let here = thread::current().id();
                    let (completer, handle) = future_result::pair();
                    let other = thread::spawn(|| completer.complete(()));
                    handle.result().unwrap();
                    other.join().unwrap().unwrap();
                    assert_eq!(thread::current().id(), here);
                })
            })
            .collect();
        for handle in handles {
            handle.result().unwrap();
        }
    });
}

/// Unwinding works as in a panic: destructors see no difference, and `catch_unwind` stops it.
#[test]
fn a_cell_that_is_borrowed_where_its_task_unwinds_is_given_back() {
    run(|| {
        let cell = Rc::new(RefCell::new(0));
        let task = spawn_local({
            let cell = Rc::clone(&cell);
            move || {
                let _borrowed = cell.borrow_mut();
                Event::new().wait();
            }
        });
        yield_now();
        assert!(cell.try_borrow().is_err());
        let _ = task.cancel();
        assert!(task.result().is_err());
        assert!(cell.try_borrow_mut().is_ok());
    });
}

#[test]
fn the_payload_of_one_task_ends_another_as_cancelled_and_harms_nobody() {
    run(|| {
        let payload = Rc::new(RefCell::new(None));
        let first = spawn_local({
            let payload = Rc::clone(&payload);
            move || {
                let caught = catch_unwind(AssertUnwindSafe(|| Event::new().wait()));
                payload.replace(caught.err());
            }
        });
        yield_now();
        let _ = first.cancel();
        first.result().unwrap();
        let caught = payload.take().unwrap();
        let second = spawn_local(move || {
            let limited = timeout(Duration::MAX, || std::panic::resume_unwind(caught));
            limited.unwrap();
        });
        assert!(matches!(second.result(), Err(TaskError::Cancelled)));
    });
}

/// To users a cancelled task is no panic, so none is reported.
#[test]
fn the_panic_hook_is_not_called_for_a_task_that_is_cancelled() {
    static CALLS: AtomicU32 = AtomicU32::new(0);

    // Other tests panic meanwhile, so only reports from this thread count.
    let here = thread::current().id();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        CALLS.fetch_add(u32::from(thread::current().id() == here), Ordering::SeqCst);
        before(info);
    }));
    run(|| {
        let waiting = spawn_local(|| Event::new().wait());
        let limited = spawn_local(|| timeout(Duration::ZERO, || Event::new().wait()));
        yield_now();
        let _ = waiting.cancel();
        assert!(matches!(waiting.result(), Err(TaskError::Cancelled)));
        assert!(limited.result().unwrap().is_err());
        drop(spawn_local(|| Event::new().wait()));
        yield_now();
    });
    assert_eq!(CALLS.load(Ordering::SeqCst), 0);
}

/// Others may point into it, so its addresses are never reused.
#[test]
fn the_stack_of_a_task_that_is_left_behind_is_never_another_tasks() {
    const STACK: usize = 64 << 10;

    fn address() -> usize {
        let local = 0_u8;
        (&raw const *std::hint::black_box(&local)).addr()
    }

    let other = thread::spawn(|| {
        let left = Rc::new(Cell::new(0));
        let ran = stackful().stack_size(STACK).build().unwrap().run(|| {
            let left = Rc::clone(&left);
            let stuck = spawn_local(move || {
                left.set(address());
                let _on_drop = OnDrop(|| Event::new().wait());
                Event::new().wait();
            });
            yield_now();
            let _ = stuck.cancel();
            yield_now();
        });
        assert!(matches!(ran, Err(RuntimeError::Stuck(_))));
        left.get()
    });
    let left = other.join().unwrap();
    let ran = stackful().stack_size(STACK).build().unwrap().run(|| {
        let tasks = (0..1000).map(|_| {
            spawn_local(|| {
                yield_now();
                address()
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let addresses = tasks.into_iter().map(|task| task.result().unwrap());
        addresses.map(|address| address.abs_diff(left)).min()
    });
    assert!(ran.unwrap().unwrap() > STACK / 2);
}

/// The list of what a thread runs is linked through the frames that run it; one of them is left behind.
#[test]
fn what_runs_on_a_stack_that_is_left_behind_does_not_disturb_what_its_thread_runs() {
    let other = thread::spawn(|| {
        let (outer, outers) = future_result::task(|| {
            let ran = try_run(|| {
                let stuck = spawn_local(|| {
                    let (inner, _handle) = future_result::task(|| {
                        let _on_drop = OnDrop(|| Event::new().wait());
                        Event::new().wait();
                    });
                    inner.run();
                });
                yield_now();
                let _ = stuck.cancel();
                yield_now();
            });
            matches!(ran, Err(RuntimeError::Stuck(_)))
        });
        outer.run();
        assert!(outers.result().unwrap());
        let (task, handle) = future_result::task(|| CancelToken::current().is_cancelled());
        task.run();
        assert!(!handle.result().unwrap());
        assert!(!CancelToken::current().is_cancelled());
    });
    other.join().unwrap();
}
