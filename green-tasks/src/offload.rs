//! Calls that block their thread run on other threads, so that they block no tasks.
//!
//! # Calls within calls
//!
//! Such a call may make further calls, and wait for them. If all threads did, and the calls that they wait for were
//! queued for these very threads, nobody would ever go on. So a call has a *level*: one more than that of the call
//! that makes it. Each level has a queue and threads of its own. Those of a level wait only for calls of the next,
//! those of the last for none: so none waits forever.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use future_result::sync::{Mutex, statics, thread, thread_locals};
use future_result::{JoinHandle, contain, task};

use crate::scheduler::current;

/// At most so many threads of our own per level, in the whole process.
const MOST: usize = 16;

type Call = Box<dyn FnOnce() + Send>;

/// Where blocking calls run: as the builder was told, or on threads of our own.
#[derive(Clone, Default)]
pub(crate) struct Offload(Option<Arc<dyn Fn(Call) + Send + Sync>>);

impl Offload {
    pub(crate) fn new(hook: impl Fn(Call) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    fn run(&self, call: Call) {
        match &self.0 {
            Some(hook) => hook(call),
            None => run_on_own(call),
        }
    }
}

impl fmt::Debug for Offload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "hook",
            None => "own threads",
        })
    }
}

/// Calls a closure where it may block: on threads that run no tasks. Its handle is like any other: a
/// task that waits for the result suspends, and its thread goes on with others.
///
/// [`Builder::blocking`](crate::Builder::blocking) says which threads these are. Without it, and
/// outside of a runtime, there are at most 16 in the process, started when there is something to do for
/// them and ended when there is nothing left.
///
/// The closure is not a task: what it calls blocks, and it cannot be interrupted. It may itself call `unblock`, and
/// wait for that: calls made by such calls have 16 more threads, and so on. But closures that wait for each
/// other, such as 17 at a barrier, need a thread each: [provide](crate::Builder::blocking) a pool that has enough.
///
/// # Cancel safety
///
/// A task that is cancelled while it waits for the handle unwinds at once. The closure goes on, and its
/// result is dropped. To prevent the call if it has not begun, wait for the handle's
/// [`cancel_on_drop`](crate::FutureResult::cancel_on_drop).
///
/// # Panics
///
/// If the builder's hook does. A panic of the closure is in the handle.
///
/// # Examples
///
/// ```
/// use green_tasks::{spawn_future, unblock, FutureResult, Runtime};
///
/// let others = Runtime::new().run(|| {
///     let (sender, receiver) = std::sync::mpsc::channel();
///     // It would block all tasks of this thread, also the one that it waits for.
///     let blocked = unblock(move || receiver.recv());
///     drop(spawn_future(async move { sender.send("sent by a task") }));
///     blocked.result()
/// })?;
/// assert_eq!(others??, "sent by a task");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unblock<F, T>(closure: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let offload = current::get().map(|scheduler| scheduler.offload.clone());
    let (task, handle) = task(closure);
    offload.unwrap_or_default().run(Box::new(|| task.run()));
    handle
}

thread_locals! {
    /// The level of calls that the calling thread makes.
    static LEVEL: Cell<usize> = Cell::new(0);
}

/// The level of calls that the calling thread makes.
pub(crate) fn level() -> usize {
    LEVEL.try_with(Cell::get).unwrap_or_default()
}

/// Sets the level for the rest of this thread's calls: it works for a call of the level before.
pub(crate) fn set_level(level: usize) {
    // A thread that is ending makes no calls.
    let _ = LEVEL.try_with(|current| current.set(level));
}

/// The queued calls of one level, for our own threads. One of them ends only when nothing is queued, under the same
/// lock.
/// same lock.
#[derive(Default)]
struct Own {
    queue: VecDeque<Call>,
    threads: usize,
}

statics! {
    static OWN: Mutex<Vec<Own>> = Mutex::new(Vec::new());
}

fn run_on_own(call: Call) {
    let level = level();
    let mut levels = OWN.lock();
    if levels.len() <= level {
        levels.resize_with(level + 1, Own::default);
    }
    let own = &mut levels[level];
    own.queue.push_back(call);
    if own.threads == MOST {
        return;
    }
    own.threads += 1;
    drop(levels);
    let name = String::from("green-tasks-blocking");
    let thread = thread::Builder::new().name(name);
    if thread.spawn(move || work(level)).is_err() {
        leave_undone(level);
    }
}

fn work(level: usize) {
    set_level(level + 1);
    loop {
        let mut levels = OWN.lock();
        let own = &mut levels[level];
        let Some(call) = own.queue.pop_front() else {
            own.threads -= 1;
            return;
        };
        drop(levels);
        contain(call);
    }
}

/// The system gives no thread. If there is no other, the handles report that their work is lost.
fn leave_undone(level: usize) {
    let mut levels = OWN.lock();
    let own = &mut levels[level];
    own.threads -= 1;
    if own.threads == 0 {
        let undone = std::mem::take(&mut own.queue);
        drop(levels);
        contain(|| drop(undone));
    }
}
