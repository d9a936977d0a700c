//! What may become of a zygote and its forks: zygotes that die, the worker that is forked ahead of time, and workers
//! that never get to their first message. One test after another, since they look at all children and descriptors
//! of this program.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::fs::File;
use std::process::Command;
use std::sync::OnceLock;

use process_pool::{JoinHandle, ProcessPoolExecutor, Rejection, TaskError};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use support::zygotes::{loaded, pid_of_worker, pool_at};
use support::{
    Gate, children, descriptors, guard, kill_if_there, knock, run_tests, send_signal, soon, visit,
    wait_for_end, wait_until_at_rest,
};

const GATE: &str = "PROCESS_POOL_TEST_GATE";

fn main() {
    let _guard = guard();
    if let Ok(path) = std::env::var(GATE) {
        return hold(path);
    }
    run_tests(TESTS);
}

const TESTS: &[(&str, fn())] = &[
    (
        "the_next_worker_is_the_one_that_was_forked_ahead",
        the_next_worker_is_the_one_that_was_forked_ahead,
    ),
    (
        "a_spare_that_is_killed_is_replaced_but_not_for_ever",
        a_spare_that_is_killed_is_replaced_but_not_for_ever,
    ),
    (
        "a_pool_whose_workers_have_left_keeps_no_spare",
        a_pool_whose_workers_have_left_keeps_no_spare,
    ),
    (
        "a_spare_gets_place_niceness_limit_and_initializer_when_it_is_wanted",
        a_spare_gets_place_niceness_limit_and_initializer_when_it_is_wanted,
    ),
    (
        "a_pool_that_ends_takes_its_spare_along",
        a_pool_that_ends_takes_its_spare_along,
    ),
    (
        "a_killed_program_takes_its_spare_along_also_if_it_was_forked",
        a_killed_program_takes_its_spare_along_also_if_it_was_forked,
    ),
    (
        "a_worker_that_is_killed_before_its_first_word_is_seen_at_once",
        a_worker_that_is_killed_before_its_first_word_is_seen_at_once,
    ),
    (
        "a_forked_worker_for_which_no_descriptor_is_left_is_killed_and_reaped",
        a_forked_worker_for_which_no_descriptor_is_left_is_killed_and_reaped,
    ),
    (
        "a_zygote_that_is_killed_while_idle_costs_no_worker_and_the_next_one_preloads_again",
        a_zygote_that_is_killed_while_idle_costs_no_worker_and_the_next_one_preloads_again,
    ),
    (
        "a_zygote_that_is_killed_while_workers_are_started_costs_no_task",
        a_zygote_that_is_killed_while_workers_are_started_costs_no_task,
    ),
    (
        "while_a_zygote_preloads_again_other_workers_answer",
        while_a_zygote_preloads_again_other_workers_answer,
    ),
    (
        "a_preload_function_that_always_fails_later_breaks_the_pool",
        a_preload_function_that_always_fails_later_breaks_the_pool,
    ),
    (
        "a_pool_is_killed_while_its_zygote_preloads_again",
        a_pool_is_killed_while_its_zygote_preloads_again,
    ),
    (
        "a_pool_that_is_drained_waits_for_a_zygote_that_preloads_again",
        a_pool_that_is_drained_waits_for_a_zygote_that_preloads_again,
    ),
];

/// Waits until this program has this many children, and returns them.
fn children_when_there_are(count: usize) -> Vec<u32> {
    loop {
        let children = children();
        if children.len() == count {
            return children;
        }
        std::thread::yield_now();
    }
}

/// Waits until there is a spare besides this worker.
fn spare_of(worker: u32, zygote: u32) -> u32 {
    let others = |pid: &u32| ![worker, zygote].contains(pid);
    children_when_there_are(3).into_iter().find(others).unwrap()
}

fn kill_and_wait(pid: u32) {
    send_signal(pid, Signal::KILL);
    wait_for_end(pid);
}

fn the_next_worker_is_the_one_that_was_forked_ahead() {
    let gate = Gate::new();
    let (pool, zygote) = pool_at(&gate, |it| it);
    let mut worker = pid_of_worker(&pool);
    for _ in 0..20 {
        let spare = spare_of(worker, zygote);
        assert_eq!(pool.pids(), [worker]);
        kill_and_wait(worker);
        worker = pid_of_worker(&pool);
        assert_eq!(worker, spare);
    }
    assert!(gate.is_quiet());
}

