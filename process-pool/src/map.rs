//! The pool's lazy maps.

use future_result::{JoinHandle, Map, TaskError, TryMap};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::job::panicked;
use crate::run::Item;
use crate::{ProcessPoolExecutor, codec};

/// How many tasks for each worker are submitted ahead.
pub(crate) const AHEAD: usize = 8;

impl ProcessPoolExecutor {
    /// Applies `function` to every item of `input` on the workers, lazily, and yields the results in the
    /// order of the input.
    ///
    /// Pulls the input only [`buffer_size`](Map::buffer_size) tasks ahead, 8 for each worker unless set
    /// otherwise. A trip to a worker and back takes about ten microseconds, so let tiny items share a task
    /// with [`chunk_size`](Map::chunk_size). A crash costs all items of its task, a panic only its own.
    /// See [`Map`] for results in the order of completion, and for time-outs.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::new(2)?;
    /// let words = ["one", "three"].map(str::to_owned);
    /// let lengths = pool.map(|word: String| word.len(), words);
    /// assert_eq!(lengths.collect::<Result<Vec<_>, _>>()?, [3, 5]);
    ///
    /// let evens = pool.map(|n: u64| n * 2, 0..).chunk_size(64).take(1000);
    /// assert_eq!(evens.last().unwrap()?, 1998);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(
        clippy::type_complexity,
        reason = "an alias cannot hold the closure's opaque type"
    )]
    pub fn map<A, R, I>(
        &self,
        function: fn(A) -> R,
        input: I,
    ) -> Map<
        I::IntoIter,
        impl FnMut(Vec<A>) -> JoinHandle<Vec<Result<R, TaskError>>>,
        JoinHandle<Vec<Result<R, TaskError>>>,
        R,
    >
    where
        I: IntoIterator<Item = A>,
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        let call = Call::chunk(function).map_err(|error| error.to_string());
        let submit = move |items| self.send(call.clone(), items, self.terms, decode_items);
        Map::new(input, submit, AHEAD.saturating_mul(self.workers))
    }

    /// Like [`map`](Self::map), for a function that may fail: yields values up to the first error, which
    /// comes last.
    ///
    /// Before the error is yielded, all submitted tasks are cancelled, running ones too, and the input is
    /// dropped. See [`TryMap`], also for how to hear of an error before the items that precede it are done.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{ProcessPoolExecutor, TryError};
    ///
    /// fn parse(text: String) -> Result<u32, String> {
    ///     text.parse().map_err(|_| format!("{text} is no number"))
    /// }
    ///
    /// let pool = ProcessPoolExecutor::new(2)?;
    /// let mut numbers = pool.try_map(parse, ["1", "two", "3"].map(str::to_owned));
    /// assert!(matches!(numbers.next(), Some(Ok(1))));
    /// assert!(matches!(numbers.next(), Some(Err(TryError::Returned(text))) if text.starts_with("two")));
    /// assert!(numbers.next().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(
        clippy::type_complexity,
        reason = "an alias cannot hold the closure's opaque type"
    )]
    pub fn try_map<A, R, E, I>(
        &self,
        function: fn(A) -> Result<R, E>,
        input: I,
    ) -> TryMap<
        I::IntoIter,
        impl FnMut(Vec<A>) -> JoinHandle<Vec<Result<Result<R, E>, TaskError>>>,
        JoinHandle<Vec<Result<Result<R, E>, TaskError>>>,
        R,
        E,
    >
    where
        I: IntoIterator<Item = A>,
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
        E: Serialize + DeserializeOwned + Send + 'static,
    {
        let call = Call::try_chunk(function).map_err(|error| error.to_string());
        let submit = move |items| self.send(call.clone(), items, self.terms, decode_items);
        TryMap::new(input, submit, AHEAD.saturating_mul(self.workers))
    }
}

/// The results of a chunk.
pub(crate) fn decode_items<R: DeserializeOwned + 'static>(
    bytes: &[u8],
) -> Result<Vec<Result<R, TaskError>>, String> {
    let items: Vec<Item<R>> = codec::decode(bytes)?;
    let results = items.into_iter().map(|item| match item {
        Item::Value(value) => Ok(value),
        Item::Panicked(report) => Err(panicked(&report)),
    });
    Ok(results.collect())
}
