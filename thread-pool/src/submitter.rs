//! A way into the pool for what a sibling crate runs on it again and again, such as a future: without
//! the owner, and without keeping the pool from ending.
//!
//! What has been admitted once does not count against the [`bound`](crate::bound) again: its waker must
//! neither wait for room nor run it on the spot. While the pool drains, a worker may still queue what it
//! wakes, since it looks for work before it leaves. Tasks of others come back, as nobody may be
//! left to take them.

use std::any::Any;
use std::sync::{Arc, Weak};

use future_result::sync::{Mutex, statics};
use future_result::{PoolId, Task, contain};

use crate::ThreadPoolExecutor;
use crate::core::Core;
use crate::current;
use crate::worker::Local;

statics! {
    /// The pools that have a companion, sorted by identity: a process may have many, and a waker outside of them
    /// should not have to search through all.
    static POOLS: Mutex<Vec<(PoolId, Weak<Core>)>> = Mutex::new(Vec::new());
}

/// Where a pool is, or would be.
fn place(pools: &[(PoolId, Weak<Core>)], pool: PoolId) -> Result<usize, usize> {
    pools.binary_search_by_key(&pool, |&(id, _)| id)
}

/// What a sibling crate keeps with a pool.
#[doc(hidden)]
pub trait Companion: Any + Default + Send + Sync {
    /// The last worker has left: the pool takes nothing from anybody any more. Called before
    /// those who wait for the pool's end are woken. May be called again.
    fn pool_has_ended(&self);
}

/// A companion whose type only its crate knows.
pub(crate) trait AnyCompanion: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn pool_has_ended(&self);
}

/// A pool's companion, by which others [`find`] it.
pub(crate) struct Kept {
    pool: PoolId,
    companion: Box<dyn AnyCompanion>,
}

impl Kept {
    fn new<C: Companion>(core: &Arc<Core>) -> Self {
        let mut pools = POOLS.lock();
        if let Err(place) = place(&pools, core.id) {
            pools.insert(place, (core.id, Arc::downgrade(core)));
        }
        drop(pools);
        Self {
            pool: core.id,
            companion: Box::new(C::default()),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // After a fork nobody looks for the parent's pools, and the lock may be held forever.
        if !self.pool.is_inherited() {
            let mut pools = POOLS.lock();
            let core = place(&pools, self.pool).map(|place| pools.remove(place));
            drop(pools);
            drop(core);
        }
    }
}

impl<C: Companion> AnyCompanion for C {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn pool_has_ended(&self) {
        Companion::pool_has_ended(self);
    }
}

impl Core {
    /// Tells the companion of the end.
    pub(crate) fn tell_companion(&self) {
        if let Some(kept) = self.companion.get() {
            contain(|| kept.companion.pool_has_ended());
        }
    }

    /// See [`Submitter::companion`].
    #[inline]
    fn companion<C: Companion>(self: &Arc<Self>) -> Option<&C> {
        let kept = self.companion.get_or_init(|| Kept::new::<C>(self));
        kept.companion.as_any().downcast_ref()
    }

    /// Like [`Core::push`], but takes a worker's own even while the pool drains.
    fn push_again(self: &Arc<Self>, task: Task) -> Result<(), Task> {
        if self.is_forked() {
            return Err(task);
        }
        current::with_of(self, |local| match local {
            Some(local) => {
                self.push_local(local, task);
                Ok(())
            }
            None => {
                self.injector.push(task)?;
                self.pushed();
                Ok(())
            }
        })
    }
}

/// Calls `f` with a pool that has a companion, if it still exists. A worker borrows its own pool, without counting a
/// reference. `None` for a pool of the parent of a forked process, where any lock may be held forever.
#[inline]
fn with_core<R>(pool: PoolId, f: impl FnOnce(&Arc<Core>) -> R) -> Option<R> {
    current::with(
        |local| match local.map(Local::core).filter(|core| core.id == pool) {
            Some(core) if !core.is_forked() => Some(f(core)),
            Some(_) => None,
            None => find(pool).as_ref().map(f),
        },
    )
}

/// Like [`with_core`], for other threads than its workers.
fn find(pool: PoolId) -> Option<Arc<Core>> {
    if pool.is_inherited() {
        return None;
    }
    let pools = POOLS.lock();
    let (_, core) = &pools[place(&pools, pool).ok()?];
    core.upgrade()
}

/// A way into a pool that does not keep it from ending.
#[doc(hidden)]
#[derive(Clone)]
pub struct Submitter(Arc<Core>);

impl Submitter {
    /// Like [`push`](Self::push), into a pool that has a companion. The task also comes back if that pool is gone.
    ///
    /// # Errors
    ///
    /// Those of `push`.
    #[inline]
    pub fn push_to(pool: PoolId, task: Task) -> Result<(), Task> {
        let mut task = Some(task);
        let pushed = with_core(pool, |core| task.take().map(|task| core.push_again(task)));
        match (pushed.flatten(), task) {
            (Some(result), _) => result,
            (None, Some(task)) => Err(task),
            (None, None) => Ok(()),
        }
    }

    /// Calls `f` with a pool's companion, if both exist.
    #[inline]
    pub fn companion_of<C: Companion, R>(pool: PoolId, f: impl FnOnce(&C) -> R) -> Option<R> {
        with_core(pool, |core| core.companion().map(f)).flatten()
    }

    /// The pool's identity.
    #[must_use]
    pub fn pool(&self) -> PoolId {
        self.0.id
    }

    /// How many workers there may be.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.0.sleep.places()
    }

    /// Queues a task, whatever the bound says. A worker's own goes into its own queue.
    ///
    /// # Errors
    ///
    /// The task comes back if the pool is shut down; but its own workers may queue tasks until they
    /// leave.
    #[inline]
    pub fn push(&self, task: Task) -> Result<(), Task> {
        self.0.push_again(task)
    }

    /// Queues a task, whatever the bound says, or rejects it.
    #[inline]
    pub fn submit(&self, task: Task) {
        if let Err(task) = self.0.push_again(task) {
            self.0.reject(task);
        }
    }

    /// What the sibling crate keeps with the pool. A pool has one companion; `None` if another crate
    /// has one there.
    #[inline]
    #[must_use]
    pub fn companion<C: Companion>(&self) -> Option<&C> {
        self.0.companion()
    }
}

impl std::fmt::Debug for Submitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Submitter").finish_non_exhaustive()
    }
}

impl ThreadPoolExecutor {
    /// A way in that does not keep the pool from ending.
    #[doc(hidden)]
    #[must_use]
    pub fn submitter(&self) -> Submitter {
        Submitter(Arc::clone(&self.core))
    }

    /// The pool's identity.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn id(&self) -> PoolId {
        self.core.id
    }

    /// Keeps the sibling crate's companion with the pool, see [`Submitter::companion`].
    #[doc(hidden)]
    #[inline]
    pub fn keep_companion<C: Companion>(&self) {
        if !self.core.is_forked() {
            let _: Option<&C> = self.core.companion();
        }
    }
}