fn a_spare_that_is_killed_is_replaced_but_not_for_ever() {
    let gate = Gate::new();
    let (pool, zygote) = pool_at(&gate, |it| it);
    let worker = pid_of_worker(&pool);
    for _ in 0..5 {
        kill_and_wait(spare_of(worker, zygote));
        assert_eq!(pid_of_worker(&pool), worker);
    }
    children_when_there_are(2);
    wait_until_at_rest("process-pool");
    assert_eq!(children().len(), 2);
    // Until the next worker is wanted.
    kill_and_wait(worker);
    let worker = pid_of_worker(&pool);
    spare_of(worker, zygote);
    assert!(gate.is_quiet());
}

fn a_pool_whose_workers_have_left_keeps_no_spare() {
    let gate = Gate::new();
    let (pool, zygote) = pool_at(&gate, |builder| {
        let builder = builder.min_workers(0);
        builder.keep_alive(std::time::Duration::from_millis(20))
    });
    for _ in 0..3 {
        let worker = pid_of_worker(&pool);
        spare_of(worker, zygote);
        assert_eq!(children_when_there_are(1), [zygote]);
    }
    // Nobody began and left in the meantime.
    wait_until_at_rest("process-pool");
    assert_eq!(children(), [zygote]);
}

fn a_spare_gets_place_niceness_limit_and_initializer_when_it_is_wanted() {
    const LIMIT: u64 = 1 << 30;
    static INITIALIZED: OnceLock<u32> = OnceLock::new();
    let initialize = |path: String| {
        drop(knock(path));
        INITIALIZED.set(std::process::id()).unwrap();
    };
    let (gate, inner) = (Gate::new(), Gate::new());
    let (pool, zygote) = pool_at(&gate, |builder| {
        let builder = builder.initializer(initialize, inner.path()).nice(3);
        let builder = builder.affinity(|_, cpus| cpus[cpus.len() - 1..].to_vec());
        builder.memory_limit(LIMIT)
    });
    let worker = pid_of_worker(&pool);
    assert_eq!(inner.next().pid, worker);
    let spare = spare_of(worker, zygote);
    wait_until_at_rest("process-pool");
    assert!(inner.is_quiet(), "the initializer has run too early");
    kill_and_wait(worker);
    let look = |()| {
        let cpus = rustix::thread::sched_getaffinity(None).unwrap().count();
        let niceness = rustix::process::getpriority_process(None).unwrap();
        let limit = getrlimit(Resource::Data).current;
        (
            std::process::id(),
            cpus,
            niceness,
            limit,
            INITIALIZED.get().copied(),
        )
    };
    let niceness = rustix::process::getpriority_process(None).unwrap();
    let (pid, cpus, nicer, limit, initialized) = soon(pool.submit(look, ())).unwrap();
    assert_eq!((pid, initialized), (spare, Some(spare)));
    assert_eq!((cpus, nicer, limit), (1, niceness + 3, Some(LIMIT)));
}

fn a_pool_that_ends_takes_its_spare_along() {
    let before = descriptors();
    for round in 0..4 {
        let gate = Gate::new();
        let (pool, zygote) = pool_at(&gate, |it| it);
        spare_of(pid_of_worker(&pool), zygote);
        match round {
            0 => drop(pool),
            1 => pool.kill().unwrap(),
            2 => pool.shutdown_now().unwrap(),
            _ => {
                // It goes as soon as the pool is closed, although a task delays its end.
                let inner = Gate::new();
                let held = pool.submit(visit, inner.path());
                let visitor = inner.next();
                let _ = pool.shutdown_timeout(std::time::Duration::ZERO);
                children_when_there_are(2);
                drop(visitor);
                soon(held).unwrap();
                pool.shutdown().unwrap();
            }
        }
        assert!(children().is_empty());
    }
    assert_eq!(descriptors(), before);
}

