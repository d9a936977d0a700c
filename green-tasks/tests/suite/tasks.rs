//! Tasks, their handles, and what can wait for what from where.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Drops, OnDrop, run, simulate, stackful, try_run};
use future_result::sync::atomic::{AtomicU64, Ordering};
use future_result::{When, as_completed, block_until, pair, wait};
use green_tasks::{
    FutureResult, Rejection, Runtime, RuntimeError, TaskError, await_future, shield, sleep,
    sleep_async, spawn_future, spawn_local, yield_now,
};

#[test]
fn tasks_take_turns_in_the_order_of_their_spawning() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    run(|| {
        let handles: Vec<_> = (0..3)
            .map(|n| {
                let seen = Rc::clone(&seen);
                spawn_local(move || {
                    for round in 0..2 {
                        seen.borrow_mut().push((round, n));
                        yield_now();
                    }
                })
            })
            .collect();
        handles
            .into_iter()
            .for_each(|handle| handle.result().unwrap());
    });
    assert_eq!(
        seen.take(),
        [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    );
}

#[test]
fn a_task_that_waits_for_another_lets_the_others_run() {
    run(|| {
        let (completer, handle) = pair();
        let waiting = spawn_local(|| handle.result().unwrap());
        let completing = spawn_local(move || {
            yield_now();
            completer.complete(7).unwrap();
        });
        assert_eq!(waiting.result().unwrap(), 7);
        assert!(completing.is_done());
    });
}

#[test]
fn a_result_of_another_thread_wakes_the_task_that_waits() {
    run(|| {
        let turns = Rc::new(Cell::new(0));
        let (completer, handle) = pair();
        let (go, gone) = mpsc::channel();
        let other = thread::spawn(move || {
            gone.recv().unwrap();
            completer.complete("from afar").unwrap();
        });
        let waiting = spawn_local(|| handle.result().unwrap());
        let busy = spawn_local({
            let turns = Rc::clone(&turns);
            move || {
                // The waiting task is suspended by now.
                go.send(()).unwrap();
                while turns.get() >= 0 {
                    turns.set(turns.get() + 1);
                    yield_now();
                }
            }
        });
        assert_eq!(waiting.result().unwrap(), "from afar");
        turns.set(i32::MIN);
        busy.result().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_sleeping_scheduler_is_woken_by_other_threads() {
    for _ in 0..200 {
        run(|| {
            let (completer, handle) = pair();
            let other = thread::spawn(|| completer.complete(1).unwrap());
            assert_eq!(
                spawn_local(|| handle.result().unwrap()).result().unwrap(),
                1
            );
            other.join().unwrap();
        });
    }
}

#[test]
fn a_handle_can_be_waited_for_on_another_thread() {
    let (sender, receiver) = mpsc::channel::<green_tasks::JoinHandle<u32>>();
    let other = thread::spawn(move || receiver.recv().unwrap().result());
    run(|| {
        let handle = spawn_local(|| {
            yield_now();
            5
        });
        sender.send(handle).unwrap();
        for _ in 0..10 {
            yield_now();
        }
    });
    assert_eq!(other.join().unwrap().unwrap(), 5);
}

#[test]
fn a_panic_is_the_tasks_outcome_and_nobody_elses() {
    run(|| {
        let fails = spawn_local(|| -> u32 { panic!("no luck today") });
        let succeeds = spawn_local(|| 1);
        let Err(TaskError::Panicked(panic)) = fails.result() else {
            unreachable!()
        };
        assert_eq!(panic.message(), "no luck today");
        assert_eq!(succeeds.result().unwrap(), 1);

        let fails = spawn_future(async { panic!("nor now") });
        assert!(matches!(
            fails.result(),
            Err::<(), _>(TaskError::Panicked(_))
        ));
    });
}

#[test]
fn a_panic_of_main_ends_the_tasks_and_then_goes_on() {
    let drops = Drops::default();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(|| {
            let counted = drops.counted();
            drop(spawn_local(move || {
                let _counted = counted;
                sleep(Duration::MAX);
            }));
            yield_now();
            assert_eq!(drops.get(), 0);
            panic!("main has failed");
        })
    }));
    let payload: Box<&str> = result.unwrap_err().downcast().unwrap();
    assert_eq!(*payload, "main has failed");
    assert_eq!(drops.get(), 1);
}

#[test]
fn values_and_closures_need_not_be_send() {
    let value = run(|| {
        let shared = Rc::new(Cell::new(1));
        let task = spawn_local({
            let shared = Rc::clone(&shared);
            move || {
                shared.set(2);
                shared
            }
        });
        task.result().unwrap().get() + shared.get()
    });
    assert_eq!(value, 4);
}

