//! The hot paths. Each is what a user calls, on as few threads as possible, so that the count is the same
//! each time.

use std::hint::black_box;
use std::process;
use std::sync::mpsc;

use future_result::{FutureResult, pair, task};
use green_tasks::sync::bounded;
use green_tasks::{Runtime, Stackful, spawn, spawn_local, yield_now};
use thread_pool::ThreadPoolExecutor;

/// One path.
pub(crate) struct Path {
    pub(crate) name: &'static str,
    /// Runs it this many times.
    pub(crate) run: fn(u64),
}

/// All of them.
pub(crate) const PATHS: &[Path] = &[
    path("complete and take", complete_and_take),
    path("run and take", run_and_take),
    path("submit", submit),
    path("bridge spawn", bridge_spawn),
    path("nested submit and wait", nested),
    path("join", join),
    path("green yield", green_yield),
    path("green spawn and join", green_spawn),
    path("green channel", green_channel),
];

const fn path(name: &'static str, run: fn(u64)) -> Path {
    Path { name, run }
}

/// The value. Nothing fails here.
fn done<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error:?}"),
    }
}

fn complete_and_take(times: u64) {
    for n in 0..times {
        let (completer, handle) = pair();
        let _ = completer.complete(n);
        black_box(done(handle.result()));
    }
}

fn run_and_take(times: u64) {
    for n in 0..times {
        let (task, handle) = task(move || black_box(n));
        task.run();
        black_box(done(handle.result()));
    }
}

/// From outside, to a pool whose worker is busy: nobody is woken.
fn submit(times: u64) {
    while_busy(|pool| {
        let handles: Vec<_> = (0..times).map(|n| pool.submit(move || n)).collect();
        drop(black_box(handles));
    });
}

/// The same with futures.
fn bridge_spawn(times: u64) {
    while_busy(|pool| {
        let handles: Vec<_> = (0..times)
            .map(|n| futures_lite_bridge::spawn(pool, async move { n }))
            .collect();
        drop(black_box(handles));
    });
}

/// Runs `submits` while the pool's only worker is busy, and ends the process.
fn while_busy(submits: impl FnOnce(&ThreadPoolExecutor)) {
    let pool = done(ThreadPoolExecutor::new(1));
    let (begun, begins) = mpsc::channel();
    let (_open, gate) = mpsc::channel::<()>();
    let busy = pool.submit(move || {
        let _ = begun.send(());
        gate.recv().is_ok()
    });
    done(begins.recv());
    submits(&pool);
    drop(black_box(busy));
    // Running the tasks should not count.
    process::exit(0);
}

/// On a worker, which then claims the task and runs it itself.
fn nested(times: u64) {
    let pool = done(ThreadPoolExecutor::new(1));
    let inner = std::sync::Arc::new(pool);
    let outer = std::sync::Arc::clone(&inner);
    let sum = outer.submit(move || {
        (0..times)
            .map(|n| done(inner.submit(move || black_box(n)).result()))
            .sum::<u64>()
    });
    black_box(done(sum.result()));
}

/// Both halves run on the calling worker.
fn join(times: u64) {
    let pool = std::sync::Arc::new(done(ThreadPoolExecutor::new(1)));
    let inner = std::sync::Arc::clone(&pool);
    let sum = pool.submit(move || {
        (0..times)
            .map(|n| inner.join(|| black_box(n), || black_box(n)).0)
            .sum::<u64>()
    });
    black_box(done(sum.result()));
}

/// In a runtime with stackful tasks.
fn green(main: impl FnOnce()) {
    // SAFETY: the tasks here call only this file and what it uses: channels and atomics.
    let token = unsafe { Stackful::assume() };
    done(done(Runtime::builder().stackful(token).build()).run(main));
}

/// Two tasks take turns; one turn of each.
fn green_yield(times: u64) {
    green(|| {
        let tasks = [(); 2].map(|()| {
            spawn(move || {
                for _ in 0..times {
                    yield_now();
                }
            })
        });
        for task in tasks {
            done(task.result());
        }
    });
}

fn green_spawn(times: u64) {
    green(|| {
        for n in 0..times {
            black_box(done(spawn(move || n).result()));
        }
    });
}

/// A round trip.
fn green_channel(times: u64) {
    green(|| {
        let (to, requests) = bounded(1);
        let (answer, from) = bounded(1);
        let echo = spawn_local(move || {
            while let Ok(n) = requests.recv() {
                let _ = answer.send(n);
            }
        });
        for n in 0..times {
            done(to.send(n));
            black_box(done(from.recv()));
        }
        drop(to);
        done(echo.result());
    });
}
