//! Proves what the bridge promises, in one program.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests coordinate with std's locks, and their helpers unwrap"
)]

mod block_on;
mod closures;
mod common;
mod future_handle;
mod green;
#[cfg(feature = "green")]
mod green_io;
mod points;
mod resumed;
mod runtimes;
mod spawn;
mod spawn_end;
mod stream;
mod unblock;
mod unblock_iter;
