//! Submitting many jobs with one step.

use future_result::{JoinHandle, TaskList};

use crate::ThreadPoolExecutor;
use crate::trace::Origin;

impl ThreadPoolExecutor {
    /// Submits all of `jobs` at once, in order, and returns their handles in the same order:
    /// cheaper than one [`submit`](Self::submit) after another, since the queue is touched once, and
    /// at most one worker is woken, which wakes the next.
    ///
    /// None of the jobs starts before the iterator has ended. If the queue has a bound, they are
    /// submitted one by one instead, each as `submit` does it. If the pool does not accept the jobs,
    /// each of the handles says so with [`TaskError::Rejected`](crate::TaskError::Rejected).
    ///
    /// # Panics
    ///
    /// If the iterator does. The jobs taken from it are then dropped, and none has started; with a bound,
    /// those that were submitted run, and their handles are lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{try_join_all, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let handles = pool.submit_all((1..=4).map(|n| move || n * n));
    /// assert_eq!(try_join_all(handles)?, [1, 4, 9, 16]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use = "dropping the handles detaches the jobs: their results and errors will be lost"]
    pub fn submit_all<I, F, T>(&self, jobs: I) -> Vec<JoinHandle<T>>
    where
        I: IntoIterator<Item = F>,
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let origin = Origin::here();
        let jobs = jobs.into_iter();
        if self.core.bound.is_some() {
            return jobs.map(|job| self.submit_from(origin, job)).collect();
        }
        let mut tasks = TaskList::new();
        let handles = jobs.map(|job| {
            let (task, handle) = self.task_from(origin, job);
            tasks.push_back(task);
            handle
        });
        let handles = handles.collect();
        let _ = self.core.push_all(tasks);
        handles
    }
}
