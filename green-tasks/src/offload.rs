//! Calls that block their thread are made on other threads, so that they block no tasks.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use future_result::sync::{Mutex, statics, thread};
use future_result::{JoinHandle, contain, task};

use crate::scheduler::current;

/// So many threads of our own there are at most, in the whole process.
const MOST: usize = 16;

type Call = Box<dyn FnOnce() + Send>;

/// Where blocking calls are made: by what the builder was given, or on threads of our own.
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

/// Has a closure called where it may block: on threads that run no tasks. Its handle is like all others: a
/// task that waits for the result suspends, and its thread goes on with others.
///
/// These are the threads that [`Builder::blocking`](crate::Builder::blocking) names. Otherwise, and
/// outside of a runtime, they are at most 16 in the process, started when there is something to do for
/// them and ended when there is no more.
///
/// The closure is not a task: what it calls blocks, and it cannot be interrupted.
///
/// # Cancel safety
///
/// A task that is cancelled while it waits for the handle unwinds at once. The closure goes on, and whoever
/// ends it drops its result. To have it not called at all if it has not begun, wait for
/// [`cancel_on_drop`](crate::FutureResult::cancel_on_drop) of the handle.
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

/// What our own threads have to do. One of them ends only when nothing is queued, under the same lock.
struct Own {
    queue: VecDeque<Call>,
    threads: usize,
}

statics! {
    static OWN: Mutex<Own> = Mutex::new(Own {
        queue: VecDeque::new(),
        threads: 0,
    });
}

fn run_on_own(call: Call) {
    let mut own = OWN.lock();
    own.queue.push_back(call);
    if own.threads == MOST {
        return;
    }
    own.threads += 1;
    drop(own);
    let name = String::from("green-tasks-blocking");
    if thread::Builder::new().name(name).spawn(work).is_err() {
        leave_undone();
    }
}

fn work() {
    loop {
        let mut own = OWN.lock();
        let Some(call) = own.queue.pop_front() else {
            own.threads -= 1;
            return;
        };
        drop(own);
        contain(call);
    }
}

/// The system gives no thread. If there is no other, the handles say that their work is lost.
fn leave_undone() {
    let mut own = OWN.lock();
    own.threads -= 1;
    if own.threads == 0 {
        let undone = std::mem::take(&mut own.queue);
        drop(own);
        contain(|| drop(undone));
    }
}
