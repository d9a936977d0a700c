//! Types that postcard cannot carry, inside formats that have names.
#![cfg(all(feature = "json", feature = "msgpack"))]
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

use std::collections::BTreeMap;
use std::fmt::Debug;

use process_pool::{FutureResult, Json, MsgPack, ProcessPoolExecutor, TaskError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u32),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flattened {
    name: String,
    #[serde(flatten)]
    rest: BTreeMap<String, u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Skipping {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    first: Option<u32>,
    second: String,
}

fn same<T>(value: T) -> T {
    value
}

/// A round trip in either format, bare and inside something else.
fn travels<T>(value: &T)
where
    T: Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + 'static,
{
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let json = pool.submit(same, Json(value.clone()));
    assert_eq!(json.result().unwrap().0, *value);
    let pack = pool.submit(same, MsgPack(value.clone()));
    assert_eq!(pack.result().unwrap().0, *value);
    let both = (1_u8, vec![Json(value.clone())], MsgPack(value.clone()));
    assert_eq!(pool.submit(same, both.clone()).result().unwrap(), both);
    // Bare, it does not travel.
    let bare = pool.submit(same, value.clone()).result();
    assert!(bare.is_err() || bare.unwrap() != *value);
}

#[test]
fn an_untagged_enum_travels() {
    travels(&Untagged::Number(7));
    travels(&Untagged::Text("seven".to_owned()));
}

#[test]
fn a_flattened_field_travels() {
    travels(&Flattened {
        name: "one".to_owned(),
        rest: BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]),
    });
}

#[test]
fn a_field_that_is_skipped_travels() {
    travels(&Skipping {
        first: None,
        second: "two".to_owned(),
    });
}

fn codec_error<T: Debug>(result: Result<T, TaskError>) -> String {
    match result {
        Err(TaskError::Codec(cause)) => cause.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_format_cannot_carry_is_told_with_its_reason() {
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let argument = Json(BTreeMap::from([((1_u8, 2_u8), 3_u8)]));
    let text = codec_error(pool.submit(same, argument).result());
    assert!(text.contains("as JSON: key must be a string"), "{text}");

    let result = pool.submit(|n: u8| Json(BTreeMap::from([((n, n), n)])), 1);
    let text = codec_error(result.result());
    assert!(text.contains("as JSON: key must be a string"), "{text}");

    // JSON has no such number, and writes `null`.
    let text = codec_error(pool.submit(same, Json(f64::NAN)).result());
    assert!(text.contains("as JSON: invalid type: null"), "{text}");
    let nan = pool.submit(same, MsgPack(f64::NAN)).result();
    assert!(nan.unwrap().0.is_nan());
}
