//! Programs with pools in them, in circumstances that a test cannot make for itself: they are killed,
//! deleted, limited, or ignore their children. Each scenario is this program, started again.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use process_pool::{
    Builder, Bytes, FutureResult, JoinHandle, ProcessPoolExecutor, TaskError, WorkerDied,
};
use rustix::process::Signal;
use support::{Gate, Visitor, children, descriptors, guard, knock, send_signal, soon, visit};

const SCENARIO: &str = "PROCESS_POOL_TEST_SCENARIO";
const GATE: &str = "PROCESS_POOL_TEST_GATE";

fn main() {
    let _guard = guard();
    if let Ok(scenario) = std::env::var(SCENARIO) {
        let (_, run) = SCENARIOS
            .iter()
            .find(|(name, _)| *name == scenario)
            .unwrap();
        return run();
    }
    // As the harness's list and filter, so far as they make sense here.
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let filter = filter.unwrap_or_default();
    for (name, test) in TESTS {
        if name.contains(&filter) {
            test();
            println!("test {name} ... ok");
        }
    }
}

const TESTS: &[(&str, fn())] = &[
    (
        "a_killed_program_takes_its_workers_along",
        a_killed_program_takes_its_workers_along,
    ),
    (
        "a_killed_program_takes_its_zygote_and_forked_workers_along",
        a_killed_program_takes_its_zygote_and_forked_workers_along,
    ),
    (
        "a_program_that_is_killed_while_it_preloads_leaves_nothing",
        a_program_that_is_killed_while_it_preloads_leaves_nothing,
    ),
    (
        "a_program_that_exits_takes_its_workers_along",
        a_program_that_exits_takes_its_workers_along,
    ),
    (
        "a_deleted_executable_still_starts_workers",
        a_deleted_executable_still_starts_workers,
    ),
    ("a_program_that_ignores_its_children", || {
        pass("ignores_children")
    }),
    ("a_program_that_reaps_all_children", || {
        pass("reaps_all_children")
    }),
    ("a_program_that_dies_of_broken_pipes", || {
        pass("default_sigpipe")
    }),
    ("few_descriptors", || {
        pass_under("ulimit -n 64", "few_descriptors")
    }),
    ("many_queued_tasks_need_no_descriptors", || {
        pass_under("ulimit -n 64", "many_queued")
    }),
    ("no_process_can_be_started", no_process_can_be_started),
    ("many_pools_leak_nothing", || pass("many_pools")),
    ("many_pools_that_preload_leak_nothing", || {
        pass("many_preload")
    }),
    ("a_program_that_ignores_its_children_preloads", || {
        pass("ignores_children_and_preloads")
    }),
    ("workers_that_print_a_flood", workers_that_print_a_flood),
    (
        "standard_descriptors_that_are_closed",
        standard_descriptors_that_are_closed,
    ),
    (
        "a_program_whose_errors_nobody_reads",
        a_program_whose_errors_nobody_reads,
    ),
    (
        "a_program_whose_reader_of_errors_is_gone",
        a_program_whose_reader_of_errors_is_gone,
    ),
    (
        "what_was_printed_comes_out_before_the_pool_ends",
        what_was_printed_comes_out_before_the_pool_ends,
    ),
    ("a_stranger_is_still_heard", a_stranger_is_still_heard),
    ("an_idle_pool_uses_no_cpu", || pass("idle")),
    ("a_forked_program_leaves_the_pool_to_its_parent", || {
        pass("forks")
    }),
];

const SCENARIOS: &[(&str, fn())] = &[
    ("hold", || hold(&ProcessPoolExecutor::new(2).unwrap())),
    ("hold_forked", hold_forked),
    ("hold_preload", hold_preload),
    ("exit", exit_while_tasks_run),
    ("deleted", deleted),
    ("ignores_children", || ignores_children(|builder| builder)),
    ("ignores_children_and_preloads", || {
        ignores_children(preload_nothing)
    }),
    ("reaps_all_children", reaps_all_children),
    ("default_sigpipe", default_sigpipe),
    ("few_descriptors", few_descriptors),
    ("many_queued", many_queued),
    ("no_process", no_process),
    ("many_pools", || many_pools(|builder| builder)),
    ("many_preload", || many_pools(preload_nothing)),
    ("flood", flood),
    ("closed", || works(&ProcessPoolExecutor::new(2).unwrap())),
    ("unread", unread),
    ("reader_gone", reader_gone),
    ("words", words),
    ("stranger", stranger),
    ("idle", idle),
    ("forks", forks),
];

