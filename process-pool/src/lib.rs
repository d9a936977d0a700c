#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod affinity;
mod builder;
mod bytes;
mod call;
mod child;
mod claims;
mod codec;
mod core;
mod dispatcher;
mod embedded;
mod entry;
mod error;
mod forwarder;
mod frame;
mod host;
mod job;
#[cfg(feature = "json")]
mod json;
mod lane;
mod lifeline;
mod map;
mod memory;
#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(feature = "named")]
mod named;
#[cfg(feature = "named")]
mod names;
#[cfg(not(feature = "named"))]
#[path = "nameless.rs"]
mod names;
mod notifier;
mod nursery;
mod output;
mod page;
mod patience;
mod pool;
mod probe;
mod protocol;
mod report;
mod retry;
mod run;
mod shutdown;
#[cfg(all(test, pool_sim))]
mod sim;
mod spare;
mod state;
mod store;
mod sys;
mod system;
mod task_builder;
mod token;
mod unread;
mod worker;
mod worker_died;
mod zygote;

pub use future_result::{
    AsCompleted, BoxedResult, Cancel, CancelOnDrop, Cause, CompletionSet, FirstError, FutureResult,
    JoinHandle, Map, Panic, Rejection, Shared, Status, TaskError, TryError, TryMap, WaitTimedOut,
    Waited, When, as_completed, try_join_all, try_join_all_with, wait,
};

pub use self::builder::Builder;
pub use self::bytes::Bytes;
pub use self::entry::init;
pub use self::error::{BuildError, ShutdownError};
#[cfg(feature = "json")]
pub use self::json::Json;
#[cfg(feature = "msgpack")]
pub use self::msgpack::MsgPack;
#[cfg(feature = "named")]
pub use self::named::Named;
pub use self::pool::ProcessPoolExecutor;
pub use self::task_builder::TaskBuilder;
pub use self::worker_died::WorkerDied;

/// Only for the macro [`named!`].
#[cfg(feature = "named")]
#[doc(hidden)]
pub mod __private {
    pub use linkme;

    pub use crate::named::{NeverFails, TryChunk};
    pub use crate::names::{FUNCTIONS, Function};
}
