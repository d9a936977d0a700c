//! Values that travel as bytes of another format, inside postcard's: for types that can only be read back with
//! the names of their fields.
//!
//! postcard drops the text of serde's errors, so it is kept here until the error is reported.

use std::cell::RefCell;

use future_result::sync::thread_locals;
#[cfg(any(feature = "json", feature = "msgpack"))]
use serde::{Deserialize, Deserializer, Serializer, de, ser};

thread_locals! {
    /// The text of the last error on this thread.
    static REASON: RefCell<Option<String>> = RefCell::new(None);
}

/// Why this thread's last embedded value could not be read or written. It is returned once.
pub(crate) fn take_reason() -> Option<String> {
    REASON.try_with(|reason| reason.take()).ok().flatten()
}

#[cfg(any(feature = "json", feature = "msgpack"))]
fn keep(reason: String) -> String {
    let _ = REASON.try_with(|last| last.replace(Some(reason.clone())));
    reason
}

/// Writes the bytes of an embedded value, if there are any.
#[cfg(any(feature = "json", feature = "msgpack"))]
pub(crate) fn serialize<S: Serializer, E: std::error::Error>(
    format: &str,
    encoded: Result<Vec<u8>, E>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match encoded {
        Ok(bytes) => serializer.serialize_bytes(&bytes),
        Err(error) => Err(ser::Error::custom(keep(format!("as {format}: {error}")))),
    }
}

/// Reads an embedded value.
#[cfg(any(feature = "json", feature = "msgpack"))]
pub(crate) fn deserialize<'de, D: Deserializer<'de>, T, E: std::error::Error>(
    format: &str,
    decode: impl FnOnce(&[u8]) -> Result<T, E>,
    deserializer: D,
) -> Result<T, D::Error> {
    let bytes = crate::Bytes::deserialize(deserializer)?;
    decode(&bytes).map_err(|error| de::Error::custom(keep(format!("as {format}: {error}"))))
}
