//! The workers' own queues: crossbeam's, or in a model a stand-in made of loom's atomics.

#[cfg(pool_loom)]
mod model;

#[cfg(pool_loom)]
pub(crate) use self::model::{Steal, Stealer, Worker};
#[cfg(not(pool_loom))]
pub(crate) use crossbeam_deque::{Steal, Stealer, Worker};
