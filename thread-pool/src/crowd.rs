//! Those who borrow from a frame, which waits until all of them have gone.

use std::any::Any;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use future_result::claim::Claim;
use future_result::sync::Mutex;
use future_result::sync::atomic::{AtomicU64, Ordering};
use future_result::{CellId, Members, PoolId, Task, TaskError, contain, is_running, outlast};

/// Below this many claims, those of ended tasks are left alone.
const CLAIMS_MIN: usize = 32;

/// The tasks of a scope, or the helpers of a call, that are still there.
pub(crate) struct Crowd {
    /// Tasks of which something is left, and one for the frame itself.
    present: AtomicU64,
    /// Tasks that have panicked or were not run, and nobody has seen it.
    failures: AtomicU64,
    /// Whether claims are kept: to run the tasks, or so that others see who waits for them.
    keeps_claims: bool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Of the frame that waits for the others to go.
    waker: Option<Waker>,
    /// Tasks that may not have begun.
    claims: Vec<Claim>,
    /// Tasks that others had begun when the frame came to its end.
    begun: Vec<Claim>,
    /// As many claims as call for a look at which of the tasks have ended.
    watermark: usize,
}

impl Crowd {
    /// For a scope of this pool, on the calling thread.
    pub(crate) fn of_scope(pool: PoolId) -> Self {
        Self::new(PoolId::current() == Some(pool) || is_running())
    }

    /// For a call that has helpers.
    pub(crate) fn of_helpers() -> Self {
        Self::new(true)
    }

    fn new(keeps_claims: bool) -> Self {
        Self {
            present: AtomicU64::new(1),
            failures: AtomicU64::new(0),
            keeps_claims,
            inner: Mutex::new(Inner::default()),
        }
    }

    pub(crate) fn enter(self: &Arc<Self>) -> Presence {
        // ORDERING: Relaxed; who enters another is present itself, so the count is not 0.
        self.present.fetch_add(1, Ordering::Relaxed);
        Presence(Arc::clone(self))
    }

    /// Keeps a claim on a task that is about to be queued, if it is of use: to run it at the end if nobody has
    /// until then, and for [`Members`].
    pub(crate) fn add(&self, task: &Task) {
        if !self.keeps_claims {
            return;
        }
        let claim = Claim::on(task);
        let mut inner = self.inner.lock();
        if inner.claims.len() >= inner.watermark {
            // Dropping the claim of an ended task may free a cell, and runs nothing of the user's.
            inner.claims.retain(|claim| !claim.is_done());
            inner.watermark = CLAIMS_MIN.max(2 * inner.claims.len());
        }
        inner.claims.extend(claim);
    }

    /// Runs what nobody has begun yet.
    fn run_the_rest(&self) {
        // Whoever else has begun it will end it.
        self.settle(|claim| {
            let _ = claim.run();
        });
    }

    /// Cancels what nobody has begun yet.
    pub(crate) fn cancel_the_rest(&self) {
        self.settle(|claim| claim.fail(TaskError::Cancelled));
    }

    fn settle(&self, settle: impl Fn(&Claim)) {
        loop {
            let claims = std::mem::take(&mut self.inner.lock().claims);
            if claims.is_empty() {
                return;
            }
            for claim in claims {
                settle(&claim);
                if !claim.is_done() {
                    self.inner.lock().begun.push(claim);
                }
            }
        }
    }

    /// Returns when nothing is left of any task. May be called once, by whoever made the crowd. On a worker
    /// of this pool, runs what nobody has begun.
    ///
    /// # Errors
    ///
    /// What the context's blocker has panicked with meanwhile.
    pub(crate) fn wait_until_empty(
        self: &Arc<Self>,
        pool: PoolId,
    ) -> Result<(), Box<dyn Any + Send>> {
        if PoolId::current() == Some(pool) {
            self.run_the_rest();
        }
        // ORDERING: AcqRel, so that all that the tasks did happens before what follows.
        if self.present.fetch_sub(1, Ordering::AcqRel) == 1 {
            return Ok(());
        }
        let is_empty = |context: &mut Context<'_>| {
            let waker = context.waker().clone();
            let before = self.inner.lock().waker.replace(waker);
            // It may be a blocker's, of which nothing is certain.
            contain(|| drop(before));
            // ORDERING: Acquire pairs with the Release of the last to go. It takes the lock after
            // that: either it finds the waker, or we see the count.
            if self.present.load(Ordering::Acquire) == 0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        };
        outlast(Arc::clone(self) as Arc<dyn Members>, is_empty)
    }

    /// A task has panicked or was not run.
    pub(crate) fn fail(&self) {
        // ORDERING: Relaxed; see `has_failed`.
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody has seen that a task has failed.
    pub(crate) fn forgive(&self) {
        // ORDERING: Relaxed; see `has_failed`.
        self.failures.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn has_failed(&self) -> bool {
        // ORDERING: Relaxed; the tasks are gone, and the Acquire of their count orders it.
        self.failures.load(Ordering::Relaxed) > 0
    }
}

impl Members for Crowd {
    fn for_each(&self, f: &mut dyn FnMut(CellId, &'static str)) {
        let inner = self.inner.lock();
        for claim in inner.begun.iter().chain(&inner.claims) {
            let (cell, name) = claim.id();
            f(cell, name);
        }
    }
}

/// Something of a task is left.
pub(crate) struct Presence(Arc<Crowd>);

impl Drop for Presence {
    fn drop(&mut self) {
        // ORDERING: Release pairs with the Acquire in `wait_until_empty`; Acquire, so that the last
        // to go hands on what the others did.
        if self.0.present.fetch_sub(1, Ordering::AcqRel) == 1 {
            let waker = self.0.inner.lock().waker.take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}
