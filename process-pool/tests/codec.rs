//! Everything that can happen while an argument or a result is encoded or decoded, on either side:
//! errors, panics, exits and crashes. Each costs only its own task.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use process_pool::{ProcessPoolExecutor, TaskError, WorkerDied};
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use support::{guard, soon};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Trouble {
    Error,
    Panic,
    Exit,
    Abort,
}

impl Trouble {
    fn strike<E>(self, error: fn(&'static str) -> E) -> E {
        match self {
            Self::Error => error("trouble"),
            Self::Panic => panic!("trouble"),
            Self::Exit => std::process::exit(23),
            Self::Abort => std::process::abort(),
        }
    }
}

/// Cannot be encoded.
struct BadEncode(Trouble);

impl Serialize for BadEncode {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(self.0.strike(S::Error::custom))
    }
}

impl<'de> Deserialize<'de> for BadEncode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Trouble::deserialize(deserializer).map(Self)
    }
}

/// Cannot be decoded.
struct BadDecode(Trouble);

impl Serialize for BadDecode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BadDecode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Err(Trouble::deserialize(deserializer)?.strike(D::Error::custom))
    }
}

fn check<A, R>(pool: &ProcessPoolExecutor, function: fn(A) -> R, argument: A, trouble: Trouble)
where
    A: Serialize + DeserializeOwned + 'static,
    R: Serialize + DeserializeOwned + Send + 'static,
{
    let error = soon(pool.submit(function, argument)).err().unwrap();
    match (trouble, &error) {
        (Trouble::Error, TaskError::Codec(_)) => {}
        (Trouble::Panic, TaskError::Panicked(panic)) => assert_eq!(panic.message(), "trouble"),
        (Trouble::Exit, _) => assert_eq!(WorkerDied::of(&error).unwrap().exit_code(), Some(23)),
        (Trouble::Abort, _) => assert_eq!(WorkerDied::of(&error).unwrap().signal(), Some(6)),
        (_, other) => panic!("{trouble:?} gave {other}"),
    }
    assert_eq!(soon(pool.submit(|n: u32| n + 1, 1)).unwrap(), 2);
}

#[test]
fn trouble_while_the_argument_is_encoded() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    check(
        &pool,
        |_: BadEncode| (),
        BadEncode(Trouble::Error),
        Trouble::Error,
    );
    check(
        &pool,
        |_: BadEncode| (),
        BadEncode(Trouble::Panic),
        Trouble::Panic,
    );
}

#[test]
fn trouble_while_the_argument_is_decoded() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    for trouble in [
        Trouble::Error,
        Trouble::Panic,
        Trouble::Exit,
        Trouble::Abort,
    ] {
        check(&pool, |_: BadDecode| (), BadDecode(trouble), trouble);
    }
}

#[test]
fn trouble_while_the_result_is_encoded() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    for trouble in [
        Trouble::Error,
        Trouble::Panic,
        Trouble::Exit,
        Trouble::Abort,
    ] {
        check(&pool, BadEncode, trouble, trouble);
    }
}

#[test]
fn trouble_while_the_result_is_decoded() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    for trouble in [Trouble::Error, Trouble::Panic] {
        check(&pool, BadDecode, trouble, trouble);
    }
}

/// Writes other bytes than it reads.
#[derive(Debug, Deserialize)]
struct Liar(#[expect(dead_code, reason = "only decoded")] u64);

impl Serialize for Liar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (1_u64, 2_u64).serialize(serializer)
    }
}

#[test]
fn bytes_that_are_left_over_are_an_error() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    check(&pool, |_: Liar| (), Liar(1), Trouble::Error);
    check(&pool, |()| Liar(1), (), Trouble::Error);
}

/// Panics when it is dropped in a worker.
#[derive(Serialize, Deserialize)]
struct BadDrop(Trouble, u32);

impl Drop for BadDrop {
    fn drop(&mut self) {
        if self.1 != std::process::id() {
            self.0.strike(|_| ());
        }
    }
}

#[test]
fn trouble_while_the_argument_is_dropped() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    for trouble in [Trouble::Panic, Trouble::Exit, Trouble::Abort] {
        check(&pool, drop, BadDrop(trouble, std::process::id()), trouble);
    }
}

#[test]
fn a_panic_while_the_result_is_dropped_costs_nothing() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let make = |here: u32| BadDrop(Trouble::Panic, here);
    let value = soon(pool.submit(make, std::process::id())).unwrap();
    assert_eq!(value.1, std::process::id());
}

/// `untagged` needs a format with names.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u32),
    Text(String),
}

#[test]
fn what_the_format_cannot_do_is_said() {
    let _guard = guard();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    let handle = pool.submit(
        |value: Untagged| value == Untagged::Number(1),
        Untagged::Text("a".into()),
    );
    let error = soon(handle).unwrap_err();
    assert!(matches!(error, TaskError::Codec(_)));
    assert!(error.to_string().contains("untagged"), "{error}");
}