/// A program with a spare worker, and with a child that keeps copies of all its descriptors until it is let go.
fn hold(path: String) {
    let builder = ProcessPoolExecutor::builder().workers(1);
    let keep = |path: String| std::mem::forget(knock(path));
    let pool = builder.preload(keep, path.clone()).build().unwrap();
    pid_of_worker(&pool);
    children_when_there_are(3);
    wait_until_at_rest("process-pool");
    let mut stream = knock(path).unwrap();
    #[expect(unsafe_code, reason = "a program may do that")]
    // SAFETY: the child reads and exits, and uses nothing that another thread may have locked.
    if unsafe { libc::fork() } == 0 {
        let _ = std::io::Read::read(&mut stream, &mut [0]);
        // SAFETY: ends the process at once, without the parent's exit handlers.
        unsafe { libc::_exit(0) }
    }
    std::io::Write::write_all(&mut stream, &[1]).unwrap();
    loop {
        std::thread::park();
    }
}

fn a_killed_program_takes_its_spare_along_also_if_it_was_forked() {
    let gate = Gate::new();
    let mut command = Command::new("/proc/self/exe");
    let mut program = command.env(GATE, gate.path()).spawn().unwrap();
    let zygote = gate.next();
    let mut holder = gate.next();
    holder.wait_until_said();
    program.kill().unwrap();
    program.wait().unwrap();
    // The end of the zygote, its workers, and the spare.
    zygote.wait_until_gone();
    // Only now are the program's descriptors closed.
    assert!(holder.is_there());
    drop(holder);
}

/// All later forks of this process die at their first step, since they have no stack.
fn leave_forks_without_a_stack(path: String) {
    std::mem::forget(knock(path));
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let stack = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
    let (begin, rest) = stack.split_once('-').unwrap();
    let (end, _) = rest.split_once(' ').unwrap();
    let [begin, end] = [begin, end].map(|it| usize::from_str_radix(it, 16).unwrap());
    let address = std::ptr::with_exposed_provenance_mut(begin);
    #[expect(unsafe_code, reason = "memory that forks do not get")]
    // SAFETY: a mapping of this process, which stays as it is here.
    let failed = unsafe { libc::madvise(address, end - begin, libc::MADV_DONTFORK) };
    assert_eq!(failed, 0);
}

fn a_worker_that_is_killed_before_its_first_word_is_seen_at_once() {
    let gate = Gate::new();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let builder = builder.preload(leave_forks_without_a_stack, gate.path());
    let pool = builder.build().unwrap();
    let zygote = gate.next();
    let outcome = soon(pool.submit(|n: u32| n, 1));
    assert!(
        matches!(outcome, Err(TaskError::Rejected(Rejection::Broken))),
        "{outcome:?}"
    );
    // If a worker were only noticed by its silence, its zygote would have been killed for that.
    // A broken pool ends, and takes its zygote along.
    assert!(children().iter().all(|&it| it == zygote.pid));
    assert!(gate.is_quiet());
    drop(pool);
    assert!(children().is_empty());
}

fn a_forked_worker_for_which_no_descriptor_is_left_is_killed_and_reaped() {
    let gate = Gate::new();
    let (pool, zygote) = pool_at(&gate, |it| it);
    spare_of(pid_of_worker(&pool), zygote);
    lose_all(zygote);
    let handle = pool.submit(|n: u32| n, 1);
    let zygote = gate.next();
    wait_until_at_rest("process-pool");
    let before = getrlimit(Resource::Nofile);
    let few = Rlimit {
        current: Some(256),
        ..before
    };
    setrlimit(Resource::Nofile, few).unwrap();
    let files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // Letting it in must not free a descriptor here.
    zygote.let_in();
    // The further attempts do not even get pipes.
    let outcome = soon(handle);
    drop(files);
    setrlimit(Resource::Nofile, before).unwrap();
    assert!(
        matches!(outcome, Err(TaskError::Rejected(Rejection::Broken))),
        "{outcome:?}"
    );
    // A broken pool ends, and takes its zygote along.
    assert!(children().iter().all(|&it| it == zygote.pid));
    drop(pool);
    assert!(children().is_empty());
}

