//! Tasks with their own stacks: ours and `may`'s.

use std::sync::mpsc;
use std::thread;

use green_tasks::{Runtime, Stackful};
use may::go;

use super::done;
use crate::group::{Run, Workload};

/// A runtime of green tasks, with stacks, on one thread.
pub(crate) fn green_runtime() -> Runtime {
    green_runtime_on(1)
}

fn green_runtime_on(threads: usize) -> Runtime {
    // SAFETY: tasks of benchmarks call std, the green crate and arithmetic, none of which does anything on
    // the list of `Stackful::assume`.
    let token = unsafe { Stackful::assume() };
    done(Runtime::builder().stackful(token).threads(threads).build())
}

/// A workload that runs `code` as the main task of one runtime, on a thread of its own, so that the runtime
/// lasts from run to run, as those of the peers do.
pub(crate) fn green(code: impl Fn() -> Run + Send + 'static) -> Workload {
    green_on(1, code)
}

/// The same on this many threads, one of which runs the main task.
pub(crate) fn green_on(threads: usize, code: impl Fn() -> Run + Send + 'static) -> Workload {
    let (ask, asked) = mpsc::channel::<()>();
    let (answer, answers) = mpsc::channel();
    thread::spawn(move || {
        done(green_runtime_on(threads).run(|| {
            while asked.recv().is_ok() {
                let _ = answer.send(code());
            }
        }));
    });
    Box::new(move || {
        done(ask.send(()));
        done(answers.recv())
    })
}

/// A workload that runs `code` as a coroutine of `may`, with this many threads. They are global: the number of
/// the process's first such workload counts.
pub(crate) fn may(workers: usize, code: fn() -> Run) -> Workload {
    // It keeps as many stacks as any group has tasks at a time.
    may::config().set_workers(workers).set_pool_capacity(10_000);
    Box::new(move || match go!(code).join() {
        Ok(run) => run,
        Err(_) => panic!("a coroutine failed"),
    })
}
