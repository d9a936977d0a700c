//! Values as bytes: postcard, a compact format without names or types, which is enough between two
//! copies of one program.
//!
//! Long byte strings and texts, wherever they are in a value, may be put into a [`store`]
//! instead. Then they are left out of the bytes, which end with a table of them:
//!
//! | bytes | what |
//! |---|---|
//! | 24 for each part | how many of the bytes here come before it, and its place in the store |
//! | the last 8 | how many parts there are |

use std::cell::RefCell;
use std::sync::Arc;

use future_result::sync::thread_locals;
use postcard::de_flavors;
use postcard::ser_flavors;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes::whole;
use crate::embedded;
use crate::store::{self, Block, PART_MIN, Place, Store};
use crate::sys::Descriptor;

/// The size of a part's entry in the table.
const ENTRY: usize = 24;

thread_locals! {
    /// The store with the parts of the next value to be decoded.
    static SOURCE: RefCell<Option<Arc<Descriptor>>> = RefCell::new(None);
}

/// Where a value's long parts may go, and where they went.
#[derive(Debug)]
pub(crate) struct Parts {
    store: Arc<Store>,
    /// Each with the number of bytes before it.
    blocks: Vec<(u64, Block)>,
}

/// Appends to a vector.
struct Append<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
    parts: Option<&'a mut Parts>,
}

impl Parts {
    pub(crate) const fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            blocks: Vec::new(),
        }
    }

    /// The parts of the store that the value uses.
    pub(crate) fn into_blocks(self) -> Vec<Block> {
        self.blocks.into_iter().map(|(_, block)| block).collect()
    }

    fn append_table(&self, buffer: &mut Vec<u8>) {
        let mut append = |number: u64| buffer.extend_from_slice(&number.to_le_bytes());
        for (before, block) in &self.blocks {
            append(*before);
            append(block.place().offset);
            append(block.place().length);
        }
        append(self.blocks.len() as u64);
    }
}

impl ser_flavors::Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.buffer.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if bytes.len() >= PART_MIN
            && let Some(parts) = &mut self.parts
            && let Some(block) = parts.store.put(bytes)
        {
            let before = (self.buffer.len() - self.start) as u64;
            parts.blocks.push((before, block));
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Appends `value` to `buffer`. After an error the buffer may hold a part of it.
///
/// # Errors
///
/// Text that says why not.
pub(crate) fn encode<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<(), String> {
    append(value, buffer, None)
}

/// Like [`encode`], with long parts in a store. Returns the parts of it that are used; without any, there is
/// no table.
///
/// # Errors
///
/// Text that says why not.
pub(crate) fn encode_with<T: Serialize>(
    value: &T,
    buffer: &mut Vec<u8>,
    store: &Arc<Store>,
) -> Result<Vec<Block>, String> {
    let mut parts = Parts::new(Arc::clone(store));
    append(value, buffer, Some(&mut parts))?;
    if !parts.blocks.is_empty() {
        parts.append_table(buffer);
    }
    Ok(parts.into_blocks())
}

fn append<T: Serialize>(
    value: &T,
    buffer: &mut Vec<u8>,
    parts: Option<&mut Parts>,
) -> Result<(), String> {
    let append = Append {
        start: buffer.len(),
        buffer,
        parts,
    };
    postcard::serialize_with_flavor(value, append).map_err(|error| explain(&error))
}

/// Reads a value that takes up all the `bytes`.
///
/// # Errors
///
/// Text that says why not.
pub(crate) fn decode<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, String> {
    let source = SOURCE.try_with(|source| source.borrow_mut().take());
    let Ok(Some(source)) = source else {
        return decode_from(bytes, &[]);
    };
    let (bytes, table) = split_table(bytes)?;
    let read = |(before, place)| Ok((before, store::read(&source, place)?));
    let mut parts = table
        .into_iter()
        .map(read)
        .collect::<Result<Vec<_>, String>>()?;
    // A whole argument or result: what was read is already the value.
    if let [(_, part)] = &mut parts[..]
        && let Some(value) = whole(part, bytes)
    {
        return Ok(value);
    }
    decode_from(bytes, &parts)
}

/// Calls `f`, in which the first value to be decoded has parts in this store.
pub(crate) fn with_source<R>(source: Option<&Arc<Descriptor>>, f: impl FnOnce() -> R) -> R {
    let set = |to: Option<&Arc<Descriptor>>| SOURCE.try_with(|it| it.replace(to.cloned()));
    let _ = set(source);
    let result = f();
    let _ = set(None);
    result
}

/// How many bytes are before each part, and where it is.
type Table = Vec<(usize, Place)>;

/// Splits off the table. It has no more entries than there are bytes for.
fn split_table(bytes: &[u8]) -> Result<(&[u8], Table), String> {
    let broken = || "the message's table of parts is broken".to_owned();
    let (rest, count) = bytes.split_last_chunk().ok_or_else(broken)?;
    let size = usize::try_from(u64::from_le_bytes(*count)).ok();
    let size = size.and_then(|count| count.checked_mul(ENTRY));
    let at = size.and_then(|size| rest.len().checked_sub(size));
    let (rest, table) = rest.split_at(at.ok_or_else(broken)?);
    let entries = table.chunks_exact(ENTRY).map(|entry| {
        let mut numbers = entry.chunks_exact(8).map(|bytes| {
            bytes
                .iter()
                .rev()
                .fold(0, |n, &byte| n << 8 | u64::from(byte))
        });
        let mut next = || numbers.next().unwrap_or(0);
        let before = usize::try_from(next()).map_err(|_| broken())?;
        let (offset, length) = (next(), next());
        Ok((before, Place { offset, length }))
    });
    Ok((rest, entries.collect::<Result<_, String>>()?))
}

/// Bytes, and what was left out of them.
struct Spliced<'de> {
    bytes: &'de [u8],
    at: usize,
    parts: &'de [(usize, Vec<u8>)],
}

