//! Waiting for a future in code that is not async.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use future_result::block_until;
use thread_pool::blocking;

/// Waits for a future as the calling code waits.
///
/// | called | while it waits |
/// |---|---|
/// | on a plain thread | the thread sleeps |
/// | in a green task | the task is suspended, and its thread goes on with others |
/// | on a worker of a thread pool | the thread sleeps, and another worker stands in, as with [`blocking`] |
/// | in async code on another executor | its thread sleeps, and nothing else runs on it: await instead |
///
/// So it may be nested: in a task of a pool, for a future that needs that very pool; in a future that a
/// pool polls, though awaiting is better there; and in another `block_on`.
///
/// To wait for a handle, its own [`result`](future_result::FutureResult::result) is better: a worker then
/// runs the task that it waits for, and needs no stand-in.
///
/// The future is first polled with a waker that does nothing, and with a real one only if it is not
/// ready. So a future that is ready at once costs no set-up.
///
/// # Panics
///
/// If the future does. Within [`green_tasks::no_suspend`], if the future is not ready at once.
///
/// [`green_tasks::no_suspend`]: https://docs.rs/green-tasks/latest/green_tasks/fn.no_suspend.html
///
/// # Cancel safety
///
/// If the green task that waits is cancelled, it unwinds from here, and the future is dropped.
///
/// # Examples
///
/// ```
/// use futures_lite_bridge::block_on;
/// use thread_pool::{FutureResult, JoinHandle, ThreadPoolExecutor};
///
/// assert_eq!(block_on(async { 6 * 7 }), 42);
///
/// // On a worker, for what needs that very worker.
/// let pool = ThreadPoolExecutor::new(1)?;
/// let (sender, receiver) = std::sync::mpsc::channel();
/// let sum = pool.submit(move || {
///     let three: JoinHandle<i32> = receiver.recv().unwrap();
///     block_on(async { three.await.map(|three| three + 1) })
/// });
/// sender.send(pool.submit(|| 3))?;
/// assert_eq!(sum.result()??, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[inline]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => wait(future),
    }
}

#[cold]
fn wait<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    blocking(|| {
        loop {
            // There is no deadline, so a blocker that gives up is asked again.
            if let Ok(output) = block_until(None, |context| future.as_mut().poll(context)) {
                return output;
            }
        }
    })
}
