//! Runs a function on bytes, on the worker's side: decode, call, encode, each of which may fail or
//! panic.

use std::cell::RefCell;
use std::sync::Arc;

use future_result::sync::thread_locals;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::protocol::PanicReport;
use crate::report::catch;
use crate::store::{Block, Store};

thread_locals! {
    /// Where long parts of this worker's values go, on the thread that runs its tasks.
    static VALUES: RefCell<Option<Values>> = RefCell::new(None);
}

struct Values {
    store: Arc<Store>,
    /// The parts of the last value.
    blocks: Vec<Block>,
}

/// From now on this thread encodes values with their long parts in this store.
pub(crate) fn set_store(store: Arc<Store>) {
    let values = Values {
        store,
        blocks: Vec::new(),
    };
    let _ = VALUES.try_with(|it| it.replace(Some(values)));
}

/// Takes the parts of the last value that are in the store.
pub(crate) fn take_blocks() -> Vec<Block> {
    let taken = VALUES.try_with(|it| Some(std::mem::take(&mut it.borrow_mut().as_mut()?.blocks)));
    taken.ok().flatten().unwrap_or_default()
}

/// How a function is applied to its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To one argument.
    One,
    /// To each item of a vector.
    Chunk,
    /// To the items of a vector, up to the first error.
    TryChunk,
}

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The value's bytes were appended.
    Done,
    /// The function, or code that decodes or encodes for it, panicked.
    Panicked(PanicReport),
    /// The argument could not be decoded, or the value could not be encoded.
    NotTravelled(String),
}

/// The outcome of one item of a chunk.
#[derive(Serialize, Deserialize)]
pub(crate) enum Item<R> {
    Value(R),
    Panicked(PanicReport),
}

pub(crate) fn run_one<A, R>(function: fn(A) -> R, argument: &[u8], output: &mut Vec<u8>) -> Outcome
where
    A: DeserializeOwned + 'static,
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
    A: DeserializeOwned + 'static,
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
    A: DeserializeOwned + 'static,
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
    // A panic in a destructor must not cost the results.
    future_result::contain(|| drop(items));
    encode_value(results, output)
}

fn run_item<A, R>(function: fn(A) -> R, item: A) -> Item<R> {
    match catch(|| function(item)) {
        Ok(value) => Item::Value(value),
        Err(report) => Item::Panicked(report),
    }
}

fn decode_argument<A: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<A, Outcome> {
    match catch(|| codec::decode(bytes)) {
        Ok(Ok(argument)) => Ok(argument),
        Ok(Err(text)) => Err(Outcome::NotTravelled(format!(
            "the worker could not read the argument: {text}"
        ))),
        Err(report) => Err(Outcome::Panicked(report)),
    }
}

fn encode_stored<R: Serialize>(value: &R, output: &mut Vec<u8>) -> Result<(), String> {
    // Nothing is borrowed while user code runs.
    let store = VALUES.try_with(|it| Some(Arc::clone(&it.borrow().as_ref()?.store)));
    let Ok(Some(store)) = store else {
        return codec::encode(value, output);
    };
    let blocks = codec::encode_with(value, output, &store)?;
    let _ = VALUES.try_with(|it| {
        it.borrow_mut()
            .as_mut()
            .map(|values| values.blocks = blocks)
    });
    Ok(())
}

fn encode_value<R: Serialize>(value: R, output: &mut Vec<u8>) -> Outcome {
    let start = output.len();
    let encoded = catch(|| encode_stored(&value, output));
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
