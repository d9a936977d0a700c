//! What is known of a worker after its death: what it printed, how much memory it used, what is left.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use process_pool::{JoinHandle, ProcessPoolExecutor, WorkerDied};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use support::{Gate, guard, knock, send_signal, soon, visit};

fn death<T>(handle: JoinHandle<T>) -> WorkerDied {
    match soon(handle) {
        Ok(_) => panic!("the task has a value"),
        Err(error) => WorkerDied::of(&error).unwrap().clone(),
    }
}

fn die(how: u32) {
    match how % 3 {
        0 => std::process::abort(),
        1 => std::process::exit(9),
        _ => send_signal(std::process::id(), Signal::KILL),
    }
    loop {
        std::thread::park();
    }
}

#[test]
fn what_was_printed_just_before_any_death_is_told() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let print_and_die = |how: u32| {
        println!("to output, {how}");
        eprint!("to error, {how}");
        die(how);
    };
    for how in 0..60 {
        let died = death(pool.submit(print_and_die, how));
        let expected = format!("to output, {how}\nto error, {how}");
        assert_eq!(died.stderr(), expected);
        let text = died.to_string();
        assert!(
            text.ends_with(&format!("its last output was:\n{expected}")),
            "{text}"
        );
    }
}

#[test]
fn the_last_lines_of_a_flood_are_told() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let flood_and_die = |how: u32| {
        let mut output = std::io::stdout().lock();
        for line in 0..20_000 {
            writeln!(output, "{line}").unwrap();
        }
        die(how);
    };
    let expected: Vec<String> = (19_872..20_000).map(|line| line.to_string()).collect();
    let floods = [0, 1, 2].map(|how| pool.submit(flood_and_die, how));
    for flood in floods {
        assert_eq!(death(flood).stderr(), expected.join("\n"));
    }
}

#[test]
fn bytes_that_are_no_text_are_told_as_far_as_they_are() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let print_and_die = |()| {
        std::io::stderr().write_all(b"caf\xe9\n\xff\n").unwrap();
        std::process::abort();
    };
    let lost: JoinHandle<()> = pool.submit(print_and_die, ());
    assert_eq!(death(lost).stderr(), "caf\u{fffd}\n\u{fffd}");
}

#[test]
fn a_panic_and_what_programs_print_are_told_too() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let pool = builder.environment("RUST_BACKTRACE", "0").build().unwrap();
    soon(pool.submit(|()| -> () { panic!("an earlier task") }, ())).unwrap_err();
    let start_and_die = |()| {
        let status = Command::new("sh")
            .args(["-c", "echo from a program >&2"])
            .status();
        assert!(status.unwrap().success());
        std::process::abort();
    };
    let lost: JoinHandle<()> = pool.submit(start_and_die, ());
    let died = death(lost);
    assert!(died.stderr().contains("an earlier task"), "{died}");
    assert!(died.stderr().ends_with("from a program"), "{died}");
}

/// Starts a program that leaves the worker's process group, and keeps the pipe to which the worker prints.
#[expect(clippy::zombie_processes, reason = "it must be left behind")]
fn leave_a_stranger(path: String) {
    let stream = knock(path).unwrap();
    let mut command = Command::new("cat");
    let stdin = Stdio::from(std::os::fd::OwnedFd::from(stream));
    command.stdin(stdin).process_group(0).spawn().unwrap();
}

#[test]
fn a_stranger_with_the_pipe_delays_neither_the_burial_nor_the_end_of_the_pool() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let gate = Gate::new();
    let leave_and_die = |path: String| {
        leave_a_stranger(path);
        eprintln!("last words");
        std::process::abort();
    };
    let lost: JoinHandle<()> = pool.submit(leave_and_die, gate.path());
    assert_eq!(death(lost).stderr(), "last words");
    let stranger = gate.next();
    pool.shutdown().unwrap();
    // It survived all that.
    assert!(stranger.is_there());
}

/// More than this program ever used, so that its own memory does not count.
const LARGE: usize = 300 << 20;

#[test]
fn the_peak_of_memory_is_the_dead_workers_own() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let use_and_die = |bytes: usize| -> usize {
        let used = vec![1_u8; bytes];
        drop(std::hint::black_box(used));
        std::process::abort();
    };
    let large = death(pool.submit(use_and_die, LARGE)).peak_rss().unwrap() as usize;
    assert!((LARGE..LARGE + LARGE / 4).contains(&large), "{large}");
    // It is another worker, and never used that.
    let small = death(pool.submit(use_and_die, 1)).peak_rss();
    assert!(
        small.is_none_or(|small| small < LARGE as u64 / 4),
        "{small:?}"
    );

    // This program's memory is not taken for the worker's.
    let ours = vec![1_u8; LARGE];
    let pool = ProcessPoolExecutor::new(1).unwrap();
    assert_eq!(death(pool.submit(use_and_die, 1)).peak_rss(), None);
    drop(std::hint::black_box(ours));
}

#[test]
fn whether_a_core_was_dumped_is_told() {
    let _guard = guard();
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let is_file = !pattern.starts_with('|') && !pattern.starts_with('/');
    if getrlimit(Resource::Core).maximum == Some(0) || !is_file {
        return;
    }
    let directory = std::env::temp_dir().join(format!("process-pool-core-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let pool = builder.directory(&directory).build().unwrap();
    let dump = |size: u64| -> u64 {
        let limit = Rlimit {
            current: Some(size),
            ..getrlimit(Resource::Core)
        };
        setrlimit(Resource::Core, limit).unwrap();
        std::process::abort();
    };
    let no_core = death(pool.submit(dump, 0));
    assert!(!no_core.core_dumped(), "{no_core}");
    let core = death(pool.submit(dump, 1 << 30));
    let is_there = std::fs::read_dir(&directory).unwrap().next().is_some();
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(core.core_dumped(), is_there, "{core}");
    assert_eq!(core.to_string().contains("dumped core"), is_there);
}

#[test]
fn a_task_that_had_not_begun_has_no_death_to_tell_of() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let pool = builder.prefetch(8).build().unwrap();
    let gate = Gate::new();
    let held = pool.submit(visit, gate.path());
    let visitor = gate.next();
    let waiting: Vec<_> = (0..5).map(|n: u32| pool.submit(|n| n, n)).collect();
    send_signal(visitor.pid, Signal::KILL);
    let died = death(held);
    assert!(!died.finished() && died.argument_size() > gate.path().len());
    for (n, handle) in waiting.into_iter().enumerate() {
        assert_eq!(soon(handle).unwrap(), n as u32);
    }
}
