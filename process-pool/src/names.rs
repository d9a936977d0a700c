//! Which functions have which names, on both sides.
//!
//! [`named!`](crate::named!) puts each function that it declares into [`FUNCTIONS`], a table that the linker
//! builds, so nothing has to run before `main`. The pool sends its names, sorted, in its Setup, with
//! the text of each function's types. The worker looks each name up among its own once, when it starts, and
//! a call has the number of its name in the pool's list.
//!
//! A worker calls its own function of that name, with its own types, so the worst that a pool can send is bytes
//! that do not decode. The types are compared for a clear error, not for soundness.

use std::any::type_name;
use std::sync::OnceLock;

use linkme::distributed_slice;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Named;
use crate::run::{Outcome, Way, run_chunk, run_one};

/// All functions that [`named!`](crate::named!) declares in this executable.
#[distributed_slice]
pub static FUNCTIONS: [Function];

/// An entry of the table of named functions.
#[derive(Clone, Copy, Debug)]
pub struct Function(&'static dyn Run);

/// A named function, whatever its types.
trait Run: std::fmt::Debug + Sync {
    fn name(&self) -> &'static str;
    fn types(&self) -> &'static str;
    fn run(&self, way: Way, argument: &[u8], output: &mut Vec<u8>) -> Outcome;
}

impl Function {
    /// For the macro.
    #[must_use]
    pub const fn new<A, R>(named: &'static Named<A, R>) -> Self
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        Self(named)
    }
}

impl<A, R> Run for Named<A, R>
where
    A: Serialize + DeserializeOwned + 'static,
    R: Serialize + DeserializeOwned + Send + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn types(&self) -> &'static str {
        type_name::<fn(A) -> R>()
    }

    fn run(&self, way: Way, argument: &[u8], output: &mut Vec<u8>) -> Outcome {
        match (way, self.try_chunk.0) {
            (Way::One, _) => run_one(self.function, argument, output),
            (Way::TryChunk, Some(run)) => run(self.function, argument, output),
            // In the pool, the compiler allows no `try_map` of a function that cannot fail.
            (Way::Chunk | Way::TryChunk, _) => run_chunk(self.function, argument, output),
        }
    }
}

/// This executable's functions, sorted by name.
fn sorted() -> Result<&'static [Function], String> {
    static SORTED: OnceLock<Result<Vec<Function>, String>> = OnceLock::new();
    let sorted = SORTED.get_or_init(|| sort(FUNCTIONS.to_vec()));
    sorted.as_deref().map_err(Clone::clone)
}

/// # Errors
///
/// If two of them have the same name.
fn sort(mut functions: Vec<Function>) -> Result<Vec<Function>, String> {
    functions.sort_by_key(|it| it.0.name());
    match functions
        .windows(2)
        .find(|it| it[0].0.name() == it[1].0.name())
    {
        Some(pair) => Err(format!(
            "two functions are declared with the name `{}`, as `{}` and as `{}`; rename one of them, or link \
             only one version of their crate",
            pair[0].0.name(),
            pair[0].0.types(),
            pair[1].0.types(),
        )),
        None => Ok(functions),
    }
}

/// The names and types of this executable's functions; the numbers of calls are those of this order.
pub(crate) fn all() -> Result<Vec<(&'static str, &'static str)>, String> {
    Ok(sorted()?
        .iter()
        .map(|it| (it.0.name(), it.0.types()))
        .collect())
}

/// The number of a name in a pool of this executable.
pub(crate) fn number(name: &str) -> Result<u64, String> {
    match sorted()?.binary_search_by_key(&name, |it| it.0.name()) {
        Ok(number) => Ok(number as u64),
        Err(_) => Err(format!("the function `{name}` is not declared by `named!`")),
    }
}

/// What a worker agreed upon with its pool.
#[derive(Debug)]
struct Agreed {
    is_elsewhere: bool,
    /// The function for each of the pool's names, or why there is none.
    functions: Vec<Result<Function, String>>,
}

static AGREED: OnceLock<Agreed> = OnceLock::new();

