//! Telling the pool that a worker is about to wait, so that another stands in.

use crate::current;
use crate::worker::Local;

/// Runs `f`, which is about to block the calling thread for long: for input or output, a lock, a
/// sleep. If the thread is a worker, another stands in for it meanwhile.
///
/// The pool then keeps as many workers busy as it has places, not counting those inside `blocking`:
/// if there is work in the queue, an idle worker is woken, or a spare one is started, up to 32,767
/// threads in all. When this worker comes back there may be one too many; those that find nothing
/// to do step aside first, and leave if they are not needed for the time of
/// [`keep_alive`](crate::Builder::keep_alive). A spare worker gets the lowest free number, and
/// runs the pool's initializer.
///
/// Waiting for a task of the same pool needs no `blocking` as long as the task has not started, since
/// the waiting worker runs it itself; but it does no harm.
///
/// On a thread that is not a worker this only calls `f`, and so does `blocking` inside `blocking`. The
/// tasks that `f` itself runs, such as those it waits for, count as blocking, too. In a runtime of green
/// tasks on a worker, the worker counts again when the last of its tasks has come out.
///
/// # Panics
///
/// If `f` does; the worker counts again then.
///
/// # Examples
///
/// ```
/// use std::sync::mpsc;
/// use thread_pool::{blocking, FutureResult, ThreadPoolExecutor};
///
/// let pool = ThreadPoolExecutor::new(1)?;
/// let (sender, receiver) = mpsc::channel();
/// let waiting = pool.submit(move || blocking(|| receiver.recv()));
/// // Would never run if the only worker were lost to the pool.
/// pool.execute(move || sender.send("from another worker").unwrap())?;
/// assert_eq!(waiting.result()??, "from another worker");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    current::with(|local| {
        let _blocked = local.and_then(Blocked::enter);
        f()
    })
}

/// A worker that does not count as one until this is dropped.
struct Blocked<'a>(&'a Local);

impl<'a> Blocked<'a> {
    /// `None` in a forked process, where nobody could stand in.
    fn enter(local: &'a Local) -> Option<Self> {
        local.leave_place().then(|| Self(local))
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.0.return_to_place();
    }
}

impl Local {
    /// From now on it does not count as a worker, until it has returned as often as it left. False if
    /// it still counts.
    pub(crate) fn leave_place(&self) -> bool {
        let core = self.core();
        if core.is_forked() {
            return false;
        }
        let times = self.blocked().get();
        self.blocked().set(times + 1);
        if times == 0 {
            core.sleep.block();
            if self.sees_work() {
                core.wake_if_wanting();
            }
        }
        true
    }

    /// It counts again, if that was the last return.
    pub(crate) fn return_to_place(&self) {
        let times = self.blocked().get() - 1;
        self.blocked().set(times);
        if times == 0 {
            self.core().sleep.unblock();
        }
    }
}
