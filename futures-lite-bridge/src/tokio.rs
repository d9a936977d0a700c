//! Futures that need a tokio runtime around them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::runtime::Handle;

/// Lets a future use a tokio runtime, its timers and its sockets, wherever it is polled: in
/// [`spawn`](crate::spawn()), in [`block_on`](crate::block_on()), in a green task, or by another executor.
///
/// The runtime is entered whenever the future is polled, and when it is dropped. The runtime itself has to
/// be running, since its own threads drive its timers and sockets.
///
/// # Panics
///
/// Polling panics where tokio does, such as when the runtime has no timers. It also panics if the polls of two
/// green tasks of one thread block, instead of awaiting, and end out of order, since each has entered the runtime.
///
/// # Cancel safety
///
/// That of the future.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use futures_lite_bridge::{in_tokio, spawn};
/// use thread_pool::{FutureResult, ThreadPoolExecutor};
///
/// let runtime = tokio::runtime::Builder::new_multi_thread()
///     .worker_threads(1)
///     .enable_all()
///     .build()?;
/// let pool = ThreadPoolExecutor::new(1)?;
/// let slept = spawn(&pool, in_tokio(runtime.handle(), async {
///     tokio::time::sleep(Duration::from_millis(1)).await;
///     "slept"
/// }));
/// assert_eq!(slept.result()?, "slept");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn in_tokio<F: Future>(runtime: &Handle, future: F) -> InTokio<F> {
    InTokio {
        future: Some(future),
        runtime: runtime.clone(),
    }
}

pin_project! {
    /// The future that [`in_tokio`] returns.
    ///
    /// # Examples
    ///
    /// See [`in_tokio`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct InTokio<F> {
        // `None` once dropped.
        #[pin]
        future: Option<F>,
        runtime: Handle,
    }

    impl<F> PinnedDrop for InTokio<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _inside = this.runtime.enter();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for InTokio<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _inside = this.runtime.enter();
        match this.future.as_pin_mut() {
            Some(future) => future.poll(context),
            None => Poll::Pending,
        }
    }
}
