//! Waiting for the first of several channels: nothing is lost, nobody is forgotten, nobody starves.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use green_tasks::sync::{RecvError, Select, SendError, bounded, unbounded};
use green_tasks::{FutureResult, JoinHandle, no_suspend, now, sleep, spawn_local, yield_now};

use crate::support::{Drops, run, simulate};
use crate::sync::{dawdle, random, storm};

#[test]
fn of_those_that_are_ready_the_one_is_taken_that_was_taken_the_longest_ago() {
    run(|| {
        let channels: Vec<_> = (0..3).map(|_| unbounded()).collect();
        for (place, (sender, _)) in channels.iter().enumerate() {
            (0..4).for_each(|_| sender.send(place).unwrap());
        }
        let mut taken = Vec::new();
        for _ in 0..9 {
            let select = channels
                .iter()
                .fold(Select::new(), |select, (_, receiver)| {
                    select.recv(receiver, |value| value.unwrap())
                });
            taken.push(select.wait());
        }
        assert_eq!(taken, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    });
}

#[test]
fn it_wakes_for_whichever_comes_and_for_a_closed_channel() {
    run(|| {
        let (left, from_left) = unbounded::<u8>();
        let (right, from_right) = unbounded::<u8>();
        let both = move || {
            Select::new()
                .recv(&from_left, |got| ("left", got))
                .recv(&from_right, |got| ("right", got))
                .wait()
        };
        let selecting = spawn_local(move || [both(), both(), both()]);
        yield_now();
        right.send(1).unwrap();
        yield_now();
        left.send(2).unwrap();
        yield_now();
        drop(right);
        let got = selecting.result().unwrap();
        assert_eq!(
            got,
            [("right", Ok(1)), ("left", Ok(2)), ("right", Err(RecvError))]
        );
    });
}

#[test]
fn what_was_granted_and_is_not_taken_goes_to_the_next() {
    run(|| {
        let (left, from_left) = unbounded();
        let (right, from_right) = unbounded();
        let also_right = from_right.clone();
        let selecting = spawn_local(move || {
            Select::new()
                .recv(&from_left, |got| got)
                .recv(&from_right, |got| got)
                .wait()
        });
        yield_now();
        let waiting = spawn_local(move || also_right.recv());
        yield_now();
        // Both grants go to the first, which takes one value.
        left.send(1).unwrap();
        right.send(2).unwrap();
        assert_eq!(selecting.result().unwrap(), Ok(1));
        assert_eq!(waiting.result().unwrap(), Ok(2));
    });
}

#[test]
fn a_cancelled_one_has_taken_nothing_and_hands_on_what_it_was_granted() {
    run(|| {
        let (sender, receiver) = unbounded();
        let other = receiver.clone();
        let selecting = spawn_local(move || Select::new().recv(&receiver, |got| got).wait());
        yield_now();
        let waiting = spawn_local(move || other.recv());
        yield_now();
        sender.send(1).unwrap();
        let _ = selecting.cancel();
        assert!(selecting.result().is_err());
        assert_eq!(waiting.result().unwrap(), Ok(1));
    });
}

#[test]
fn it_waits_on_where_somebody_else_was_faster() {
    run(|| {
        let (sender, receiver) = unbounded();
        let (_other, never) = unbounded::<u8>();
        let thief = receiver.clone();
        let selecting = spawn_local(move || {
            Select::new()
                .recv(&receiver, |got| got)
                .recv(&never, |got| got)
                .wait()
        });
        yield_now();
        sender.send(1).unwrap();
        assert_eq!(thief.try_recv(), Ok(1));
        yield_now();
        assert!(!selecting.is_done());
        sender.send(2).unwrap();
        assert_eq!(selecting.result().unwrap(), Ok(2));
    });
}

#[test]
fn the_same_channel_may_be_there_twice() {
    run(|| {
        let (sender, receiver) = unbounded();
        let other = receiver.clone();
        let selecting = spawn_local(move || {
            Select::new()
                .recv(&receiver, |got| got)
                .recv(&receiver, |got| got)
                .wait()
        });
        yield_now();
        let waiting = spawn_local(move || other.recv());
        yield_now();
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        assert_eq!(selecting.result().unwrap(), Ok(1));
        assert_eq!(waiting.result().unwrap(), Ok(2));
    });
}

#[test]
fn a_value_is_made_when_there_is_room_and_not_before() {
    run(|| {
        let (left, from_left) = bounded(1);
        let (right, from_right) = bounded(1);
        left.send(0).unwrap();
        right.send(0).unwrap();
        let made = Rc::new(Cell::new(0));
        let counter = Rc::clone(&made);
        let sending = spawn_local(move || {
            let make = |value| {
                counter.set(counter.get() + 1);
                value
            };
            Select::new()
                .send(&left, || make(1), |sent| sent)
                .send(&right, || make(2), |sent| sent)
                .wait()
        });
        yield_now();
        assert_eq!(made.get(), 0);
        assert_eq!(from_right.recv(), Ok(0));
        assert_eq!(from_right.recv(), Ok(2));
        sending.result().unwrap().unwrap();
        assert_eq!((made.get(), from_left.len()), (1, 1));

        let (sender, receiver) = bounded(1);
        drop(receiver);
        let sent = Select::new().send(&sender, || 5, |sent| sent).wait();
        assert!(sent == Err(SendError(5)));
    });
}

#[test]
fn room_for_a_value_that_could_not_be_made_goes_to_the_next() {
    run(|| {
        let (sender, receiver) = bounded(1);
        sender.send(1).unwrap();
        let other = sender.clone();
        let failing = spawn_local(move || {
            let fail = || std::panic::resume_unwind(Box::new("no value"));
            Select::new().send(&sender, fail, |sent| sent).wait()
        });
        yield_now();
        let waiting = spawn_local(move || other.send(2));
        yield_now();
        assert_eq!(receiver.recv(), Ok(1));
        assert!(failing.result().is_err());
        waiting.result().unwrap().unwrap();
        assert_eq!(receiver.recv(), Ok(2));
    });
}

#[test]
fn the_shortest_time_ends_the_wait_and_what_is_ready_comes_first() {
    simulate(1, || {
        let (sender, receiver) = unbounded::<u8>();
        let start = now();
        let select = || {
            Select::new()
                .after(Duration::from_secs(60), || Some(60))
                .recv(&receiver, Result::ok)
                .after(Duration::from_secs(5), || Some(5))
        };
        assert_eq!(select().wait(), Some(5));
        assert_eq!(now() - start, Duration::from_secs(5));
        sender.send(1).unwrap();
        assert_eq!(select().after(Duration::ZERO, || None).wait(), Some(1));
        assert_eq!(select().after(Duration::ZERO, || None).wait(), None);
        // A limit beyond the clock's range is none.
        let sending = spawn_local(move || {
            sleep(Duration::from_secs(9));
            sender.send(2)
        });
        let got = Select::new()
            .recv(&receiver, Result::ok)
            .after(Duration::MAX, || None)
            .wait();
        assert_eq!(got, Some(2));
        sending.result().unwrap().unwrap();
    });
}

#[test]
fn where_it_cannot_wait_it_says_so_and_leaves_the_channel_as_it_was() {
    run(|| {
        let (sender, receiver) = unbounded::<u8>();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            no_suspend(|| Select::new().recv(&receiver, |got| got).wait())
        }));
        assert!(ended.is_err());
        let waiting = spawn_local(move || receiver.recv());
        yield_now();
        sender.send(1).unwrap();
        assert_eq!(waiting.result().unwrap(), Ok(1));
    });
}

