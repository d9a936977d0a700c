//! The 30th Fibonacci number, with a join at every call: 1.3 million of them, most of which must not cost
//! much more than the call. Each pool has two threads, including the calling one where it takes part.

use std::hint::black_box;

use thread_pool::ThreadPoolExecutor;

use crate::group::{Group, Workload, timed};
use crate::pools;

const N: u64 = 30;
const FIB_N: u64 = 832_040;

fn sequential(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = (sequential(n - 1), sequential(n - 2));
    a + b
}

fn chili(scope: &mut chili::Scope<'_>, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = scope.join(|scope| chili(scope, n - 1), |scope| chili(scope, n - 2));
    a + b
}

fn forte(worker: &forte::Worker, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = worker.join(|worker| forte(worker, n - 1), |worker| forte(worker, n - 2));
    a + b
}

fn ours(pool: &ThreadPoolExecutor, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = pool.join(|| ours(pool, n - 1), || ours(pool, n - 2));
    a + b
}

fn rayon(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| rayon(n - 1), || rayon(n - 2));
    a + b
}

/// Runs one of them.
fn fib(fib: impl Fn(u64) -> u64 + 'static) -> Workload {
    Box::new(move || timed(|| assert_eq!(fib(black_box(N)), FIB_N)))
}

pub(super) fn group() -> Group {
    Group::new("join", 1, 20)
        .about("The 30th Fibonacci number, with a join at every call: 1.3 million of them.")
        .aim_everywhere(1.0, None)
        .ours("thread-pool", || {
            let pool = pools::ours();
            fib(move |n| pool.join(|| ours(&pool, n), || ()).0)
        })
        .reference("sequential", || fib(sequential))
        .peer("chili", || {
            let pool = pools::chili();
            fib(move |n| chili(&mut pool.scope(), n))
        })
        .peer("rayon", || {
            let pool = pools::rayon();
            fib(move |n| pool.install(|| rayon(n)))
        })
        .peer("forte", || {
            let pool = pools::forte();
            fib(move |n| pool.with_worker(|worker| forte(worker, n)))
        })
}
