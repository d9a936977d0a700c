//! The end of a pool: drained, cancelled, timed, or killed.

use std::sync::Arc;
use std::time::Duration;

use future_result::sync::thread;
use future_result::{FutureResult, PoolId};

use crate::{ProcessPoolExecutor, ShutdownError};

impl ProcessPoolExecutor {
    /// Accepts nothing more, and waits until everything that was submitted has ended and all workers are
    /// gone.
    ///
    /// Calling it again, or from several threads, does no harm.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::FromCallback`] on the pool's own thread, [`ShutdownError::Forked`] in a
    /// [forked](Self#forks) process.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor, TaskError};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let last = pool.submit(|()| "still runs".to_owned(), ());
    /// pool.shutdown()?;
    /// assert!(last.is_done());
    /// assert!(matches!(pool.submit(|()| (), ()).result(), Err(TaskError::Rejected(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(&self) -> Result<(), ShutdownError> {
        self.check()?;
        self.core.close();
        self.await_end();
        Ok(())
    }

    /// Like [`shutdown`](Self::shutdown), but cancels what has not started. Running tasks finish.
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown).
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor, TaskError};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let handles: Vec<_> = (0..100).map(|n: u32| pool.submit(|n| n, n)).collect();
    /// pool.shutdown_now()?;
    /// for handle in handles {
    ///     assert!(matches!(handle.result(), Ok(_) | Err(TaskError::Cancelled)));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown_now(&self) -> Result<(), ShutdownError> {
        self.check()?;
        self.core.cancel_queued();
        self.shutdown()
    }

    /// Like [`shutdown`](Self::shutdown), but waits at most `limit`.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::TimedOut`] if work is left then; it goes on, and the pool may be waited for again, or
    /// [killed](Self::kill). Otherwise as for [`shutdown`](Self::shutdown).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor, ShutdownError, TaskError};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let endless: JoinHandle<()> = pool.submit(|()| loop { std::thread::park() }, ());
    /// let limit = Duration::from_millis(10);
    /// assert_eq!(pool.shutdown_timeout(limit), Err(ShutdownError::TimedOut));
    /// let _ = endless.cancel();
    /// assert_eq!(pool.shutdown_timeout(Duration::MAX), Ok(()));
    /// assert!(matches!(endless.result(), Err(TaskError::Cancelled)));
    /// # Ok::<(), process_pool::BuildError>(())
    /// ```
    pub fn shutdown_timeout(&self, limit: Duration) -> Result<(), ShutdownError> {
        self.check()?;
        self.core.close();
        if !self.terminated.clone().wait_timeout(limit) {
            return Err(ShutdownError::TimedOut);
        }
        self.await_end();
        Ok(())
    }

    /// Accepts nothing more, kills all workers and what they started, and waits until they are gone.
    /// What was queued or running is [cancelled](crate::TaskError::Cancelled).
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown).
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, JoinHandle, ProcessPoolExecutor, TaskError};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let endless: JoinHandle<()> = pool.submit(|()| loop { std::thread::park() }, ());
    /// pool.kill()?;
    /// assert!(matches!(endless.result(), Err(TaskError::Cancelled)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kill(&self) -> Result<(), ShutdownError> {
        self.check()?;
        self.core.kill();
        self.await_end();
        Ok(())
    }

    fn check(&self) -> Result<(), ShutdownError> {
        if self.core.id.is_inherited() {
            return Err(ShutdownError::Forked);
        }
        if PoolId::current() == Some(self.core.id) {
            return Err(ShutdownError::FromCallback);
        }
        Ok(())
    }

    fn await_end(&self) {
        self.terminated.clone().wait();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && !thread::is_current(&thread)
        {
            // It catches every panic; there is nothing to report.
            let _ = thread.join();
        }
    }
}

impl Drop for ProcessPoolExecutor {
    /// Drains the pool, as leaving Python's `with` does; on the pool's own thread without waiting.
    fn drop(&mut self) {
        match self.check() {
            Ok(()) => {
                self.core.close();
                self.await_end();
            }
            Err(ShutdownError::Forked) => {
                // The workers and what is known of them belong to the parent. Nothing may be dropped here.
                std::mem::forget(Arc::clone(&self.core));
            }
            Err(_) => self.core.close(),
        }
    }
}
