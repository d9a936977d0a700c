//! Waiting for other tasks of the same runtime.
//!
//! These belong to one thread: they are not `Sync`, need no atomics, and what waits for them can only
//! be woken from there. So a deadlock among them is found and reported. To hear from other threads,
//! wait for a handle: of any pool, or of a [`pair`](future_result::pair).

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
