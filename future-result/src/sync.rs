//! The one place that names atomics, locks, threads and raw allocation.
//!
//! Everything else in the workspace's libraries takes them from here, and the time, too. So a build with
//! `--cfg pool_loom` runs the same code on loom's model of memory and scheduling, and one with
//! `--cfg pool_sim` in a seeded simulation. Public for the sibling crates alone, and exempt from semantic
//! versioning.

#[cfg(not(pool_loom))]
mod cell;
mod counter;
mod identity;
#[cfg(any(pool_loom, pool_sim))]
mod lock;
#[cfg(not(any(pool_loom, pool_sim, pool_unpooled)))]
mod magazine;
#[cfg(pool_loom)]
mod model;
#[cfg(not(any(pool_loom, pool_sim)))]
mod real;
#[cfg(pool_sim)]
mod sim;

#[cfg(not(pool_loom))]
pub use cell::UnsafeCell;
pub use counter::Counter;
pub use identity::{has_inherited, is_inherited, unique_id};
#[cfg(any(pool_loom, pool_sim))]
pub use lock::{Mutex, MutexGuard};
#[cfg(pool_loom)]
pub use model::*;
#[cfg(not(any(pool_loom, pool_sim)))]
pub use real::*;
#[cfg(pool_sim)]
pub use sim::*;
