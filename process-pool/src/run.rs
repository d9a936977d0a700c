//! Running a function on bytes, on the worker's side: decode, call, encode, each of which may fail or
//! panic.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::protocol::PanicReport;
use crate::report::catch;

/// How a call has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The value's bytes were appended.
    Done,
    /// The function, or the code that decodes or encodes for it, has panicked.
    Panicked(PanicReport),
    /// The argument could not be decoded, or the value not be encoded.
    NotTravelled(String),
}

/// What one item of a chunk has become.
#[derive(Serialize, Deserialize)]
pub(crate) enum Item<R> {
    Value(R),
    Panicked(PanicReport),
}

pub(crate) fn run_one<A, R>(function: fn(A) -> R, argument: &[u8], output: &mut Vec<u8>) -> Outcome
where
    A: DeserializeOwned,
    R: Serialize,
{
    let argument = match decode_argument(argument) {
        Ok(argument) => argument,
        Err(outcome) => return outcome,
    };
    match catch(|| function(argument)) {
        Ok(value) => encode_value(value, output),
        Err(report) => Outcome::Panicked(report),
    }
}

pub(crate) fn run_chunk<A, R>(
    function: fn(A) -> R,
    argument: &[u8],
    output: &mut Vec<u8>,
) -> Outcome
where
    A: DeserializeOwned,
    R: Serialize,
{
    let items: Vec<A> = match decode_argument(argument) {
        Ok(items) => items,
        Err(outcome) => return outcome,
    };
    let results: Vec<Item<R>> = items
        .into_iter()
        .map(|item| run_item(function, item))
        .collect();
    encode_value(results, output)
}

pub(crate) fn try_run_chunk<A, R, E>(
    function: fn(A) -> Result<R, E>,
    argument: &[u8],
    output: &mut Vec<u8>,
) -> Outcome
where
    A: DeserializeOwned,
    R: Serialize,
    E: Serialize,
{
    let items: Vec<A> = match decode_argument(argument) {
        Ok(items) => items,
        Err(outcome) => return outcome,
    };
    let mut results = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    for item in items.by_ref() {
        let result = run_item(function, item);
        let goes_on = matches!(result, Item::Value(Ok(_)));
        results.push(result);
        if !goes_on {
            break;
        }
    }
    // A destructor that panics must not cost the results.
    future_result::contain(|| drop(items));
    encode_value(results, output)
}

fn run_item<A, R>(function: fn(A) -> R, item: A) -> Item<R> {
    match catch(|| function(item)) {
        Ok(value) => Item::Value(value),
        Err(report) => Item::Panicked(report),
    }
}

fn decode_argument<A: DeserializeOwned>(bytes: &[u8]) -> Result<A, Outcome> {
    match catch(|| codec::decode(bytes)) {
        Ok(Ok(argument)) => Ok(argument),
        Ok(Err(text)) => Err(Outcome::NotTravelled(format!(
            "the worker could not read the argument: {text}"
        ))),
        Err(report) => Err(Outcome::Panicked(report)),
    }
}

fn encode_value<R: Serialize>(value: R, output: &mut Vec<u8>) -> Outcome {
    let start = output.len();
    let encoded = catch(|| codec::encode(&value, output));
    future_result::contain(|| drop(value));
    let outcome = match encoded {
        Ok(Ok(())) => return Outcome::Done,
        Ok(Err(text)) => {
            Outcome::NotTravelled(format!("the worker could not write the result: {text}"))
        }
        Err(report) => Outcome::Panicked(report),
    };
    output.truncate(start);
    outcome
}
