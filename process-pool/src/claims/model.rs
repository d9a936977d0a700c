//! Models of one worker and its pool, which share the words in ordinary memory.

#![expect(unsafe_code, reason = "a part of a store, whose accesses loom checks")]

use std::sync::Arc;

use future_result::sync::UnsafeCell;
use loom::thread;

use super::*;

/// What the worker does with its tasks; returns those that began.
fn run(claims: &Claims, tasks: u64) -> Vec<u64> {
    let begun = (0..tasks).filter(|&task| {
        let is_claimed = claims.claim(task);
        if is_claimed {
            claims.finish(task);
        }
        is_claimed
    });
    begun.collect()
}

#[test]
fn taking_back_races_the_worker_and_every_task_has_one_owner() {
    loom::model(|| {
        let claims = Arc::new(Claims::default());
        let worker = thread::spawn({
            let claims = Arc::clone(&claims);
            move || run(&claims, 3)
        });
        // First behind a slow task, then from a worker that is condemned.
        let mut taken = Vec::new();
        taken.extend(claims.take_back(2)..2);
        taken.extend(claims.take_back(3)..3);
        let mut all = [worker.join().unwrap(), taken].concat();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    });
}

#[test]
fn what_was_taken_back_stays_so_whatever_the_worker_does_meanwhile() {
    loom::model(|| {
        let claims = Arc::new(Claims::default());
        let worker = thread::spawn({
            let claims = Arc::clone(&claims);
            move || run(&claims, 2)
        });
        let first = claims.take_back(2);
        // The next message to this worker has the number 2.
        let again = claims.take_back(3);
        let begun = worker.join().unwrap();
        assert_eq!(begun, (0..first).collect::<Vec<_>>());
        assert_eq!(again, 2);
        assert!(!claims.claim(2));
        assert!(claims.claim(3));
    });
}

/// So the pool does not stop a task that has ended: it sees that another one has begun.
#[test]
fn who_sees_a_task_begin_sees_that_the_one_before_has_ended() {
    loom::model(|| {
        let claims = Arc::new(Claims::default());
        let worker = thread::spawn({
            let claims = Arc::clone(&claims);
            move || run(&claims, 2)
        });
        let first = claims.take_back(2);
        assert!(claims.done() >= first.saturating_sub(1));
        worker.join().unwrap();
        // Nothing runs any more: now it is exact.
        assert_eq!(claims.done(), first);
    });
}

/// A place where a worker's values are written one after another.
struct Part(UnsafeCell<()>);

// SAFETY: it holds nothing; loom's check of its accesses is the test.
unsafe impl Sync for Part {}
// SAFETY: as above.
unsafe impl Send for Part {}

#[test]
fn room_of_a_value_is_used_again_when_it_was_read_and_not_before() {
    loom::model(|| {
        let shared = Arc::new((Claims::default(), Part(UnsafeCell::new(()))));
        let worker = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let (claims, part) = &*shared;
                let read = claims.read();
                if read > 0 {
                    part.0.with_mut(|_| ());
                }
                read
            }
        });
        let (claims, part) = &*shared;
        part.0.with(|_| ());
        claims.has_read(0);
        assert!(worker.join().unwrap() <= 1);
        assert_eq!(claims.read(), 1);
    });
}

/// A worker that looks at the bell, then into the pipe, then only at the bell, looks into the pipe again.
#[test]
fn a_message_that_was_missed_is_rung_for() {
    loom::model(|| {
        let shared = Arc::new((Claims::default(), AtomicU64::new(0)));
        let worker = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let (claims, pipe) = &*shared;
                loop {
                    let heard = claims.bell();
                    // It stands for the kernel's pipe, whose reads and writes are ordered.
                    if pipe.swap(0, Ordering::AcqRel) == 1 {
                        return;
                    }
                    while claims.bell() == heard {
                        thread::yield_now();
                    }
                }
            }
        });
        let (claims, pipe) = &*shared;
        pipe.swap(1, Ordering::AcqRel);
        claims.ring();
        worker.join().unwrap();
    });
}
