//! Futures as tasks of a thread pool.
//!
//! ```text
//! spawn ──► cell + async-task ──► queue ──► worker polls ──► ready: completes the cell
//!                                  ▲            │
//!                                  │            └──► pending: its waker is in `waiting`, and with
//!                                  └── woken ◄─────── whatever it waits for
//! ```
//!
//! A future is polled by a [`Runnable`] of `async-task`, of which there is at most one: that is what makes
//! several wake-ups one, and none lost. Each poll is a task of the pool's like any other, and is queued
//! where the waking thread queues its tasks: a worker's wake-up goes into its own queue, at the back.
//!
//! Who is not ready at the first poll is entered in [`mod@waiting`], by which two others find it: whoever
//! cancels it, and the end of the pool. What is ready at once never gets there.

#[cfg(all(test, pool_loom))]
mod model;
mod task;
mod waiting;

use std::future::Future;
use std::sync::Arc;
use std::task::Waker;

use async_task::Runnable;
use future_result::{JoinHandle, Rejection, Task, TaskError, contain, pair, pair_with_hook};
use thread_pool::{Submitter, ThreadPoolExecutor};

use self::task::Spawned;
use self::waiting::Waiting;

/// Runs a future on a thread pool, and gives the handle of its result.
///
/// The future is polled by the pool's workers, a poll at a time, between which it holds no worker. It is
/// waited for like every task of the pool, by threads, green tasks and async code; its panic is a value,
/// [`TaskError::Panicked`].
///
/// A future that wakes itself goes to the back of its worker's queue. If the pool's queue has a bound, it
/// is for the first poll alone: it waits for room, or does what the pool was built for
/// ([`WhenFull`](thread_pool::WhenFull)); a wake-up never waits.
///
/// # Cancelling
///
/// Before the first poll, cancelling prevents it ([`Cancel::Prevented`]), and the future is dropped when
/// its turn in the queue comes. Later it is [`Cancel::Requested`]: the future is dropped instead of
/// polled, on the pool and at once, whatever it waits for; waiters then get [`TaskError::Cancelled`], and
/// know that it is gone. Only where that very poll makes it ready does it still give its value.
///
/// [`Cancel::Prevented`]: future_result::Cancel::Prevented
/// [`Cancel::Requested`]: future_result::Cancel::Requested
///
/// # The end of the pool
///
/// Every handle is completed, and no shutdown waits for a future that nobody wakes:
///
/// - While the pool drains, what is queued is polled, and what the pool's own tasks wake goes on, up to
///   its end.
/// - What still waits when the last worker has left is dropped there, also if something else has woken it
///   meanwhile. Its handle says [`TaskError::Cancelled`].
/// - A [cancelling shutdown](ThreadPoolExecutor::shutdown_now) polls nothing more.
/// - What is spawned afterwards is dropped, and its handle says [`TaskError::Rejected`].
///
/// All of that has happened when the shutdown returns, or the drop of the pool. So wait for the handles
/// before that if you want the values. A future that wakes itself without end keeps a pool draining, as a
/// closure does that does not return.
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
    let submitter = pool.submitter();
    let Some(key) = waiting(&submitter).map(Waiting::next_key) else {
        contain(|| drop(future));
        let (completer, handle) = pair();
        completer.fail(TaskError::Rejected(Rejection::Forked));
        return handle;
    };
    let id = submitter.pool();
    let way = Arc::new(Way { submitter, key });
    let hook = {
        let way = Arc::clone(&way);
        move || way.wake()
    };
    let (completer, handle) = pair_with_hook(id, hook);
    let spawned = Spawned::new(future, completer, Arc::clone(&way));
    let (runnable, task) = async_task::spawn(spawned, move |runnable| way.again(runnable));
    task.detach();
    if let Err(refused) = pool.execute(move || poll_once(runnable)) {
        if let Some(waiting) = waiting(&pool.submitter()) {
            waiting.refuse(key, refused.reason());
        }
        contain(|| drop(refused));
    }
    handle
}

/// Whether it was woken meanwhile makes no difference: it is queued again already.
fn poll_once(runnable: Runnable) {
    let _ = runnable.run();
}

/// Who waits in this pool; `None` in a process that was forked off, where somebody who is not there
/// may have locked it.
fn waiting(submitter: &Submitter) -> Option<&Waiting> {
    if submitter.pool().is_inherited() {
        return None;
    }
    submitter.companion()
}

/// The way of a future back into its pool. Its parts share one, since all futures of a pool count in one place
/// who has a way into that.
struct Way {
    submitter: Submitter,
    key: u64,
}

impl Way {
    /// Wakes the future, if it waits.
    fn wake(&self) {
        if let Some(waiting) = waiting(&self.submitter) {
            waiting.wake(self.key);
        }
    }

    /// Says that it waits, and how it is woken. False if nobody is left to wake it for.
    fn enter(&self, waker: &Waker) -> bool {
        waiting(&self.submitter)
            .is_some_and(|waiting| waiting.enter(self.key, waker.clone()).is_ok())
    }

    /// Says that it waits no more; why the pool has refused it, if it has.
    fn leave(&self) -> Option<Rejection> {
        waiting(&self.submitter)?.leave(self.key)
    }

    /// Queues the future, which was woken.
    fn again(&self, runnable: Runnable) {
        let task = Task::detached(move || poll_once(runnable));
        let Err(refused) = self.submitter.push(task) else {
            return;
        };
        match waiting(&self.submitter) {
            // Not dropped here, where it was woken: that may be under somebody's lock.
            Some(waiting) => waiting.keep(self.key, refused),
            None => std::mem::forget(refused),
        }
    }
}