/// Takes the names of the pool's functions, in a worker.
///
/// # Errors
///
/// If two of the worker's own functions have the same name.
pub(crate) fn agree(names: &[(&str, &str)], is_elsewhere: bool) -> Result<(), String> {
    let agreed = Agreed {
        is_elsewhere,
        functions: look_up(names, sorted()?),
    };
    // The pool sends them only once.
    AGREED
        .set(agreed)
        .map_err(|_| "the pool sent its names twice".to_owned())
}

/// Finds this executable's functions for the pool's names.
fn look_up(names: &[(&str, &str)], ours: &[Function]) -> Vec<Result<Function, String>> {
    let find = |&(name, types): &(&str, &str)| {
        let Ok(place) = ours.binary_search_by_key(&name, |it| it.0.name()) else {
            return Err(format!(
                "the worker's executable has no function `{name}`; link the crate that declares it by \
                 `named!`, and refer to it there (`use the_crate as _;`)"
            ));
        };
        let found = ours[place];
        if found.0.types() != types {
            return Err(format!(
                "the function `{name}` is a `{types}` in the pool's executable and a `{}` in the worker's; \
                 build both from the same source",
                found.0.types(),
            ));
        }
        Ok(found)
    };
    names.iter().map(find).collect()
}

/// Whether this worker's pool is of another executable.
pub(crate) fn is_elsewhere() -> bool {
    AGREED.get().is_some_and(|it| it.is_elsewhere)
}

/// Calls the function with this number, in a worker.
///
/// # Errors
///
/// Text, if there is no such function here.
pub(crate) fn run(
    number: u64,
    way: Way,
    argument: &[u8],
    output: &mut Vec<u8>,
) -> Result<Outcome, String> {
    let agreed = AGREED.get().map_or(&[][..], |it| &it.functions);
    let found = usize::try_from(number)
        .ok()
        .and_then(|number| agreed.get(number));
    match found {
        Some(Ok(function)) => Ok(function.0.run(way, argument, output)),
        Some(Err(text)) => Err(text.clone()),
        None => Err(format!("the pool has no function with the number {number}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Without the macro, whose expansion this crate's own lint would refuse here.
    static DOUBLE: Named<u32, u32> = Named::new("a::DOUBLE", |n| n * 2);
    static LENGTH: Named<String, usize> = Named::new("a::LENGTH", |text| text.len());

    #[test]
    fn two_of_one_name_are_an_error() {
        let functions = vec![Function::new(&LENGTH), Function::new(&DOUBLE)];
        assert!(sort(functions.clone()).is_ok());
        let twice = [functions, vec![Function::new(&DOUBLE)]].concat();
        let text = sort(twice).unwrap_err();
        assert!(text.contains("`a::DOUBLE`"), "{text}");
    }

    #[test]
    fn what_was_not_declared_has_no_number() {
        assert!(number(DOUBLE.name).unwrap_err().contains("a::DOUBLE"));
    }

    #[test]
    fn an_unknown_name_and_other_types_cost_that_function_alone() {
        let ours = [Function::new(&DOUBLE), Function::new(&LENGTH)];
        let names = [
            (DOUBLE.name, "fn(u32) -> u32"),
            (LENGTH.name, "fn(u32) -> usize"),
            ("nothing", "fn()"),
        ];
        let found = look_up(&names, &ours);
        assert!(found[0].is_ok());
        let text = found[1].as_ref().unwrap_err();
        assert!(text.contains("`fn(u32) -> usize`") && text.contains("fn(alloc::string::String)"));
        assert!(
            found[2]
                .as_ref()
                .unwrap_err()
                .contains("no function `nothing`")
        );
    }

    /// The pool checks this first, which is left out here.
    #[test]
    #[cfg(not(any(pool_loom, pool_sim)))]
    fn a_worker_of_another_executable_calls_nothing_by_address() {
        use crate::{FutureResult, ProcessPoolExecutor, TaskError};

        let builder = ProcessPoolExecutor::builder().workers(1);
        let mut pool = builder.worker_executable("/proc/self/exe").build().unwrap();
        pool.is_elsewhere = false;
        match pool.submit(|n: u32| n, 1).result() {
            Err(TaskError::Codec(cause)) => assert!(cause.to_string().contains("submit_named")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_number_without_a_name_is_an_error() {
        assert!(run(u64::MAX, Way::One, &[], &mut Vec::new()).is_err());
    }
}
