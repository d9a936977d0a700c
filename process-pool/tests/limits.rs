//! Tasks that are cancelled, late, or too many for one worker.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::collections::{BTreeSet, VecDeque};
use std::sync::OnceLock;
use std::time::Duration;

use process_pool::{Bytes, Cancel, FutureResult, JoinHandle, ProcessPoolExecutor, TaskError};
use support::{Gate, guard, soon, visit, wait_for_end};

fn works(pool: &ProcessPoolExecutor) {
    assert_eq!(soon(pool.submit(|n: u32| n + 1, 1)).unwrap(), 2);
}

fn spin(_: ()) {
    loop {
        std::hint::spin_loop();
    }
}

#[test]
fn cancelling_a_queued_task_prevents_it() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let running = pool.submit(visit, gate.path());
    let visitor = gate.next();
    let queued: Vec<_> = (0..10).map(|_| pool.submit(visit, gate.path())).collect();
    for handle in queued {
        assert_eq!(handle.cancel(), Cancel::Prevented);
        assert!(matches!(soon(handle), Err(TaskError::Cancelled)));
    }
    drop(visitor);
    soon(running).unwrap();
    works(&pool);
    assert!(gate.is_quiet());
}

#[test]
fn what_is_cancelled_in_the_queue_takes_no_memory() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let running = pool.submit(visit, gate.path());
    let visitor = gate.next();
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() / 256
    };
    let before = resident();
    // One gibibyte of arguments, none of which is wanted any more.
    for _ in 0..1024 {
        let handle = pool.submit(|bytes: Bytes| bytes.len(), Bytes::from(vec![1; 1 << 20]));
        assert_eq!(handle.cancel(), Cancel::Prevented);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 512, "{grown} MiB");
    drop(visitor);
    soon(running).unwrap();
    works(&pool);
}

#[test]
fn cancelling_a_running_task_kills_its_worker_alone() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let gate = Gate::new();
    let [one, two] = [0; 2].map(|_| pool.submit(visit, gate.path()));
    let visitors = [gate.next(), gate.next()];
    assert_eq!(one.cancel(), Cancel::Requested);
    assert!(matches!(soon(one), Err(TaskError::Cancelled)));
    let [a, b] = visitors.map(|visitor| visitor.pid);
    // Lets both go, since it is unknown which was whose.
    let survivor = soon(two).unwrap();
    assert!(survivor == a || survivor == b);
    wait_for_end(if survivor == a { b } else { a });
    works(&pool);
}

#[test]
fn cancelling_races_the_end_and_either_wins() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    for n in 0..100_u32 {
        let handle = pool.submit(|n: u32| n, n);
        for _ in 0..n * 20 {
            std::hint::spin_loop();
        }
        match (handle.cancel(), soon(handle)) {
            (Cancel::TooLate | Cancel::Requested, Ok(value)) => assert_eq!(value, n),
            (Cancel::Prevented | Cancel::Requested, Err(TaskError::Cancelled)) => {}
            other => panic!("{other:?}"),
        }
    }
    works(&pool);
}

#[test]
fn dropping_a_map_stops_its_running_tasks() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let gate = Gate::new();
    let stop_or_visit = |path: String| if path.is_empty() { 0 } else { visit(path) };
    let mut map = pool.map(stop_or_visit, [String::new(), gate.path(), gate.path()]);
    assert_eq!(map.next().unwrap().unwrap(), 0);
    let visitor = gate.next();
    drop(map);
    visitor.wait_until_gone();
    works(&pool);
}

#[test]
fn a_task_that_takes_too_long_is_stopped() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(2);
    let pool = builder
        .time_limit(Duration::from_millis(20))
        .build()
        .unwrap();
    let late: Vec<_> = (0..4).map(|_| pool.submit(spin, ())).collect();
    for handle in late {
        assert!(matches!(soon(handle), Err(TaskError::TimedOut)));
    }
    let patient = pool.task().time_limit(support::PATIENCE);
    assert_eq!(soon(patient.submit(|n: u32| n + 1, 1)).unwrap(), 2);
}