fn works(pool: &ProcessPoolExecutor) {
    assert_eq!(soon(pool.submit(|n: u32| n + 1, 1)).unwrap(), 2);
}

/// This program, to run a scenario.
fn host(scenario: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.env(SCENARIO, scenario);
    command
}

fn pass(scenario: &str) {
    let status = host(scenario).status().unwrap();
    assert!(status.success(), "{scenario}: {status}");
}

/// Runs a scenario in a shell that has been limited.
fn pass_under(limit: &str, scenario: &str) {
    let executable = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit} && exec \"$0\"")]);
    let status = command
        .arg(executable)
        .env(SCENARIO, scenario)
        .status()
        .unwrap();
    assert!(status.success(), "{scenario}: {status}");
}

// Scenarios in which the program goes, and others look what is left.

fn gate_of_the_test() -> String {
    std::env::var(GATE).unwrap()
}

/// Starts a program that holds the gate's stream until it is killed, or let go.
#[expect(clippy::zombie_processes, reason = "it is to be left behind")]
fn leave_a_child(path: String) {
    let stdin = Stdio::from(std::os::fd::OwnedFd::from(knock(path).unwrap()));
    Command::new("cat").stdin(stdin).spawn().unwrap();
}

/// Has a child of its own hold a copy of the gate's stream, and is busy for ever.
fn busy_with_a_child(path: String) {
    leave_a_child(path.clone());
    let _stream = knock(path);
    loop {
        std::hint::spin_loop();
    }
}

fn preload_nothing(builder: Builder) -> Builder {
    builder.preload(|()| (), ())
}

/// Holds the gate's stream for as long as its process lives.
fn hold_stream(path: String) {
    std::mem::forget(knock(path));
}

fn hold_forked() {
    let builder = ProcessPoolExecutor::builder().workers(2);
    let builder = builder.preload(hold_stream, gate_of_the_test());
    hold(&builder.build().unwrap());
}

fn hold_preload() {
    let preload = |path: String| {
        leave_a_child(path.clone());
        let _ = visit(path);
    };
    let builder = ProcessPoolExecutor::builder().preload(preload, gate_of_the_test());
    drop(builder.build());
}

fn hold(pool: &ProcessPoolExecutor) {
    let path = gate_of_the_test();
    // One worker is busy, one is idle after a task that has left a child.
    let busy = pool.submit(busy_with_a_child, path.clone());
    let idle = pool.submit(leave_a_child, path.clone());
    soon(idle).unwrap();
    drop(knock(path));
    drop(busy.result());
}

fn exit_while_tasks_run() {
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let busy = pool.submit(busy_with_a_child, gate_of_the_test());
    let mut input = [0];
    let _ = std::io::stdin().read(&mut input);
    std::mem::forget((pool, busy));
    std::process::exit(0);
}

fn a_killed_program_takes_its_workers_along() {
    let gate = Gate::new();
    let mut program = host("hold").env(GATE, gate.path()).spawn().unwrap();
    // The busy worker and its child, the idle worker's child, and the program itself.
    let visitors = [(); 4].map(|()| gate.next());
    program.kill().unwrap();
    program.wait().unwrap();
    visitors.into_iter().for_each(Visitor::wait_until_gone);
}

fn a_killed_program_takes_its_zygote_and_forked_workers_along() {
    let gate = Gate::new();
    let mut program = host("hold_forked").env(GATE, gate.path()).spawn().unwrap();
    // As above, and the zygote, whose stream its workers have, too.
    let visitors = [(); 5].map(|()| gate.next());
    program.kill().unwrap();
    program.wait().unwrap();
    visitors.into_iter().for_each(Visitor::wait_until_gone);
}

