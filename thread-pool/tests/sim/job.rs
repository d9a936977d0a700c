//! A random job: what it does, what of it panics, and what it does to the pool from within.

use std::sync::Arc;

use shuttle::thread;
use thread_pool::{ShutdownError, WhenFull, blocking};

use crate::entry::{Entry, Observer, Value};
use crate::owner::Owner;
use crate::program;

/// How deep jobs submit jobs.
pub(crate) const DEPTH: usize = 2;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    Yields,
    Panics,
    /// Its closure panics when it is dropped.
    BombInClosure,
    /// Its value panics when it is dropped.
    BombInValue,
    /// It panics with a payload that panics when it is dropped.
    BombInPayload,
    /// Uses the pool as threads do.
    Acts,
    /// Submits more than a worker has room for.
    SubmitsMany,
    Blocks,
    ShutsDown,
}

const KINDS: [Kind; 12] = [
    Kind::Nothing,
    Kind::Nothing,
    Kind::Yields,
    Kind::Panics,
    Kind::BombInClosure,
    Kind::BombInValue,
    Kind::BombInPayload,
    Kind::Acts,
    Kind::Acts,
    Kind::SubmitsMany,
    Kind::Blocks,
    Kind::ShutsDown,
];

/// A random job.
pub(crate) fn job(
    owner: &Arc<Owner>,
    depth: usize,
) -> (Observer, impl FnOnce() -> Value + Send + use<>) {
    let kind = owner.random(|random| random.pick(&KINDS));
    let entry = owner.ledger.add(kind == Kind::BombInClosure);
    let observer = entry.observer();
    let (owner, inside) = (Arc::clone(owner), observer.clone());
    (observer, move || work(owner, kind, entry, &inside, depth))
}

fn work(owner: Arc<Owner>, kind: Kind, entry: Entry, observer: &Observer, depth: usize) -> Value {
    entry.run();
    match kind {
        Kind::Nothing | Kind::BombInValue | Kind::BombInClosure => {}
        Kind::Yields => (0..3).for_each(|_| thread::yield_now()),
        Kind::Panics => entry.panic(observer.value(false)),
        Kind::BombInPayload => entry.panic(observer.value(true)),
        Kind::Acts if depth < DEPTH => program::act(&owner, depth + 1),
        Kind::SubmitsMany if depth < DEPTH => program::submit_many(&owner, depth + 1),
        Kind::Blocks => blocking(|| {
            thread::yield_now();
            if depth < DEPTH {
                program::act(&owner, depth + 1);
            }
        }),
        Kind::ShutsDown if !owner.plan.has_policy(WhenFull::CallerRuns) => {
            assert_eq!(owner.pool().shutdown(), Err(ShutdownError::FromWorker));
        }
        Kind::Acts | Kind::SubmitsMany | Kind::ShutsDown => {}
    }
    // It may be the last owner, and so close the pool from within.
    drop(owner);
    drop(entry);
    observer.value(kind == Kind::BombInValue)
}
