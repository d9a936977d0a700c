//! `GreenPool`: never more tasks than its size, and none lost.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use green_tasks::sync::Event;
use green_tasks::{
    Cancel, FutureResult, GreenPool, RuntimeError, TaskError, now, scope, sleep, spawn,
    spawn_local, timeout, yield_now,
};

use crate::support::{Drops, OnDrop, run, simulate, stackful, try_run};
use crate::sync::random;

const LONG: Duration = Duration::from_secs(1 << 30);

#[test]
fn spawning_waits_while_the_pool_is_full() {
    simulate(1, || {
        let pool = GreenPool::new(2);
        let before = now();
        for _ in 0..6 {
            drop(pool.spawn(|| sleep(Duration::from_secs(1))));
        }
        assert_eq!(now() - before, Duration::from_secs(2));
        pool.join();
        assert_eq!(now() - before, Duration::from_secs(3));
    });
}

#[test]
fn a_map_yields_in_order_and_its_errors_are_values() {
    run(|| {
        let pool = GreenPool::new(4);
        let function = |n: u32| {
            assert!(n != 3, "not this one");
            for _ in 0..(10 - n) {
                yield_now();
            }
            n * n
        };
        let results: Vec<_> = pool.map(function, 0..6).collect();
        let squares = results.iter().map(|result| result.as_ref().ok().copied());
        assert!(squares.eq([Some(0), Some(1), Some(4), None, Some(16), Some(25)]));
        assert!(
            matches!(&results[3], Err(TaskError::Panicked(panic)) if panic.message() == "not this one")
        );
        let chunks = pool.map(|n: u32| n, 0..100).chunk_size(7);
        assert!(chunks.map(Result::unwrap).eq(0..100));
    });
}

#[test]
fn dropping_a_map_cancels_what_it_has_submitted() {
    run(|| {
        let pool = GreenPool::new(4);
        let started = Rc::new(Cell::new(0));
        let counter = Rc::clone(&started);
        let mut map = pool.map(
            move |n: u32| {
                counter.set(counter.get() + 1);
                if n > 0 {
                    sleep(LONG);
                }
            },
            0..,
        );
        map.next().unwrap().unwrap();
        drop(map);
        pool.join();
        assert!(started.get() <= 5);
    });
}

#[test]
fn dropping_a_pool_waits_for_its_tasks_and_unwinding_cancels_them() {
    simulate(1, || {
        let ended = Rc::new(Cell::new(false));
        let pool = GreenPool::new(1);
        let inner = Rc::clone(&ended);
        drop(pool.spawn(move || {
            sleep(Duration::from_secs(5));
            inner.set(true);
        }));
        drop(pool);
        assert!(ended.get());
    });
    run(|| {
        let drops = Drops::default();
        let counted = drops.counted();
        let owner = spawn_local(move || {
            let pool = GreenPool::new(1);
            drop(pool.spawn(move || {
                let _counted = counted;
                sleep(LONG);
            }));
            sleep(LONG);
        });
        yield_now();
        yield_now();
        assert_eq!(owner.cancel(), Cancel::Requested);
        assert!(owner.result().is_err());
        yield_now();
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn a_task_may_be_the_last_to_have_its_pool() {
    run(|| {
        let pool = Rc::new(GreenPool::new(1));
        let handle = pool.spawn({
            let pool = Rc::clone(&pool);
            move || {
                yield_now();
                drop(pool);
                1
            }
        });
        drop(pool);
        assert_eq!(handle.result().unwrap(), 1);
    });
}

/// Its scope waits for a task whose unwanted value waits forever in its destructor. Nothing unwinds, so the
/// thread can start another run; but the task and its stack belong to the first.
#[test]
fn a_pool_that_outlives_its_run_does_not_wake_what_was_left_behind_there() {
    let pool = GreenPool::new(2);
    let ran = try_run(|| {
        let waiting = || OnDrop(|| Event::new().wait());
        drop(pool.spawn(move || scope(|s| drop(s.spawn(waiting)))));
        (0..2).for_each(|_| yield_now());
    });
    assert!(matches!(ran, Err(RuntimeError::Stuck(_))));
    assert_eq!(pool.len(), 1);
    run(|| {
        let other = spawn_local(yield_now);
        pool.cancel_all();
        yield_now();
        assert_eq!(pool.len(), 1);
        other.result().unwrap();
    });
}

#[test]
fn a_storm_at_a_pool_keeps_its_bound_and_loses_nothing() {
    for seed in 0..200 {
        let drops = Drops::default();
        let made = Rc::new(Cell::new(0));
        simulate(seed, || {
            let mut next = random(seed);
            let size = 1 + next(4) as usize;
            let pool = Rc::new(GreenPool::new(size));
            let inside = Rc::new(Cell::new(0_usize));
            let spawners: Vec<_> = (0..4)
                .map(|_| {
                    let (pool, inside) = (Rc::clone(&pool), Rc::clone(&inside));
                    let (drops, made) = (drops.clone(), Rc::clone(&made));
                    let (how, limit) = (next(5), next(8));
                    spawn_local(move || {
                        for _ in 0..4 {
                            made.set(made.get() + 1);
                            let (counted, inside) = (drops.counted(), Rc::clone(&inside));
                            let handle = timeout(Duration::from_millis(limit), || {
                                pool.spawn(move || {
                                    let _counted = counted;
                                    inside.set(inside.get() + 1);
                                    let _leave = OnDrop(|| inside.set(inside.get() - 1));
                                    assert!(inside.get() <= size);
                                    sleep(Duration::from_millis(how));
                                })
                            });
                            if let Ok(handle) = handle
                                && how % 2 == 0
                            {
                                let _ = handle.cancel();
                            }
                        }
                    })
                })
                .collect();
            for handle in spawners {
                if next(4) == 0 {
                    let _ = handle.cancel();
                }
                let _ = handle.result();
            }
            pool.join();
            assert_eq!((pool.len(), inside.get()), (0, 0), "seed {seed}");
        });
        assert_eq!(drops.get(), made.get(), "seed {seed}");
    }
}

/// A pool's tasks are on the thread that made it.
#[test]
fn the_tasks_of_a_pool_stay_on_its_thread_and_each_thread_may_have_a_pool() {
    let threads_of = || {
        let here = thread::current().id();
        let pool = GreenPool::new(4);
        let on_its_own = |_| {
            yield_now();
            thread::current().id()
        };
        let results: Vec<_> = pool.map(on_its_own, 0..50).map(Result::unwrap).collect();
        assert!(results.iter().all(|&thread| thread == here));
        here
    };
    let runtime = stackful().threads(2).build().unwrap();
    let (here, there) = runtime
        .run(|| {
            // Started on another thread, since this one gives nobody a turn.
            let (started, has_started) = mpsc::channel();
            let there = spawn(move || {
                started.send(()).unwrap();
                threads_of()
            });
            has_started.recv().unwrap();
            (threads_of(), there.result().unwrap())
        })
        .unwrap();
    assert_ne!(here, there);
}
