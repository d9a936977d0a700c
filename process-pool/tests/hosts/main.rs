//! Programs with pools, in circumstances that a test cannot create for itself: they are killed,
//! deleted, limited, or ignore their children. Each [scenario](scenarios) is this program, started again.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

mod scenarios;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use scenarios::SCENARIOS;
use support::{Gate, Visitor, guard, run_tests};

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
    run_tests(TESTS);
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
    ("a_worker_that_has_forgotten_init_starts_no_other", || {
        pass("forgotten")
    }),
    ("a_forked_program_leaves_the_pool_to_its_parent", || {
        pass("forks")
    }),
];

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

/// Runs a scenario in a shell with a limit.
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
    // As above, and the zygote, whose stream its workers also have.
    let visitors = [(); 5].map(|()| gate.next());
    program.kill().unwrap();
    program.wait().unwrap();
    visitors.into_iter().for_each(Visitor::wait_until_gone);
}

/// The process that preloads left a child, and would wait forever.
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

fn no_process_can_be_started() {
    // As a user who may have no further process.
    let is_root = rustix::process::geteuid().is_root();
    // LeakSanitizer starts a process at exit.
    if !is_root || std::env::var_os("ASAN_OPTIONS").is_some() {
        return;
    }
    let status = host("no_process").uid(65_431).gid(65_431).status();
    // That user may not be able to read the executable.
    if let Ok(status) = status {
        assert!(status.success(), "{status}");
    }
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

/// The pipe is full, and stays so: only the workers that print wait.
fn a_program_whose_errors_nobody_reads() {
    let mut program = host("unread").stderr(Stdio::piped()).spawn().unwrap();
    assert!(program.wait().unwrap().success());
}

/// A write to that pipe would kill the program.
fn a_program_whose_reader_of_errors_is_gone() {
    let mut command = host("reader_gone");
    let mut program = command.stderr(Stdio::piped()).stdin(Stdio::piped()).spawn();
    let program = program.as_mut().unwrap();
    drop(program.stderr.take());
    drop(program.stdin.take());
    let status = program.wait().unwrap();
    assert!(status.success(), "{status}");
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

/// A program that a task left behind, outside of its worker's group, prints after the worker's death, and
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
