//! Jobs that need each other at the same time, in a pool that has room for both.

use std::sync::Arc;

use future_result::{Completer, pair};
use shuttle::thread;
use thread_pool::{FutureResult, JoinHandle, blocking};

use crate::owner::Owner;
use crate::plan::Ending;
use crate::scheduler;

/// One run.
pub(crate) fn meet() {
    let (ledger, plan) = scheduler::current();
    let Some(owner) = Owner::new(plan, &ledger) else {
        return;
    };
    let threads: Vec<_> = (0..plan.submitters)
        .map(|_| {
            let owner = Arc::clone(&owner);
            thread::spawn(move || disturb(&owner))
        })
        .collect();
    for _ in 1..plan.steps {
        let way = owner.random(|random| random.below(4));
        all_have_come(invite(&owner, way));
    }
    // The pool may be closed while the last two still need it.
    let way = owner.random(|random| random.below(3));
    let handles = invite(&owner, way);
    if matches!(plan.ending, Ending::ShutdownNow) {
        // That would cancel them.
        all_have_come(handles);
        owner.end();
    } else {
        owner.end();
        all_have_come(handles);
    }
    for thread in threads {
        thread.join().expect("no assertion failed");
    }
}

fn all_have_come(handles: Vec<JoinHandle<()>>) {
    for handle in handles {
        handle.result().expect("both have come");
    }
}

/// Submits two that need each other, in one of four ways; the last one needs a pool that is open.
fn invite(owner: &Arc<Owner>, way: usize) -> Vec<JoinHandle<()>> {
    let (here, there) = (pair(), pair());
    // With one place, a waiting job must make room.
    let blocks = owner.plan.workers == 1;
    let guest = attend(there.0, here.1, blocks);
    let host = attend(here.0, there.1, blocks);
    let pool = owner.pool();
    let inner = Arc::clone(owner);
    match way {
        0 => vec![pool.submit(host), pool.submit(guest)],
        1 => pool.submit_all([host, guest]),
        2 => vec![pool.submit(move || {
            inner.pool().scope(|scope| {
                drop(scope.spawn(guest));
                drop(scope.spawn(host));
            });
        })],
        _ => vec![pool.submit(move || {
            drop(inner.pool().submit(guest));
            host();
        })],
    }
}

/// A job that announces itself, and waits for the other.
fn attend(
    here: Completer<()>,
    there: JoinHandle<()>,
    blocks: bool,
) -> impl FnOnce() + Send + 'static {
    move || {
        here.complete(()).expect("somebody waits for it");
        let wait = || there.result().expect("the other is there, too");
        if blocks { blocking(wait) } else { wait() }
    }
}

/// Uses the pool, but occupies no worker for long.
fn disturb(owner: &Arc<Owner>) {
    for _ in 0..owner.plan.steps {
        match owner.random(|random| random.below(5)) {
            0 => drop(format!("{:?}", owner.pool())),
            1 => drop(owner.pool().metrics()),
            2 => drop(owner.pool().submit_all([|| (), || ()])),
            3 => drop(owner.pool().broadcast(|_| ())),
            _ => drop(owner.pool().execute(|| ())),
        }
    }
}