/// The process that preloads has left a child, and would wait for ever.
fn a_program_that_is_killed_while_it_preloads_leaves_nothing() {
    let gate = Gate::new();
    let mut program = host("hold_preload").env(GATE, gate.path()).spawn().unwrap();
    let visitors = [(); 2].map(|()| gate.next());
    program.kill().unwrap();
    program.wait().unwrap();
    visitors.into_iter().for_each(Visitor::wait_until_gone);
}

fn a_program_that_exits_takes_its_workers_along() {
    let gate = Gate::new();
    let mut command = host("exit");
    let mut program = command
        .env(GATE, gate.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let visitors = [(); 2].map(|()| gate.next());
    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
    visitors.into_iter().for_each(Visitor::wait_until_gone);
}

fn a_deleted_executable_still_starts_workers() {
    let copy = std::env::temp_dir().join(format!("process-pool-copy-{}", std::process::id()));
    std::fs::copy("/proc/self/exe", &copy).unwrap();
    let mut command = Command::new(&copy);
    let mut program = command
        .env(SCENARIO, "deleted")
        .stdin(Stdio::piped())
        .spawn();
    let deleted = std::fs::remove_file(&copy);
    let program = program.as_mut().unwrap();
    deleted.unwrap();
    program.stdin.take().unwrap().write_all(b"!").unwrap();
    assert!(program.wait().unwrap().success());
}

fn deleted() {
    std::io::stdin().read_exact(&mut [0]).unwrap();
    assert!(
        std::env::current_exe()
            .unwrap()
            .to_string_lossy()
            .ends_with("(deleted)")
    );
    let pool = ProcessPoolExecutor::new(2).unwrap();
    works(&pool);
    let lost: JoinHandle<()> = pool.submit(|()| std::process::abort(), ());
    soon(lost).unwrap_err();
    works(&pool);
}

// Scenarios in which the program is peculiar.

#[expect(unsafe_code, reason = "a program may do that")]
fn set_signal(signal: i32, disposition: libc::sighandler_t) {
    // SAFETY: one of the two dispositions that need no handler.
    unsafe { libc::signal(signal, disposition) };
}

fn ignores_children(set: fn(Builder) -> Builder) {
    set_signal(libc::SIGCHLD, libc::SIG_IGN);
    let builder = ProcessPoolExecutor::builder().workers(2);
    let pool = set(builder).build().unwrap();
    for _ in 0..5 {
        works(&pool);
        let lost: JoinHandle<()> = pool.submit(|()| std::process::exit(3), ());
        let error = soon(lost).unwrap_err();
        // How it ended the system does not tell such a program.
        assert_eq!(WorkerDied::of(&error).unwrap().exit_code(), None);
        let endless: JoinHandle<()> = pool.submit(
            |()| loop {
                std::hint::spin_loop()
            },
            (),
        );
        let _ = endless.cancel();
        assert!(matches!(soon(endless), Err(TaskError::Cancelled)));
    }
    pool.shutdown().unwrap();
    // The system forgets such children by itself, a moment after they have ended.
    while !children().is_empty() {
        std::thread::yield_now();
    }
}

fn reaps_all_children() {
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let reaper = std::thread::spawn(move || {
        while is_done.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let _ = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
            std::thread::yield_now();
        }
    });
    let pool = ProcessPoolExecutor::new(2).unwrap();
    for _ in 0..20 {
        works(&pool);
        let lost: JoinHandle<()> = pool.submit(|()| std::process::exit(3), ());
        let error = soon(lost).unwrap_err();
        let code = WorkerDied::of(&error).unwrap().exit_code();
        assert!(matches!(code, None | Some(3)));
    }
    pool.kill().unwrap();
    done.send(()).unwrap();
    reaper.join().unwrap();
    assert!(children().is_empty());
}

fn default_sigpipe() {
    set_signal(libc::SIGPIPE, libc::SIG_DFL);
    let pool = ProcessPoolExecutor::new(1).unwrap();
    for _ in 0..50 {
        let pid = soon(pool.submit(|()| std::process::id(), ())).unwrap();
        send_signal(pid, Signal::KILL);
        works(&pool);
    }
    for _ in 0..10 {
        let pid = soon(pool.submit(|()| std::process::id(), ())).unwrap();
        // It dies when its pipe is full, and more is waiting to be written.
        send_signal(pid, Signal::STOP);
        let large = pool.submit(|numbers: Vec<u32>| numbers.len(), vec![u32::MAX; 1 << 17]);
        send_signal(pid, Signal::KILL);
        assert_eq!(soon(large).unwrap(), 1 << 17);
    }
}

