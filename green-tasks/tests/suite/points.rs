//! Each of the scene's tasks is cancelled at each of its turns, one at a time: then nothing is lost or left locked,
//! and the others run to their end. A missing wake-up would be a deadlock, which fails the run.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use green_tasks::sync::{Condvar, Event, Mutex, RwLock, Select, Semaphore, bounded, unbounded};
use green_tasks::{
    Cancel, FutureResult, JoinHandle, TaskError, sleep, spawn_local, timeout, yield_now,
};

use crate::support::{Drops, OnDrop, simulate};
use crate::sync::dawdle;

const SEEDS: u64 = 8;
const MS: Duration = Duration::from_millis(1);

/// Tasks, and what must hold when all have ended.
struct Scene {
    tasks: Vec<JoinHandle<()>>,
    check: Box<dyn FnOnce()>,
}

/// Checks the tasks once nothing more happens, and then lets the waiting ones end.
type Settled = Box<dyn FnOnce(&[JoinHandle<()>])>;

/// Runs a scene once for each task and each turn at which it can be cancelled.
fn cancel_at_every_point(name: &str, scene: impl Fn(&Drops) -> Scene) {
    cancel_and_settle(name, |drops| (scene(drops), Box::new(|_| ())));
}

fn cancel_and_settle(name: &str, scene: impl Fn(&Drops) -> (Scene, Settled)) {
    let mut points = 0;
    for seed in 0..SEEDS {
        for victim in 0.. {
            let mut victims = 0;
            // Some wait until they are released.
            for point in 0..40 {
                let drops = Drops::default();
                let made = Rc::new(Cell::new(0));
                let mut came_late = false;
                simulate(seed, || {
                    let (Scene { tasks, check }, settled) = scene(&drops);
                    victims = tasks.len();
                    made.set(victims);
                    for step in 0..point {
                        // Both, to hit it while it waits and when it is about to go on.
                        if step % 3 == 2 {
                            sleep(MS)
                        } else {
                            yield_now()
                        }
                    }
                    came_late = tasks[victim].cancel() == Cancel::TooLate;
                    sleep(1000 * MS);
                    settled(&tasks);
                    for task in tasks {
                        match task.result() {
                            Ok(()) | Err(TaskError::Cancelled) => {}
                            Err(error) => panic!("{name}, seed {seed}: {error}"),
                        }
                    }
                    check();
                });
                assert_eq!(
                    drops.get(),
                    made.get(),
                    "{name}, seed {seed}, task {victim}, point {point}"
                );
                if came_late {
                    break;
                }
                points += 1;
            }
            if victim + 1 == victims {
                break;
            }
        }
    }
    assert!(points > 50, "{name}: only {points} points");
}

/// A task that counts until its closure is gone.
fn task(drops: &Drops, body: impl FnOnce() + 'static) -> JoinHandle<()> {
    let counted = drops.counted();
    spawn_local(move || {
        let _counted = counted;
        body();
    })
}

#[test]
fn a_mutex() {
    cancel_at_every_point("mutex", |drops| {
        let lock = Rc::new(Mutex::new(()));
        let inside = Rc::new(Cell::new(false));
        let tasks = (0..4)
            .map(|how| {
                let (lock, inside) = (Rc::clone(&lock), Rc::clone(&inside));
                task(drops, move || {
                    for _ in 0..2 {
                        let _guard = lock.lock();
                        assert!(!inside.replace(true));
                        let _leave = OnDrop(|| inside.set(false));
                        dawdle(how);
                    }
                })
            })
            .collect();
        let check = Box::new(move || assert!(lock.try_lock().is_some()));
        Scene { tasks, check }
    });
}

#[test]
fn a_semaphore_with_time_limits() {
    cancel_at_every_point("semaphore", |drops| {
        let permits = Rc::new(Semaphore::new(2));
        let tasks = (0..5)
            .map(|how| {
                let permits = Rc::clone(&permits);
                task(drops, move || {
                    for _ in 0..2 {
                        if let Ok(_permit) = timeout(2 * MS, || permits.acquire()) {
                            dawdle(how);
                        }
                    }
                })
            })
            .collect();
        let check = Box::new(move || assert_eq!(permits.available(), 2));
        Scene { tasks, check }
    });
}

