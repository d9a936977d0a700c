//! The reader-writer lock: who gets in, in which order, and what a cancelled task leaves behind.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use green_tasks::sync::RwLock;
use green_tasks::{FutureResult, JoinHandle, spawn_local, timeout, yield_now};

use crate::support::{OnDrop, run, simulate};
use crate::sync::{dawdle, random, storm};

type Order = Rc<RefCell<Vec<&'static str>>>;

fn reader(lock: &Rc<RwLock<()>>, order: &Order, name: &'static str) -> JoinHandle<()> {
    let (lock, order) = (Rc::clone(lock), Rc::clone(order));
    spawn_local(move || {
        let _guard = lock.read();
        order.borrow_mut().push(name);
        yield_now();
    })
}

fn writer(lock: &Rc<RwLock<()>>, order: &Order, name: &'static str) -> JoinHandle<()> {
    let (lock, order) = (Rc::clone(lock), Rc::clone(order));
    spawn_local(move || {
        let _guard = lock.write();
        order.borrow_mut().push(name);
        yield_now();
    })
}

fn join(handles: impl IntoIterator<Item = JoinHandle<()>>) {
    handles
        .into_iter()
        .for_each(|handle| handle.result().unwrap());
}

#[test]
fn readers_share_and_a_waiting_writer_keeps_later_ones_out_for_one_turn() {
    run(|| {
        let lock = Rc::new(RwLock::new(()));
        let order = Order::default();
        let first = lock.read();
        assert!(lock.try_write().is_none());
        drop(lock.try_read().unwrap());
        let handles = [
            writer(&lock, &order, "w1"),
            reader(&lock, &order, "r1"),
            writer(&lock, &order, "w2"),
            reader(&lock, &order, "r2"),
        ];
        yield_now();
        assert!(lock.try_read().is_none(), "a writer waits");
        drop(first);
        assert!(lock.try_read().is_none(), "the writer has it already");
        join(handles);
        // All readers go between two writers, whenever they arrived.
        assert_eq!(*order.borrow(), ["w1", "r1", "r2", "w2"]);
        drop(lock.try_write().unwrap());
    });
}

#[test]
fn readers_that_overlap_for_ever_do_not_starve_a_writer() {
    run(|| {
        let lock = Rc::new(RwLock::new(()));
        let done = Rc::new(Cell::new(false));
        let reading: Vec<_> = (0..3)
            .map(|_| {
                let (lock, done) = (Rc::clone(&lock), Rc::clone(&done));
                spawn_local(move || {
                    while !done.get() {
                        let _guard = lock.read();
                        yield_now();
                    }
                })
            })
            .collect();
        yield_now();
        drop(lock.write());
        done.set(true);
        join(reading);
    });
}

#[test]
fn a_writer_that_is_cancelled_while_it_waits_lets_those_in_who_waited_for_it_alone() {
    run(|| {
        let lock = Rc::new(RwLock::new(()));
        let order = Order::default();
        let _first = lock.read();
        let writing = writer(&lock, &order, "w");
        let reading = reader(&lock, &order, "r");
        yield_now();
        assert!(order.borrow().is_empty());
        let _ = writing.cancel();
        reading.result().unwrap();
        assert!(writing.result().is_err());
    });
}

#[test]
fn a_grant_that_comes_with_a_cancellation_goes_to_the_next() {
    for is_writer in [false, true] {
        run(|| {
            let lock = Rc::new(RwLock::new(()));
            let order = Order::default();
            let first = lock.write();
            let victim = if is_writer {
                writer(&lock, &order, "victim")
            } else {
                reader(&lock, &order, "victim")
            };
            let next = writer(&lock, &order, "next");
            yield_now();
            drop(first);
            let _ = victim.cancel();
            next.result().unwrap();
            assert!(victim.result().is_err());
            assert_eq!(*order.borrow(), ["next"]);
        });
    }
}

#[test]
fn a_storm_at_the_lock_never_mixes_readers_and_writers_and_leaves_it_unlocked() {
    for seed in 0..300 {
        simulate(seed, || {
            let mut next = random(seed);
            let lock = Rc::new(RwLock::new(()));
            let readers = Rc::new(Cell::new(0));
            let writers = Rc::new(Cell::new(0));
            let handles = (0..12)
                .map(|_| {
                    let lock = Rc::clone(&lock);
                    let (readers, writers) = (Rc::clone(&readers), Rc::clone(&writers));
                    let (how, limit, writes) = (next(4), 1 + next(6), next(3) == 0);
                    spawn_local(move || {
                        for _ in 0..3 {
                            let limit = Duration::from_millis(limit);
                            if writes {
                                let Ok(_guard) = timeout(limit, || lock.write()) else {
                                    continue;
                                };
                                writers.set(writers.get() + 1);
                                let _leave = OnDrop(|| writers.set(writers.get() - 1));
                                assert_eq!((readers.get(), writers.get()), (0, 1));
                                dawdle(how);
                            } else {
                                let Ok(_guard) = timeout(limit, || lock.read()) else {
                                    continue;
                                };
                                readers.set(readers.get() + 1);
                                let _leave = OnDrop(|| readers.set(readers.get() - 1));
                                assert_eq!(writers.get(), 0);
                                dawdle(how);
                            }
                        }
                    })
                })
                .collect();
            storm(handles, next);
            assert!(lock.try_write().is_some(), "seed {seed}");
        });
    }
}

#[test]
fn the_lock_works_where_no_runtime_is_as_long_as_nobody_waits() {
    let mut lock = RwLock::new(1);
    *lock.write() += 1;
    assert_eq!(*lock.read() + *lock.read(), 4);
    *lock.get_mut() += 1;
    assert!(format!("{lock:?}").contains("value: 3"));
    assert_eq!(lock.into_inner(), 3);
}
