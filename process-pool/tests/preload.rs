//! Workers that are forked from a process that has preloaded: what they have, and how that process may fail.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::sync::OnceLock;

use process_pool::{BuildError, ProcessPoolExecutor, WorkerDied};
use support::zygotes::{loaded, pid_of_worker, pool_at, set_loaded};
use support::{Gate, guard, soon, visit};

fn refused(function: fn(())) -> String {
    let builder = ProcessPoolExecutor::builder().workers(1);
    match builder.preload(function, ()).build() {
        Err(BuildError::Preload(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_preloaded_once_is_in_all_workers_also_in_those_that_replace_others() {
    let _guard = guard();
    let gate = Gate::new();
    let (pool, zygote) = pool_at(&gate, |it| it.workers(2));
    let inner = Gate::new();
    let look = |path: String| {
        let pid = visit(path);
        (pid, loaded())
    };
    let handles = [0; 2].map(|_| pool.submit(look, inner.path()));
    drop([inner.next(), inner.next()]);
    let [first, second] = handles.map(|handle| soon(handle).unwrap());
    assert_eq!((first.1, second.1), (1000, 1000));
    assert_ne!(first.0, second.0);
    let mut pids = vec![first.0, second.0, zygote];
    for _ in 0..20 {
        let lost = pool.submit(
            |()| -> u32 {
                std::process::abort();
            },
            (),
        );
        let error = soon(lost).unwrap_err();
        let died = WorkerDied::of(&error).unwrap();
        assert_eq!(died.signal(), Some(6));
        assert!(died.peak_rss().is_some());
        let pid = pid_of_worker(&pool);
        assert_ne!(pid, zygote);
        pids.push(pid);
        assert_eq!(soon(pool.submit(|()| loaded(), ())).unwrap(), 1000);
    }
    assert!(!pool.pids().contains(&zygote));
    // Nothing was preloaded again.
    assert!(gate.is_quiet());
    assert!(loaded() == 0);
}

#[test]
fn workers_that_may_run_few_tasks_are_forked_off_one_after_the_other() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(2).nice(1);
    let builder = builder.max_tasks_per_worker(1);
    let pool = builder.preload(|()| (), ()).build().unwrap();
    let mut pids: Vec<u32> = (0..50).map(|_| pid_of_worker(&pool)).collect();
    pids.sort_unstable();
    pids.dedup();
    assert!(pids.len() > 40, "{pids:?}");
}

#[test]
fn a_forked_worker_is_under_a_memory_limit() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let builder = builder.memory_limit(1 << 30);
    let pool = builder.preload(|()| (), ()).build().unwrap();
    let is_refused = |bytes: usize| Vec::<u8>::new().try_reserve_exact(bytes).is_err();
    assert!(soon(pool.submit(is_refused, 2 << 30)).unwrap());
}

#[test]
fn a_forked_worker_is_the_pools_own_child_and_leads_a_group() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::builder().preload(|()| (), ());
    let pool = pool.workers(1).build().unwrap();
    let look = |()| {
        let leads = rustix::process::getpgrp() == rustix::process::getpid();
        (std::os::unix::process::parent_id(), leads, first_thread())
    };
    let (parent, leads, thread) = soon(pool.submit(look, ())).unwrap();
    assert_eq!(parent, std::process::id());
    assert!(leads);
    assert_eq!(thread, pool.pids()[0]);
    let fails = pool.submit(|code: i32| -> u32 { std::process::exit(code) }, 3);
    let error = soon(fails).unwrap_err();
    assert_eq!(WorkerDied::of(&error).unwrap().exit_code(), Some(3));
}

/// The number of the first thread, as the C library has it: a lock of this kind stores it as its owner.
#[expect(unsafe_code, reason = "a lock of the C library")]
fn first_thread() -> u32 {
    const OWNER: usize = 2;
    let mut lock = libc::PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    // SAFETY: an initialised lock, which nobody else uses.
    assert_eq!(unsafe { libc::pthread_mutex_lock(&raw mut lock) }, 0);
    let words = (&raw const lock).cast::<[u32; OWNER + 1]>();
    // SAFETY: a lock has more words than that, all of them initialised. GNU's C library stores the owner in the third.
    let owner = unsafe { words.read() }[OWNER];
    // SAFETY: it was locked.
    assert_eq!(unsafe { libc::pthread_mutex_unlock(&raw mut lock) }, 0);
    owner
}

#[test]
fn threads_work_in_a_forked_worker_and_may_have_worked_in_the_preload_function() {
    let _guard = guard();
    static SUM: OnceLock<u64> = OnceLock::new();
    fn sum(n: u64) -> u64 {
        std::thread::scope(|scope| {
            let threads = [(); 8].map(|()| scope.spawn(|| n));
            threads.into_iter().map(|it| it.join().unwrap()).sum()
        })
    }
    let builder = ProcessPoolExecutor::builder().workers(1);
    let builder = builder.preload(|n: u64| SUM.set(sum(n)).unwrap(), 100);
    let pool = builder.build().unwrap();
    let add = |n: u64| SUM.get().map(|before| before + sum(n));
    assert_eq!(soon(pool.submit(add, 1)).unwrap(), Some(808));
}

#[test]
fn an_initializer_runs_in_each_forked_worker() {
    let _guard = guard();
    static INITIALIZED: OnceLock<u32> = OnceLock::new();
    let gate = Gate::new();
    let builder = ProcessPoolExecutor::builder().workers(2);
    let builder = builder.preload(|()| set_loaded(vec![1; 5]), ());
    let initialize = |preloaded: usize| {
        assert_eq!(loaded(), preloaded);
        INITIALIZED.set(std::process::id()).unwrap();
    };
    let pool = builder.initializer(initialize, 5).build().unwrap();
    let look = |path: String| (visit(path), INITIALIZED.get().copied());
    let handles = [0; 2].map(|_| pool.submit(look, gate.path()));
    drop([gate.next(), gate.next()]);
    for handle in handles {
        let (pid, initialized) = soon(handle).unwrap();
        assert_eq!(Some(pid), initialized);
    }
}

#[test]
fn what_the_preload_function_has_printed_does_not_come_out_of_the_workers() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let pool = builder.preload(|()| print!("half a line"), ());
    let pool = pool.build().unwrap();
    for _ in 0..3 {
        let lost = pool.submit(
            |()| -> u32 {
                eprintln!("my own words");
                std::process::exit(1)
            },
            (),
        );
        let error = soon(lost).unwrap_err();
        assert_eq!(WorkerDied::of(&error).unwrap().stderr(), "my own words");
    }
}