/// The submitter writes the task to an idle worker itself, while the pool's thread sleeps.
#[test]
fn a_late_task_is_stopped_in_a_pool_that_was_at_rest() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    for _ in 0..3 {
        let gate = Gate::new();
        let handle = pool.submit(visit, gate.path());
        drop(gate.next());
        soon(handle).unwrap();
        support::wait_until_at_rest("process-pool");
        let late = pool.task().time_limit(Duration::from_millis(20));
        assert!(matches!(
            soon(late.submit(spin, ())),
            Err(TaskError::TimedOut)
        ));
        // The next worker is there before the next round.
        works(&pool);
    }
}

#[test]
fn a_time_limit_counts_from_the_start_of_its_task() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let running = pool.submit(visit, gate.path());
    let visitor = gate.next();
    let queued = pool
        .task()
        .time_limit(Duration::from_secs(50))
        .submit(|n: u32| n, 7);
    let late = pool
        .task()
        .time_limit(Duration::from_millis(1))
        .submit(spin, ());
    assert!(
        late.result_timeout(Duration::from_millis(30))
            .is_err_and(|late| !late.is_done())
    );
    drop(visitor);
    soon(running).unwrap();
    assert_eq!(soon(queued).unwrap(), 7);
    works(&pool);
}

#[test]
fn a_late_chunk_fails_whole_and_the_map_goes_on() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(2);
    let pool = builder
        .time_limit(Duration::from_millis(100))
        .build()
        .unwrap();
    let work = |n: u32| if n == 3 { spin_number(n) } else { n };
    let results: Vec<_> = pool.map(work, 0..8).chunk_size(2).collect();
    for (n, result) in results.into_iter().enumerate() {
        match result {
            Ok(value) => assert_eq!(value, n as u32),
            // On a busy machine, others may be late, too.
            Err(TaskError::TimedOut) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

fn spin_number(n: u32) -> u32 {
    spin(());
    n
}

/// Ignores the signal that asks programs to end; but not the one that is used here.
#[test]
fn a_task_with_a_large_argument_is_cancelled_while_that_is_sent() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let running = pool.submit(visit, gate.path());
    let visitor = gate.next();
    let large: Vec<JoinHandle<usize>> = (0..8)
        .map(|_| pool.submit(|numbers: Vec<u32>| numbers.len(), vec![u32::MAX; 1 << 17]))
        .collect();
    drop(visitor);
    for handle in large {
        let _ = handle.cancel();
        match soon(handle) {
            Ok(length) => assert_eq!(length, 1 << 17),
            Err(error) => assert!(matches!(error, TaskError::Cancelled), "{error}"),
        }
    }
    soon(running).unwrap();
    works(&pool);
}

#[test]
fn workers_are_replaced_after_their_tasks_also_with_a_backlog() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(2);
    let pool = builder.max_tasks_per_worker(3).build().unwrap();
    let handles: Vec<_> = (0..60)
        .map(|_| pool.submit(|()| std::process::id(), ()))
        .collect();
    let mut tasks = std::collections::BTreeMap::new();
    for handle in handles {
        *tasks.entry(soon(handle).unwrap()).or_insert(0) += 1;
    }
    // Process ids are not reused so soon.
    assert!(
        tasks.len() >= 20 && tasks.values().all(|&count| count <= 3),
        "{tasks:?}"
    );
}

#[test]
fn a_worker_leaves_by_exit_so_that_its_handlers_run() {
    let _guard = guard();
    let gate = Gate::new();
    let pool = ProcessPoolExecutor::builder()
        .max_tasks_per_worker(1)
        .build()
        .unwrap();
    let at_exit = |path: String| {
        thread_local! {
            static KNOCK: std::cell::RefCell<Option<Knock>> = const { std::cell::RefCell::new(None) };
        }
        struct Knock(String);
        impl Drop for Knock {
            fn drop(&mut self) {
                drop(support::knock(std::mem::take(&mut self.0)));
            }
        }
        KNOCK.with(|knock| knock.replace(Some(Knock(path))));
        std::process::id()
    };
    let pid = soon(pool.submit(at_exit, gate.path())).unwrap();
    assert_eq!(gate.next().pid, pid);
}

