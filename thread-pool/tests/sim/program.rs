//! A random program: a pool, some threads that submit to it and wait or do not, and an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use future_result::sync::Faults;
use future_result::{Completer, pair};
use shuttle::thread;
use thread_pool::{
    Cancel, FutureResult, JoinHandle, ShutdownError, TaskError, ThreadPoolExecutor, WhenFull,
    as_completed, blocking,
};

use crate::ledger::{Entry, Ledger, Observer, Value, quietly};
use crate::scheduler::{self, Random};

/// Jobs that jobs submit go so deep.
const DEPTH: usize = 2;

/// What kind of program a seed makes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    workers: usize,
    min_workers: usize,
    keep_alive: Duration,
    bound: Option<(usize, WhenFull)>,
    submitters: usize,
    steps: usize,
    ending: Ending,
    detaches: bool,
    faults: Faults,
}

/// What the main thread does while the others submit.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// Lets go of the pool: its last owner drops it.
    LetGo,
    Shutdown,
    ShutdownNow,
    ShutdownTimeout,
}

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
    /// It panics with what panics when it is dropped.
    BombInPayload,
    /// Submits a job and does with it what threads do.
    Submits,
    SubmitsMany,
    Blocks,
    ShutsDown,
}

impl Plan {
    pub(crate) fn any(seed: u64) -> Self {
        let mut random = Random::new(seed.rotate_left(32));
        let workers = 1 + random.below(3);
        let policies = [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns];
        let bound = (1 + random.below(2), random.pick(&policies));
        let endings = [
            Ending::LetGo,
            Ending::Shutdown,
            Ending::ShutdownNow,
            Ending::ShutdownTimeout,
        ];
        Self {
            workers,
            min_workers: 1 + random.below(workers),
            keep_alive: Duration::from_millis(random.pick(&[0, 1, 1, 60_000])),
            bound: random.one_in(3).then_some(bound),
            submitters: random.below(3),
            steps: 1 + random.below(6),
            ending: random.pick(&endings),
            detaches: random.one_in(4),
            faults: Faults {
                spawn: random.pick(&[0, 0, 2, 5]),
                wake: random.pick(&[0, 3, 20]),
                expire: random.pick(&[1, 2, 10]),
            },
        }
    }

    /// Threads are wanted often, and often cannot be started.
    pub(crate) fn scarce(seed: u64) -> Self {
        let plan = Self::any(seed);
        let mut random = Random::new(!seed);
        Self {
            workers: 1 + random.below(3),
            min_workers: 1,
            keep_alive: Duration::from_millis(random.pick(&[0, 1])),
            bound: None,
            submitters: 1 + random.below(2),
            ending: random.pick(&[Ending::LetGo, Ending::Shutdown]),
            faults: Faults {
                spawn: 2,
                wake: 0,
                expire: 1,
            },
            ..plan
        }
    }

    /// For [`meet`].
    pub(crate) fn meeting(seed: u64) -> Self {
        let plan = Self::any(seed);
        let mut random = Random::new(!seed);
        let workers = 1 + random.below(2);
        Self {
            workers,
            min_workers: 1 + random.below(workers),
            keep_alive: Duration::from_millis(random.pick(&[0, 1, 60_000])),
            bound: None,
            submitters: random.below(3),
            faults: Faults {
                spawn: 0,
                ..plan.faults
            },
            ..plan
        }
    }

    pub(crate) const fn faults(&self) -> Faults {
        self.faults
    }

    fn has_policy(&self, policy: WhenFull) -> bool {
        self.bound.is_some_and(|bound| bound.1 == policy)
    }
}

/// The pool, and what its last owner does with it.
struct Owner {
    pool: Option<ThreadPoolExecutor>,
    plan: Plan,
    ledger: Arc<Ledger>,
}

impl Owner {
    /// `None` if the threads cannot be started.
    fn new(plan: Plan, ledger: &Arc<Ledger>) -> Option<Arc<Self>> {
        let mut builder = ThreadPoolExecutor::builder()
            .workers(plan.workers)
            .min_workers(plan.min_workers)
            .keep_alive(plan.keep_alive);
        if let Some((bound, policy)) = plan.bound {
            builder = builder.queue_bound(bound).when_full(policy);
        }
        Some(Arc::new(Self {
            pool: Some(builder.build().ok()?),
            plan,
            ledger: Arc::clone(ledger),
        }))
    }

    fn pool(&self) -> &ThreadPoolExecutor {
        self.pool.as_ref().expect("not dropped")
    }

    fn random<R>(&self, f: impl FnOnce(&mut Random) -> R) -> R {
        self.ledger.with_random(f)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.ledger.close(false);
        if let Some(pool) = self.pool.take() {
            if self.plan.detaches {
                pool.detach();
            } else {
                drop(pool);
            }
        }
    }
}

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
    end(&owner);
    drop(owner);
    for thread in threads {
        thread.join().expect("no assertion failed");
    }
}

/// One run of jobs that need each other at the same time, while the pool has as many places.
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
    end(&owner);
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

