//! Tasks that borrow: each writes to its own slot on the caller's stack.

use std::thread;

use crate::group::{Group, Workload, timed};
use crate::pools;

/// Runs `scope`, which fills each slot with its own number.
fn fill(tasks: u64, scope: impl Fn(&mut [u64]) + 'static) -> Workload {
    Box::new(move || {
        let mut places = vec![0; tasks as usize];
        let run = timed(|| scope(&mut places));
        assert!(places.into_iter().eq(0..tasks));
        run
    })
}

fn ours(tasks: u64) -> Workload {
    let pool = pools::ours();
    fill(tasks, move |places| {
        pool.scope(|scope| {
            for (place, n) in places.iter_mut().zip(0..) {
                scope.spawn(move || *place = n);
            }
        });
    })
}

fn rayon(tasks: u64) -> Workload {
    let pool = pools::rayon();
    fill(tasks, move |places| {
        pool.in_place_scope(|scope| {
            for (place, n) in places.iter_mut().zip(0..) {
                scope.spawn(move |_| *place = n);
            }
        });
    })
}

fn forte(tasks: u64) -> Workload {
    let pool = pools::forte();
    fill(tasks, move |places| {
        pool.scope(|scope| {
            for (place, n) in places.iter_mut().zip(0..) {
                scope.spawn(move |_| *place = n);
            }
        });
    })
}

/// A thread for each task.
fn threads(tasks: u64) -> Workload {
    fill(tasks, |places| {
        thread::scope(|scope| {
            for (place, n) in places.iter_mut().zip(0..) {
                scope.spawn(move || *place = n);
            }
        });
    })
}

pub(super) fn groups() -> Vec<Group> {
    let group = |name, tasks, runs| {
        Group::new(name, tasks, runs)
            .about("Empty tasks that borrow from the caller, which is not a worker, and end before it continues. forte has the caller run them and shares them only at its next heartbeat; the others wake a worker at the first.")
            .aim_everywhere(1.0, None)
            .ours("thread-pool", move || ours(tasks))
            .peer("rayon: in_place_scope", move || rayon(tasks))
            .peer("std: thread::scope", move || threads(tasks))
            .peer("forte: scope", move || forte(tasks))
    };
    vec![group("scope/10", 10, 500), group("scope/1000", 1_000, 10)]
}
