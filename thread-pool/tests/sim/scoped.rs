//! Scopes: tasks that borrow, waited for or not, and scopes that panic.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shuttle::thread;
use thread_pool::{Cancel, FutureResult, Scope, ScopedHandle, TaskError};

use crate::entry::{Observer, Value, quietly};
use crate::job::DEPTH;
use crate::lent::{Ground, Lent};
use crate::owner::Owner;
use crate::program;

const PLACES: usize = 4;

type Result<'a> = std::result::Result<(Value, Lent<'a>), TaskError>;

/// A scope's task, and what is known about it.
struct Held<'scope, 'env> {
    handle: ScopedHandle<'scope, (Value, Lent<'env>)>,
    observer: Observer,
    fate: Arc<Fate>,
}

/// Whether a scope must panic for a task.
#[derive(Default)]
struct Fate {
    /// It ran to its end.
    is_good: AtomicBool,
    /// Its handle has reported that it did not.
    is_seen: AtomicBool,
}

/// What the tasks of a scope share.
struct Frame<'a> {
    owner: &'a Arc<Owner>,
    ground: &'a Ground,
    fates: &'a Mutex<Vec<Arc<Fate>>>,
    depth: usize,
}

impl Clone for Frame<'_> {
    fn clone(&self) -> Self {
        *self
    }
}

impl Copy for Frame<'_> {}

pub(crate) fn scope(owner: &Arc<Owner>, depth: usize) {
    let ground = Ground::new(PLACES);
    let fates = Mutex::default();
    let frame = Frame {
        owner,
        ground: &ground,
        fates: &fates,
        depth,
    };
    let panics = owner.random(|random| random.one_in(8));
    let mut leaks = 0;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        owner.pool().scope(|scope| {
            leaks = frame.fill(scope);
            if panics {
                resume_unwind(Box::new("the scope's own"));
            }
        });
    }));
    ground.take_back(leaks);
    let fates = fates.into_inner().unwrap_or_else(PoisonError::into_inner);
    let is_bad = |fate: &Arc<Fate>| {
        !fate.is_good.load(Ordering::Relaxed) && !fate.is_seen.load(Ordering::Relaxed)
    };
    let must_panic = panics || fates.iter().any(is_bad);
    assert_eq!(
        outcome.is_err(),
        must_panic,
        "whether the scope panicked for its tasks"
    );
}

impl<'env> Frame<'env> {
    /// Spawns some tasks, and returns how many handles it leaked.
    fn fill<'scope>(self, scope: &'scope Scope<'scope, 'env>) -> usize {
        let mut held = Vec::new();
        let mut leaks = 0;
        for _ in 0..=self.owner.plan.steps {
            match self.owner.random(|random| random.below(8)) {
                0..=3 => held.push(self.spawn(scope, false)),
                // It spawns another, whose handle it drops.
                4 => held.push(self.spawn(scope, true)),
                5 => {
                    self.spawn_leaked(scope);
                    leaks += 1;
                }
                _ => {
                    if !held.is_empty() {
                        let place = self.owner.random(|random| random.below(held.len()));
                        self.settle(held.swap_remove(place));
                    }
                }
            }
        }
        for held in held {
            self.settle(held);
        }
        leaks
    }

    fn spawn<'scope>(self, scope: &'scope Scope<'scope, 'env>, spawns: bool) -> Held<'scope, 'env> {
        let kind = self.owner.random(|random| random.below(9));
        let place = self.owner.random(|random| random.below(PLACES));
        let entry = self.owner.ledger.add(kind == 0);
        let observer = entry.observer();
        observer.is_part();
        let fate = self.fate();
        let lent = self.ground.lend_bomb(place, kind == 1);
        let (inside, its_fate) = (observer.clone(), Arc::clone(&fate));
        let handle = scope.spawn(move || {
            entry.run();
            lent.visit();
            if spawns {
                drop(self.spawn(scope, false).handle);
            }
            match kind {
                2 => entry.panic(inside.value(false)),
                3 => entry.panic(inside.value(true)),
                4 => thread::yield_now(),
                5 if self.depth < DEPTH => program::act(self.owner, self.depth + 1),
                _ => {}
            }
            drop(entry);
            its_fate.is_good.store(true, Ordering::Relaxed);
            (inside.value(kind == 6), lent)
        });
        observer.spawned();
        observer.accepted();
        Held {
            handle,
            observer,
            fate,
        }
    }

    /// Spawns a task whose handle is leaked, with what it borrowed.
    fn spawn_leaked<'scope>(self, scope: &'scope Scope<'scope, 'env>) {
        let fate = self.fate();
        let lent = self.ground.lend(0);
        self.owner.ledger.leak();
        self.owner.ledger.expect_tasks(1);
        mem::forget(scope.spawn(move || {
            lent.visit();
            fate.is_good.store(true, Ordering::Relaxed);
            lent
        }));
    }

    fn fate(self) -> Arc<Fate> {
        let fate = Arc::<Fate>::default();
        let mut fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
        fates.push(Arc::clone(&fate));
        fate
    }

    fn settle(self, held: Held<'_, '_>) {
        let Held {
            handle,
            observer,
            fate,
        } = held;
        match self.owner.random(|random| random.below(6)) {
            0..=2 => tell(&observer, &fate, handle.result()),
            3 => match handle.result_timeout(Duration::from_millis(1)) {
                Ok(result) => tell(&observer, &fate, result),
                Err(handle) => quietly(|| drop(handle)),
            },
            4 => {
                let mut cancel = Cancel::TooLate;
                quietly(|| cancel = handle.cancel());
                if cancel == Cancel::Prevented {
                    fate.is_seen.store(true, Ordering::Relaxed);
                    observer.prevented();
                }
                quietly(|| drop(handle));
            }
            _ => quietly(|| drop(handle)),
        }
    }
}

fn tell(observer: &Observer, fate: &Fate, result: Result<'_>) {
    let value = result.as_ref().map(|result| &result.0);
    if value.is_err() {
        fate.is_seen.store(true, Ordering::Relaxed);
    }
    observer.told(value);
    quietly(|| drop(result));
}
