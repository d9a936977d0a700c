//! The order in which one worker takes queued tasks: each lane first in, first out, higher lanes before
//! lower ones, and none passed over forever.

use std::sync::{Arc, Mutex, PoisonError};

use thread_pool::{FutureResult, Priority};

use crate::owner::Owner;
use crate::scheduler;

/// Within this many tasks in a row, each of the other two lanes must have had a turn.
const PATIENCE: usize = 17;

const LANES: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

/// A job that was queued, by its number.
#[derive(Clone, Copy)]
struct Queued {
    lane: Priority,
    is_cancelled: bool,
}

/// One run.
pub(crate) fn queue_up() {
    let (ledger, plan) = scheduler::current();
    let Some(owner) = Owner::new(plan, &ledger) else {
        return;
    };
    let (gate, busy) = owner.occupy();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut queued = Vec::new();
    let mut handles = Vec::new();
    for number in 0..owner.random(|random| random.below(50)) {
        let lane = owner.random(|random| random.pick(&LANES));
        let order = Arc::clone(&order);
        let job = move || {
            let mut order = order.lock().unwrap_or_else(PoisonError::into_inner);
            order.push(number);
        };
        let handle = owner.pool().task().priority(lane).submit(job);
        let is_cancelled = owner.random(|random| random.one_in(8));
        if is_cancelled {
            let _ = handle.cancel();
        }
        queued.push(Queued { lane, is_cancelled });
        handles.push(handle);
    }
    gate.complete(()).expect("the worker waits for it");
    busy.result().expect("it was opened");
    for (handle, queued) in handles.into_iter().zip(&queued) {
        assert_eq!(handle.result().is_err(), queued.is_cancelled);
    }
    owner.end();
    let order = order.lock().unwrap_or_else(PoisonError::into_inner);
    check(&queued, &order);
}

fn check(queued: &[Queued], order: &[usize]) {
    for lane in LANES {
        let in_lane = |number: &usize| queued[*number].lane == lane;
        let expected: Vec<_> = (0..queued.len())
            .filter(in_lane)
            .filter(|&number| !queued[number].is_cancelled)
            .collect();
        let ran: Vec<_> = order.iter().copied().filter(in_lane).collect();
        assert_eq!(ran, expected, "{lane:?}");
        let Some(last) = order.iter().rposition(in_lane) else {
            continue;
        };
        let turns = order[..=last].split(in_lane);
        let longest = turns.map(<[usize]>::len).max().unwrap_or(0);
        // A turn may go to a cancelled task.
        let cancelled = queued
            .iter()
            .filter(|job| job.lane == lane && job.is_cancelled);
        let most = PATIENCE * (1 + cancelled.count());
        assert!(longest <= most, "{lane:?} waits for {longest} of {most}");
    }
    if queued.len() < PATIENCE {
        let lanes: Vec<_> = order.iter().map(|&number| queued[number].lane).collect();
        assert!(
            lanes.is_sorted_by(|before, after| before >= after),
            "{lanes:?}"
        );
    }
}
