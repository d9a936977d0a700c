//! What each worker makes for its tasks to use.

use std::any::Any;
use std::error::Error;
use std::rc::Rc;

use future_result::Completer;

use crate::current;

/// The user's error, saying why there is no state.
pub(crate) type StateError = Box<dyn Error + Send + Sync>;

/// Tells the builder of the pool how a worker's start went.
pub(crate) type Begun = Completer<Result<(), StateError>>;

/// Makes a worker's state, given its number.
pub(crate) struct Factory {
    pub(crate) make: Box<Make>,
    /// Whether it can return an error, so that `build` waits for the first workers.
    pub(crate) may_fail: bool,
}

type Make = dyn Fn(usize) -> Result<Rc<dyn Any>, StateError> + Send + Sync;

/// Calls `f` with the state that the calling worker made for
/// [`Builder::worker_state`](crate::Builder::worker_state) or
/// [`Builder::try_worker_state`](crate::Builder::try_worker_state). Returns `None`, without calling `f`, if
/// the calling thread is not a worker, or its state is not an `S`.
///
/// The state belongs to the worker, and need be neither `Send` nor `Sync`. `f` gets a shared
/// reference, since it may wait for other tasks, which may use the state on the same thread
/// meanwhile; to change it, use a [`Cell`](std::cell::Cell) or [`RefCell`](std::cell::RefCell).
///
/// # Panics
///
/// If `f` does.
///
/// # Examples
///
/// A buffer for each worker, instead of one for each task:
///
/// ```
/// use std::cell::RefCell;
/// use thread_pool::{with_worker_state, FutureResult, ThreadPoolExecutor};
///
/// let builder = ThreadPoolExecutor::builder().workers(2);
/// let pool = builder.worker_state(|_| RefCell::new(String::new())).build()?;
/// let lengths = pool.map(
///     |n: u32| {
///         with_worker_state(|buffer: &RefCell<String>| {
///             let mut buffer = buffer.borrow_mut();
///             buffer.clear();
///             buffer.push_str(&n.to_string());
///             buffer.len()
///         })
///     },
///     [7, 42, 1000],
/// );
/// assert_eq!(lengths.collect::<Result<Vec<_>, _>>()?, [Some(1), Some(2), Some(4)]);
/// assert_eq!(with_worker_state(|_: &RefCell<String>| ()), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn with_worker_state<S: 'static, R>(f: impl FnOnce(&S) -> R) -> Option<R> {
    let state = current::with(|local| local?.state())?;
    state.downcast_ref::<S>().map(f)
}
