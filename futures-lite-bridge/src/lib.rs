#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod block_on;
mod spawn;

pub use self::block_on::block_on;
pub use self::spawn::spawn;
