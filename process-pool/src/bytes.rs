//! Bytes that travel as a whole.

use std::any::{Any, TypeId};
use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A vector of bytes that travels to or from a worker in one piece.
///
/// serde takes a `Vec<u8>` apart into its elements, as it would any vector, which
/// costs about ten times as much. 64 KiB or more do not even go through a pipe, but
/// through memory that is shared with the worker, written once and read once. Inside a type of your own, the
/// `serde_bytes` crate does the same.
///
/// # Examples
///
/// ```
/// use process_pool::{Bytes, FutureResult, ProcessPoolExecutor};
///
/// fn invert(mut image: Bytes) -> Bytes {
///     image.iter_mut().for_each(|byte| *byte = !*byte);
///     image
/// }
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// let image = Bytes::from(vec![0_u8; 1 << 20]);
/// let inverted: Vec<u8> = pool.submit(invert, image).result()?.into();
/// assert!(inverted.iter().all(|&byte| byte == 0xFF));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(Vec<u8>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl fmt::Debug for Bytes {
    /// Shows only their number: a message for people must not hold megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Whole)
    }
}

/// If `T` is [`Bytes`], and `encoded` only their length: makes them from the part that was left out,
/// without a copy.
pub(crate) fn whole<T: 'static>(part: &mut Vec<u8>, encoded: &[u8]) -> Option<T> {
    let length = u64::try_from(part.len()).ok()?;
    if TypeId::of::<T>() != TypeId::of::<Bytes>()
        || !matches!(postcard::take_from_bytes::<u64>(encoded), Ok((claimed, [])) if length == claimed)
    {
        return None;
    }
    let mut bytes = Some(Bytes(std::mem::take(part)));
    let any: &mut dyn Any = &mut bytes;
    any.downcast_mut::<Option<T>>()?.take()
}

struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(Bytes(bytes))
    }

    /// From formats that have no bytes, like JSON.
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Bytes, A::Error> {
        let mut bytes = Vec::with_capacity(sequence.size_hint().unwrap_or(0).min(4096));
        while let Some(byte) = sequence.next_element()? {
            bytes.push(byte);
        }
        Ok(Bytes(bytes))
    }
}
