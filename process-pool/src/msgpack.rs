//! Values that travel as MessagePack.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::embedded;

/// A value that travels as MessagePack: an argument, a result, or a part of one.
///
/// Between the pool and its workers, values are written by position, without field names. Types with serde's
/// `untagged`, `flatten` or `skip_serializing_if` cannot be read back from that. Inside this type they can.
///
/// Fields are written with their names, so it takes more bytes and more time than without this type.
///
/// Needs the feature `msgpack`, which is off by default.
///
/// # Examples
///
/// ```
/// use process_pool::{FutureResult, MsgPack, ProcessPoolExecutor};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(untagged)]
/// enum Answer {
///     Number(i64),
///     Text(String),
/// }
///
/// fn read(MsgPack(question): MsgPack<String>) -> MsgPack<Answer> {
///     let number = question.parse().map(Answer::Number);
///     MsgPack(number.unwrap_or(Answer::Text(question)))
/// }
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// let MsgPack(answer) = pool.submit(read, MsgPack("42".to_owned())).result()?;
/// assert!(matches!(answer, Answer::Number(42)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MsgPack<T>(
    /// The value.
    pub T,
);

impl<T: Serialize> Serialize for MsgPack<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        embedded::serialize("MessagePack", rmp_serde::to_vec_named(&self.0), serializer)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for MsgPack<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        embedded::deserialize(
            "MessagePack",
            |bytes| rmp_serde::from_slice(bytes),
            deserializer,
        )
        .map(Self)
    }
}
