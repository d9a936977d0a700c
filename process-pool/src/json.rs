//! Values that travel as JSON.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::embedded;

/// A value that travels as JSON: an argument, a result, or a part of one.
///
/// Between the pool and its workers, values are written by position, without field names. Types with serde's
/// `untagged`, `flatten` or `skip_serializing_if` cannot be read back from that. Inside this type they can.
///
/// JSON has no infinite numbers, and its maps have only text keys; `MsgPack` (feature `msgpack`) is
/// shorter, and has neither limit.
///
/// Needs the feature `json`, which is off by default.
///
/// # Examples
///
/// ```
/// use process_pool::{FutureResult, Json, ProcessPoolExecutor};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(untagged)]
/// enum Answer {
///     Number(i64),
///     Text(String),
/// }
///
/// fn read(Json(question): Json<String>) -> Json<Answer> {
///     let number = question.parse().map(Answer::Number);
///     Json(number.unwrap_or(Answer::Text(question)))
/// }
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// let Json(answer) = pool.submit(read, Json("42".to_owned())).result()?;
/// assert!(matches!(answer, Answer::Number(42)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json<T>(
    /// The value.
    pub T,
);

impl<T: Serialize> Serialize for Json<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        embedded::serialize("JSON", serde_json::to_vec(&self.0), serializer)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Json<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        embedded::deserialize("JSON", |bytes| serde_json::from_slice(bytes), deserializer).map(Self)
    }
}
