//! Values as bytes: postcard, a compact format without names or types in it, which is enough between two
//! copies of one program.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::embedded;

/// Appends to a vector.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
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
    postcard::serialize_with_flavor(value, Append(buffer)).map_err(|error| explain(&error))
}

/// Reads a value that takes up all the `bytes`.
///
/// # Errors
///
/// Text that says why not.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!(
            "{} bytes are left over; do its Serialize and Deserialize agree?",
            rest.len()
        )),
        Err(error) => Err(explain(&error)),
    }
}

fn explain(error: &postcard::Error) -> String {
    match error {
        postcard::Error::WontImplement | postcard::Error::SerializeSeqLengthUnknown => format!(
            "{error}; the format has no names and needs lengths, so serde's `untagged`, `flatten` and \
             `skip_serializing_if` do not work in it, but inside of `Json` or `MsgPack` (features `json`, \
             `msgpack`)"
        ),
        postcard::Error::SerdeSerCustom | postcard::Error::SerdeDeCustom => {
            embedded::take_reason().unwrap_or_else(|| error.to_string())
        }
        other => other.to_string(),
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
        assert!(decode::<String>(&bytes[..3]).is_err());
        bytes.push(0);
        assert!(decode::<String>(&bytes).is_err_and(|text| text.contains("1 bytes are left over")));
    }

    #[test]
    fn a_claimed_length_costs_no_memory() {
        // A vector of 2^63 strings, says the varint.
        let bytes = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F];
        assert!(decode::<Vec<String>>(&bytes).is_err());
    }
}