fn a_zygote_that_is_killed_while_idle_costs_no_worker_and_the_next_one_preloads_again() {
    let gate = Gate::new();
    let (pool, zygote) = pool_at(&gate, |it| it);
    let worker = pid_of_worker(&pool);
    kill_and_wait(zygote);
    assert_eq!(pid_of_worker(&pool), worker);
    lose_all(zygote);
    let handle = pool.submit(|()| (std::process::id(), loaded()), ());
    gate.next().permit();
    let (next, count) = soon(handle).unwrap();
    assert_ne!(next, worker);
    assert_eq!(count, 1000);
}

/// Makes a pool need another zygote: kills its own, its workers, and the spare. The next one is not let in yet.
fn lose_all(zygote: u32) {
    lose_all_but(zygote, &[]);
}

fn lose_all_but(zygote: u32, kept: &[u32]) {
    kill_if_there(zygote);
    // Spares may be made until it is buried.
    while children().contains(&zygote) {
        std::thread::yield_now();
    }
    // A spare that had hardly begun may be ending with its zygote.
    let others = children().into_iter().filter(|pid| !kept.contains(pid));
    others.for_each(kill_if_there);
    // Not even zombies.
    children_when_there_are(kept.len());
}

fn a_zygote_that_is_killed_while_workers_are_started_costs_no_task() {
    let gate = Gate::new();
    // More than the failures in a row that break a pool.
    let (pool, zygote) = pool_at(&gate, |it| it.workers(8));
    lose_all(zygote);
    let handles: Vec<_> = (0..8).map(|n: u32| pool.submit(|n| n, n)).collect();
    for _ in 0..3 {
        let zygote = gate.next();
        wait_until_at_rest("process-pool");
        assert!(pool.pids().is_empty(), "{:?}", pool.pids());
        send_signal(zygote.pid, Signal::KILL);
        zygote.wait_until_gone();
    }
    gate.next().permit();
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(soon(handle).unwrap(), n as u32);
    }
}

fn while_a_zygote_preloads_again_other_workers_answer() {
    let gate = Gate::new();
    let (pool, zygote) = pool_at(&gate, |it| it.workers(2));
    lose_all_but(zygote, &[pid_of_worker(&pool)]);
    let inner = Gate::new();
    let held = pool.submit(visit, inner.path());
    let visitor = inner.next();
    // It wants another worker, which has to wait for its zygote.
    let waiting = pool.submit(|n: u32| n, 1);
    let preloading = gate.next();
    drop(visitor);
    soon(held).unwrap();
    assert_eq!(soon(waiting).unwrap(), 1);
    for n in 0..100 {
        assert_eq!(soon(pool.submit(|n: u32| n, n)).unwrap(), n);
    }
    drop(preloading);
}

fn a_preload_function_that_always_fails_later_breaks_the_pool() {
    let gate = Gate::new();
    let (pool, zygote) = pool_at(&gate, |it| it.workers(2));
    lose_all(zygote);
    let handles = [1, 2].map(|n: u32| pool.submit(|n| n, n));
    for _ in 0..5 {
        drop(gate.next());
    }
    for handle in handles {
        let outcome = soon(handle);
        assert!(
            matches!(outcome, Err(TaskError::Rejected(Rejection::Broken))),
            "{outcome:?}"
        );
    }
}

fn a_pool_is_killed_while_its_zygote_preloads_again() {
    let gate = Gate::new();
    let (pool, zygote) = pool_at(&gate, |it| it.workers(2));
    lose_all(zygote);
    let handle: JoinHandle<u32> = pool.submit(|n| n, 1);
    let zygote = gate.next();
    pool.kill().unwrap();
    assert!(matches!(soon(handle), Err(TaskError::Cancelled)));
    zygote.wait_until_gone();
}

fn a_pool_that_is_drained_waits_for_a_zygote_that_preloads_again() {
    let gate = Gate::new();
    let (pool, zygote) = pool_at(&gate, |it| it.workers(2));
    lose_all(zygote);
    let handle: JoinHandle<u32> = pool.submit(|n| n, 1);
    let zygote = gate.next();
    std::thread::scope(|scope| {
        let end = scope.spawn(|| pool.shutdown().unwrap());
        zygote.permit();
        end.join().unwrap();
    });
    assert_eq!(soon(handle).unwrap(), 1);
}
