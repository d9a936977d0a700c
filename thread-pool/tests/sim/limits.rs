//! Time limits of jobs that no worker has time for: only the timer can end them.

use std::time::Duration;

use thread_pool::{FutureResult, Priority, TaskError};

use crate::owner::Owner;
use crate::scheduler;

/// One run.
pub(crate) fn come_too_late() {
    let (ledger, plan) = scheduler::current();
    let Some(owner) = Owner::new(plan, &ledger) else {
        return;
    };
    let (gate, busy) = owner.occupy();
    for _ in 0..=plan.steps {
        let limits = owner.random(|random| {
            let count = 1 + random.below(3);
            let limits = (0..count).map(|_| random.pick(&[0, 1, 2, 1000]));
            limits.collect::<Vec<_>>()
        });
        let handles: Vec<_> = limits
            .into_iter()
            .map(|milliseconds| {
                let priorities = [Priority::Low, Priority::Normal, Priority::High];
                let priority = owner.random(|random| random.pick(&priorities));
                let options = owner.pool().task().priority(priority);
                let options = options.time_limit(Duration::from_millis(milliseconds));
                options.submit(|| ())
            })
            .collect();
        for handle in handles {
            let result = handle.result();
            assert!(matches!(result, Err(TaskError::TimedOut)), "{result:?}");
        }
    }
    let in_time = owner.pool().task().time_limit(Duration::MAX).submit(|| ());
    gate.complete(()).expect("the worker waits for it");
    busy.result().expect("it was opened");
    in_time.result().expect("it is never too late for it");
    owner.end();
}
