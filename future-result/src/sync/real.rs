//! The facade as users run it: std's atomics, parking_lot's locks, crossbeam's channel.
#![expect(
    clippy::disallowed_types,
    reason = "the facade is where the std types come from"
)]

use std::time::Instant;

#[cfg(not(pool_unpooled))]
pub use super::magazine::{alloc, dealloc};
pub use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(pool_unpooled)]
pub use std::alloc::{alloc, dealloc};

/// Thread-locals whose first value is a constant, so that an access is a plain address.
#[doc(hidden)]
#[macro_export]
macro_rules! __thread_locals {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $init:expr;)*) => {
        std::thread_local! {
            $($(#[$attribute])* static $name: $type = const { $init };)*
        }
    };
}
pub use crate::__thread_locals as thread_locals;

/// How often a worker without work yields and looks again before it sleeps.
pub const SEARCHES: usize = 50;
/// It does so at least this often, even if the last times were in vain: with fewer, one round trip in
/// thirty got stuck where both sides sleep each time.
pub const SEARCHES_MIN: usize = 12;
/// How many turns at most a worker lets pass before it looks for tasks that come in a stream.
pub const PAUSES: usize = 6;

/// A static whose first value is a constant.
#[doc(hidden)]
#[macro_export]
macro_rules! __statics {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $init:expr;)*) => {
        $($(#[$attribute])* static $name: $type = $init;)*
    };
}
pub use crate::__statics as statics;

/// The time.
#[inline]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// How often a wait offers its CPU to others before its thread parks: waking a parked thread costs more
/// than all of these together.
pub const YIELDS: u32 = 16;

/// Up to this many tasks that one thread waits for are always listed when it registers its wait.
pub const LISTED_MIN: usize = 16;

/// Says yes to one address in 64, whatever their pattern: multiplied by 2^64 / the golden ratio, its
/// upper bits depend on all of it (Fibonacci hashing: Knuth, The Art of Computer Programming 3, 6.4).
#[inline]
#[must_use]
pub fn is_sampled(address: usize) -> bool {
    (address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58 == 0
}

/// How many tasks a worker's own queue holds at most.
pub const RING: usize = 256;

/// What must be left of a parallel map to make waking another thread worthwhile, which takes 2 to 15 µs.
pub const WORTH_WAKING: std::time::Duration = std::time::Duration::from_micros(20);

/// Atomics and fences. Types of our own, so that clippy can tell them from std's, which nothing
/// outside this file may name.
pub mod atomic {
    pub use std::sync::atomic::{Ordering, fence};

    use std::ops::Deref;
    use std::sync::atomic;

    /// [`std::sync::atomic::AtomicBool`].
    #[derive(Debug, Default)]
    pub struct AtomicBool(atomic::AtomicBool);

    impl AtomicBool {
        /// Wraps `value`.
        #[must_use]
        pub const fn new(value: bool) -> Self {
            Self(atomic::AtomicBool::new(value))
        }
    }

    impl Deref for AtomicBool {
        type Target = atomic::AtomicBool;

        #[inline]
        fn deref(&self) -> &Self::Target {
            &self.0
        }
    }

    /// [`std::sync::atomic::AtomicU32`].
    #[derive(Debug, Default)]
    pub struct AtomicU32(atomic::AtomicU32);

    impl AtomicU32 {
        /// Wraps `value`.
        #[must_use]
        pub const fn new(value: u32) -> Self {
            Self(atomic::AtomicU32::new(value))
        }
    }

    impl Deref for AtomicU32 {
        type Target = atomic::AtomicU32;

        #[inline]
        fn deref(&self) -> &Self::Target {
            &self.0
        }
    }

    /// [`std::sync::atomic::AtomicU64`], of the same layout: it may lie in memory that is shared.
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct AtomicU64(atomic::AtomicU64);

    impl AtomicU64 {
        /// Wraps `value`.
        #[must_use]
        pub const fn new(value: u64) -> Self {
            Self(atomic::AtomicU64::new(value))
        }
    }

    impl Deref for AtomicU64 {
        type Target = atomic::AtomicU64;

        #[inline]
        fn deref(&self) -> &Self::Target {
            &self.0
        }
    }

    /// [`std::sync::atomic::AtomicPtr`].
    #[derive(Debug)]
    pub struct AtomicPtr<T>(atomic::AtomicPtr<T>);

    impl<T> AtomicPtr<T> {
        /// Wraps `pointer`.
        #[must_use]
        pub const fn new(pointer: *mut T) -> Self {
            Self(atomic::AtomicPtr::new(pointer))
        }
    }

    impl<T> Deref for AtomicPtr<T> {
        type Target = atomic::AtomicPtr<T>;

        #[inline]
        fn deref(&self) -> &Self::Target {
            &self.0
        }
    }

    /// Stands between a `SeqCst` read-modify-write and a `SeqCst` load that must not overtake it.
    /// They are in order by themselves, so this does nothing; a model needs a fence here.
    #[inline]
    pub fn fence_between_seq_cst() {}
}

/// Threads and parking.
pub mod thread {
    pub use std::thread::{Builder, JoinHandle, Thread, current, park, yield_now};

    use std::time::Instant;

    /// Whether `handle` is that of the calling thread, which must not join itself.
    #[must_use]
    pub fn is_current<T>(handle: &JoinHandle<T>) -> bool {
        handle.thread().id() == current().id()
    }

    /// Parks this thread until it is unparked or `deadline` is reached; may return early.
    pub fn park_deadline(deadline: Instant) {
        std::thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// An unbounded queue of completions, many producers to one consumer.
pub mod channel {
    pub use crossbeam_channel::{Receiver, Sender, unbounded};
}
