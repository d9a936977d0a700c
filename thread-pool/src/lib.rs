#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod builder;
mod error;
mod injector;
mod job;
mod pool;
mod worker;

pub use future_result::{
    AsCompleted, BoxedResult, Cancel, CancelOnDrop, CancelToken, Cause, CompletionSet,
    FutureResult, JoinHandle, Map, Panic, Rejection, Shared, Status, TaskError, WaitTimedOut,
    Waited, When, as_completed, wait,
};

pub use self::builder::Builder;
pub use self::error::{BuildError, ShutdownError, SubmitError};
pub use self::pool::ThreadPoolExecutor;

/// The workspace's README, whose examples are tested here.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct WorkspaceReadme;