#[test]
fn a_lock_of_readers_and_writers() {
    cancel_at_every_point("rwlock", |drops| {
        let lock = Rc::new(RwLock::new(()));
        let users = Rc::new(Cell::new((0, 0)));
        let tasks = (0..6)
            .map(|n| {
                let (lock, users) = (Rc::clone(&lock), Rc::clone(&users));
                task(drops, move || {
                    let add = |readers: i32, writers: i32| {
                        let (r, w) = users.get();
                        users.set((r + readers, w + writers));
                    };
                    if n % 3 == 0 {
                        let _guard = lock.write();
                        add(0, 1);
                        let _leave = OnDrop(|| add(0, -1));
                        assert_eq!(users.get(), (0, 1));
                        dawdle(n % 3 + 1);
                    } else {
                        let _guard = lock.read();
                        add(1, 0);
                        let _leave = OnDrop(|| add(-1, 0));
                        assert_eq!(users.get().1, 0);
                        dawdle(n % 3);
                    }
                })
            })
            .collect();
        let check = Box::new(move || assert!(lock.try_write().is_some()));
        Scene { tasks, check }
    });
}

#[test]
fn a_queue_of_a_condvar() {
    cancel_at_every_point("condvar", |drops| {
        let queue = Rc::new((Mutex::new(VecDeque::new()), Condvar::new()));
        let taken = Rc::new(Cell::new(0));
        let put = Rc::new(Cell::new(0));
        let closed = Rc::new(Cell::new(0));
        let mut tasks = Vec::new();
        for how in 0..3 {
            let (queue, put) = (Rc::clone(&queue), Rc::clone(&put));
            // Also runs if the task never begins.
            let close = OnDrop({
                let (queue, closed) = (Rc::clone(&queue), Rc::clone(&closed));
                move || {
                    closed.set(closed.get() + 1);
                    queue.1.notify_all();
                }
            });
            tasks.push(task(drops, move || {
                let _close = close;
                let (items, changed) = &*queue;
                for item in 0..3 {
                    items.lock().push_back(item);
                    put.set(put.get() + 1);
                    changed.notify_one();
                    dawdle(how);
                }
            }));
        }
        let senders = tasks.len();
        for how in 0..2 {
            let (queue, taken, closed) = (Rc::clone(&queue), Rc::clone(&taken), Rc::clone(&closed));
            tasks.push(task(drops, move || {
                let (items, changed) = &*queue;
                let take = || {
                    let is_open =
                        |items: &mut VecDeque<i32>| items.is_empty() && closed.get() < senders;
                    let next = changed.wait_while(items.lock(), is_open).pop_front();
                    taken.set(taken.get() + usize::from(next.is_some()));
                    next.is_some()
                };
                while take() {
                    dawdle(how);
                }
            }));
        }
        let check = Box::new(move || {
            let left = queue.0.try_lock().map(|items| items.len());
            assert_eq!(left, Some(put.get() - taken.get()));
        });
        Scene { tasks, check }
    });
}

#[test]
fn bounded_channels_and_selects_between_them() {
    cancel_at_every_point("select", |drops| {
        let (left, from_left) = bounded(1);
        let (right, from_right) = bounded(1);
        let sent = Rc::new(RefCell::new(Vec::new()));
        let received = Rc::new(RefCell::new(Vec::new()));
        let mut tasks = Vec::new();
        for who in 0..3_u64 {
            let (left, right, sent) = (left.clone(), right.clone(), Rc::clone(&sent));
            tasks.push(task(drops, move || {
                for number in 0..3_u64 {
                    let value = (who, number);
                    let done = if who == 0 {
                        left.send(value)
                    } else {
                        Select::new()
                            .send(&left, || value, |sent| sent)
                            .send(&right, || value, |sent| sent)
                            .wait()
                    };
                    if done.is_err() {
                        return;
                    }
                    sent.borrow_mut().push(value);
                    dawdle(who);
                }
            }));
        }
        drop((left, right));
        for who in 0..3_u64 {
            let (left, right) = (from_left.clone(), from_right.clone());
            let received = Rc::clone(&received);
            tasks.push(task(drops, move || {
                let next = || match who {
                    0 => right.recv().ok(),
                    1 => left.recv().ok(),
                    _ => Select::new()
                        .recv(&left, Result::ok)
                        .recv(&right, Result::ok)
                        .after(10 * MS, || None)
                        .wait(),
                };
                while let Some(value) = next() {
                    received.borrow_mut().push(value);
                    dawdle(2 - who);
                }
            }));
        }
        let check = Box::new(move || {
            let mut received = received.take();
            received.extend(std::iter::from_fn(|| from_left.try_recv().ok()));
            received.extend(std::iter::from_fn(|| from_right.try_recv().ok()));
            let mut sent = sent.take();
            sent.sort_unstable();
            received.sort_unstable();
            assert_eq!(sent, received);
        });
        Scene { tasks, check }
    });
}