#[test]
fn a_worker_that_does_not_leave_is_killed() {
    let _guard = guard();
    let gate = Gate::new();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let pool = builder.max_tasks_per_worker(1).build().unwrap();
    let hang_at_exit = |path: String| {
        struct Hang(String);
        impl Drop for Hang {
            fn drop(&mut self) {
                let _stream = support::knock(std::mem::take(&mut self.0));
                loop {
                    std::thread::park();
                }
            }
        }
        thread_local! {
            static HANG: std::cell::RefCell<Option<Hang>> = const { std::cell::RefCell::new(None) };
        }
        HANG.with(|hang| hang.replace(Some(Hang(path))));
    };
    soon(pool.submit(hang_at_exit, gate.path())).unwrap();
    let visitor = gate.next();
    // Nobody waits for it.
    works(&pool);
    visitor.wait_until_gone();
}

#[test]
fn many_more_tasks_than_workers_wait_their_turn() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let handles: Vec<_> = (0..20_000_u32).map(|n| pool.submit(|n| n, n)).collect();
    let all: BTreeSet<u32> = handles.into_iter().map(|it| soon(it).unwrap()).collect();
    assert_eq!(all.len(), 20_000);
}

/// Waits if it is told where; otherwise it takes no time.
fn maybe_visit(path: String) -> u32 {
    if path.is_empty() {
        std::process::id()
    } else {
        visit(path)
    }
}

#[test]
fn what_waits_behind_a_slow_task_is_given_to_others_and_runs_once() {
    /// Of each process: whether it has begun the slow task.
    static BEGUN: OnceLock<()> = OnceLock::new();

    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(2);
    let pool = builder.prefetch(8).build().unwrap();
    let gate = Gate::new();
    // Both workers are there, and both are held.
    let held = [0; 2].map(|_| pool.submit(visit, gate.path()));
    let [first, second] = [gate.next(), gate.next()];
    let begin = |path: String| {
        let _ = BEGUN.set(());
        visit(path)
    };
    let slow = pool.submit(begin, gate.path());
    let has_begun = |()| BEGUN.get().is_some();
    let others: Vec<_> = (0..30).map(|_| pool.submit(has_begun, ())).collect();
    drop(first);
    // The worker that was let go has the slow task, perhaps after some others, and more of them behind it.
    let slow_visitor = gate.next();
    drop(second);
    for handle in others {
        assert!(!soon(handle).unwrap(), "behind the slow task");
    }
    assert!(!slow.is_done());
    let pid = slow_visitor.pid;
    drop(slow_visitor);
    assert_eq!(soon(slow).unwrap(), pid);
    for handle in held {
        soon(handle).unwrap();
    }
    assert!(gate.is_quiet());
}

/// No worker is ever idle, so that what waits has to be taken back for the next free one.
#[test]
fn what_waits_behind_a_slow_task_runs_while_the_other_worker_always_has_more_to_do() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(2);
    let pool = builder.prefetch(8).build().unwrap();
    let gate = Gate::new();
    let held = [0; 2].map(|_| pool.submit(visit, gate.path()));
    let [first, second] = [gate.next(), gate.next()];
    let slow = pool.submit(maybe_visit, gate.path());
    let behind: Vec<_> = (0..7)
        .map(|_| pool.submit(maybe_visit, String::new()))
        .collect();
    let mut busy: VecDeque<_> = (0..200)
        .map(|_| pool.submit(maybe_visit, String::new()))
        .collect();
    drop(first);
    let slow_visitor = gate.next();
    drop(second);
    // More than long enough.
    for _ in 0..200_000 {
        if behind.iter().all(FutureResult::is_done) {
            break;
        }
        busy.push_back(pool.submit(maybe_visit, String::new()));
        soon(busy.pop_front().unwrap()).unwrap();
    }
    assert!(behind.iter().all(FutureResult::is_done));
    assert!(!slow.is_done());
    for handle in behind {
        assert_ne!(soon(handle).unwrap(), slow_visitor.pid);
    }
    drop(slow_visitor);
    soon(slow).unwrap();
    for handle in held {
        soon(handle).unwrap();
    }
}

