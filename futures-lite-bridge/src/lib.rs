#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod block_on;
mod future_handle;
#[cfg(feature = "green")]
mod green;
mod io;
mod spawn;
mod stream;
#[cfg(feature = "tokio")]
mod tokio;
mod unblock;

pub use self::block_on::block_on;
pub use self::future_handle::FutureHandle;
#[cfg(feature = "green")]
pub use self::green::Green;
pub use self::io::BlockOn;
pub use self::spawn::spawn;
pub use self::stream::{MapStream, completed, map_stream};
#[cfg(feature = "tokio")]
pub use self::tokio::{InTokio, in_tokio};
pub use self::unblock::{UnblockIter, UnblockReader, UnblockWriter};
