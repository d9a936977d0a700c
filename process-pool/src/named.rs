//! Functions with names, and pools whose workers run another executable.

use std::fmt;
use std::path::PathBuf;

use future_result::{JoinHandle, Map, TaskError, TryMap};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::map::{AHEAD, decode_items};
use crate::run::{Outcome, Way, try_run_chunk};
use crate::{Builder, ProcessPoolExecutor, TaskBuilder, names};

/// A function that is known by its name, from [`named!`](crate::named!).
///
/// Needs the feature `named`.
///
/// # Examples
///
/// ```
/// use process_pool::{FutureResult, ProcessPoolExecutor};
///
/// process_pool::named! {
///     static LENGTH: fn(String) -> usize = |text| text.len();
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = ProcessPoolExecutor::new(1)?;
/// assert_eq!(pool.submit_named(&LENGTH, "three".to_owned()).result()?, 5);
/// # Ok(())
/// # }
/// ```
pub struct Named<A, R> {
    pub(crate) name: &'static str,
    pub(crate) function: fn(A) -> R,
    pub(crate) try_chunk: TryChunk<A, R>,
}

impl<A, R> Named<A, R> {
    /// Only for the macro, which makes sure that it is in the table.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str, function: fn(A) -> R) -> Self {
        Self {
            name,
            function,
            try_chunk: TryChunk(None),
        }
    }

    /// Only for the macro, which knows whether the results are `Result`s.
    #[doc(hidden)]
    #[must_use]
    pub const fn with(mut self, try_chunk: TryChunk<A, R>) -> Self {
        self.try_chunk = try_chunk;
        self
    }

    fn call(&self, way: Way) -> Result<Call, String> {
        Ok(Call::named(names::number(self.name)?, way))
    }
}

/// How to apply a function to the items of a vector up to the first error, if it may fail.
///
/// If `R` is a parameter, nobody can tell whether it is a `Result`. The macro can: with the types of
/// a declaration, the constant [`TRY`](Self::TRY) is that of this type if it is a `Result`, and that of the
/// trait [`NeverFails`] otherwise.
pub struct TryChunk<A, R>(pub(crate) Option<RunChunk<A, R>>);

type RunChunk<A, R> = fn(fn(A) -> R, &[u8], &mut Vec<u8>) -> Outcome;

impl<A, R, E> TryChunk<A, Result<R, E>>
where
    A: DeserializeOwned + 'static,
    R: Serialize,
    E: Serialize,
{
    /// For a function that may fail.
    pub const TRY: Self = Self(Some(try_run_chunk));
}

/// Has the constant of [`TryChunk`] for functions that cannot fail.
pub trait NeverFails: Sized {
    /// None.
    const TRY: Self;
}

impl<A, R> NeverFails for TryChunk<A, R> {
    const TRY: Self = Self(None);
}

impl<A, R> fmt::Debug for TryChunk<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryChunk").field(&self.0.is_some()).finish()
    }
}

impl<A, R> fmt::Debug for Named<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.name).finish()
    }
}

/// Declares statics for functions that are known by name, even in
/// [another executable](Builder::worker_executable).
///
/// Needs the feature `named`. The compiler checks the function, which may be a closure that captures nothing,
/// against the type. Its name is the path of the static, so it does not change if the function is
/// renamed. If two statics in an executable have the same path, no pool can be built there.
///
/// The declarations have to be in both executables: put them into a library crate, and link it into both. A
/// crate is only linked if it is mentioned; if nothing of it is used, `use the_crate as _;` will do.
///
/// # Examples
///
/// ```
/// use process_pool::{FutureResult, ProcessPoolExecutor};
///
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// process_pool::named! {
///     /// Squares a number.
///     pub static SQUARE: fn(u64) -> u64 = square;
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = ProcessPoolExecutor::new(2)?;
/// assert_eq!(pool.submit_named(&SQUARE, 12).result()?, 144);
/// # Ok(())
/// # }
/// ```
///
/// ```compile_fail,E0308
/// process_pool::named! {
///     static SQUARE: fn(u64) -> u64 = |n: u32| n * n;
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! named {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis static $name:ident: fn($argument:ty) $(-> $result:ty)? = $function:expr;
    )*) => {$(
        $(#[$attribute])*
        $visibility static $name: $crate::Named<$argument, $crate::named!(@result $($result)?)> =
            $crate::Named::<$argument, $crate::named!(@result $($result)?)>::new(
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!($name)),
                $function,
            )
            .with({
                use $crate::__private::NeverFails as _;
                <$crate::__private::TryChunk<$argument, $crate::named!(@result $($result)?)>>::TRY
            });

        const _: () = {
            #[$crate::__private::linkme::distributed_slice($crate::__private::FUNCTIONS)]
            #[linkme(crate = $crate::__private::linkme)]
            static FUNCTION: $crate::__private::Function = $crate::__private::Function::new(&$name);
        };
    )*};
    (@result) => { () };
    (@result $result:ty) => { $result };
}

