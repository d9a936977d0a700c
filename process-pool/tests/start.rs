//! How workers begin: initializers that work or fail, environments, nesting.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::sync::OnceLock;

use process_pool::{BuildError, FutureResult, ProcessPoolExecutor, Rejection, TaskError};
use support::{Gate, guard, knock, soon, visit};

static SET: OnceLock<Vec<u64>> = OnceLock::new();

fn remember(numbers: Vec<u64>) {
    SET.set(numbers).unwrap();
}

#[test]
fn an_initializer_runs_once_in_each_worker_with_its_argument() {
    let _guard = guard();
    // Larger than a pipe, so that it is sent in parts.
    let numbers: Vec<u64> = (0..200_000).map(|n| u64::MAX - n).collect();
    let builder = ProcessPoolExecutor::builder().workers(2);
    let pool = builder.initializer(remember, numbers).build().unwrap();
    let gate = Gate::new();
    let look = |path: String| {
        visit(path);
        SET.get().map(|set| (set.len(), set[199_999]))
    };
    let handles = [0; 2].map(|_| pool.submit(look, gate.path()));
    drop([gate.next(), gate.next()]);
    for handle in handles {
        assert_eq!(soon(handle).unwrap(), Some((200_000, u64::MAX - 199_999)));
    }
    assert!(SET.get().is_none());
}

fn is_broken<T>(handle: process_pool::JoinHandle<T>) -> bool {
    matches!(soon(handle), Err(TaskError::Rejected(Rejection::Broken)))
}

#[test]
fn an_initializer_that_always_fails_breaks_the_pool() {
    let _guard = guard();
    let fails: [fn(u32); 3] = [
        |_| panic!("no luck"),
        |_| std::process::exit(0),
        |_| std::process::abort(),
    ];
    for fail in fails {
        let builder = ProcessPoolExecutor::builder().workers(2);
        let pool = builder.initializer(fail, 1).build().unwrap();
        let handles: Vec<_> = (0..10).map(|n: u32| pool.submit(|n| n, n)).collect();
        assert!(handles.into_iter().all(is_broken));
        assert!(is_broken(pool.submit(|n: u32| n, 1)));
        pool.shutdown().unwrap();
    }
}

#[test]
fn an_initializer_that_fails_at_first_costs_no_task() {
    let _guard = guard();
    let gate = Gate::new();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let pool = builder
        .initializer(with_permission, gate.path())
        .build()
        .unwrap();
    let handle = pool.submit(|n: u32| n + 1, 1);
    drop(gate.next());
    drop(gate.next());
    gate.next().permit();
    assert_eq!(soon(handle).unwrap(), 2);
}

#[test]
fn a_task_that_comes_after_a_failed_start_has_a_worker_started() {
    let _guard = guard();
    let gate = Gate::new();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let pool = builder.initializer(with_permission, gate.path());
    let pool = pool.build().unwrap();
    let first = gate.next();
    let pid = first.pid;
    drop(first);
    support::wait_for_end(pid);
    while pool.pids().contains(&pid) {
        std::thread::yield_now();
    }
    let handle = pool.submit(|n: u32| n + 1, 1);
    gate.next().permit();
    assert_eq!(soon(handle).unwrap(), 2);
}

/// Fails unless it may go on.
fn with_permission(path: String) {
    let mut stream = knock(path).unwrap();
    std::io::Read::read_exact(&mut stream, &mut [0]).unwrap();
}

#[test]
fn a_replacement_that_does_not_start_leaves_the_others_working() {
    let _guard = guard();
    let gate = Gate::new();
    let builder = ProcessPoolExecutor::builder().workers(2);
    let pool = builder
        .initializer(with_permission, gate.path())
        .build()
        .unwrap();
    gate.next().permit();
    let inner = Gate::new();
    let held = pool.submit(visit, inner.path());
    let visitor = inner.next();
    let waiting = pool.submit(|n: u32| n + 1, 1);
    // More often than breaks a pool that has no worker.
    for _ in 0..8 {
        drop(gate.next());
    }
    drop(visitor);
    soon(held).unwrap();
    assert_eq!(soon(waiting).unwrap(), 2);
}

#[test]
fn a_pool_can_be_dropped_while_its_initializer_runs() {
    let _guard = guard();
    let gate = Gate::new();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let initializer = |path: String| {
        visit(path);
    };
    let pool = builder
        .initializer(initializer, gate.path())
        .build()
        .unwrap();
    let visitor = gate.next();
    assert!(pool.shutdown_timeout(std::time::Duration::ZERO).is_err());
    drop(visitor);
    pool.shutdown().unwrap();
}

#[test]
fn a_pool_can_be_killed_while_its_initializer_hangs() {
    let _guard = guard();
    let gate = Gate::new();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let initializer = |path: String| {
        visit(path);
    };
    let pool = builder
        .initializer(initializer, gate.path())
        .build()
        .unwrap();
    let handle = pool.submit(|n: u32| n, 1);
    let visitor = gate.next();
    pool.kill().unwrap();
    assert!(matches!(soon(handle), Err(TaskError::Cancelled)));
    visitor.wait_until_gone();
}

fn nested(depth: u32) -> Result<u32, String> {
    if depth == 0 {
        return Ok(0);
    }
    let pool = ProcessPoolExecutor::new(1).map_err(|error| error.to_string())?;
    let below = pool
        .submit(nested, depth - 1)
        .result()
        .map_err(|error| error.to_string())?;
    below.map(|depth| depth + 1)
}

#[test]
fn pools_nest_but_not_without_end() {
    let _guard = guard();
    assert_eq!(nested(3), Ok(3));
    let error = nested(20).unwrap_err();
    assert!(error.contains("nested"), "{error}");
}

#[test]
fn the_environment_and_the_directory_are_the_workers_own() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::builder()
        .workers(1)
        .environment("PROCESS_POOL_TEST", "set")
        .directory("/usr")
        .build();
    let pool = pool.unwrap();
    let look = |()| {
        let variable = std::env::var("PROCESS_POOL_TEST").ok();
        (variable, std::env::current_dir().unwrap())
    };
    let (variable, directory) = soon(pool.submit(look, ())).unwrap();
    assert_eq!(variable.as_deref(), Some("set"));
    assert_eq!(directory, std::path::Path::new("/usr"));
    assert!(std::env::var_os("PROCESS_POOL_TEST").is_none());
}

#[test]
fn what_cannot_be_built_is_said() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder;
    assert!(matches!(
        builder().workers(0).build(),
        Err(BuildError::NoWorkers)
    ));
    assert!(matches!(
        builder().max_tasks_per_worker(0).build(),
        Err(BuildError::NoTasks)
    ));
    let error = builder().directory("/nowhere").build().unwrap_err();
    assert!(matches!(error, BuildError::Spawn(_)), "{error}");
    let bad = builder()
        .initializer(|_: Unwritable| (), Unwritable)
        .build()
        .unwrap_err();
    assert!(matches!(bad, BuildError::Initializer(_)), "{bad}");
}

#[derive(serde::Deserialize)]
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("unwritable"))
    }
}