fn few_descriptors() {
    let mut pools = Vec::new();
    let error = loop {
        match ProcessPoolExecutor::new(1) {
            Ok(pool) => pools.push(pool),
            Err(error) => break error,
        }
        assert!(pools.len() < 64);
    };
    assert!(
        matches!(error, process_pool::BuildError::Spawn(_)),
        "{error}"
    );
    assert!(pools.len() > 2);
    pools.iter().for_each(works);
    let before = pools.len();
    // Room for one more worker, or none: it does with what there is.
    let many = pools.pop().unwrap();
    drop(pools);
    drop(many);
    let pool = ProcessPoolExecutor::new(50).unwrap();
    let sum: u32 = pool.map(|n: u32| n, 0..500).map(Result::unwrap).sum();
    assert_eq!(sum, 499 * 500 / 2);
    drop(pool);
    let again: Vec<_> = (0..before)
        .map(|_| ProcessPoolExecutor::new(1).unwrap())
        .collect();
    again.iter().for_each(works);
}

fn many_queued() {
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let handles: Vec<_> = (0..2000_u32).map(|n| pool.submit(|n| n, n)).collect();
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(soon(handle).unwrap(), n as u32);
    }
}

fn no_process_can_be_started() {
    // As a user who may have no other process.
    let is_root = rustix::process::geteuid().is_root();
    // LeakSanitizer starts a process at the end.
    if !is_root || std::env::var_os("ASAN_OPTIONS").is_some() {
        return;
    }
    let status = host("no_process").uid(65_431).gid(65_431).status();
    // Not everywhere may that user read the executable.
    if let Ok(status) = status {
        assert!(status.success(), "{status}");
    }
}

fn no_process() {
    let limit = rustix::process::Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(rustix::process::Resource::Nproc, limit).unwrap();
    let error = ProcessPoolExecutor::new(1).unwrap_err();
    assert!(
        matches!(error, process_pool::BuildError::Spawn(_)),
        "{error}"
    );
    assert!(children().is_empty());
}

fn many_pools(set: fn(Builder) -> Builder) {
    let round = |round: u32| {
        let builder = ProcessPoolExecutor::builder().workers(2);
        let pool = set(builder).build().unwrap();
        let handles: Vec<_> = (0..4).map(|n: u32| pool.submit(|n| n, n)).collect();
        match round % 4 {
            0 => drop(pool),
            1 => pool.kill().unwrap(),
            2 => {
                let lost: JoinHandle<()> = pool.submit(|()| std::process::abort(), ());
                soon(lost).unwrap_err();
            }
            _ => pool.shutdown_now().unwrap(),
        }
        for handle in handles {
            let _ = soon(handle);
        }
    };
    (0..4).for_each(round);
    let before = descriptors();
    // Side by side, so that their threads are held up at odd moments.
    std::thread::scope(|scope| {
        for first in 0..4 {
            scope.spawn(move || (first..100 + first).for_each(round));
        }
    });
    assert_eq!(descriptors(), before);
    assert!(children().is_empty());
}

/// The output goes into a pipe that nobody reads for a while.
fn workers_that_print_a_flood() {
    let mut command = host("flood");
    let mut program = command
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = String::new();
    program
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    let mut output = String::new();
    program
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut output)
        .unwrap();
    assert!(program.wait().unwrap().success());
    assert_eq!(
        errors
            .lines()
            .filter(|line| line.starts_with("printed "))
            .count(),
        4 * 20_000
    );
    assert_eq!(output, "the program itself\n");
}

fn flood() {
    println!("the program itself");
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let print = |lines: u32| {
        let mut output = std::io::stdout().lock();
        for line in 0..lines {
            // One write each, so that the lines of two workers do not get mixed up.
            writeln!(output, "printed {line}").unwrap();
        }
        lines
    };
    let total: u32 = pool.map(print, [20_000; 4]).map(Result::unwrap).sum();
    assert_eq!(total, 80_000);
}