impl ProcessPoolExecutor {
    /// Like [`submit`](Self::submit), for a function that is known by name, even if workers are
    /// [another executable](Builder::worker_executable).
    ///
    /// If the worker does not know the function, or knows it with other types, the handle says so with a
    /// [`TaskError::Codec`]. Needs the feature `named`.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// process_pool::named! {
    ///     static SQUARE: fn(u64) -> u64 = |n| n * n;
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// assert_eq!(pool.submit_named(&SQUARE, 12).result()?, 144);
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit_named<A, R>(&self, function: &Named<A, R>, argument: A) -> JoinHandle<R>
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.task().submit_named(function, argument)
    }

    /// Like [`map`](Self::map), for a function that is known by name; see [`submit_named`](Self::submit_named).
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::ProcessPoolExecutor;
    ///
    /// process_pool::named! {
    ///     static SQUARE: fn(u64) -> u64 = |n| n * n;
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = ProcessPoolExecutor::new(2)?;
    /// let squares = pool.map_named(&SQUARE, 1..=3);
    /// assert_eq!(squares.collect::<Result<Vec<_>, _>>()?, [1, 4, 9]);
    /// # Ok(())
    /// # }
    /// ```
    #[expect(
        clippy::type_complexity,
        reason = "an alias cannot hold the closure's opaque type"
    )]
    pub fn map_named<A, R, I>(
        &self,
        function: &Named<A, R>,
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
        let call = function.call(Way::Chunk);
        let submit = move |items| self.send(call.clone(), items, self.terms, decode_items);
        Map::new(input, submit, AHEAD.saturating_mul(self.workers))
    }

    /// Like [`try_map`](Self::try_map), for a function that is known by name; see
    /// [`submit_named`](Self::submit_named).
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{ProcessPoolExecutor, TryError};
    ///
    /// process_pool::named! {
    ///     static PARSE: fn(String) -> Result<u32, String> = |text| {
    ///         text.parse().map_err(|_| format!("{text} is no number"))
    ///     };
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = ProcessPoolExecutor::new(2)?;
    /// let mut numbers = pool.try_map_named(&PARSE, ["1", "two", "3"].map(str::to_owned));
    /// assert!(matches!(numbers.next(), Some(Ok(1))));
    /// assert!(matches!(numbers.next(), Some(Err(TryError::Returned(text))) if text.starts_with("two")));
    /// assert!(numbers.next().is_none());
    /// # Ok(())
    /// # }
    /// ```
    #[expect(
        clippy::type_complexity,
        reason = "an alias cannot hold the closure's opaque type"
    )]
    pub fn try_map_named<A, R, E, I>(
        &self,
        function: &Named<A, Result<R, E>>,
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
        let call = function.call(Way::TryChunk);
        let submit = move |items| self.send(call.clone(), items, self.terms, decode_items);
        TryMap::new(input, submit, AHEAD.saturating_mul(self.workers))
    }
}

