//! Synchronization checked against simple models, in many orders, with tasks cancelled at any point.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use green_tasks::sync::{
    Condvar, Event, Mutex, RecvError, Semaphore, SendError, TryRecvError, TrySendError, bounded,
    unbounded,
};
use green_tasks::{
    Elapsed, FutureResult, JoinHandle, TaskError, sleep, spawn_local, timeout, yield_now,
};

use crate::support::{Drops, OnDrop, run, simulate};

const LONG: Duration = Duration::from_secs(1 << 30);

/// Pseudo-random numbers, from a seed.
pub(crate) fn random(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 8) % below
    }
}

/// Waits in one of several ways.
pub(crate) fn dawdle(how: u64) {
    match how {
        0 => {}
        1 => yield_now(),
        millis => sleep(Duration::from_millis(millis)),
    }
}

/// Cancels some tasks midway, and waits for all.
pub(crate) fn storm<T>(handles: Vec<JoinHandle<T>>, mut random: impl FnMut(u64) -> u64) {
    for handle in &handles {
        dawdle(random(5));
        if random(3) == 0 {
            let _ = handle.cancel();
        }
    }
    for handle in handles {
        match handle.result() {
            Ok(_) | Err(TaskError::Cancelled) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_lock_lets_one_in_at_a_time_in_the_order_of_coming() {
    run(|| {
        let lock = Rc::new(Mutex::new(Vec::new()));
        let guard = lock.lock();
        let handles: Vec<_> = (0..5)
            .map(|n| {
                let lock = Rc::clone(&lock);
                spawn_local(move || {
                    let mut order = lock.lock();
                    yield_now();
                    order.push(n);
                })
            })
            .collect();
        yield_now();
        assert!(lock.try_lock().is_none());
        drop(guard);
        // Those that came before are served first.
        assert!(lock.try_lock().is_none());
        assert_eq!(*lock.lock(), [0, 1, 2, 3, 4]);
        handles
            .into_iter()
            .for_each(|handle| handle.result().unwrap());
    });
}

#[test]
fn a_storm_at_a_semaphore_neither_makes_nor_loses_permits() {
    for seed in 0..300 {
        simulate(seed, || {
            let mut next = random(seed);
            let permits = Rc::new(Semaphore::new(1 + next(3) as usize));
            let total = permits.available();
            let inside = Rc::new(Cell::new(0));
            let handles = (0..12)
                .map(|_| {
                    let (permits, inside) = (Rc::clone(&permits), Rc::clone(&inside));
                    let (how, limit) = (next(4), 1 + next(6));
                    spawn_local(move || {
                        for _ in 0..3 {
                            let limit = Duration::from_millis(limit);
                            let Ok(_permit) = timeout(limit, || permits.acquire()) else {
                                continue;
                            };
                            inside.set(inside.get() + 1);
                            let _leave = OnDrop(|| inside.set(inside.get() - 1));
                            assert!(inside.get() <= total);
                            dawdle(how);
                        }
                    })
                })
                .collect();
            storm(handles, next);
            assert_eq!(
                (permits.available(), inside.get()),
                (total, 0),
                "seed {seed}"
            );
        });
    }
}

#[test]
fn a_storm_at_a_channel_loses_no_value_and_keeps_each_senders_order() {
    for seed in 0..300 {
        let drops = Drops::default();
        let made = Rc::new(Cell::new(0));
        simulate(seed, || {
            let mut next = random(seed);
            let (sender, receiver) = match next(4) {
                0 => unbounded(),
                capacity => bounded(capacity as usize),
            };
            let sent = Rc::new(RefCell::new(Vec::new()));
            let received = Rc::new(RefCell::new(Vec::new()));
            let mut handles = Vec::new();
            for who in 0..4_u64 {
                let (sender, sent, made) = (sender.clone(), Rc::clone(&sent), Rc::clone(&made));
                let (drops, how) = (drops.clone(), next(3));
                handles.push(spawn_local(move || {
                    for number in 0..5_u64 {
                        made.set(made.get() + 1);
                        if sender.send((who, number, drops.counted())).is_err() {
                            return;
                        }
                        sent.borrow_mut().push((who, number));
                        dawdle(how);
                    }
                }));
                let (receiver, received) = (receiver.clone(), Rc::clone(&received));
                let how = next(3);
                handles.push(spawn_local(move || {
                    for (who, number, _counted) in &receiver {
                        received.borrow_mut().push((who, number));
                        dawdle(how);
                    }
                }));
            }
            drop(sender);
            storm(handles, &mut next);
            // What is still in the channel.
            while let Ok((who, number, _counted)) = receiver.try_recv() {
                received.borrow_mut().push((who, number));
            }
            let mut last = HashMap::new();
            for &(who, number) in received.borrow().iter() {
                let before = last.insert(who, number);
                assert!(before.is_none_or(|before| before < number), "seed {seed}");
            }
            let (mut sent, mut received) = (sent.take(), received.take());
            sent.sort_unstable();
            received.sort_unstable();
            assert_eq!(sent, received, "seed {seed}");
        });
        assert_eq!(drops.get(), made.get(), "seed {seed}");
    }
}

#[test]
fn a_channel_tells_both_ends_when_the_other_is_gone() {
    run(|| {
        let (sender, receiver) = bounded(1);
        sender.send(1).unwrap();
        assert!(matches!(sender.try_send(2), Err(TrySendError::Full(2))));
        let blocked = spawn_local(move || sender.send(2));
        yield_now();
        drop(receiver);
        assert!(blocked.result().unwrap() == Err(SendError(2)));

        let (sender, receiver) = bounded(1);
        let other = sender.clone();
        let blocked = spawn_local(move || receiver.recv());
        yield_now();
        drop(sender);
        yield_now();
        other.send(3).unwrap();
        assert_eq!(blocked.result().unwrap(), Ok(3));

        let (sender, receiver) = unbounded::<u8>();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        let blocked = spawn_local(move || receiver.recv());
        yield_now();
        drop(sender);
        assert_eq!(blocked.result().unwrap(), Err(RecvError));
    });
}

#[test]
fn a_notification_that_comes_with_a_cancellation_goes_to_the_next() {
    run(|| {
        let shared = Rc::new((Mutex::new(0), Condvar::new()));
        let wait = || {
            let shared = Rc::clone(&shared);
            spawn_local(move || {
                let (lock, changed) = &*shared;
                let mut value = changed.wait(lock.lock());
                *value += 1;
            })
        };
        let (first, second) = (wait(), wait());
        yield_now();
        shared.1.notify_one();
        let _ = first.cancel();
        assert!(first.result().is_err());
        second.result().unwrap();
        assert_eq!(*shared.0.lock(), 1);
    });
}

#[test]
fn a_notified_task_that_is_cancelled_before_it_has_the_lock_again_passes_the_notification_on() {
    run(|| {
        let shared = Rc::new((Mutex::new(0), Condvar::new()));
        let wait = || {
            let shared = Rc::clone(&shared);
            spawn_local(move || {
                let (lock, changed) = &*shared;
                *changed.wait(lock.lock()) += 1;
            })
        };
        let (first, second) = (wait(), wait());
        yield_now();
        let held = shared.0.lock();
        shared.1.notify_one();
        // It has been notified, and waits for the lock.
        yield_now();
        let _ = first.cancel();
        assert!(matches!(first.result(), Err(TaskError::Cancelled)));
        drop(held);
        second.result().unwrap();
        assert_eq!(*shared.0.lock(), 1);
    });
}

#[test]
fn an_event_lets_all_go_on_and_can_be_used_again() {
    run(|| {
        let event = Rc::new(Event::new());
        let handles: Vec<_> = (0..3)
            .map(|_| {
                let event = Rc::clone(&event);
                spawn_local(move || event.wait())
            })
            .collect();
        yield_now();
        event.set();
        event.reset();
        assert!(!event.is_set());
        handles
            .into_iter()
            .for_each(|handle| handle.result().unwrap());
        assert_eq!(
            timeout(Duration::from_millis(1), || event.wait()),
            Err(Elapsed)
        );
    });
}

#[test]
fn what_is_left_in_a_channel_is_dropped_outside_of_it() {
    run(|| {
        // Its destructor looks into the channel that it is in.
        let (sender, receiver) = unbounded::<Box<dyn std::any::Any>>();
        let look = sender.clone();
        let value = OnDrop(move || assert!(format!("{look:?}").contains("values: 0")));
        sender.send(Box::new(value)).unwrap();
        drop(receiver);
    });
}

#[test]
fn locks_work_where_no_runtime_is_as_long_as_nobody_waits() {
    let lock = Mutex::new(1);
    *lock.lock() += 1;
    assert_eq!(lock.into_inner(), 2);
    let permits = Semaphore::new(1);
    drop(permits.acquire());
    let (sender, receiver) = bounded(1);
    sender.send(5).unwrap();
    assert_eq!(receiver.recv(), Ok(5));
    let event = Event::new();
    event.set();
    event.wait();
}

#[test]
fn what_was_left_behind_by_one_runtime_is_passed_over_in_the_next() {
    let lock = Rc::new(Mutex::new(1));
    let other = std::thread::spawn(|| {
        // A task is left behind in its own destructor, in an event's queue.
        let event = Rc::new(Event::new());
        let ran = crate::support::try_run(|| {
            let inner = Rc::clone(&event);
            let handle = spawn_local(move || {
                let _on_drop = OnDrop(|| inner.wait());
                sleep(LONG);
            });
            yield_now();
            let _ = handle.cancel();
            yield_now();
        });
        assert!(ran.is_err());
        // There is nobody to wake.
        event.set();
    });
    other.join().unwrap();
    run(|| drop(lock.lock()));
}
