//! A pool's numbers at a moment.

use crate::{Histogram, ThreadPoolExecutor};

/// A snapshot of a pool's numbers, from [`ThreadPoolExecutor::metrics`].
///
/// A task is what was given to the pool as one: by `submit` and the like, by [`execute`], by a scope's
/// [`spawn`], a chunk of a lazy [`map`], or a worker's share of a [`broadcast`]. Calls that workers
/// merely take part in are not tasks, nor are their parts: [`join`], [`map_slice`],
/// [`map_vec`].
///
/// [`execute`]: ThreadPoolExecutor::execute
/// [`spawn`]: crate::Scope::spawn
/// [`map`]: ThreadPoolExecutor::map
/// [`broadcast`]: ThreadPoolExecutor::broadcast
/// [`join`]: ThreadPoolExecutor::join
/// [`map_slice`]: ThreadPoolExecutor::map_slice
/// [`map_vec`]: ThreadPoolExecutor::map_vec
///
/// The numbers are read one after the other while the pool goes on, so they need not add up: they are
/// for people and dashboards, not for decisions.
///
/// # Examples
///
/// ```
/// use thread_pool::ThreadPoolExecutor;
///
/// let pool = ThreadPoolExecutor::new(2)?;
/// pool.execute(|| ())?;
/// pool.shutdown()?;
/// let metrics = pool.metrics();
/// assert_eq!((metrics.done, metrics.queued, metrics.threads), (1, 0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Tasks that wait in the queues. One that was cancelled, or that a waiting worker ran in place,
    /// counts until a worker finds it in the queue.
    pub queued: usize,
    /// Workers that are at work: they run a task, take part in a call, run their initializer, or wait in
    /// one of these.
    pub running: usize,
    /// Tasks that have finished. A task is counted after its handle is done, and one that was
    /// run in place when a worker finds it in the queue.
    pub done: u64,
    /// Tasks that were cancelled before they started, or did not start before their deadline, counted
    /// when a worker finds them in the queue.
    pub cancelled: u64,
    /// Tasks that panicked.
    pub panicked: u64,
    /// All threads: `running` and `idle` ones.
    pub threads: usize,
    /// Workers with nothing to do: asleep, or looking for work.
    pub idle: usize,
    /// Workers inside [`blocking`](crate::blocking()), which count as running, too.
    pub blocked: usize,
    /// How long tasks were queued before they started; empty unless the pool
    /// [measures delays](crate::Builder::measure_delays).
    pub delays: Histogram,
}

impl ThreadPoolExecutor {
    /// The pool's numbers at this moment. Asking holds the queue's lock for a few steps per queued task,
    /// so once a second is fine, and once a task is not. All are zero in a process that was
    /// [forked](Self#forks).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let (started, wait_for_start) = mpsc::channel();
    /// let (go, wait_for_go) = mpsc::channel::<()>();
    /// pool.execute(move || {
    ///     started.send(()).unwrap();
    ///     wait_for_go.recv().unwrap_err();
    /// })?;
    /// wait_for_start.recv()?;
    /// pool.execute(|| ())?;
    /// let metrics = pool.metrics();
    /// assert_eq!((metrics.running, metrics.queued), (1, 1));
    /// drop(go);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let core = &self.core;
        if core.is_forked() {
            return Metrics::default();
        }
        let queued = core.queued();
        let totals = core.totals();
        let counts = core.sleep.counts();
        let [threads, searching, sleeping, blocked] = [
            counts.live(),
            counts.searching(),
            counts.sleeping(),
            counts.blocked(),
        ]
        .map(|count| count as usize);
        let idle = searching + sleeping;
        Metrics {
            queued,
            running: threads.saturating_sub(idle),
            done: totals.done,
            cancelled: totals.cancelled,
            panicked: totals.panicked,
            threads,
            idle,
            blocked,
            delays: totals.delays,
        }
    }
}
