//! The pool of a run, what its last owner does with it, and what must hold at its end.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use future_result::{Completer, pair};
use thread_pool::{
    FutureResult, JoinHandle, Metrics, ShutdownError, TaskError, ThreadPoolExecutor,
};

use crate::ledger::Ledger;
use crate::plan::{Ending, Hooks, Plan};
use crate::scheduler::Random;

pub(crate) struct Owner {
    pool: Option<ThreadPoolExecutor>,
    pub(crate) plan: Plan,
    pub(crate) ledger: Arc<Ledger>,
}

impl Owner {
    /// `None` if the threads cannot be started.
    pub(crate) fn new(plan: Plan, ledger: &Arc<Ledger>) -> Option<Arc<Self>> {
        let mut builder = ThreadPoolExecutor::builder()
            .workers(plan.workers)
            .min_workers(plan.min_workers)
            .keep_alive(plan.keep_alive)
            .measure_delays(plan.measures_delays);
        if let Some((bound, policy)) = plan.bound {
            builder = builder.queue_bound(bound).when_full(policy);
        }
        if plan.hooks != Hooks::Without {
            let (entering, leaving) = (Arc::clone(ledger), Arc::clone(ledger));
            builder = builder
                .initializer(move |_| enter(&entering, plan.hooks))
                .exit_hook(move |_| leaving.worker_leaves());
        }
        Some(Arc::new(Self {
            pool: Some(builder.build().ok()?),
            plan,
            ledger: Arc::clone(ledger),
        }))
    }

    pub(crate) fn pool(&self) -> &ThreadPoolExecutor {
        self.pool.as_ref().expect("not dropped")
    }

    pub(crate) fn random<R>(&self, f: impl FnOnce(&mut Random) -> R) -> R {
        self.ledger.with_random(f)
    }

    /// Keeps one worker busy until the gate is completed; returns once it is.
    pub(crate) fn occupy(&self) -> (Completer<()>, JoinHandle<()>) {
        let (gate, opened) = pair();
        let (here, arrived) = pair();
        let busy = self.pool().submit(move || {
            here.complete(()).expect("somebody waits for it");
            opened.result().expect("it is opened")
        });
        arrived.result().expect("the worker has come");
        (gate, busy)
    }

    /// Looks at the numbers while the pool is in use.
    pub(crate) fn look(&self) {
        let before = self.ledger.ended();
        let metrics = self.pool().metrics();
        assert_eq!(metrics.running + metrics.idle, metrics.threads);
        self.ledger.count_ended(before, ended(&metrics));
    }

    /// Ends the pool, unless that is left to its last owner.
    pub(crate) fn end(&self) {
        let pool = self.pool();
        match self.plan.ending {
            Ending::LetGo => return,
            Ending::Shutdown => {
                self.ledger.close(false);
                pool.shutdown().expect("not a worker");
            }
            Ending::ShutdownNow => {
                let last = self.last_to_be_queued();
                self.ledger.close(true);
                pool.shutdown_now().expect("not a worker");
                drop(last);
            }
            Ending::ShutdownTimeout => {
                self.ledger.close(false);
                let limit = Duration::from_millis(1);
                while pool.shutdown_timeout(limit) == Err(ShutdownError::TimedOut) {}
            }
        }
        self.ledger.check_drained();
    }

    /// A job that tells the ledger that the queues were swept, if that ends it.
    fn last_to_be_queued(&self) -> Option<JoinHandle<()>> {
        // With a bound there is a step between a worker's check and the job's first: returning the permit.
        // So there is if delays are measured: noting one.
        if self.plan.bound.is_some() || self.plan.measures_delays {
            return None;
        }
        self.ledger.expect_tasks(1);
        let mut handle = self.pool().submit(|| ());
        let ledger = Arc::clone(&self.ledger);
        handle.on_done(move |result| {
            if matches!(result, Err(TaskError::Cancelled)) {
                ledger.sweep();
            }
        });
        Some(handle)
    }

    /// The pool and all other threads that used it have ended: now its numbers must add up.
    pub(crate) fn check_sums(&self) {
        let metrics = self.pool().metrics();
        let left = [
            metrics.queued,
            metrics.running,
            metrics.idle,
            metrics.threads,
            metrics.blocked,
        ];
        assert_eq!(left, [0; 5], "left after the end: {metrics:?}");
        self.ledger.check_sum(ended(&metrics));
        let delays = metrics.delays.count();
        assert!(delays <= ended(&metrics), "{delays} delays: {metrics:?}");
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

fn ended(metrics: &Metrics) -> u64 {
    metrics.done + metrics.cancelled + metrics.panicked
}

/// A worker's initializer.
fn enter(ledger: &Ledger, hooks: Hooks) {
    ledger.worker_enters();
    if let Hooks::Breaking(chances) = hooks
        && ledger.with_random(|random| random.one_in(chances))
    {
        // The pool is broken, and fails what is queued.
        ledger.close(true);
        resume_unwind(Box::new("broken"));
    }
}
