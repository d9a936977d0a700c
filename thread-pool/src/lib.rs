#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bound;
mod builder;
mod core;
mod error;
mod injector;
mod map;
mod pool;
mod roster;
mod shutdown;
mod sleep;
mod submit;
mod worker;

pub use future_result::{
    AsCompleted, BoxedResult, Cancel, CancelOnDrop, CancelToken, Cause, CompletionSet,
    FutureResult, JoinHandle, Map, Panic, Rejection, Shared, Status, TaskError, WaitTimedOut,
    Waited, When, as_completed, wait,
};

pub use self::bound::WhenFull;
pub use self::builder::Builder;
pub use self::error::{BuildError, ShutdownError, SubmitError};
pub use self::pool::ThreadPoolExecutor;

/// The workspace's README, whose examples are tested here.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct WorkspaceReadme;
