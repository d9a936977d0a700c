//! A task that overflows its stack ends the process, with a message that names the task; other faults are reported
//! as usual.
#![cfg(all(target_os = "linux", not(any(pool_loom, pool_sim))))]
#![expect(unsafe_code, reason = "the token is a promise")]
#![expect(clippy::unwrap_used, reason = "a failure of the test")]

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use green_tasks::{FutureResult, Runtime, Stackful, spawn, yield_now};

/// Which of the functions below a child process runs.
const CHILD: &str = "GREEN_TASKS_OVERFLOW";

fn run_child(name: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .env("RUST_BACKTRACE", "0");
    command.output().unwrap()
}

#[test]
fn child() {
    match std::env::var(CHILD).as_deref() {
        Ok("task") => in_a_task(false),
        Ok("mapped") => in_a_task(true),
        Ok("thread") => on_a_thread(),
        _ => {}
    }
}

fn recurse(depth: u64) -> u64 {
    let room = black_box([depth; 64]);
    if black_box(depth) == u64::MAX {
        return 0;
    }
    recurse(depth + 1) + room[black_box(5)]
}

fn run(has_mapped_guards: bool, main: impl FnOnce()) {
    // SAFETY: the tasks call only std and this crate.
    let token = unsafe { Stackful::assume() };
    let mut runtime = Runtime::builder().stackful(token).stack_size(64 << 10);
    if has_mapped_guards {
        runtime = runtime.mapped_guards();
    }
    runtime.build().unwrap().run(main).unwrap();
}

fn in_a_task(has_mapped_guards: bool) {
    run(has_mapped_guards, || {
        let neighbours: Vec<_> = (0..3).map(|_| spawn(yield_now)).collect();
        let deep = spawn(|| {
            yield_now();
            recurse(0)
        });
        let _ = deep.result();
        drop(neighbours);
    });
}

fn on_a_thread() {
    run(false, || ());
    let thread = std::thread::Builder::new().name("deep".to_owned());
    let _ = thread.spawn(|| recurse(0)).unwrap().join();
}

#[test]
fn the_task_is_named_and_the_process_aborts() {
    is_named_after_an_overflow("task");
}

#[test]
fn guards_that_are_mappings_are_as_good() {
    is_named_after_an_overflow("mapped");
}

fn is_named_after_an_overflow(child: &str) {
    let output = run_child(child);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    assert!(text.contains("green task 4, spawned at"), "{text}");
    assert!(text.contains("overflow.rs:"), "{text}");
    assert!(
        text.contains("overflowed its stack of 65536 bytes"),
        "{text}"
    );
}

#[test]
fn an_overflow_of_a_thread_is_stds_affair() {
    let output = run_child("thread");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    assert!(
        text.contains("thread 'deep'") && text.contains("has overflowed its stack"),
        "{text}"
    );
    assert!(!text.contains("green task"), "{text}");
}
