//! What the program does once it is started again.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use process_pool::{
    BuildError, Builder, Bytes, FutureResult, JoinHandle, ProcessPoolExecutor, TaskError,
    WorkerDied,
};
use rustix::process::Signal;

use super::GATE;
use super::support::{self, Gate, children, descriptors, knock, send_signal, soon, visit};

pub(super) const SCENARIOS: &[(&str, fn())] = &[
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
    ("forgotten", forgotten),
    ("forks", forks),
];

fn works(pool: &ProcessPoolExecutor) {
    assert_eq!(soon(pool.submit(|n: u32| n + 1, 1)).unwrap(), 2);
}

// Scenarios in which the program ends, and others look at what is left.

fn gate_of_the_test() -> String {
    std::env::var(GATE).unwrap()
}

/// Starts a program that keeps the gate's stream until it is killed, or let go.
#[expect(clippy::zombie_processes, reason = "it must be left behind")]
fn leave_a_child(path: String) {
    let stdin = Stdio::from(std::os::fd::OwnedFd::from(knock(path).unwrap()));
    Command::new("cat").stdin(stdin).spawn().unwrap();
}

/// Has a child that keeps a copy of the gate's stream, and is busy forever.
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

/// Keeps the gate's stream for as long as its process lives.
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
    // One worker is busy, one is idle after a task that left a child.
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
        // The system does not tell such a program how it ended.
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
    // The system forgets such children by itself, a moment after their end.
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
        // It dies while its pipe is full, and more is waiting to be written.
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
    assert!(matches!(error, BuildError::Spawn(_)), "{error}");
    assert!(pools.len() > 2);
    pools.iter().for_each(works);
    let before = pools.len();
    // Room for one more worker, or none: it makes do with what there is.
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

fn no_process() {
    let limit = rustix::process::Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(rustix::process::Resource::Nproc, limit).unwrap();
    let error = ProcessPoolExecutor::new(1).unwrap_err();
    assert!(matches!(error, BuildError::Spawn(_)), "{error}");
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
        // What fits nowhere is reported all the same.
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
    // The pipes of some dead workers are kept, but not of all.
    assert!(descriptors() <= before + 80);
    let _ = endless.cancel();
    assert!(matches!(soon(endless), Err(TaskError::Cancelled)));
    pool.shutdown().unwrap();
    assert!(children().is_empty());
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
    // The last holder of the pipe ends when the test lets it, and then the thread that listens.
    support::wait_for_threads_end("process-pool st");
}

fn idle() {
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let gate = Gate::new();
    let handles = [0; 2].map(|_| pool.submit(visit, gate.path()));
    drop([gate.next(), gate.next()]);
    for handle in handles {
        soon(handle).unwrap();
    }
    // Context switches show who has woken up, whatever the clock.
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

/// Started like a worker, but it gets to `main`, as if no loader called constructors.
fn forgotten() {
    let (socket, _other) = UnixStream::pair().unwrap();
    let number = rustix::fs::fstat(&socket).unwrap().st_ino;
    rustix::stdio::dup2_stdin(&socket).unwrap();
    #[expect(
        unsafe_code,
        reason = "without a constructor, the variable would be there before"
    )]
    // SAFETY: no other thread uses the environment.
    unsafe {
        std::env::set_var(
            "PROCESS_POOL_WORKER",
            format!("{} {number}", env!("CARGO_PKG_VERSION")),
        );
    }
    let error = ProcessPoolExecutor::new(1).unwrap_err();
    assert!(matches!(error, BuildError::NotInitialized), "{error}");
    assert!(error.to_string().contains("init"), "{error}");
    assert!(children().is_empty());
    // What it starts is an ordinary program.
    let (_socket, other) = UnixStream::pair().unwrap();
    rustix::stdio::dup2_stdin(&other).unwrap();
    works(&ProcessPoolExecutor::new(1).unwrap());
}

/// The child has the pool's memory and descriptors, but not its thread.
fn forks() {
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let pid = soon(pool.submit(|()| std::process::id(), ())).unwrap();
    let (mut submitted, mut submits) = std::io::pipe().unwrap();
    #[expect(unsafe_code, reason = "a program may do that")]
    // SAFETY: the child allocates and exits; no other thread locks anything that it uses for long,
    // since the pool is idle.
    match unsafe { libc::fork() } {
        0 => {
            let refused = pool.submit(|n: u32| n, 1).result();
            let is_refused = matches!(
                refused,
                Err(TaskError::Rejected(process_pool::Rejection::Forked))
            );
            // It does not overwrite what the parent has since put into the store.
            let is_refused = is_refused && submitted.read_exact(&mut [0]).is_ok();
            let large = Bytes::from(vec![2; 1 << 20]);
            let is_refused = is_refused && pool.submit(|bytes| bytes, large).result().is_err();
            let is_refused = is_refused && pool.pids().is_empty();
            let is_refused = is_refused && pool.kill() == Err(process_pool::ShutdownError::Forked);
            drop(pool);
            // SAFETY: ends the process at once, without the parent's exit handlers.
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
