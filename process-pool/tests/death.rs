//! Workers that die, at every stage: each death costs only the running task; nothing runs twice.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::collections::VecDeque;
use std::sync::mpsc;

use process_pool::{
    Bytes, Cancel, FutureResult, JoinHandle, ProcessPoolExecutor, TaskError, WorkerDied,
};
use rustix::process::{Pid, Signal, kill_process};
use support::{Gate, guard, send_signal, soon, visit};

/// The death that ended this task.
fn death<T>(handle: JoinHandle<T>) -> WorkerDied {
    match soon(handle) {
        Ok(_) => panic!("the task has a value"),
        Err(error) => match WorkerDied::of(&error) {
            Some(died) => died.clone(),
            None => panic!("{error}"),
        },
    }
}

fn works(pool: &ProcessPoolExecutor) {
    assert_eq!(soon(pool.submit(|n: u32| n + 1, 1)).unwrap(), 2);
}

fn crash(kind: u32) -> u32 {
    match kind {
        0 => std::process::exit(0),
        1 => std::process::exit(3),
        2 => std::process::abort(),
        3 => {
            send_signal(std::process::id(), Signal::KILL);
            loop {
                std::thread::park();
            }
        }
        4 => overflow(0),
        _ => kind,
    }
}

#[expect(unconditional_recursion, reason = "it must overflow the stack")]
fn overflow(depth: u32) -> u32 {
    let here = std::hint::black_box([depth; 64]);
    overflow(depth + 1) + here[0]
}

#[test]
fn a_worker_that_dies_in_a_task_is_told_with_all_that_is_known() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    for (kind, code, signal) in [
        (0, Some(0), None),
        (1, Some(3), None),
        (2, None, Some(6)),
        (3, None, Some(9)),
        (4, None, Some(11)),
    ] {
        if kind == 4 && std::env::var_os("ASAN_OPTIONS").is_some() {
            // The sanitizer handles that signal itself.
            continue;
        }
        let pid = soon(pool.submit(|()| std::process::id(), ())).unwrap();
        let died = death(pool.submit(crash, kind));
        assert_eq!((died.exit_code(), died.signal()), (code, signal), "{died}");
        assert_eq!(died.pid(), pid);
        assert_eq!(died.argument_size(), 1);
        assert!(!died.finished());
        assert!(died.to_string().contains("while it ran the task"), "{died}");
        works(&pool);
    }
}

#[test]
fn many_crashes_among_many_tasks_cost_only_their_own() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(3).unwrap();
    let handles: Vec<_> = (0..200_u32)
        .map(|n| {
            (
                n,
                pool.submit(crash, if n % 10 == 0 { n / 10 % 4 } else { n }),
            )
        })
        .collect();
    for (n, handle) in handles {
        if n % 10 == 0 {
            death(handle);
        } else if n > 4 {
            assert_eq!(soon(handle).unwrap(), n);
        }
    }
}

#[test]
fn a_crash_in_a_chunk_costs_the_items_of_its_chunk() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let results: Vec<_> = pool.map(crash, [5, 6, 2, 7, 8, 9]).chunk_size(2).collect();
    let values: Vec<_> = results.iter().map(|it| it.as_ref().ok().copied()).collect();
    assert_eq!(values, [Some(5), Some(6), None, None, Some(8), Some(9)]);
}

#[test]
fn a_worker_killed_while_idle_costs_nothing() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    for _ in 0..20 {
        let pid = soon(pool.submit(|()| std::process::id(), ())).unwrap();
        send_signal(pid, Signal::KILL);
        // Sometimes sent to the dead worker, and then to the next one.
        works(&pool);
    }
}

#[test]
fn a_task_sent_to_a_dead_worker_runs_once_elsewhere() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    for _ in 0..20 {
        let pid = soon(pool.submit(|()| std::process::id(), ())).unwrap();
        // Stopped, so that it has the task but never looks at it.
        send_signal(pid, Signal::STOP);
        let handle = pool.submit(visit, gate.path());
        send_signal(pid, Signal::KILL);
        let visitor = gate.next();
        assert_ne!(visitor.pid, pid);
        let visitor_pid = visitor.pid;
        drop(visitor);
        assert_eq!(soon(handle).unwrap(), visitor_pid);
        assert!(gate.is_quiet());
    }
}

