//! Tasks' stacks: where they come from, and what happens when one is too small.

mod overflow;
mod pool;
mod prefetch;
mod slab;

pub(crate) use self::overflow::{Label, SignalStack};
pub(crate) use self::pool::{NoStack, StackPool};
pub(crate) use self::prefetch::{Frame, fetch_room, fetch_task, fetch_top};
pub(crate) use self::slab::{Guards, ROOM, Slab, Stack};

/// A task's stack size unless the runtime's builder sets another. Unoptimised code needs several times as much as
/// optimised code.
pub(crate) const DEFAULT_SIZE: usize = if cfg!(debug_assertions) {
    256 << 10
} else {
    64 << 10
};

/// The least size that a builder accepts.
pub(crate) const MIN_SIZE: usize = 16 << 10;