#[test]
fn spawning_where_it_cannot_be_gives_a_handle_that_says_so() {
    let nowhere = spawn_local(|| 1).result().unwrap_err().to_string();
    assert!(nowhere.contains("no runtime of green tasks"), "{nowhere}");
    let nowhere = spawn_future(async { 1 }).result().unwrap_err().to_string();
    assert!(nowhere.contains("no runtime of green tasks"), "{nowhere}");
    let stackless = Runtime::new().run(|| spawn_local(|| 1).result()).unwrap();
    let text = stackless.unwrap_err().to_string();
    assert!(text.contains("Stackful"), "{text}");
}

#[test]
fn a_task_that_finds_no_stack_is_rejected() {
    let runtime = stackful().max_stacks(2).build().unwrap();
    let ended = runtime.run(|| {
        let (completer, handle) = pair::<()>();
        let shared = handle.shared();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let shared = shared.clone();
                spawn_local(move || shared.result())
            })
            .collect();
        yield_now();
        completer.complete(()).unwrap();
        waiting
            .into_iter()
            .map(FutureResult::result)
            .collect::<Vec<_>>()
    });
    let ended = ended.unwrap();
    assert!(ended[0].is_ok() && ended[1].is_ok());
    assert!(matches!(
        ended[2],
        Err(TaskError::Rejected(Rejection::Full))
    ));
}

#[test]
fn tasks_that_do_not_suspend_share_one_stack() {
    let runtime = stackful().max_stacks(1).build().unwrap();
    let sum = runtime.run(|| {
        let handles: Vec<_> = (0..1000).map(|n| spawn_local(move || n)).collect();
        handles
            .into_iter()
            .map(|handle| handle.result().unwrap())
            .sum::<u32>()
    });
    assert_eq!(sum.unwrap(), 499_500);
}

#[test]
fn a_task_that_is_spawned_while_all_end_is_rejected() {
    let rejected = Rc::new(Cell::new(false));
    run(|| {
        let rejected = Rc::clone(&rejected);
        drop(spawn_local(move || {
            let _on_drop = OnDrop(|| {
                let outcome = spawn_local(|| ()).result();
                let is = matches!(outcome, Err(TaskError::Rejected(Rejection::ShutDown)));
                rejected.set(is);
            });
            sleep(Duration::MAX);
        }));
        yield_now();
    });
    assert!(rejected.get());
}

#[test]
fn runs_do_not_nest_and_follow_each_other() {
    let inner = run(|| spawn_local(|| try_run(|| ())).result().unwrap());
    assert!(matches!(inner, Err(RuntimeError::Nested)));
    assert_eq!(run(|| 1) + run(|| 2), 3);
    struct InDestructor(mpsc::Sender<bool>);
    impl Drop for InDestructor {
        fn drop(&mut self) {
            let refused = matches!(try_run(|| ()), Err(RuntimeError::Panicking));
            self.0.send(refused).unwrap();
        }
    }
    let (sender, receiver) = mpsc::channel();
    let result = thread::spawn(move || {
        let _in_destructor = InDestructor(sender);
        panic!("on purpose");
    });
    assert!(result.join().is_err());
    assert!(receiver.recv().unwrap());
}

#[test]
fn stack_sizes_are_checked() {
    for size in [0, 16 << 10, usize::MAX] {
        let built = stackful().stack_size(size).build();
        assert_eq!(built.is_ok(), size == 16 << 10);
    }
}

#[test]
fn futures_and_closures_wait_for_each_other() {
    run(|| {
        let closure = spawn_local(|| {
            yield_now();
            20
        });
        let future = spawn_future(async move { closure.await.unwrap() + 1 });
        let task = spawn_local(move || await_future(future).unwrap() * 2);
        assert_eq!(task.result().unwrap(), 42);
    });
}

#[test]
fn a_future_that_blocks_lets_the_others_run() {
    let sum = Runtime::new().run(|| {
        let (completer, handle) = pair();
        let blocks = spawn_future(async move { handle.result().unwrap() });
        let completes = spawn_future(async move { completer.complete(7) });
        blocks.result().unwrap() + i32::from(completes.result().unwrap().is_ok())
    });
    assert_eq!(sum.unwrap(), 8);
}

#[test]
fn a_wake_up_that_a_wait_within_a_poll_swallows_is_not_lost() {
    for (as_future, yields) in [(false, false), (true, false), (false, true), (true, true)] {
        run(|| {
            let (first, mut first_handle) = pair();
            let (second, second_handle) = pair();
            let mut second_handle = Some(second_handle);
            // Gives its waker to the first, then waits for the second within the poll.
            let future = std::future::poll_fn(move |context| {
                let polled = first_handle.poll_done(context);
                match second_handle.take() {
                    Some(handle) if yields => {
                        while !handle.is_done() {
                            yield_now();
                        }
                    }
                    Some(handle) => handle.result().unwrap(),
                    None => {}
                }
                polled
            });
            let waiting = if as_future {
                spawn_future(future)
            } else {
                spawn_local(|| await_future(future))
            };
            let completing = spawn_local(move || {
                yield_now();
                first.complete(()).unwrap();
                yield_now();
                yield_now();
                second.complete(()).unwrap();
            });
            waiting.result().unwrap();
            completing.result().unwrap();
        });
    }
}

