//! Large parts of arguments and results, which go through shared memory: anywhere in a value,
//! without room, without permission, and what becomes of the memory.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::os::unix::fs::MetadataExt;
use std::sync::mpsc;
use std::time::Duration;

use process_pool::{Bytes, ProcessPoolExecutor, WorkerDied};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{guard, soon};

const LARGE: usize = 1 << 20;

fn large(byte: u8) -> Bytes {
    vec![byte; LARGE].into()
}

/// How much memory a process's in-memory files take, in bytes: pages of tasks, and stores.
fn stored(process: &str) -> u64 {
    let files = std::fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .flatten();
    let files = files.filter(|file| {
        let name = std::fs::read_link(file.path()).unwrap_or_default();
        name.to_string_lossy().contains("memfd:process-pool")
    });
    files
        .filter_map(|file| Some(std::fs::metadata(file.path()).ok()?.blocks() * 512))
        .sum()
}

#[test]
fn large_parts_travel_wherever_they_are_in_a_value() {
    type Value = (u8, Bytes, Option<String>, Vec<Bytes>);
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(2).unwrap();
    let value = |n: u8| -> Value {
        let text = "x".repeat(LARGE);
        (
            n,
            large(n),
            Some(text),
            vec![large(n + 1), vec![n].into(), large(n + 2)],
        )
    };
    let turn = |(n, bytes, text, mut many): Value| {
        many.reverse();
        (many, text, bytes, n)
    };
    let handles: Vec<_> = (0..20).map(|n| pool.submit(turn, value(n))).collect();
    for (n, handle) in (0..20).zip(handles) {
        assert!(soon(handle).unwrap() == turn(value(n)));
    }
    let sizes = pool.map(|bytes: Bytes| (bytes.len(), bytes), (0..20).map(large));
    for (n, item) in (0..20).zip(sizes.chunk_size(3)) {
        assert!(item.unwrap() == (LARGE, large(n)));
    }
}

#[test]
fn what_a_store_has_no_room_for_goes_through_the_pipe() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let size = 65 << 20;
    let echo = |bytes: Bytes| bytes;
    let handles = [1, 2].map(|byte| pool.submit(echo, vec![byte; size].into()));
    for (byte, handle) in [1, 2].into_iter().zip(handles) {
        let bytes = soon(handle).unwrap();
        assert!(bytes.len() == size && bytes.iter().all(|&it| it == byte));
    }
}

#[test]
fn results_that_nobody_has_read_yet_keep_their_place() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::builder()
        .workers(1)
        .prefetch(64)
        .build()
        .unwrap();
    // More than the store has room for, by tasks that the worker gets all at once.
    let handles: Vec<_> = (0..100).map(|n| pool.submit(large, n)).collect();
    for (n, handle) in (0..100).zip(handles) {
        assert!(soon(handle).unwrap() == large(n));
    }
}

#[test]
fn a_task_that_forbids_large_files_gets_its_result_through_all_the_same() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let forbid = |byte| {
        let limit = Rlimit {
            current: Some(0),
            ..getrlimit(Resource::Fsize)
        };
        setrlimit(Resource::Fsize, limit).unwrap();
        large(byte)
    };
    assert!(soon(pool.submit(forbid, 1)).unwrap() == large(1));
    assert!(soon(pool.submit(|bytes: Bytes| bytes, large(2))).unwrap() == large(2));
}

#[test]
fn the_size_of_an_argument_counts_what_is_in_the_store() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let die = |_: Bytes| std::process::abort();
    let error = soon::<process_pool::JoinHandle<()>>(pool.submit(die, large(1))).unwrap_err();
    let size = WorkerDied::of(&error).unwrap().argument_size();
    assert!((LARGE..LARGE + 100).contains(&size), "{size}");
}

/// This process may have stores of several pools, so the test looks at its worker, which
/// only has its own, and that of its pool's arguments.
#[test]
fn memory_is_given_back_when_it_is_not_used_for_a_while() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let worker = soon(pool.submit(|()| std::process::id(), ()))
        .unwrap()
        .to_string();
    let idle = stored(&worker);
    assert!(soon(pool.submit(|bytes: Bytes| bytes, large(1))).unwrap() == large(1));
    assert!(stored(&worker) > idle);
    let (_never, rest) = mpsc::channel::<()>();
    while stored(&worker) > idle {
        rest.recv_timeout(Duration::from_millis(20)).unwrap_err();
    }
    assert!(soon(pool.submit(|bytes: Bytes| bytes, large(2))).unwrap() == large(2));
}
