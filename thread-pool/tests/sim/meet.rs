//! Jobs that need each other at the same time, in a pool that has as many places.

use std::sync::Arc;

use future_result::{Completer, pair};
use shuttle::thread;
use thread_pool::{FutureResult, JoinHandle, blocking};

use crate::owner::Owner;
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
    for _ in 0..plan.steps {
        let (here, there) = (pair(), pair());
        // With one place, who waits must make room.
        let blocks = plan.workers == 1;
        let guest = attend(there.0, here.1, blocks);
        let way = owner.random(|random| random.below(3));
        let handles = if way == 0 {
            let inner = Arc::clone(&owner);
            let host = owner.pool().submit(move || {
                drop(inner.pool().submit(guest));
                attend(here.0, there.1, blocks)();
            });
            vec![host]
        } else {
            let host = attend(here.0, there.1, blocks);
            if way == 1 {
                vec![owner.pool().submit(host), owner.pool().submit(guest)]
            } else {
                owner.pool().submit_all([host, guest])
            }
        };
        for handle in handles {
            handle.result().expect("both have come");
        }
    }
    for thread in threads {
        thread.join().expect("no assertion failed");
    }
    owner.end();
}

/// A job that says that it is there, and waits for the other.
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

/// Uses the pool, but keeps no worker for long.
fn disturb(owner: &Arc<Owner>) {
    for _ in 0..owner.plan.steps {
        match owner.random(|random| random.below(5)) {
            0 => drop(format!("{:?}", owner.pool())),
            1 => drop(owner.pool().metrics()),
            2 => drop(owner.pool().submit_all([|| (), || ()])),
            3 => drop(owner.pool().broadcast(|_| ())),
            _ => owner.pool().execute(|| ()).expect("open"),
        }
    }
}
