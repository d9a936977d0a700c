//! A random program: a pool, some threads that submit to it and may wait, and an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shuttle::thread;
use thread_pool::{
    Cancel, FutureResult, JoinHandle, Priority, SubmitError, TaskError, WhenFull, as_completed,
};

use crate::borrow;
use crate::entry::{Observer, Value, quietly};
use crate::job::job;
use crate::maps;
use crate::owner::Owner;
use crate::plan::Ending;
use crate::scheduler;

/// More workers than any run has.
const WORKERS_MAX: u64 = 100;

/// A job's handle.
struct Held {
    handle: JoinHandle<Value>,
    observer: Observer,
}

/// One run.
pub(crate) fn run() {
    let (ledger, plan) = scheduler::current();
    let Some(owner) = Owner::new(plan, &ledger) else {
        return;
    };
    let threads: Vec<_> = (0..plan.submitters)
        .map(|_| {
            let owner = Arc::clone(&owner);
            thread::spawn(move || act(&owner, 0))
        })
        .collect();
    act(&owner, 0);
    owner.end();
    let is_last = owner.random(|random| random.one_in(2));
    let owner = is_last.then_some(owner);
    for thread in threads {
        thread.join().expect("no assertion failed");
    }
    if let Some(owner) = owner
        && !matches!(plan.ending, Ending::LetGo)
    {
        owner.check_sums();
    }
}

/// What a thread does with the pool, and a job that goes on with it.
pub(crate) fn act(owner: &Arc<Owner>, depth: usize) {
    let mut held = Vec::new();
    let steps = owner.plan.steps >> depth;
    for _ in 0..=steps {
        match owner.random(|random| random.below(20)) {
            0..=4 => held.extend(submit(owner, depth)),
            5 => submit_detached(owner, depth),
            6 => held.extend(submit_all(owner, depth)),
            7 => drop(format!("{:?}", owner.pool())),
            8 => owner.look(),
            9 => broadcast(owner, depth),
            10 => thread::yield_now(),
            11 => borrow::scope(owner, depth),
            12 => borrow::join(owner, depth),
            13 => borrow::map(owner, depth),
            14 => maps::map(owner),
            _ => {
                if !held.is_empty() {
                    let place = owner.random(|random| random.below(held.len()));
                    settle(owner, held.swap_remove(place));
                }
            }
        }
    }
    if owner.random(|random| random.one_in(3)) {
        collect(held);
    } else {
        held.into_iter().for_each(|held| settle(owner, held));
    }
}

/// Submits more than fits in a worker's deque, and waits for it.
pub(crate) fn submit_many(owner: &Arc<Owner>, depth: usize) {
    let held = (0..6).filter_map(|_| submit(owner, depth)).collect();
    collect(held);
}

/// Submits one job in one of the ways that give a handle.
fn submit(owner: &Arc<Owner>, depth: usize) -> Option<Held> {
    let (observer, job) = job(owner, depth);
    let pool = owner.pool();
    let submitted = match owner.random(|random| random.below(4)) {
        0 => Ok(pool.submit(job)),
        1 => pool.try_submit(job),
        _ => submit_with_options(owner, &observer, job),
    };
    match submitted {
        Ok(handle) => Some(hold(owner, handle, observer)),
        Err(error) => {
            observer.given_back();
            quietly(|| drop(error.into_job()));
            None
        }
    }
}

/// With a priority, and perhaps with a time limit.
fn submit_with_options<F>(
    owner: &Owner,
    observer: &Observer,
    job: F,
) -> Result<JoinHandle<Value>, SubmitError<F>>
where
    F: FnOnce() -> Value + Send + 'static,
{
    let priorities = [Priority::Low, Priority::Normal, Priority::High];
    let (priority, limit, tries) = owner.random(|random| {
        let limits = [None, None, Some(0), Some(1), Some(60_000)];
        (
            random.pick(&priorities),
            random.pick(&limits),
            random.one_in(2),
        )
    });
    let mut options = owner.pool().task().priority(priority);
    if let Some(milliseconds) = limit {
        options = options.time_limit(Duration::from_millis(milliseconds));
        observer.is_limited();
    }
    if tries {
        options.try_submit(job)
    } else {
        Ok(options.submit(job))
    }
}

