#![doc = include_str!("../README.md")]

mod blocker;
mod cancel;
mod cell;
mod completer;
mod completion;
mod error;
mod handle;
mod map;
mod panic;
mod ready_queue;
mod result;
mod shared;
mod state;
#[doc(hidden)]
pub mod sync;
mod task;
mod wait;

pub use self::blocker::{Blocker, PoolId, block_until, with_blocker};
pub use self::cancel::{CancelOnDrop, CancelToken};
pub use self::completer::{Completer, pair};
pub use self::completion::{AsCompleted, CompletionSet, IntoIter, IterMut, as_completed};
pub use self::error::{Cause, Rejection, TaskError, WaitTimedOut};
pub use self::handle::JoinHandle;
pub use self::map::{Map, run_chunk};
pub use self::panic::{Panic, contain};
pub use self::result::{BoxedResult, Cancel, FutureResult, InPlace, Status};
pub use self::shared::Shared;
pub use self::task::{Task, task, task_in};
pub use self::wait::{Waited, When, wait};