#[test]
fn what_waits_behind_a_slow_task_can_be_cancelled_and_the_slow_one_goes_on() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let pool = builder.prefetch(8).build().unwrap();
    let gate = Gate::new();
    let held = pool.submit(visit, gate.path());
    let first = gate.next();
    let slow = pool.submit(visit, gate.path());
    let behind: Vec<_> = (0..5).map(|_| pool.submit(visit, gate.path())).collect();
    drop(first);
    let visitor = gate.next();
    for handle in behind {
        let _ = handle.cancel();
        assert!(matches!(soon(handle), Err(TaskError::Cancelled)));
    }
    let pid = visitor.pid;
    drop(visitor);
    assert_eq!(soon(slow).unwrap(), pid);
    assert_eq!(soon(held).unwrap(), pid);
    works(&pool);
    assert!(gate.is_quiet());
}

#[test]
fn a_slow_task_is_cancelled_and_those_behind_it_run() {
    let _guard = guard();
    for prefetch in [1, 2, 50] {
        let builder = ProcessPoolExecutor::builder().workers(1);
        let pool = builder.prefetch(prefetch).build().unwrap();
        let gate = Gate::new();
        let held = pool.submit(visit, gate.path());
        let first = gate.next();
        let slow = pool.submit(visit, gate.path());
        let behind: Vec<_> = (0..40).map(|n: u32| pool.submit(|n| n, n)).collect();
        drop(first);
        let visitor = gate.next();
        assert_eq!(slow.cancel(), Cancel::Requested);
        assert!(matches!(soon(slow), Err(TaskError::Cancelled)));
        visitor.wait_until_gone();
        for (n, handle) in behind.into_iter().enumerate() {
            assert_eq!(soon(handle).unwrap(), n as u32);
        }
        soon(held).unwrap();
    }
}

#[test]
fn a_task_that_dies_leaves_those_behind_it_to_others() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(2);
    let pool = builder.prefetch(64).build().unwrap();
    let maybe_die = |n: u32| {
        if n % 97 == 50 {
            std::process::abort();
        }
        n
    };
    let handles: Vec<_> = (0..2000).map(|n| (n, pool.submit(maybe_die, n))).collect();
    for (n, handle) in handles {
        match soon(handle) {
            Ok(value) => assert_eq!(value, n),
            Err(error) => assert!(n % 97 == 50, "{n}: {error}"),
        }
    }
}

#[test]
fn tasks_with_and_without_time_limits_and_large_ones_take_turns() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(2);
    let pool = builder
        .prefetch(16)
        .max_tasks_per_worker(50)
        .build()
        .unwrap();
    let length = |bytes: Bytes| bytes.len();
    let handles: Vec<_> = (0..600_usize)
        .map(|n| {
            let size = if n % 50 == 0 { 1 << 20 } else { n };
            let bytes = Bytes::from(vec![0; size]);
            let handle = if n % 3 == 0 {
                pool.task()
                    .time_limit(support::PATIENCE)
                    .submit(length, bytes)
            } else {
                pool.submit(length, bytes)
            };
            (size, handle)
        })
        .collect();
    for (size, handle) in handles {
        assert_eq!(soon(handle).unwrap(), size);
    }
}

#[test]
fn kill_cancels_also_what_was_sent_and_has_not_begun() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let pool = builder.prefetch(8).build().unwrap();
    let gate = Gate::new();
    let held = pool.submit(visit, gate.path());
    let first = gate.next();
    let handles: Vec<_> = (0..6).map(|_| pool.submit(visit, gate.path())).collect();
    drop(first);
    soon(held).unwrap();
    let visitor = gate.next();
    pool.kill().unwrap();
    visitor.wait_until_gone();
    for handle in handles {
        assert!(matches!(soon(handle), Err(TaskError::Cancelled)));
    }
    assert!(gate.is_quiet());
}

#[test]
fn workers_are_nicer_by_as_much_as_was_asked_and_so_is_what_they_start() {
    let _guard = guard();
    let niceness = |()| {
        let output = std::process::Command::new("nice").output().unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse::<i32>()
            .unwrap()
    };
    let builder = ProcessPoolExecutor::builder().workers(1).nice(5);
    let pool = builder.build().unwrap();
    let nicer = soon(pool.submit(niceness, ())).unwrap();
    assert_eq!(nicer, (niceness(()) + 5).min(19));
}
