//! Tasks that each submit a hundred tasks to their own pool and wait for them.

use std::sync::Arc;

use crate::group::{Group, Workload, timed};
use crate::limit;
use crate::pools::{self, AsyncPool, Pool};

const OUTER: u64 = 1_000;
const INNER: u64 = 100;
/// What the inner tasks return, added up.
const SUM: u64 = OUTER * (INNER * (INNER - 1) / 2);

/// With handles that block.
fn waiting(pool: impl Pool) -> Workload {
    fn outer(pool: &impl Pool) -> u64 {
        let handles = (0..INNER).map(|n| pool.submit(move || n)).collect();
        pool.sum(handles)
    }
    let pool = Arc::new(pool);
    Box::new(move || {
        timed(|| {
            let submit = |_| {
                let inside = Arc::clone(&pool);
                pool.submit(move || outer(&*inside))
            };
            let handles = (0..OUTER).map(submit).collect();
            assert_eq!(pool.sum(handles), SUM);
        })
    })
}

/// With handles that are awaited.
fn awaiting<P: AsyncPool>(pool: P) -> Workload {
    async fn outer<P: AsyncPool>(pool: P) -> u64 {
        let handles = (0..INNER).map(|n| pool.spawn(async move { n })).collect();
        pools::sum::<P>(handles).await
    }
    Box::new(move || {
        timed(|| {
            let handles = (0..OUTER)
                .map(|_| pool.spawn(outer(pool.clone())))
                .collect();
            assert_eq!(pool.block_on(pools::sum::<P>(handles)), SUM);
        })
    })
}

/// With scopes: nothing is returned, so each task has a slot for its result.
fn rayon_scopes() -> Workload {
    fn outer(sum: &mut u64) {
        let mut results = [0; INNER as usize];
        rayon::scope(|scope| {
            for (result, n) in results.iter_mut().zip(0..) {
                scope.spawn(move |_| *result = n);
            }
        });
        *sum = results.iter().sum();
    }
    let pool = pools::rayon();
    Box::new(move || {
        timed(|| {
            let mut sums = vec![0; OUTER as usize];
            pool.scope(|scope| {
                for sum in &mut sums {
                    scope.spawn(|_| outer(sum));
                }
            });
            assert_eq!(sums.iter().sum::<u64>(), SUM);
        })
    })
}

/// The same with forte, which uses the same names.
fn forte_scopes() -> Workload {
    fn outer(sum: &mut u64) {
        let mut results = [0; INNER as usize];
        forte::scope(|scope| {
            for (result, n) in results.iter_mut().zip(0..) {
                scope.spawn(move |_| *result = n);
            }
        });
        *sum = results.iter().sum();
    }
    let pool = pools::forte();
    Box::new(move || {
        timed(|| {
            let mut sums = vec![0; OUTER as usize];
            pool.scope(|scope| {
                for sum in &mut sums {
                    scope.spawn(|_| outer(sum));
                }
            });
            assert_eq!(sums.iter().sum::<u64>(), SUM);
        })
    })
}

pub(super) fn group() -> Group {
    Group::new("nested", OUTER * INNER, 2)
        .about("Tasks that each submit a hundred tasks to their own pool and wait for them; the time is per inner task.")
        .aim_everywhere(1.0, None)
        .ours("thread-pool", || waiting(pools::ours()))
        .reference("limit: boxed closures, called at once", || {
            Box::new(|| timed(|| (0..OUTER * INNER).for_each(|n| assert_eq!(limit::boxed_call(n), n))))
        })
        .peer("rayon: scope", rayon_scopes)
        .peer("async-executor", || awaiting(pools::async_executor()))
        .peer("async-executor: leaked", || {
            awaiting(pools::leaked_executor())
        })
        .peer("rusty_pool: futures", || awaiting(pools::rusty_pool()))
        .peer("tokio: spawn", || awaiting(pools::tokio()))
        .peer("forte: scope", forte_scopes)
}