#[test]
fn a_worker_killed_in_the_middle_of_a_large_argument_costs_nothing() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    for _ in 0..5 {
        let pid = soon(pool.submit(|()| std::process::id(), ())).unwrap();
        // The pipe takes only a part of the argument.
        send_signal(pid, Signal::STOP);
        let handle = pool.submit(|numbers: Vec<u32>| numbers.len(), vec![u32::MAX; 1 << 17]);
        let stored = pool.submit(|bytes: Bytes| bytes.len(), Bytes::from(vec![1; 8 << 20]));
        send_signal(pid, Signal::KILL);
        assert_eq!(soon(handle).unwrap(), 1 << 17);
        assert_eq!(soon(stored).unwrap(), 8 << 20);
    }
}

/// Returns much, in the pipe and in the store, and has its process killed at some moment meanwhile.
fn large_and_doomed(spins: u32) -> (Vec<u32>, Bytes) {
    let large = (vec![u32::MAX; 1 << 16], Bytes::from(vec![1; 4 << 20]));
    std::thread::spawn(move || {
        for _ in 0..spins {
            std::thread::yield_now();
        }
        send_signal(std::process::id(), Signal::KILL);
    });
    large
}

#[test]
fn a_worker_killed_in_the_middle_of_a_large_result_costs_at_most_that() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let handles: Vec<_> = (0..60)
        .map(|n| pool.submit(large_and_doomed, n * 100))
        .collect();
    for handle in handles {
        match soon(handle) {
            Ok((numbers, bytes)) => {
                assert!(numbers.len() == 1 << 16 && numbers.iter().all(|&it| it == u32::MAX));
                assert!(bytes.len() == 4 << 20 && bytes.iter().all(|&byte| byte == 1));
            }
            Err(error) => assert_eq!(WorkerDied::of(&error).unwrap().signal(), Some(9)),
        }
    }
    // The last ones may have answered, and be about to be killed in whatever they run then.
    while let Err(error) = soon(pool.submit(|n: u32| n + 1, 1)) {
        assert_eq!(WorkerDied::of(&error).unwrap().signal(), Some(9));
    }
}

#[test]
fn a_task_that_runs_when_its_worker_is_killed_fails_and_those_behind_it_run() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let running = pool.submit(visit, gate.path());
    let behind: Vec<_> = (0..50).map(|n: u32| pool.submit(|n| n, n)).collect();
    let visitor = gate.next();
    send_signal(visitor.pid, Signal::KILL);
    let died = death(running);
    assert_eq!((died.pid(), died.signal()), (visitor.pid, Some(9)));
    for (n, handle) in behind.into_iter().enumerate() {
        assert_eq!(soon(handle).unwrap(), n as u32);
    }
}

#[test]
fn a_kill_from_outside_is_not_taken_for_one_by_the_pool() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    for _ in 0..30 {
        let running = pool.submit(visit, gate.path());
        send_signal(gate.next().pid, Signal::KILL);
        let text = death(running).to_string();
        assert!(text.contains("if nobody killed it"), "{text}");
    }
}

#[test]
fn a_task_that_was_sent_and_has_not_begun_is_cancelled_without_a_death() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let pid = soon(pool.submit(|()| std::process::id(), ())).unwrap();
    send_signal(pid, Signal::STOP);
    let handle = pool.submit(visit, gate.path());
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert!(matches!(soon(handle), Err(TaskError::Cancelled)));
    // It had not begun, so its worker lives, and passes over it.
    send_signal(pid, Signal::CONT);
    assert_eq!(soon(pool.submit(|()| std::process::id(), ())).unwrap(), pid);
    assert!(gate.is_quiet());
}

#[test]
fn a_result_that_was_sent_before_the_death_counts() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let answer_and_die = |n: u32| {
        let main = std::fs::read_to_string("/proc/self/syscall").is_ok();
        std::thread::spawn(move || {
            // When the main thread waits for the next task, the answer is in the pipe.
            let read = format!("{} ", if cfg!(target_arch = "x86_64") { 0 } else { 63 });
            let path = format!("/proc/self/task/{}/syscall", std::process::id());
            while main && !std::fs::read_to_string(&path).is_ok_and(|text| text.starts_with(&read))
            {
                std::thread::yield_now();
            }
            send_signal(std::process::id(), Signal::KILL);
        });
        n + 1
    };
    for n in 0..10 {
        match soon(pool.submit(answer_and_die, n)) {
            Ok(value) => assert_eq!(value, n + 1),
            // If the system does not say what a thread does.
            Err(error) => assert!(WorkerDied::of(&error).is_some(), "{error}"),
        }
    }
    works(&pool);
}