fn end(owner: &Arc<Owner>) {
    let pool = owner.pool();
    match owner.plan.ending {
        Ending::LetGo => return,
        Ending::Shutdown => {
            owner.ledger.close(false);
            pool.shutdown().expect("not a worker");
        }
        Ending::ShutdownNow => {
            let last = last_to_be_queued(owner);
            owner.ledger.close(true);
            pool.shutdown_now().expect("not a worker");
            drop(last);
        }
        Ending::ShutdownTimeout => {
            owner.ledger.close(false);
            let limit = Duration::from_millis(1);
            while pool.shutdown_timeout(limit) == Err(ShutdownError::TimedOut) {}
        }
    }
    owner.ledger.check_drained();
}

/// A job whose end tells the ledger that the queues were swept, if that is what ends it.
fn last_to_be_queued(owner: &Arc<Owner>) -> Option<JoinHandle<()>> {
    // With a bound there is a step between a worker's look and the job's first: it returns the permit.
    if owner.plan.bound.is_some() {
        return None;
    }
    let mut handle = owner.pool().submit(|| ());
    let ledger = Arc::clone(&owner.ledger);
    handle.on_done(move |result| {
        if matches!(result, Err(TaskError::Cancelled)) {
            ledger.swept();
        }
    });
    Some(handle)
}

/// What a thread does with the pool, and a job that submits.
fn act(owner: &Arc<Owner>, depth: usize) {
    let mut held = Vec::new();
    let steps = owner.plan.steps >> depth;
    for _ in 0..=steps {
        match owner.random(|random| random.below(13)) {
            0..=3 => held.extend(submit(owner, depth)),
            4 => submit_detached(owner, depth),
            5 => held.extend(submit_all(owner, depth)),
            6 => drop(format!("{:?}", owner.pool())),
            7 => drop(owner.pool().metrics()),
            8 => broadcast(owner, depth),
            9 => thread::yield_now(),
            10 => scope(owner),
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

/// Submits one job in one of the ways that give a handle.
fn submit(owner: &Arc<Owner>, depth: usize) -> Option<Held> {
    let (observer, job) = job(owner, depth);
    let handle = if owner.random(|random| random.one_in(2)) {
        owner.pool().submit(job)
    } else {
        match owner.pool().try_submit(job) {
            Ok(handle) => handle,
            Err(error) => {
                observer.given_back();
                quietly(|| drop(error.into_job()));
                return None;
            }
        }
    };
    Some(hold(owner, handle, observer))
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

/// Each worker that is there runs its share once.
fn broadcast(owner: &Arc<Owner>, depth: usize) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let handles = owner
        .pool()
        .broadcast(move |_| count.fetch_add(1, Ordering::Relaxed));
    if depth > 0 {
        // Waiting for the others could be waiting for each other.
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

/// A scope, whose parts nobody refuses; but a cancelling shutdown may end them.
fn scope(owner: &Arc<Owner>) {
    let parts = 1 + owner.random(|random| random.below(3));
    quietly(|| {
        owner.pool().scope(|scope| {
            for _ in 0..parts {
                let entry = owner.ledger.add(false);
                let observer = entry.observer();
                observer.is_part();
                let inside = observer.clone();
                let handle = scope.spawn(move || {
                    entry.run();
                    thread::yield_now();
                    drop(entry);
                    inside.value(false)
                });
                observer.accepted();
                match owner.random(|random| random.below(3)) {
                    0 => tell(&observer, handle.result()),
                    1 => thread::yield_now(),
                    _ => drop(handle),
                }
            }
        });
    });
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

/// Takes what is done first, to the last one.
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

/// A random job.
fn job(owner: &Arc<Owner>, depth: usize) -> (Observer, impl FnOnce() -> Value + Send + 'static) {
    let kinds = [
        Kind::Nothing,
        Kind::Nothing,
        Kind::Yields,
        Kind::Panics,
        Kind::BombInClosure,
        Kind::BombInValue,
        Kind::BombInPayload,
        Kind::Submits,
        Kind::Submits,
        Kind::SubmitsMany,
        Kind::Blocks,
        Kind::ShutsDown,
    ];
    let kind = owner.random(|random| random.pick(&kinds));
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
        Kind::Submits if depth < DEPTH => act(&owner, depth + 1),
        Kind::SubmitsMany if depth < DEPTH => {
            // More than a worker has room for.
            let held = (0..6).filter_map(|_| submit(&owner, depth + 1)).collect();
            collect(held);
        }
        Kind::Blocks => blocking(|| {
            thread::yield_now();
            if depth < DEPTH {
                act(&owner, depth + 1);
            }
        }),
        Kind::ShutsDown if !owner.plan.has_policy(WhenFull::CallerRuns) => {
            assert_eq!(owner.pool().shutdown(), Err(ShutdownError::FromWorker));
        }
        Kind::Submits | Kind::SubmitsMany | Kind::ShutsDown => {}
    }
    // It may be the last owner, and so close the pool from within.
    drop(owner);
    drop(entry);
    observer.value(kind == Kind::BombInValue)
}
