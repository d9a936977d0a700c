#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

#[cfg(panic = "abort")]
compile_error!(
    "green-tasks cancels a task by unwinding its stack, which `panic = \"abort\"` makes impossible: \
     build with `panic = \"unwind\"`"
);
#[cfg(not(unix))]
compile_error!("green-tasks maps its stacks with `mmap`, and so needs a Unix system");

mod deadlock;
mod dump;
mod engine;
mod local;
pub mod net;
mod offload;
mod pool;
mod reactor;
mod runtime;
mod scheduler;
mod scope;
mod stack;
mod stackful;
pub mod sync;
mod task;
mod threads;
mod time;
mod watchdog;

pub use future_result::{Cancel, FutureResult, JoinHandle, Map, Rejection, TaskError};

pub use self::deadlock::Deadlock;
pub use self::dump::{Monitor, TaskInfo, TaskState, dump, monitor};
pub use self::local::{LocalKey, LocalScope, NoValue};
pub use self::offload::unblock;
pub use self::pool::GreenPool;
pub use self::runtime::{Builder, Runtime, RuntimeError};
pub use self::scope::{Scope, scope};
pub use self::stackful::Stackful;
pub use self::task::{
    await_future, checkpoint, no_suspend, shield, spawn, spawn_future, spawn_local,
    stack_high_water, yield_now,
};
pub use self::time::{Elapsed, Sleep, now, sleep, sleep_async, timeout};
pub use self::watchdog::Hog;