impl TaskBuilder<'_> {
    /// Like [`submit`](Self::submit), for a function that is known by name; see
    /// [`ProcessPoolExecutor::submit_named`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// process_pool::named! {
    ///     static SQUARE: fn(u64) -> u64 = |n| n * n;
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let task = pool.task().time_limit(Duration::from_secs(60));
    /// assert_eq!(task.submit_named(&SQUARE, 12).result()?, 144);
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit_named<A, R>(self, function: &Named<A, R>, argument: A) -> JoinHandle<R>
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.send(function.call(Way::One), argument)
    }
}

impl Builder {
    /// Starts the workers from another executable than this program's: one that is smaller, has fewer
    /// rights, or links what this one cannot.
    ///
    /// Needs the feature `named`. Such workers know functions only by name: use
    /// [`submit_named`](ProcessPoolExecutor::submit_named), [`map_named`](ProcessPoolExecutor::map_named),
    /// [`try_map_named`](ProcessPoolExecutor::try_map_named) and [`initializer_named`](Self::initializer_named).
    /// Everything else is refused before it is sent. The executable needs this crate in the same version with the
    /// feature `named`, the crates that declare the functions (`use the_crate as _;` if it uses nothing else of
    /// them), and a call of [`init`](crate::init) first in its `main`.
    ///
    /// [`build`](Self::build) starts it once as a trial, without the initializer, and waits up to 10 seconds
    /// for it to report as a worker. If it does not, [`BuildError::Worker`](crate::BuildError::Worker) says
    /// why. A relative path starts at this process's current directory, and `PATH` is not searched.
    /// Workers that start later run whatever is at the path by then.
    ///
    /// # Examples
    ///
    /// ```
    /// use process_pool::{BuildError, ProcessPoolExecutor};
    ///
    /// let builder = ProcessPoolExecutor::builder().worker_executable("/bin/true");
    /// let error = builder.build().unwrap_err();
    /// assert!(matches!(error, BuildError::Worker(_)));
    /// println!("{error}"); // … it ended instead of being a worker; call `process_pool::init()` …
    /// ```
    pub fn worker_executable(mut self, path: impl Into<PathBuf>) -> Self {
        self.plan.executable = Some(path.into());
        self
    }

    /// Like [`initializer`](Self::initializer), for a function that is known by name.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::OnceLock;
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// static FACTOR: OnceLock<u32> = OnceLock::new();
    ///
    /// process_pool::named! {
    ///     static SET: fn(u32) = |factor| {
    ///         let _ = FACTOR.set(factor);
    ///     };
    ///     static TIMES: fn(u32) -> Option<u32> = |n| Some(n * FACTOR.get()?);
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = ProcessPoolExecutor::builder().workers(1).initializer_named(&SET, 7).build()?;
    /// assert_eq!(pool.submit_named(&TIMES, 6).result()?, Some(42));
    /// # Ok(())
    /// # }
    /// ```
    pub fn initializer_named<A>(self, function: &Named<A, ()>, argument: A) -> Self
    where
        A: Serialize + DeserializeOwned + 'static,
    {
        self.initialize_by(function.call(Way::One), argument)
    }

    /// Like [`preload`](Self::preload), for a function that is known by name.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::OnceLock;
    /// use process_pool::{FutureResult, ProcessPoolExecutor};
    ///
    /// static FACTOR: OnceLock<u32> = OnceLock::new();
    ///
    /// process_pool::named! {
    ///     static LOAD: fn(u32) = |factor| {
    ///         let _ = FACTOR.set(factor);
    ///     };
    ///     static TIMES: fn(u32) -> Option<u32> = |n| Some(n * FACTOR.get()?);
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = ProcessPoolExecutor::builder().workers(1).preload_named(&LOAD, 7).build()?;
    /// assert_eq!(pool.submit_named(&TIMES, 6).result()?, Some(42));
    /// # Ok(())
    /// # }
    /// ```
    pub fn preload_named<A>(self, function: &Named<A, ()>, argument: A) -> Self
    where
        A: Serialize + DeserializeOwned + 'static,
    {
        self.preload_by(function.call(Way::One), argument)
    }
}