/// The pipe is full, and stays so: the workers that print wait, and nobody else.
fn a_program_whose_errors_nobody_reads() {
    let mut program = host("unread").stderr(Stdio::piped()).spawn().unwrap();
    assert!(program.wait().unwrap().success());
}

fn unread() {
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let gate = Gate::new();
    let flood = |path: String| {
        drop(knock(path));
        loop {
            eprintln!("printed");
        }
    };
    let endless: JoinHandle<()> = pool.submit(flood, gate.path());
    drop(gate.next());
    let before = descriptors();
    for how in 0..100_i32 {
        works(&pool);
        // What does not fit anywhere is told all the same.
        let lost: JoinHandle<()> = pool.submit(
            |how| {
                eprintln!("word {how}");
                std::process::exit(how)
            },
            how,
        );
        let error = soon(lost).unwrap_err();
        let died = WorkerDied::of(&error).unwrap();
        assert_eq!(died.exit_code(), Some(how));
        assert!(died.stderr().ends_with(&format!("word {how}")), "{died}");
    }
    // Of some of the dead the pipes are kept, but not of all.
    assert!(descriptors() <= before + 80);
    let _ = endless.cancel();
    assert!(matches!(soon(endless), Err(TaskError::Cancelled)));
    pool.shutdown().unwrap();
    assert!(children().is_empty());
}

/// The program would be killed by a write to that pipe.
fn a_program_whose_reader_of_errors_is_gone() {
    let mut command = host("reader_gone");
    let mut program = command.stderr(Stdio::piped()).stdin(Stdio::piped()).spawn();
    let program = program.as_mut().unwrap();
    drop(program.stderr.take());
    drop(program.stdin.take());
    let status = program.wait().unwrap();
    assert!(status.success(), "{status}");
}

fn reader_gone() {
    set_signal(libc::SIGPIPE, libc::SIG_DFL);
    assert_eq!(std::io::stdin().read(&mut [0]).unwrap(), 0);
    let pool = ProcessPoolExecutor::new(2).unwrap();
    for n in 0..20 {
        let print = |n: u32| {
            eprintln!("{n}");
            n
        };
        assert_eq!(soon(pool.submit(print, n)).unwrap(), n);
    }
}

fn errors_of(mut program: std::process::Child) -> String {
    let mut errors = String::new();
    let mut pipe = program.stderr.take().unwrap();
    pipe.read_to_string(&mut errors).unwrap();
    assert!(program.wait().unwrap().success());
    errors
}

fn what_was_printed_comes_out_before_the_pool_ends() {
    let program = host("words").stderr(Stdio::piped()).spawn().unwrap();
    let errors = errors_of(program);
    let expected: String = (0..50).map(|n| format!("{n} begins\n{n} ends")).collect();
    assert_eq!(errors, expected + "that is all\n");
}

fn words() {
    for n in 0..50 {
        let pool = ProcessPoolExecutor::new(2).unwrap();
        let print = |n: u32| {
            println!("{n} begins");
            eprint!("{n} ends");
            if n.is_multiple_of(2) {
                std::process::abort();
            }
        };
        let printed = soon(pool.submit(print, n));
        assert_eq!(printed.is_err(), n % 2 == 0);
    }
    eprintln!("that is all");
}

