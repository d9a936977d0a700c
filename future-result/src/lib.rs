#![doc = include_str!("../README.md")]

mod absence;
mod alone;
mod blocker;
mod cancel;
mod cell;
#[doc(hidden)]
pub mod claim;
mod completer;
mod completion;
mod deadlock;
mod error;
mod forked;
mod handle;
mod map;
mod outlast;
mod panic;
mod patience;
mod ready_queue;
mod result;
mod shared;
mod state;
#[doc(hidden)]
pub mod sync;
mod task;
mod try_join;
mod try_map;
mod wait;

pub use self::blocker::{Blocker, PoolId, block_until, with_blocker};
#[doc(hidden)]
pub use self::blocker::{OwnQueue, Waiting, can_have_blocker};
pub use self::cancel::{CancelOnDrop, CancelToken, Cancelled};
#[doc(hidden)]
pub use self::cell::{CellId, WakeRef, WakerRef, Wakes, is_running, waker_of};
pub use self::cell::{TaskDeque, TaskInbox, TaskList, TaskStealer};
pub use self::completer::{Completer, pair};
#[doc(hidden)]
pub use self::completer::{SlimCompleter, pair_with_hook, pair_with_waker};
pub use self::completion::{AsCompleted, CompletionSet, IntoIter, IterMut, as_completed};
#[doc(hidden)]
pub use self::deadlock::Awaited;
pub use self::error::{Cause, Rejection, TaskError, TryError, WaitTimedOut};
pub use self::handle::JoinHandle;
pub use self::map::{Map, run_chunk};
#[doc(hidden)]
pub use self::outlast::{Members, outlast};
pub use self::panic::{Panic, abort_on_unwind, contain};
pub use self::result::{BoxedResult, Cancel, FutureResult, InPlace, Status};
pub use self::shared::Shared;
#[doc(hidden)]
pub use self::task::task_by_hand;
pub use self::task::{Task, task, task_in};
pub use self::try_join::{FirstError, try_join_all, try_join_all_with};
pub use self::try_map::{TryMap, try_run_chunk};
pub use self::wait::{Waited, When, wait};
