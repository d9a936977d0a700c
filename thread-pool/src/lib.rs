#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod abandoned;
mod block;
mod blocking;
mod bound;
mod broadcast;
mod builder;
mod by_hand;
mod core;
mod crowd;
mod current;
mod error;
mod histogram;
mod injector;
mod join;
mod lanes;
mod mailbox;
mod map;
mod metrics;
mod patience;
mod pool;
#[cfg(feature = "metrics")]
mod record;
mod roster;
mod scope;
mod shutdown;
mod sleep;
mod slice_map;
mod submit;
mod submit_all;
mod submitter;
mod tally;
mod task_builder;
mod timer;
mod trace;
mod watch;
mod worker;
mod worker_state;

pub use future_result::{
    AsCompleted, BoxedResult, Cancel, CancelOnDrop, CancelToken, Cancelled, Cause, CompletionSet,
    FirstError, FutureResult, JoinHandle, Map, Panic, Rejection, Shared, Status, TaskError,
    TryError, TryMap, WaitTimedOut, Waited, When, as_completed, try_join_all, try_join_all_with,
    wait,
};

pub use self::blocking::blocking;
pub use self::bound::WhenFull;
pub use self::builder::Builder;
pub use self::error::{BuildError, ShutdownError, SubmitError};
pub use self::histogram::Histogram;
pub use self::lanes::Priority;
pub use self::metrics::Metrics;
pub use self::pool::ThreadPoolExecutor;
pub use self::scope::{Scope, ScopedHandle};
#[doc(hidden)]
pub use self::submitter::{Companion, Submitter};
pub use self::task_builder::TaskBuilder;
pub use self::worker_state::with_worker_state;