impl<'de> de_flavors::Flavor<'de> for Spliced<'de> {
    type Remainder = usize;
    type Source = &'de [u8];

    #[inline]
    fn pop(&mut self) -> postcard::Result<u8> {
        let byte = self.bytes.get(self.at);
        self.at += 1;
        byte.copied()
            .ok_or(postcard::Error::DeserializeUnexpectedEnd)
    }

    fn size_hint(&self) -> Option<usize> {
        let parts = self.parts.iter().map(|(_, part)| part.len());
        Some(parts.sum::<usize>() + self.bytes.len().saturating_sub(self.at))
    }

    #[inline]
    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'de [u8]> {
        if let [(before, part), rest @ ..] = self.parts
            && *before == self.at
            && part.len() == count
        {
            self.parts = rest;
            return Ok(part);
        }
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.at += count;
        Ok(taken)
    }

    /// How many bytes are left over.
    fn finalize(self) -> postcard::Result<usize> {
        let parts: usize = self.parts.iter().map(|(_, part)| part.len()).sum();
        Ok(parts + self.bytes.len() - self.at)
    }
}

fn decode_from<T: DeserializeOwned>(bytes: &[u8], parts: &[(usize, Vec<u8>)]) -> Result<T, String> {
    let spliced = Spliced {
        bytes,
        at: 0,
        parts,
    };
    let mut deserializer = postcard::Deserializer::from_flavor(spliced);
    let decoded =
        T::deserialize(&mut deserializer).and_then(|value| Ok((value, deserializer.finalize()?)));
    match decoded {
        Ok((value, 0)) => Ok(value),
        Ok((_, left)) => Err(format!(
            "{left} bytes are left over; do its Serialize and Deserialize agree?"
        )),
        Err(error) => Err(explain(&error)),
    }
}