/// A program that a task has left behind outside of its worker's group prints after the worker's death, and
/// after the end of the pool.
fn a_stranger_is_still_heard() {
    let gate = Gate::new();
    let mut program = host("stranger")
        .env(GATE, gate.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = program.stderr.take().unwrap();
    let stranger = gate.next();
    // The worker is dead, and the pool is gone.
    let [dead, gone] = [gate.next(), gate.next()];
    dead.permit();
    drop(gone);
    stranger.permit();
    let mut byte = [0];
    pipe.read_exact(&mut byte).unwrap();
    assert_eq!(byte, [1]);
    assert!(program.wait().unwrap().success());
}

fn stranger() {
    let path = gate_of_the_test();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let leave_and_die = |path: String| {
        let stdin = Stdio::from(std::os::fd::OwnedFd::from(knock(path).unwrap()));
        let mut command = Command::new("cat");
        let child = command.stdin(stdin).process_group(0).spawn();
        assert!(child.is_ok());
        std::process::abort();
    };
    let lost: JoinHandle<()> = pool.submit(leave_and_die, path.clone());
    soon(lost).unwrap_err();
    let first = std::thread::spawn({
        let path = path.clone();
        move || visit(path)
    });
    pool.shutdown().unwrap();
    visit(path);
    first.join().unwrap();
    // The last holder of the pipe goes when the test lets it, and then the thread that listens.
    support::wait_for_threads_end("process-pool st");
}

fn standard_descriptors_that_are_closed() {
    let executable = std::env::current_exe().unwrap();
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec \"$0\" {closed}")]);
        let status = command
            .arg(&executable)
            .env(SCENARIO, "closed")
            .status()
            .unwrap();
        assert!(status.success(), "{closed}: {status}");
    }
}

fn idle() {
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let gate = Gate::new();
    let handles = [0; 2].map(|_| pool.submit(visit, gate.path()));
    drop([gate.next(), gate.next()]);
    for handle in handles {
        soon(handle).unwrap();
    }
    // Context switches tell who has woken up, whatever the clock.
    let switches = |pid: u32| -> u64 {
        let mut sum = 0;
        for thread in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            let line = status
                .lines()
                .find(|line| line.starts_with("voluntary"))
                .unwrap();
            sum += line
                .split_whitespace()
                .last()
                .unwrap()
                .parse::<u64>()
                .unwrap();
        }
        sum
    };
    // The workers, and the threads of the pool.
    let all = || {
        let threads = support::switches_of_threads("process-pool");
        threads + pool.pids().into_iter().map(switches).sum::<u64>()
    };
    // They may still be on their way to rest.
    let rest = std::time::Duration::from_millis(200);
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    let quiet = (0..200).any(|_| {
        let before = all();
        never.recv_timeout(rest).unwrap_err();
        all() == before
    });
    assert!(quiet);
}

/// The child has the pool's memory and descriptors, but not its thread.
fn forks() {
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let pid = soon(pool.submit(|()| std::process::id(), ())).unwrap();
    let (mut submitted, mut submits) = std::io::pipe().unwrap();
    #[expect(unsafe_code, reason = "a program may do that")]
    // SAFETY: the child allocates and leaves; nothing that it uses is locked by another thread for long,
    // since the pool is idle.
    match unsafe { libc::fork() } {
        0 => {
            let refused = pool.submit(|n: u32| n, 1).result();
            let is_refused = matches!(
                refused,
                Err(TaskError::Rejected(process_pool::Rejection::Forked))
            );
            // What the parent has put into the store since it does not overwrite.
            let is_refused = is_refused && submitted.read_exact(&mut [0]).is_ok();
            let large = Bytes::from(vec![2; 1 << 20]);
            let is_refused = is_refused && pool.submit(|bytes| bytes, large).result().is_err();
            let is_refused = is_refused && pool.pids().is_empty();
            let is_refused = is_refused && pool.kill() == Err(process_pool::ShutdownError::Forked);
            drop(pool);
            // SAFETY: ends the process at once, without what the parent has registered.
            unsafe { libc::_exit(i32::from(!is_refused)) }
        }
        child => {
            let gate = Gate::new();
            let running = pool.submit(visit, gate.path());
            let visitor = gate.next();
            let large = Bytes::from(vec![1; 1 << 20]);
            let waiting = pool.submit(|bytes: Bytes| bytes.iter().all(|&byte| byte == 1), large);
            submits.write_all(&[1]).unwrap();
            let mut status = 0;
            // SAFETY: a child of this process, and a place for its status.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(status, 0);
            drop(visitor);
            soon(running).unwrap();
            assert!(soon(waiting).unwrap());
        }
    }
    assert_eq!(soon(pool.submit(|()| std::process::id(), ())).unwrap(), pid);
    pool.shutdown().unwrap();
    assert!(children().is_empty());
}