#[test]
fn a_poll_that_wakes_itself_lets_the_others_run() {
    run(|| {
        let neighbour = spawn_local(|| ());
        let mut polls = 0;
        let polled = block_until(None, |context| {
            polls += 1;
            context.waker().wake_by_ref();
            if neighbour.is_done() {
                Poll::Ready(polls)
            } else {
                Poll::Pending
            }
        });
        assert!(polled.unwrap() <= 3);
    });
}

#[test]
fn all_ways_to_wait_for_handles_suspend_the_task_alone() {
    run(|| {
        let progress = Rc::new(Cell::new(0));
        let counting = spawn_local({
            let progress = Rc::clone(&progress);
            move || loop {
                progress.set(progress.get() + 1);
                yield_now();
            }
        });
        let task = spawn_local(|| {
            let slow = |n| {
                spawn_local(move || {
                    for _ in 0..10 {
                        yield_now();
                    }
                    n
                })
            };
            let total: u32 = as_completed([slow(1), slow(2)])
                .map(|(_, result)| result.unwrap())
                .sum();
            let mut handles = [slow(3), slow(4)];
            let waited = wait(&mut handles, When::All, None);
            assert!(waited.pending.is_empty());
            let shared = slow(5).shared();
            let other = shared.clone();
            shared.result().unwrap() + other.result().unwrap() + total
        });
        assert_eq!(task.result().unwrap(), 13);
        assert!(progress.get() >= 30);
        let _ = counting.cancel();
    });
}

#[test]
fn wakers_that_outlive_their_task_or_runtime_wake_nobody() {
    let kept = Rc::new(RefCell::new(Vec::new()));
    run(|| {
        let keep = |kept: &Rc<RefCell<Vec<_>>>| {
            let kept = Rc::clone(kept);
            spawn_local(move || {
                let once = block_until(None, |context| {
                    kept.borrow_mut().push(context.waker().clone());
                    Poll::Ready(())
                });
                once.unwrap();
            })
        };
        keep(&kept).result().unwrap();
        // Another task in the same slot.
        let (completer, handle) = pair();
        let next = spawn_local(move || handle.result());
        yield_now();
        kept.borrow().iter().for_each(Waker::wake_by_ref);
        yield_now();
        assert!(!next.is_done());
        completer.complete(()).unwrap();
        next.result().unwrap().unwrap();
    });
    for waker in kept.take() {
        waker.wake_by_ref();
        thread::spawn(move || drop(waker)).join().unwrap();
    }
}

/// A timer wakes it while the queue is empty: then no task may wait.
#[test]
fn a_waker_that_wants_to_wait_when_a_timer_wakes_it_is_stopped_and_harms_nobody() {
    struct Waits(AtomicU64);

    impl Wake for Waits {
        fn wake(self: Arc<Self>) {
            // ORDERING: Relaxed; one thread.
            self.0.fetch_add(1, Ordering::Relaxed);
            yield_now();
            unreachable!("nobody can wait here");
        }
    }

    let waits = Arc::new(Waits(AtomicU64::new(0)));
    for closing in [false, true] {
        simulate(1, || {
            let waker = Waker::from(Arc::clone(&waits));
            let second = Duration::from_secs(1);
            let mut asleep = Box::pin(sleep_async(second));
            let polled = asleep.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
            let other = spawn_local(move || {
                shield(|| sleep(second * 2));
                drop(asleep);
            });
            if closing {
                sleep(second / 2);
            } else {
                other.result().unwrap();
                sleep(second);
            }
        });
    }
    // ORDERING: Relaxed; one thread.
    assert_eq!(waits.0.load(Ordering::Relaxed), 2);
}

#[test]
fn where_turns_are_long_the_outside_is_looked_at_after_each() {
    const TURN: Duration = Duration::from_millis(1);
    run(|| {
        let turns = Rc::new(Cell::new(0));
        let (completer, outside) = pair::<()>();
        let waiting = spawn_local({
            let turns = Rc::clone(&turns);
            move || outside.result().map(|()| turns.get())
        });
        let busy = spawn_local({
            let turns = Rc::clone(&turns);
            move || {
                let mut completer = Some(completer);
                let mut completed_at = 0;
                while turns.get() < 140 {
                    let start = Instant::now();
                    while start.elapsed() < TURN {
                        std::hint::spin_loop();
                    }
                    turns.set(turns.get() + 1);
                    // By now the length of turns is known, and this is no 61st turn.
                    if turns.get() == 70
                        && let Some(completer) = completer.take()
                    {
                        let told = thread::spawn(move || completer.complete(()));
                        assert_eq!(told.join().unwrap(), Ok(()));
                        completed_at = turns.get();
                    }
                    yield_now();
                }
                completed_at
            }
        });
        let completed_at = busy.result().unwrap();
        let woken_at = waiting.result().unwrap().unwrap();
        assert!(
            (completed_at..=completed_at + 1).contains(&woken_at),
            "{completed_at}, {woken_at}"
        );
    });
}