#[test]
fn a_preload_function_that_panics_or_ends_its_process_is_an_error_of_the_build() {
    let _guard = guard();
    let text = refused(|()| panic!("no such table"));
    assert!(text.contains("preload.rs:"), "{text}");
    assert!(text.contains(": no such table"), "{text}");
    let text = refused(|()| {
        eprintln!("I give up");
        std::process::exit(3)
    });
    assert!(
        text.contains("status 3") && text.contains("I give up"),
        "{text}"
    );
    let text = refused(|()| std::process::abort());
    assert!(text.contains("signal 6"), "{text}");
}

#[test]
fn what_cannot_be_forked_is_refused_with_what_to_do() {
    let _guard = guard();
    let text = refused(|()| drop(std::thread::spawn(std::thread::park)));
    assert!(text.contains("left threads behind (number: 1)"), "{text}");
    let text = refused(|()| map_shared());
    assert!(text.contains("share and write to"), "{text}");
    let error = ProcessPoolExecutor::builder()
        .preload(|_: Unwritable| (), Unwritable)
        .build()
        .unwrap_err();
    assert!(matches!(error, BuildError::Preload(_)), "{error}");
}

#[expect(unsafe_code, reason = "memory that is shared after a fork")]
fn map_shared() {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
    let flags = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping touches nothing that exists.
    unsafe { mmap_anonymous(std::ptr::null_mut(), 4096, flags, MapFlags::SHARED) }.unwrap();
}

#[derive(serde::Deserialize)]
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("unwritable"))
    }
}
