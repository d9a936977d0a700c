//! The lazy maps.

use std::sync::Arc;

use future_result::{JoinHandle, Map, TaskError, TryMap, run_chunk, try_run_chunk};

use crate::ThreadPoolExecutor;
use crate::trace::Origin;

impl ThreadPoolExecutor {
    /// Applies `function` to every item of `input` on the workers, lazily, and yields the results
    /// in the order of the input.
    ///
    /// Pulls the input only [`buffer_size`](Map::buffer_size) tasks ahead, 8 for each worker unless
    /// set otherwise. See [`Map`] for chunks, for results in the order of completion, and for
    /// time-outs.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let lengths = pool.map(|word: &str| word.len(), ["one", "three"]);
    /// assert_eq!(lengths.collect::<Result<Vec<_>, _>>()?, [3, 5]);
    ///
    /// // An endless input is no problem, and tiny items can share a task.
    /// let evens = pool.map(|n| n * 2, 0_u64..).chunk_size(64).take(1000);
    /// assert_eq!(evens.last().unwrap()?, 1998);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(
        clippy::type_complexity,
        reason = "an alias cannot hold the closure's opaque type"
    )]
    #[track_caller]
    pub fn map<F, I, R>(
        &self,
        function: F,
        input: I,
    ) -> Map<
        I::IntoIter,
        impl FnMut(Vec<I::Item>) -> JoinHandle<Vec<Result<R, TaskError>>>,
        JoinHandle<Vec<Result<R, TaskError>>>,
        R,
    >
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        R: Send + 'static,
    {
        let origin = Origin::here();
        let function = Arc::new(function);
        let submit = move |items| {
            let function = Arc::clone(&function);
            self.submit_from(origin, move || run_chunk(&*function, items))
        };
        Map::new(input, submit, 8 * self.workers)
    }

    /// Like [`map`](Self::map), for a function that may fail: yields values up to the first error, which
    /// comes last.
    ///
    /// Before the error is yielded, what was submitted and has not started is cancelled, what is
    /// running is asked to stop, and the input is dropped. See [`TryMap`], also for how to hear of an
    /// error before the items that precede it are done.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{ThreadPoolExecutor, TryError};
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let parse = |text: &str| text.parse::<u32>();
    /// let numbers = pool.try_map(parse, ["1", "2"]).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(numbers, [1, 2]);
    ///
    /// let mut numbers = pool.try_map(parse, ["1", "two", "3"]);
    /// assert_eq!(numbers.next().unwrap()?, 1);
    /// assert!(matches!(numbers.next(), Some(Err(TryError::Returned(_)))));
    /// assert!(numbers.next().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(
        clippy::type_complexity,
        reason = "an alias cannot hold the closure's opaque type"
    )]
    #[track_caller]
    pub fn try_map<F, I, R, E>(
        &self,
        function: F,
        input: I,
    ) -> TryMap<
        I::IntoIter,
        impl FnMut(Vec<I::Item>) -> JoinHandle<Vec<Result<Result<R, E>, TaskError>>>,
        JoinHandle<Vec<Result<Result<R, E>, TaskError>>>,
        R,
        E,
    >
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> Result<R, E> + Send + Sync + 'static,
        R: Send + 'static,
        E: Send + 'static,
    {
        let origin = Origin::here();
        let function = Arc::new(function);
        let submit = move |items| {
            let function = Arc::clone(&function);
            self.submit_from(origin, move || try_run_chunk(&*function, items))
        };
        TryMap::new(input, submit, 8 * self.workers)
    }
}
