//! The facade as users run it: std's atomics, parking_lot's locks, crossbeam's channel.
#![expect(
    clippy::disallowed_types,
    reason = "the facade is where the std types come from"
)]

pub use parking_lot::{Condvar, Mutex, MutexGuard};
pub use std::alloc::{alloc, dealloc};

/// Thread-locals whose first value is a constant, so that an access is a plain address.
macro_rules! thread_locals {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $init:expr;)*) => {
        std::thread_local! {
            $($(#[$attribute])* static $name: $type = const { $init };)*
        }
    };
}
pub(crate) use thread_locals;

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
}

/// Threads and parking.
pub mod thread {
    pub use std::thread::{Builder, JoinHandle, Thread, current, park};

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

/// [`std::cell::UnsafeCell`] in the closure shape that loom can check.
#[derive(Debug, Default)]
pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Calls `f` with a pointer through which the content is only read.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Calls `f` with a pointer through which the content may be written.
    #[inline]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}
