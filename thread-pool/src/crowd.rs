//! The tasks that borrow from a frame, which waits until all of them are gone.

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
    /// Tasks of which something is left, plus one for the frame itself.
    present: AtomicU64,
    /// Tasks that panicked or did not run, unknown to their handles' owners.
    failures: AtomicU64,
    /// Whether claims are kept: to run the tasks, or to show others who waits for them.
    keeps_claims: bool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Of the frame that waits for the tasks.
    waker: Option<Waker>,
    /// Tasks that may not have begun.
    claims: Vec<Claim>,
    /// Tasks that others had begun when the frame ended.
    begun: Vec<Claim>,
    /// At this many claims, those of ended tasks are dropped.
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
        // ORDERING: Relaxed; the caller is present itself, so the count is not 0.
        self.present.fetch_add(1, Ordering::Relaxed);
        Presence(Arc::clone(self))
    }

    /// Keeps a claim on a task that is about to be queued, if it is of use: to run the task at the end if nobody
    /// has by then, and for [`Members`].
    pub(crate) fn add(&self, task: &Task) {
        if !self.keeps_claims {
            return;
        }
        let claim = Claim::on(task);
        let mut inner = self.inner.lock();
        if inner.claims.len() >= inner.watermark {
            // Dropping the claim of an ended task may free a cell, but runs no user code.
            inner.claims.retain(|claim| !claim.is_done());
            inner.watermark = CLAIMS_MIN.max(2 * inner.claims.len());
        }
        inner.claims.extend(claim);
    }

    /// Runs the tasks that nobody has begun.
    fn run_the_rest(&self) {
        // If somebody else has begun it, they will end it.
        self.settle(|claim| {
            let _ = claim.run();
        });
    }

    /// Cancels the tasks that nobody has begun.
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

    /// Returns when nothing is left of any task. May be called once, by the crowd's creator. On a worker
    /// of this pool, runs what nobody has begun.
    ///
    /// # Errors
    ///
    /// The payload if the context's blocker panicked meanwhile.
    pub(crate) fn wait_until_empty(
        self: &Arc<Self>,
        pool: PoolId,
    ) -> Result<(), Box<dyn Any + Send>> {
        if PoolId::current() == Some(pool) {
            self.run_the_rest();
        }
        // ORDERING: AcqRel, so that everything the tasks did happens before what follows.
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

    /// A task panicked or did not run.
    pub(crate) fn fail(&self) {
        // ORDERING: Relaxed; see `has_failed`.
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody has seen that a task failed.
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
