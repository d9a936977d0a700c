//! The bodies of all messages, damaged at random: reading one gives an error or some value, takes no more
//! memory than the body is long, and never panics.

use std::any::type_name;
use std::sync::Arc;

use super::*;
use crate::codec;
use crate::store::{PART_MIN, Store};

const ROUNDS: u32 = 20_000;

/// SplitMix64, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn damage(&mut self, whole: &[u8]) -> Vec<u8> {
        let mut body = whole.to_vec();
        for _ in 0..1 + self.below(3) {
            let at = self.below(body.len() + 1);
            match self.below(5) {
                0 => body.insert(at, self.below(256) as u8),
                // An encoded length that is far too long.
                1 => drop(body.splice(at..at, [0xFF, 0xFF, 0xFF, 0xFF, 0x0F])),
                2 => body.truncate(at),
                _ => {
                    if let Some(byte) = body.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
        body
    }
}

/// Returns how many damaged bodies `read` refused: if none, nothing was checked; all would be too many.
fn damaged(whole: &[u8], read: impl Fn(&[u8]) -> Result<(), String>) -> u32 {
    assert_eq!(read(whole), Ok(()));
    let mut random = Random(whole.len() as u64);
    let errors = (0..ROUNDS).filter(|_| read(&random.damage(whole)).is_err());
    errors.count() as u32
}

fn check<T: Serialize + serde::de::DeserializeOwned + 'static>(value: &T) {
    let mut whole = Vec::new();
    codec::encode(value, &mut whole).unwrap();
    let errors = damaged(&whole, |body| codec::decode::<T>(body).map(drop));
    assert!(
        (1..ROUNDS).contains(&errors),
        "{}: {errors}",
        type_name::<T>()
    );
}

#[test]
fn damaged_bodies_are_errors_or_other_values() {
    check(&Ready {
        version: VERSION,
        build: u64::MAX,
        pid: 70_000,
    });
    check(&PanicReport {
        message: "it was too much".to_owned(),
        location: Some("src/main.rs:1:1".to_owned()),
    });
    // This is all of PLACE.
    check(&vec![0_usize, 1, 300]);
    check(&Word::Ready);
    check(&Word::Refused("no".to_owned()));
    check(&Word::Born {
        id: 300,
        pid: 70_000,
    });
    check(&Word::Unborn {
        id: 1,
        text: "no process is left".to_owned(),
    });
}

#[test]
fn damaged_setups_are_errors_or_others() {
    let initializer = [7; CALL + 5];
    let setup = Setup {
        version: VERSION,
        build: 1 << 60,
        is_elsewhere: true,
        names: vec![("first", "fn()"), ("second", "fn(u32) -> u32")],
        initializer: Some(&initializer),
        conduct: Conduct {
            max_rss: Some(1 << 30),
            memory_limit: Some(1 << 40),
            nice: -5,
        },
    };
    let mut whole = Vec::new();
    codec::encode(&setup, &mut whole).unwrap();
    let errors = damaged(&whole, |body| {
        let setup = Setup::read(body)?;
        setup
            .initializer
            .map_or(Ok(()), |it| split_task(it).map(drop))
    });
    assert!((1..ROUNDS).contains(&errors), "{errors}");
}

/// A table that points to other places of a store, or to none, gives an error or other bytes.
#[test]
fn damaged_tables_of_parts_are_errors_or_other_values() {
    let store = Arc::new(Store::create(1 << 20).unwrap());
    let value = ("x".repeat(PART_MIN), 1_u8, vec!["y".repeat(PART_MIN)]);
    let mut whole = Vec::new();
    let parts = codec::encode_with(&value, &mut whole, &store).unwrap();
    assert_eq!(parts.len(), 2);
    let source = Arc::new(store.read_only().unwrap());
    let errors = damaged(&whole, |body| {
        let read = || codec::decode::<(String, u8, Vec<String>)>(body);
        let (first, _, rest) = codec::with_source(Some(&source), read)?;
        // However often a damaged table names a part.
        assert!(first.len() + rest.iter().map(String::len).sum::<usize>() <= 1 << 22);
        Ok(())
    });
    assert!((1..ROUNDS).contains(&errors), "{errors}");
}
