//! How many workers there are: they come with the work, leave without it, and are as many as there are CPUs.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use process_pool::ProcessPoolExecutor;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize, Serializer};
use support::{Gate, guard, soon, visit};

/// Waits until the pool has this many workers.
fn wait_for_workers(pool: &ProcessPoolExecutor, count: usize) {
    while pool.pids().len() != count {
        std::thread::yield_now();
    }
}

#[test]
fn workers_come_with_the_work_and_those_that_need_not_stay_leave() {
    let _guard = guard();
    for min in [0, 1, 2] {
        let builder = ProcessPoolExecutor::builder().workers(4).min_workers(min);
        let pool = builder
            .keep_alive(Duration::from_millis(20))
            .build()
            .unwrap();
        for _ in 0..2 {
            let gate = Gate::new();
            let handles = [0; 4].map(|_| pool.submit(visit, gate.path()));
            let visitors = [(); 4].map(|()| gate.next());
            let pids: BTreeSet<u32> = visitors.iter().map(|it| it.pid).collect();
            assert_eq!(pids.len(), 4);
            // No worker leaves while it has a task, however long.
            assert!(pool.pids().iter().all(|pid| pids.contains(pid)));
            drop(visitors);
            for handle in handles {
                soon(handle).unwrap();
            }
            wait_for_workers(&pool, min);
        }
        assert_eq!(soon(pool.submit(|n: u32| n + 1, 1)).unwrap(), 2);
    }
}

#[test]
fn workers_stay_unless_they_may_leave() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(2);
    let pool = builder.keep_alive(Duration::ZERO).build().unwrap();
    let gate = Gate::new();
    let handles = [0; 2].map(|_| pool.submit(visit, gate.path()));
    let visitors = [gate.next(), gate.next()];
    let pids = visitors.each_ref().map(|it| it.pid);
    drop(visitors);
    for handle in handles {
        soon(handle).unwrap();
    }
    support::wait_until_at_rest("process-pool");
    let stayed = pool.pids();
    assert!(pids.iter().all(|pid| stayed.contains(pid)));
}

#[test]
fn a_worker_that_leaves_for_want_of_work_costs_no_task_that_comes_at_that_moment() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(2).min_workers(0);
    let pool = builder.keep_alive(Duration::ZERO).build().unwrap();
    for n in 0..300_u32 {
        let handle = pool.submit(|n: u32| n, n);
        assert_eq!(soon(handle).unwrap(), n);
        for _ in 0..(n % 30) * 100 {
            std::hint::spin_loop();
        }
    }
}

thread_local! {
    /// The pool for which an argument is being encoded.
    static POOL: Cell<Option<Rc<ProcessPoolExecutor>>> = const { Cell::new(None) };
}

/// Takes so long to encode that the workers have left by then.
#[derive(Deserialize)]
struct Slow(u32);

impl Serialize for Slow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(pool) = POOL.take() {
            wait_for_workers(&pool, 0);
        }
        self.0.serialize(serializer)
    }
}

#[test]
fn workers_that_leave_while_an_argument_is_encoded_cost_no_task() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(2).min_workers(0);
    let builder = builder.keep_alive(Duration::from_millis(1));
    let pool = Rc::new(builder.build().unwrap());
    for n in 0..20 {
        soon(pool.submit(|()| (), ())).unwrap();
        POOL.set(Some(Rc::clone(&pool)));
        assert_eq!(soon(pool.submit(|slow: Slow| slow.0, Slow(n))).unwrap(), n);
    }
}

#[test]
fn by_default_there_are_as_many_workers_as_the_program_may_use_cpus() {
    let _guard = guard();
    let all = sched_getaffinity(None).unwrap();
    let first = (0..CpuSet::MAX_CPU).find(|&cpu| all.is_set(cpu)).unwrap();
    let mut one = CpuSet::new();
    one.set(first);
    // Only for this thread, which builds the pool.
    sched_setaffinity(None, &one).unwrap();
    let pool = ProcessPoolExecutor::builder().build().unwrap();
    assert_eq!(pool.pids().len(), 1);
    let gate = Gate::new();
    let handles = [0; 2].map(|_| pool.submit(visit, gate.path()));
    let first = gate.next().pid;
    assert_eq!(gate.next().pid, first);
    for handle in handles {
        assert_eq!(soon(handle).unwrap(), first);
    }
}
