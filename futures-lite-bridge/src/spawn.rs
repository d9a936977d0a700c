//! Futures as tasks of a thread pool.
//!
//! ```text
//! spawn ──► cell ──► queue ──► a worker makes an async-task, and polls ──► ready: completes the cell
//!                                         ▲    │
//!                       queue ──► polls ──┘    └──► pending: its waker is in `waiting`, and with
//!                         ▲                          whatever it waits for
//!                         └── woken ◄────────────────┘
//! ```
//!
//! Until its first poll a future is a task like any other, in one cell, with room for its value and a way to
//! cancel it. The first poll moves it to where it stays. From then on a [`Runnable`] of `async-task` polls it, of
//! which there is at most one: so several wake-ups become one, and none is lost. Each poll is a task of the pool,
//! queued where the waking thread queues its tasks: a worker's wake-up goes to the back of its own queue.
//!
//! A future holds no reference to its pool, which all futures would have to count in one place. The thread that
//! wakes or cancels it is mostly a worker of that pool, and knows it; others look the pool up by its identity.
//!
//! A future that is not ready at its first poll is entered in [`mod@waiting`], where its canceller and the pool's
//! end find it. One that is ready at once never gets there.

#[cfg(all(test, pool_loom))]
mod model;
mod task;
mod waiting;

use std::future::Future;

use async_task::Runnable;
use future_result::{CellId, Completer, JoinHandle, PoolId, Task, contain};
use thread_pool::{Submitter, ThreadPoolExecutor};

use self::task::Spawned;
use self::waiting::Waiting;

/// Runs a future on a thread pool, and returns the handle of its result.
///
/// The pool's workers poll the future; between polls it occupies none. Its handle is like that of
/// every task of the pool, for threads, green tasks and async code; a panic is a value,
/// [`TaskError::Panicked`].
///
/// A future that wakes itself goes to the back of its worker's queue. A bound of the pool's queue
/// applies only to the first poll, which waits for room, or does what the pool's
/// [`WhenFull`](thread_pool::WhenFull) says; a wake-up never waits.
///
/// # Cancelling
///
/// Before the first poll, cancelling prevents it ([`Cancel::Prevented`]), and drops the future at once, as with
/// a closure. Later it is [`Cancel::Requested`]: the future is dropped instead of
/// polled, on the pool and at once, whatever it waits for; when waiters get [`TaskError::Cancelled`],
/// it is gone. Only if it is being polled just then, and becomes ready, does it still give its value.
///
/// [`TaskError::Panicked`]: future_result::TaskError::Panicked
/// [`TaskError::Cancelled`]: future_result::TaskError::Cancelled
/// [`TaskError::Rejected`]: future_result::TaskError::Rejected
/// [`Cancel::Prevented`]: future_result::Cancel::Prevented
/// [`Cancel::Requested`]: future_result::Cancel::Requested
///
/// # The end of the pool
///
/// Every handle is completed, and no shutdown waits for a future that nobody wakes:
///
/// - While the pool drains, queued futures are polled, and those that the pool's own tasks wake go on until
///   they end.
/// - Futures that still wait when the last worker leaves are dropped, even if something else has woken them
///   meanwhile. Their handles say [`TaskError::Cancelled`].
/// - A [cancelling shutdown](ThreadPoolExecutor::shutdown_now) polls nothing more.
/// - A future that is spawned afterwards is dropped, and its handle says [`TaskError::Rejected`].
///
/// All of that has happened when the shutdown, or the drop of the pool, returns. So wait for the handles
/// first if you want the values. A future that wakes itself endlessly keeps a pool draining, like a
/// closure that does not return.
///
/// # Cancel safety
///
/// Dropping the handle detaches. With [`cancel_on_drop`](future_result::FutureResult::cancel_on_drop) it
/// cancels.
///
/// # Examples
///
/// ```
/// use futures_lite_bridge::spawn;
/// use thread_pool::{FutureResult, ThreadPoolExecutor};
///
/// let pool = ThreadPoolExecutor::new(2)?;
/// let two = pool.submit(|| 2);
/// let six = spawn(&pool, async move { two.await.map(|two| two * 3) });
/// assert_eq!(six.result()??, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn<F>(pool: &ThreadPoolExecutor, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let id = pool.id();
    // From now on its workers know that their tasks may wake what waits here.
    pool.keep_companion::<Waiting>();
    pool.submit_by_hand(
        move |cell| wake(id, cell),
        move |completer| begin(id, future, completer),
    )
}

/// The first poll.
fn begin<F>(pool: PoolId, future: F, completer: Completer<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let spawned = Spawned::new(future, completer, pool);
    let (runnable, task) = async_task::spawn(spawned, move |runnable| again(pool, runnable));
    task.detach();
    poll_once(runnable);
}

/// It makes no difference whether it was woken meanwhile: then it is already queued again.
fn poll_once(runnable: Runnable) {
    let _ = runnable.run();
}

/// Wakes a future that its handle has cancelled, if it waits.
fn wake(pool: PoolId, cell: CellId) {
    Submitter::companion_of(pool, |waiting: &Waiting| waiting.wake(cell));
}

/// Queues a future that was woken.
fn again(pool: PoolId, runnable: Runnable) {
    let task = Task::detached(move || poll_once(runnable));
    let Err(refused) = Submitter::push_to(pool, task) else {
        return;
    };
    if pool.is_inherited() {
        // It belongs to the process that this one was forked from.
        return std::mem::forget(refused);
    }
    let mut refused = Some(refused);
    // Not dropped here unless it must be: the waking thread may hold a lock.
    Submitter::companion_of(pool, |waiting: &Waiting| {
        refused.take().map(|task| waiting.keep(task))
    });
    contain(|| drop(refused));
}
