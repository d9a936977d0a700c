//! All tests that need nothing but a thread of their own.
#![cfg(not(any(pool_loom, pool_sim)))]
#![deny(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failure of a test")]

mod blocking;
mod cancel;
mod deadlock;
mod guards;
mod net;
mod pool;
mod scope;
mod support;
mod sync;
mod tasks;
mod threads;