fn submit_detached(owner: &Arc<Owner>, depth: usize) {
    let (observer, job) = job(owner, depth);
    match owner.pool().execute(move || drop(job())) {
        Ok(()) => observer.accepted(),
        Err(error) => {
            observer.given_back();
            quietly(|| drop(error.into_job()));
        }
    }
}

fn submit_all(owner: &Arc<Owner>, depth: usize) -> Vec<Held> {
    let count = owner.random(|random| random.below(7));
    let (observers, jobs): (Vec<_>, Vec<_>) = (0..count).map(|_| job(owner, depth)).unzip();
    let handles = owner.pool().submit_all(jobs);
    let held = handles.into_iter().zip(observers);
    held.map(|(handle, observer)| hold(owner, handle, observer))
        .collect()
}

fn hold(owner: &Arc<Owner>, mut handle: JoinHandle<Value>, observer: Observer) -> Held {
    // A full queue may have refused it.
    if !(owner.plan.has_policy(WhenFull::Reject) && handle.is_done()) {
        observer.accepted();
    }
    if owner.random(|random| random.one_in(3)) {
        observer.has_callback();
        let called = observer.clone();
        handle.on_done(move |result| called.callback(result));
    }
    Held { handle, observer }
}

/// Each existing worker runs its share once.
fn broadcast(owner: &Arc<Owner>, depth: usize) {
    let calls = Arc::new(AtomicUsize::new(0));
    let (count, ledger) = (Arc::clone(&calls), Arc::clone(&owner.ledger));
    ledger.expect_tasks(WORKERS_MAX);
    let handles = owner.pool().broadcast(move |_| {
        ledger.task_runs();
        count.fetch_add(1, Ordering::Relaxed)
    });
    owner
        .ledger
        .expect_fewer_tasks(WORKERS_MAX - handles.len() as u64);
    if depth > 0 {
        // Two broadcasts that wait for all shares could deadlock.
        return;
    }
    let results = handles.into_iter().map(FutureResult::result);
    let mut ran = 0;
    for result in results {
        match result {
            Ok(_) => ran += 1,
            Err(TaskError::Cancelled | TaskError::Rejected(_) | TaskError::Lost(_)) => {}
            Err(error) => panic!("a share of a broadcast: {error}"),
        }
    }
    assert_eq!(calls.load(Ordering::Relaxed), ran, "shares that ran");
}

/// Waits for a job, or loses patience, or interest.
fn settle(owner: &Arc<Owner>, held: Held) {
    let Held { handle, observer } = held;
    match owner.random(|random| random.below(8)) {
        0..=2 => tell(&observer, handle.result()),
        3..=4 => match handle.result_timeout(Duration::from_millis(1)) {
            Ok(result) => tell(&observer, result),
            Err(handle) => settle(owner, Held { handle, observer }),
        },
        5..=6 => {
            let mut prevented = false;
            quietly(|| prevented = handle.cancel() == Cancel::Prevented);
            if prevented {
                observer.prevented();
            }
            if owner.random(|random| random.one_in(2)) {
                tell(&observer, handle.result());
            } else {
                quietly(|| drop(handle));
            }
        }
        _ => quietly(|| drop(handle)),
    }
}

/// Takes all results, in the order of completion.
fn collect(held: Vec<Held>) {
    let (observers, handles): (Vec<_>, Vec<_>) = held
        .into_iter()
        .map(|held| (held.observer, held.handle))
        .unzip();
    for (index, result) in as_completed(handles) {
        tell(&observers[index], result);
    }
}

fn tell(observer: &Observer, result: Result<Value, TaskError>) {
    observer.told(result.as_ref());
    quietly(|| drop(result));
}
