//! What tasks do to their process: print, close, fork, start others. None of it disturbs the pool and
//! its workers.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor, TaskError, WorkerDied};
use support::{Gate, guard, knock, soon, visit};

fn works(pool: &ProcessPoolExecutor) {
    assert_eq!(soon(pool.submit(|n: u32| n + 1, 1)).unwrap(), 2);
}

#[test]
fn standard_output_is_standard_error_and_input_is_empty() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let look = |()| {
        let link = |number: u32| std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
        let mut input = String::new();
        std::io::stdin().read_to_string(&mut input).unwrap();
        (link(0), link(1) == link(2), input)
    };
    let (input, same, text) = soon(pool.submit(look, ())).unwrap();
    assert_eq!(input, std::path::Path::new("/dev/null"));
    assert!(same && text.is_empty());
}

#[test]
fn descriptors_of_the_pool_are_out_of_the_way_and_not_inherited() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let seen = soon(pool.submit(|()| inherited(), ())).unwrap();
    assert_eq!(seen, inherited());
    let close_many = |()| (3..30).for_each(close);
    soon(pool.submit(close_many, ())).unwrap();
    works(&pool);
}

/// What a program that is started here inherits.
fn inherited() -> String {
    let mut command = Command::new("ls");
    let output = command.args(["/proc/self/fd"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Closes a descriptor as C programs do, without asking whose it is.
#[expect(unsafe_code, reason = "tasks may do it, too")]
fn close(number: i32) {
    // SAFETY: the test closes a worker's descriptors; only the worker itself uses
    // them, and its calls fail.
    unsafe { libc::close(number) };
}

#[test]
fn a_task_that_closes_everything_costs_its_worker() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let close_all = |()| {
        let numbers: Vec<i32> = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .filter(|&number| number > 2)
            .collect();
        numbers.into_iter().for_each(close);
    };
    let error = soon(pool.submit(close_all, ())).unwrap_err();
    assert!(WorkerDied::of(&error).is_some(), "{error}");
    works(&pool);
}

#[test]
fn a_task_that_closes_everything_and_goes_on_is_told_what_it_did() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let close_and_hang = |()| {
        (3..2048).for_each(close);
        loop {
            std::thread::park();
        }
    };
    let handle: JoinHandle<()> = pool.submit(close_and_hang, ());
    let error = soon(handle).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("close descriptors"), "{text}");
    works(&pool);
}

#[test]
fn a_task_can_start_programs_and_read_what_they_print() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let echo = |text: String| {
        let output = Command::new("echo").arg(text).output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    for n in 0..10 {
        let (success, text) = soon(pool.submit(echo, format!("text {n}"))).unwrap();
        assert!(success);
        assert_eq!(text, format!("text {n}\n"));
    }
    // Writing to one that is gone is an error, not the end of the worker.
    let to_nobody = |()| {
        let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        child.wait().unwrap();
        let error = input.write_all(b"hello").unwrap_err();
        error.kind() == std::io::ErrorKind::BrokenPipe
    };
    assert!(soon(pool.submit(to_nobody, ())).unwrap());
}

/// Starts a program that lives on, and keeps the worker's standard output and error.
fn leave_a_child(path: String) -> u32 {
    let stream = knock(path).unwrap();
    let child = Command::new("cat")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(stream)))
        .spawn();
    child.unwrap().id()
}

#[test]
fn a_child_of_a_task_goes_with_its_worker() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    // The task returns, its child lives on, and the pool goes.
    soon(pool.submit(leave_a_child, gate.path())).unwrap();
    let child = gate.next();
    works(&pool);
    pool.shutdown().unwrap();
    child.wait_until_gone();
}

#[test]
fn a_child_of_a_task_does_not_hide_the_death_of_its_worker() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let crash = |path: String| -> u32 {
        leave_a_child(path);
        std::process::abort()
    };
    let error = soon(pool.submit(crash, gate.path())).unwrap_err();
    assert_eq!(WorkerDied::of(&error).unwrap().signal(), Some(6));
    gate.next().wait_until_gone();
    works(&pool);
}

#[test]
fn a_cancelled_task_goes_with_the_whole_tree_of_its_processes() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let tree = |path: String| {
        let script = "sh -c 'cat & wait' & wait";
        let stream = knock(path.clone()).unwrap();
        let stdin = Stdio::from(std::os::fd::OwnedFd::from(stream));
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(stdin)
            .spawn()
            .unwrap();
        visit(path);
        child.wait().unwrap().success()
    };
    let handle = pool.submit(tree, gate.path());
    let child = gate.next();
    let task = gate.next();
    let _ = handle.cancel();
    assert!(matches!(soon(handle), Err(TaskError::Cancelled)));
    child.wait_until_gone();
    task.wait_until_gone();
    works(&pool);
}

/// A task that starts the same executable gets a program, not a worker.
#[test]
fn a_task_that_starts_its_own_executable_starts_no_worker() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let list = |()| {
        let mut command = Command::new("/proc/self/exe");
        let output = command.args(["--list"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = soon(pool.submit(list, ())).unwrap();
    assert!(
        listed.contains("a_task_that_starts_its_own_executable"),
        "{listed}"
    );
}

#[test]
fn a_task_that_ignores_every_polite_signal_is_stopped_all_the_same() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let ignore = |path: String| {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
            #[expect(unsafe_code, reason = "a task may do that")]
            // SAFETY: a disposition that needs no handler.
            unsafe {
                libc::signal(signal, libc::SIG_IGN)
            };
        }
        let _stream = knock(path);
        loop {
            std::hint::spin_loop();
        }
    };
    let cancelled: JoinHandle<()> = pool.submit(ignore, gate.path());
    let visitor = gate.next();
    let _ = cancelled.cancel();
    assert!(matches!(soon(cancelled), Err(TaskError::Cancelled)));
    visitor.wait_until_gone();
    let task = pool.task().time_limit(Duration::from_millis(50));
    let late: JoinHandle<()> = task.submit(ignore, gate.path());
    assert!(matches!(soon(late), Err(TaskError::TimedOut)));
    let running: JoinHandle<()> = pool.submit(ignore, gate.path());
    let visitors = [gate.next(), gate.next()];
    pool.kill().unwrap();
    assert!(matches!(soon(running), Err(TaskError::Cancelled)));
    visitors
        .into_iter()
        .for_each(support::Visitor::wait_until_gone);
}

#[test]
fn a_worker_has_the_signals_that_programs_expect() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let status = |()| std::fs::read_to_string("/proc/self/status").unwrap();
    let status = soon(pool.submit(status, ())).unwrap();
    let mask = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    let bit = |signal: rustix::process::Signal| 1_u64 << (signal.as_raw() - 1);
    assert_eq!(mask("SigBlk:"), 0);
    assert_ne!(mask("SigIgn:") & bit(rustix::process::Signal::PIPE), 0);
    assert_eq!(mask("SigIgn:") & bit(rustix::process::Signal::CHILD), 0);
}
