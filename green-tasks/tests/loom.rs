//! The races between a scheduler and other threads, in all interleavings that loom can reach.
//!
//! The scheduler's own part is plain single-threaded code; what is shared is the inbox, the wakers and the cells.
//! So these are models of runtimes without stacks, which wait, are woken and cancelled.
#![cfg(pool_loom)]
#![expect(
    clippy::disallowed_types,
    reason = "a model's counters are not part of the model"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use future_result::{FutureResult, block_until, pair};
use green_tasks::{Runtime, TaskError, spawn_future};
use loom::sync::Mutex;
use loom::thread;

#[test]
fn a_result_races_a_scheduler_that_lies_down_and_it_gets_up() {
    loom::model(|| {
        let (completer, handle) = pair();
        let other = thread::spawn(move || completer.complete(1).unwrap());
        let value = Runtime::new().run(|| handle.result().unwrap());
        assert_eq!(value.unwrap(), 1);
        other.join().unwrap();
    });
}

#[test]
fn two_wake_ups_race_a_scheduler_that_lies_down_and_neither_is_lost() {
    loom::model(|| {
        let (first, first_handle) = pair();
        let (second, second_handle) = pair();
        let others =
            [first, second].map(|completer| thread::spawn(move || completer.complete(1).unwrap()));
        let sum = Runtime::new().block_on(async move {
            let one = spawn_future(first_handle);
            second_handle.await.unwrap() + one.await.unwrap().unwrap()
        });
        assert_eq!(sum.unwrap(), 2);
        for other in others {
            other.join().unwrap();
        }
    });
}

/// A waker is woken twice, while its task or its runtime ends in between.
#[test]
fn a_wake_up_races_the_end_of_its_task_and_of_the_runtime() {
    loom::model(|| {
        let place = Arc::new(Mutex::new(None::<Waker>));
        let waking = thread::spawn({
            let place = Arc::clone(&place);
            move || {
                for _ in 0..2 {
                    let waker = place.lock().unwrap().clone();
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
            }
        });
        let ran = Runtime::new().run(|| {
            let mut polls = 0;
            let polled = block_until(None, |context| {
                polls += 1;
                *place.lock().unwrap() = Some(context.waker().clone());
                context.waker().wake_by_ref();
                if polls == 2 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            });
            polled.unwrap();
        });
        ran.unwrap();
        waking.join().unwrap();
    });
}

/// A woken task sees what was written before each wake-up, even one that was not sent because another was already
/// on its way.
#[test]
fn what_comes_before_a_wake_up_is_seen_after_it_however_many_come_together() {
    loom::model(|| {
        let value = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let ran = Runtime::new().run(|| {
            let mut waker = None;
            let polled = block_until(None, |context| {
                waker = Some(context.waker().clone());
                Poll::Ready(())
            });
            polled.unwrap();
            let others = [1, 2].map(|_| {
                let (value, waker) = (Arc::clone(&value), waker.clone());
                thread::spawn(move || {
                    value.fetch_add(1, Ordering::Relaxed);
                    waker.unwrap().wake();
                })
            });
            let polled = block_until(None, |_| {
                if value.load(Ordering::Relaxed) == 2 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            });
            polled.unwrap();
            others
        });
        for other in ran.unwrap() {
            other.join().unwrap();
        }
    });
}

#[test]
fn a_cancellation_from_elsewhere_reaches_a_scheduler_that_lies_down() {
    loom::model(|| {
        let (completer, cancelled) = pair();
        let ran = Runtime::new().run(|| {
            let handle = spawn_future(std::future::pending::<()>());
            let cancelling = thread::spawn(move || {
                let _ = handle.cancel();
                assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
                completer.complete(()).unwrap();
            });
            cancelled.result().unwrap();
            cancelling
        });
        ran.unwrap().join().unwrap();
    });
}

#[test]
fn a_cancellation_from_elsewhere_races_the_tasks_start_and_its_end() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        struct Counted(Arc<AtomicUsize>);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let counted = Counted(Arc::clone(&drops));
        let ran = Runtime::new().run(|| {
            let (completer, waits_for) = pair::<()>();
            let handle = spawn_future(async move {
                let _counted = counted;
                waits_for.await
            });
            let cancelling = thread::spawn(move || {
                let _ = handle.cancel();
                handle.result()
            });
            green_tasks::yield_now();
            drop(completer);
            green_tasks::yield_now();
            green_tasks::yield_now();
            cancelling
        });
        let result = ran.unwrap().join().unwrap();
        assert!(matches!(
            result,
            Err(TaskError::Cancelled) | Ok(Err(TaskError::Lost(_)))
        ));
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}
