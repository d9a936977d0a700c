//! Locks, channels and the like, between tasks of one thread.
//!
//! These belong to one thread: they are not `Sync`, need no atomics, and only tasks of that thread
//! can wake each other through them. So a deadlock among them is found and reported. Spawn tasks that share one
//! with [`spawn_local`](crate::spawn_local).
//!
//! To hear from other threads, even those of the same runtime, wait for a handle: of a task, of any
//! pool, or of a [`pair`](future_result::pair), whose other half any thread can complete. Share
//! anything else behind a lock of std or `parking_lot` that is never held while waiting,
//! or through a channel whose `recv` is called by [`unblock`](crate::unblock).
//!
//! Nothing that belongs to one thread can reach another, whatever it is wrapped in:
//!
//! ```compile_fail,E0277
//! use green_tasks::{spawn, sync::Mutex};
//! use std::sync::Arc;
//!
//! let total = Arc::new(Mutex::new(0));
//! drop(spawn(move || *total.lock() += 1));
//! ```

mod channel;
mod condvar;
mod event;
mod mutex;
mod queue;
mod rwlock;
mod select;
mod semaphore;

pub use self::channel::{
    Iter, Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError, bounded, unbounded,
};
pub use self::condvar::Condvar;
pub use self::event::Event;
pub use self::mutex::{Mutex, MutexGuard};
pub(crate) use self::queue::WaitQueue;
pub use self::rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use self::select::Select;
pub use self::semaphore::{Permit, Semaphore};