#[test]
fn an_event() {
    cancel_at_every_point("event", |drops| {
        let event = Rc::new(Event::new());
        let passed = Rc::new(Cell::new(0));
        let mut tasks: Vec<_> = (0..4)
            .map(|how| {
                let (event, passed) = (Rc::clone(&event), Rc::clone(&passed));
                task(drops, move || {
                    dawdle(how);
                    event.wait();
                    yield_now();
                    passed.set(passed.get() + 1);
                })
            })
            .collect();
        // Also runs if the task never begins.
        let set = OnDrop(move || event.set());
        tasks.push(task(drops, move || {
            let _set = set;
            sleep(3 * MS);
        }));
        let check = Box::new(move || assert!(passed.get() >= 3));
        Scene { tasks, check }
    });
}

fn unfinished(tasks: &[JoinHandle<()>]) -> usize {
    tasks.iter().filter(|task| !task.is_done()).count()
}

#[test]
fn a_value_for_a_cancelled_receiver_is_received_by_another() {
    cancel_and_settle("recv", |drops| {
        let (sender, receiver) = unbounded();
        let tasks: Vec<_> = (0..3)
            .map(|how| {
                let receiver = receiver.clone();
                task(drops, move || {
                    dawdle(how % 2);
                    let _ = receiver.recv();
                })
            })
            .collect();
        let sending = sender.clone();
        drop(spawn_local(move || {
            // One less than the others wait for, since another value would hide a loss.
            for value in 0..2 {
                sending.send(value).unwrap();
                yield_now();
            }
        }));
        let settled = move |tasks: &[JoinHandle<()>]| {
            assert!(unfinished(tasks) == 0 || receiver.is_empty());
            drop(sender);
        };
        let check = Box::new(|| ());
        (Scene { tasks, check }, Box::new(settled))
    });
}

#[test]
fn room_for_a_cancelled_sender_is_used_by_another() {
    cancel_and_settle("send", |drops| {
        let (sender, receiver) = bounded(1);
        let tasks: Vec<_> = (0..4)
            .map(|how| {
                let sender = sender.clone();
                task(drops, move || {
                    dawdle(how % 2);
                    let _ = sender.send(how);
                })
            })
            .collect();
        let receiving = receiver.clone();
        drop(spawn_local(move || {
            for _ in 0..2 {
                yield_now();
                let _ = receiving.recv();
            }
        }));
        let settled = move |tasks: &[JoinHandle<()>]| {
            assert!(unfinished(tasks) == 0 || receiver.len() == 1);
            drop(receiver);
        };
        let check = Box::new(|| ());
        (Scene { tasks, check }, Box::new(settled))
    });
}

#[test]
fn a_notification_for_a_cancelled_task_reaches_another() {
    cancel_and_settle("notify", |drops| {
        let shared = Rc::new((Mutex::new(0), Condvar::new()));
        let tasks: Vec<_> = (0..3)
            .map(|how| {
                let shared = Rc::clone(&shared);
                task(drops, move || {
                    dawdle(how % 2);
                    let (tokens, changed) = &*shared;
                    *changed.wait_while(tokens.lock(), |tokens| *tokens == 0) -= 1;
                })
            })
            .collect();
        let putting = Rc::clone(&shared);
        drop(spawn_local(move || {
            for _ in 0..3 {
                *putting.0.lock() += 1;
                putting.1.notify_one();
                yield_now();
            }
        }));
        let settled = move |tasks: &[JoinHandle<()>]| {
            let left = *shared.0.try_lock().unwrap();
            assert!(unfinished(tasks) == 0 || left == 0);
            *shared.0.lock() += 3;
            shared.1.notify_all();
        };
        let check = Box::new(|| ());
        (Scene { tasks, check }, Box::new(settled))
    });
}

#[test]
fn readers_do_not_wait_for_a_writer_that_was_cancelled() {
    cancel_and_settle("writer", |drops| {
        let lock = Rc::new(RwLock::new(()));
        let done = Rc::new(Event::new());
        let (held, until) = (Rc::clone(&lock), Rc::clone(&done));
        let holder = spawn_local(move || {
            let _guard = held.read();
            until.wait();
        });
        yield_now();
        let tasks: Vec<_> = (0..3)
            .map(|n| {
                let lock = Rc::clone(&lock);
                task(drops, move || match n {
                    0 => drop(lock.write()),
                    _ => drop(lock.read()),
                })
            })
            .collect();
        let settled = move |tasks: &[JoinHandle<()>]| {
            // If the writer is still there, the others wait behind it, or came before.
            assert!(!tasks[0].is_done() || unfinished(tasks) == 0);
            done.set();
            holder.result().unwrap();
        };
        let check = Box::new(|| ());
        (Scene { tasks, check }, Box::new(settled))
    });
}
