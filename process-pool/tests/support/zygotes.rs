//! Pools whose zygotes report when they load, and wait until they may.

use std::io::Read;
use std::sync::OnceLock;

use process_pool::{Builder, ProcessPoolExecutor};

use super::{Gate, knock, soon};

static LOADED: OnceLock<Vec<u64>> = OnceLock::new();

/// Reports at the gate that it runs; fails unless it may go on.
pub(crate) fn load(path: String) {
    let mut stream = knock(path).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    set_loaded((0..1000).collect());
}

pub(crate) fn set_loaded(numbers: Vec<u64>) {
    LOADED.set(numbers).unwrap();
}

pub(crate) fn loaded() -> usize {
    LOADED.get().map_or(0, Vec::len)
}

/// Builds a pool, of one worker unless `set` says otherwise, and lets its first zygote in. Also returns that one's
/// process id.
pub(crate) fn pool_at(
    gate: &Gate,
    set: impl FnOnce(Builder) -> Builder,
) -> (ProcessPoolExecutor, u32) {
    let builder = ProcessPoolExecutor::builder().workers(1);
    let builder = set(builder.preload(load, gate.path()));
    std::thread::scope(|scope| {
        let pool = scope.spawn(|| builder.build().unwrap());
        let zygote = gate.next();
        let pid = zygote.pid;
        zygote.permit();
        let pool = pool.join().unwrap();
        // Or the zygote's end could also be that of the first worker.
        pid_of_worker(&pool);
        (pool, pid)
    })
}

pub(crate) fn pid_of_worker(pool: &ProcessPoolExecutor) -> u32 {
    soon(pool.submit(|()| std::process::id(), ())).unwrap()
}