fn explain(error: &postcard::Error) -> String {
    match error {
        postcard::Error::WontImplement | postcard::Error::SerializeSeqLengthUnknown => format!(
            "{error}; the format has no field names and needs lengths, so serde's `untagged`, `flatten` and \
             `skip_serializing_if` work only inside `Json` or `MsgPack` (features `json`, `msgpack`)"
        ),
        postcard::Error::SerdeSerCustom | postcard::Error::SerdeDeCustom => {
            embedded::take_reason().unwrap_or_else(|| error.to_string())
        }
        // It read bytes that were meant for something else.
        other => format!(
            "{other}; do its Serialize and Deserialize agree? With serde's `skip_serializing_if` they do \
             so only inside `Json` or `MsgPack` (features `json`, `msgpack`)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        let value = (1_u8, "two".to_owned(), vec![Some(3.5_f64), None]);
        let mut bytes = vec![9];
        encode(&value, &mut bytes).unwrap();
        assert_eq!(decode(&bytes[1..]), Ok(value));
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_an_error() {
        let mut bytes = Vec::new();
        encode(&"text", &mut bytes).unwrap();
        assert!(
            decode::<String>(&bytes[..3]).is_err_and(|text| text.contains("skip_serializing_if"))
        );
        bytes.push(0);
        assert!(decode::<String>(&bytes).is_err_and(|text| text.contains("1 bytes are left over")));
    }

    fn store() -> Arc<Store> {
        Arc::new(Store::create(1 << 20).unwrap())
    }

    fn decode_parts<T: DeserializeOwned + 'static>(
        store: &Store,
        bytes: &[u8],
    ) -> Result<T, String> {
        let source = Arc::new(store.read_only().unwrap());
        with_source(Some(&source), || decode(bytes))
    }

    #[test]
    fn long_parts_go_through_the_store_wherever_they_are() {
        let long = "x".repeat(PART_MIN);
        let value = (
            1_u8,
            long.clone(),
            "short".to_owned(),
            vec![Some(long), None],
        );
        let (store, mut bytes) = (store(), Vec::new());
        let blocks = encode_with(&value, &mut bytes, &store).unwrap();
        assert_eq!(blocks.len(), 2);
        assert!(bytes.len() < 100);
        assert_eq!(decode_parts(&store, &bytes), Ok(value));
    }

    #[test]
    fn what_the_store_has_no_room_for_stays_where_it_is() {
        let value = vec!["x".repeat(700 << 10), "y".repeat(700 << 10)];
        let (store, mut bytes) = (store(), Vec::new());
        let blocks = encode_with(&value, &mut bytes, &store).unwrap();
        assert_eq!(blocks.len(), 1);
        assert!(bytes.len() > 700 << 10);
        assert_eq!(decode_parts(&store, &bytes), Ok(value));
    }

    /// Room may become free between two parts of one value.
    #[test]
    fn a_part_in_the_store_is_not_taken_for_one_of_its_length_that_is_not() {
        let [first, second] = ["x", "y"].map(|text| text.repeat(PART_MIN));
        let store = store();
        let mut bytes = Vec::new();
        encode(&first, &mut bytes).unwrap();
        encode(&(PART_MIN as u64), &mut bytes).unwrap();
        let mut parts = Parts::new(Arc::clone(&store));
        let block = store.put(second.as_bytes()).unwrap();
        parts.blocks.push((bytes.len() as u64, block));
        parts.append_table(&mut bytes);
        assert_eq!(decode_parts(&store, &bytes), Ok((first, second)));
    }

    /// Whatever its table says.
    #[test]
    fn a_message_with_a_broken_table_is_an_error() {
        let whole = crate::Bytes::from(vec![7; PART_MIN]);
        let value = (whole.clone(), "x".repeat(PART_MIN));
        let (store, mut bytes, mut single) = (store(), Vec::new(), Vec::new());
        let _blocks = encode_with(&value, &mut bytes, &store).unwrap();
        let _block = encode_with(&whole, &mut single, &store).unwrap();
        assert_eq!(decode_parts(&store, &single), Ok(whole.clone()));
        for bit in 0..8 * bytes.len() {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            // To the reader any place is as good as another; the sizes must agree.
            if let Ok((first, second)) = decode_parts::<(crate::Bytes, String)>(&store, &broken) {
                assert_eq!((first.len(), second.len()), (PART_MIN, PART_MIN));
            }
        }
        for bit in 0..8 * single.len() {
            let mut broken = single.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            if let Ok(value) = decode_parts::<crate::Bytes>(&store, &broken) {
                assert_eq!(value.len(), PART_MIN);
            }
        }
        for length in 0..single.len() {
            assert!(decode_parts::<crate::Bytes>(&store, &single[..length]).is_err());
        }
    }

    #[test]
    fn a_claimed_length_costs_no_memory() {
        // The varint claims a vector of 2^63 strings.
        let bytes = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F];
        assert!(decode::<Vec<String>>(&bytes).is_err());
    }
}
