//! All tests that need nothing but a thread of their own.
#![cfg(not(any(pool_loom, pool_sim)))]
#![deny(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failure of a test")]

mod blocking;
mod cancel;
mod deadlock;
mod debug;
mod guards;
mod local;
mod net;
mod outlast;
mod points;
mod polled;
mod pool;
mod rwlock;
mod scope;
mod select;
mod sockets;
mod support;
mod sync;
mod tasks;
mod threads;
mod waits;