/// Tasks that are cancelled at any point send and receive through selects: no value is lost or comes twice, and no
/// wake-up is missing, which would be a deadlock.
#[test]
fn a_storm_of_selects_loses_nothing_and_leaves_nobody_waiting() {
    for seed in 0..300 {
        let drops = Drops::default();
        let made = Rc::new(Cell::new(0));
        simulate(seed, || {
            let mut next = random(seed);
            let (left, from_left) = bounded(1 + next(2) as usize);
            let (right, from_right) = bounded(1 + next(2) as usize);
            let received = Rc::new(RefCell::new(Vec::new()));
            let sent = Rc::new(RefCell::new(Vec::new()));
            let mut handles: Vec<JoinHandle<()>> = Vec::new();
            for who in 0..4_u64 {
                let (left, right) = (left.clone(), right.clone());
                let (sent, made, drops) = (Rc::clone(&sent), Rc::clone(&made), drops.clone());
                let how = next(3);
                handles.push(spawn_local(move || {
                    for number in 0..5_u64 {
                        let make = || {
                            made.set(made.get() + 1);
                            (who, number, drops.counted())
                        };
                        let done = Select::new()
                            .send(&left, make, |sent| sent.is_ok())
                            .send(&right, make, |sent| sent.is_ok())
                            .wait();
                        if !done {
                            return;
                        }
                        sent.borrow_mut().push((who, number));
                        dawdle(how);
                    }
                }));
                let (from_left, from_right) = (from_left.clone(), from_right.clone());
                let received = Rc::clone(&received);
                let (how, plain) = (next(3), next(4) == 0);
                handles.push(spawn_local(move || {
                    loop {
                        let got = if plain {
                            from_left.recv().ok()
                        } else {
                            Select::new()
                                .recv(&from_left, Result::ok)
                                .recv(&from_right, Result::ok)
                                .wait()
                        };
                        let Some((who, number, _counted)) = got else {
                            return;
                        };
                        received.borrow_mut().push((who, number));
                        dawdle(how);
                    }
                }));
            }
            drop((left, right));
            let rest = [from_left.clone(), from_right.clone()];
            // If all receivers are cancelled, the senders must learn of it.
            drop((from_left, from_right));
            let draining = spawn_local(move || {
                let mut values = Vec::new();
                let [left, right] = rest;
                let mut open = (true, true);
                while open.0 || open.1 {
                    let select = Select::new();
                    let select = if open.0 {
                        select.recv(&left, |got| (0, got))
                    } else {
                        select
                    };
                    let select = if open.1 {
                        select.recv(&right, |got| (1, got))
                    } else {
                        select
                    };
                    match select.wait() {
                        (_, Ok((who, number, _counted))) => values.push((who, number)),
                        (0, Err(RecvError)) => open.0 = false,
                        (_, Err(RecvError)) => open.1 = false,
                    }
                }
                values
            });
            storm(handles, &mut next);
            received.borrow_mut().extend(draining.result().unwrap());
            let (mut sent, mut received) = (sent.take(), received.take());
            sent.sort_unstable();
            received.sort_unstable();
            assert_eq!(sent, received, "seed {seed}");
        });
        assert_eq!(drops.get(), made.get(), "seed {seed}");
    }
}
