//! A pool's numbers for the `metrics` crate: the feature `metrics`.

use metrics::{counter, gauge};

use crate::ThreadPoolExecutor;

impl ThreadPoolExecutor {
    /// Reports the pool's [`metrics`](Self::metrics) to the recorder that the program installed with
    /// the `metrics` crate. Call it as often as they are read, say before each scrape. Needs the
    /// feature `metrics`.
    ///
    /// | name | kind | labels |
    /// |---|---|---|
    /// | `thread_pool_tasks_total` | counter | `pool`, `outcome`: `done`, `cancelled`, `panicked` |
    /// | `thread_pool_tasks_queued` | gauge | `pool` |
    /// | `thread_pool_threads` | gauge | `pool`, `state`: `running`, `idle` |
    /// | `thread_pool_threads_blocked` | gauge | `pool` |
    ///
    /// `pool` is the [name](crate::Builder::name) of the threads. If several pools have the same name,
    /// only the last one recorded is seen, so name them differently.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{FutureResult, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::builder().workers(2).name("resize").build()?;
    /// pool.submit(|| ()).result()?;
    /// pool.record_metrics(); // Goes nowhere, as no recorder is installed.
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record_metrics(&self) {
        let metrics = self.metrics();
        let pool = &self.core.threads.name;
        for (outcome, tasks) in [
            ("done", metrics.done),
            ("cancelled", metrics.cancelled),
            ("panicked", metrics.panicked),
        ] {
            counter!("thread_pool_tasks_total", "pool" => pool.clone(), "outcome" => outcome)
                .absolute(tasks);
        }
        gauge!("thread_pool_tasks_queued", "pool" => pool.clone()).set(metrics.queued as f64);
        for (state, threads) in [("running", metrics.running), ("idle", metrics.idle)] {
            gauge!("thread_pool_threads", "pool" => pool.clone(), "state" => state)
                .set(threads as f64);
        }
        gauge!("thread_pool_threads_blocked", "pool" => pool.clone()).set(metrics.blocked as f64);
    }
}
