//! The end of a pool: drained, cancelled, timed, or left to itself.

use std::sync::Arc;
use std::time::Duration;

use future_result::sync::thread;
use future_result::{FutureResult, PoolId, Rejection};

use crate::abandoned::Why;
use crate::{ShutdownError, ThreadPoolExecutor};

impl ThreadPoolExecutor {
    /// Accepts nothing more, and waits until everything that was submitted has run.
    ///
    /// Calling it again, or from several threads, does no harm.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::FromWorker`] if one of the pool's own workers calls it,
    /// [`ShutdownError::Forked`] in a [forked](Self#forks) process.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{FutureResult, TaskError, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let last = pool.submit(|| "still runs");
    /// pool.shutdown()?;
    /// assert!(last.is_done());
    /// assert!(matches!(pool.submit(|| ()).result(), Err(TaskError::Rejected(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(&self) -> Result<(), ShutdownError> {
        self.close()?;
        self.terminated.clone().wait();
        self.join_threads();
        Ok(())
    }

    /// Like [`shutdown`](Self::shutdown), but cancels what has not started. Running tasks finish,
    /// and so does what they spawn in a [`Scope`](crate::Scope) from then on.
    ///
    /// That is exact: once the first handle reports it, no task that was queued before the call starts
    /// any more, wherever in the pool it was.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::FromWorker`] if one of the pool's own workers calls it,
    /// [`ShutdownError::Forked`] in a [forked](Self#forks) process.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use thread_pool::{FutureResult, TaskError, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let (started, wait_for_start) = mpsc::channel();
    /// let (go, wait_for_go) = mpsc::channel::<()>();
    /// let running = pool.submit(move || {
    ///     started.send(()).unwrap();
    ///     wait_for_go.recv().is_err()
    /// });
    /// wait_for_start.recv()?;
    /// let mut queued = pool.submit(|| unreachable!());
    /// queued.on_done(move |_| drop(go));
    /// pool.shutdown_now()?;
    /// assert!(running.result()?);
    /// assert!(matches!(queued.result(), Err(TaskError::Cancelled)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown_now(&self) -> Result<(), ShutdownError> {
        self.close()?;
        self.core.abandon_queued(Why::Cancelled);
        self.shutdown()
    }

    /// Like [`shutdown`](Self::shutdown), but waits at most `limit`.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::TimedOut`] if work is left then; it goes on, and the pool may be waited for
    /// again, or [detached](Self::detach). [`ShutdownError::FromWorker`] if one of the pool's own
    /// workers calls it, [`ShutdownError::Forked`] in a [forked](Self#forks) process.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    /// use thread_pool::{ShutdownError, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let (go, wait_for_go) = mpsc::channel::<()>();
    /// let running = pool.submit(move || wait_for_go.recv().is_err());
    /// assert_eq!(pool.shutdown_timeout(Duration::ZERO), Err(ShutdownError::TimedOut));
    /// drop(go);
    /// assert_eq!(pool.shutdown_timeout(Duration::MAX), Ok(()));
    /// # drop(running);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown_timeout(&self, limit: Duration) -> Result<(), ShutdownError> {
        self.close()?;
        if !self.terminated.clone().wait_timeout(limit) {
            return Err(ShutdownError::TimedOut);
        }
        self.join_threads();
        Ok(())
    }

    /// Accepts nothing more, and lets the workers finish without waiting for them.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{FutureResult, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let handle = pool.submit(|| "runs all the same");
    /// pool.detach();
    /// assert_eq!(handle.result()?, "runs all the same");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn detach(self) {
        if self.core.is_forked() {
            return;
        }
        self.core.close(Rejection::ShutDown);
        self.core.detach_threads();
        // `drop` only repeats what was done here.
    }

    fn close(&self) -> Result<(), ShutdownError> {
        if self.core.is_forked() {
            return Err(ShutdownError::Forked);
        }
        if PoolId::current() == Some(self.core.id) {
            return Err(ShutdownError::FromWorker);
        }
        self.core.close(Rejection::ShutDown);
        Ok(())
    }

    fn join_threads(&self) {
        for thread in self.core.take_handles() {
            // The last owner may be a thread-local of a worker that has left the pool.
            if !thread::is_current(&thread) {
                // A worker catches every panic; there is nothing to report.
                let _ = thread.join();
            }
        }
        self.core.timer.join();
    }
}

impl Drop for ThreadPoolExecutor {
    fn drop(&mut self) {
        if self.core.is_forked() {
            // Leaked, not dropped: its threads are not in this process.
            return std::mem::forget(Arc::clone(&self.core));
        }
        self.core.close(Rejection::ShutDown);
        // Without handles it is detached or already shut down; on one of its own workers the
        // wait would never end.
        if self.core.has_handles() && self.shutdown().is_err() {
            self.core.detach_threads();
        }
    }
}