/// A pool with an answered task, whose thread is kept from looking until the sender is
/// dropped; `None` if the system does not say what processes do.
struct Answered {
    pool: ProcessPoolExecutor,
    handle: JoinHandle<u32>,
    pid: u32,
    go: mpsc::Sender<()>,
}

impl Answered {
    fn new() -> Option<Self> {
        let pool = ProcessPoolExecutor::new(2).unwrap();
        let gate = Gate::new();
        let handle = pool.submit(visit, gate.path());
        let visitor = gate.next();
        let (entered, is_entered) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let mut other = pool.submit(|n: u32| n, 1);
        other.on_done(move |_| {
            entered.send(()).unwrap();
            let _ = may_go.recv();
        });
        is_entered.recv_timeout(support::PATIENCE).unwrap();
        let pid = visitor.pid;
        visitor.see_off();
        // When it waits for the next task, the answer is in the pipe.
        let read = format!("{} ", if cfg!(target_arch = "x86_64") { 0 } else { 63 });
        let path = format!("/proc/{pid}/task/{pid}/syscall");
        while !std::fs::read_to_string(&path).ok()?.starts_with(&read) {
            std::thread::yield_now();
        }
        Some(Self {
            pool,
            handle,
            pid,
            go,
        })
    }
}

#[test]
fn an_answer_and_the_death_after_it_are_found_at_once_and_the_answer_counts() {
    let _guard = guard();
    for _ in 0..5 {
        let Some(answered) = Answered::new() else {
            return;
        };
        send_signal(answered.pid, Signal::KILL);
        support::wait_for_end(answered.pid);
        drop(answered.go);
        assert_eq!(soon(answered.handle).unwrap(), answered.pid);
        works(&answered.pool);
    }
}

#[test]
fn a_task_that_is_cancelled_when_it_has_just_answered_costs_no_worker() {
    let _guard = guard();
    for _ in 0..5 {
        let Some(answered) = Answered::new() else {
            return;
        };
        assert_eq!(answered.handle.cancel(), Cancel::Requested);
        drop(answered.go);
        assert_eq!(soon(answered.handle).unwrap(), answered.pid);
        works(&answered.pool);
        assert!(answered.pool.pids().contains(&answered.pid));
    }
}

#[test]
fn killing_workers_under_load_loses_no_task_and_runs_none_twice() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(3).unwrap();
    let gate = Gate::new();
    let mut visits = 0;
    let mut outstanding = VecDeque::new();
    let mut results = 0;
    let mut lost = 0;
    let mut killed = 0;
    for n in 0..3000_u64 {
        outstanding.push_back((n, pool.submit(|n| n, n)));
        if n % 10 == 9 {
            // Any of them: busy, idle, or just starting.
            let pids = pool.pids();
            if let Some(&pid) = pids.get(n as usize / 10 % pids.len().max(1)) {
                let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
                killed += u32::from(kill_process(pid, Signal::KILL).is_ok());
            }
            // A round trip with one, so that not all of them die before they do anything.
            let handle = pool.submit(knock_and_go, gate.path());
            visits += u32::from(soon(handle).is_ok());
        }
        if outstanding.len() > 40 {
            let (n, handle) = outstanding.pop_front().unwrap();
            match soon(handle) {
                Ok(value) => assert_eq!(value, n),
                Err(error) => {
                    assert_eq!(WorkerDied::of(&error).unwrap().signal(), Some(9), "{error}");
                    lost += 1;
                }
            }
            results += 1;
        }
    }
    assert_eq!(results + outstanding.len(), 3000);
    drop(outstanding);
    assert!(lost + 300 - visits <= killed);
    pool.shutdown().unwrap();
    // Each of these tasks began once, even if the death of its worker hid its end.
    let mut seen = 0;
    while !gate.is_quiet() {
        drop(gate.next());
        seen += 1;
    }
    assert!((visits..=300).contains(&seen), "{seen} of {visits}");
}

/// Reports that it has begun, and waits for nobody.
fn knock_and_go(path: String) {
    drop(support::knock(path));
}
