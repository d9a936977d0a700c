//! Time limits of tasks: each pool that uses them has a thread, which ends what has not started in
//! time and asks what is running to stop.
//!
//! The thread is started with the first time limit, and sleeps until the earliest deadline. Adding a
//! deadline wakes it only if the new one is the earliest. It knows the timer, not the pool, so it keeps
//! no pool alive; the last worker to leave ends it, when there is nothing left to time.
//!
//! A deadline holds a claim, which keeps the memory of its task's cell, not the task. Nobody tells the
//! timer that a task has ended. So when there are twice as many deadlines as the last sweep left,
//! those of ended tasks are dropped: O(1) amortised, and never more than twice what was pending at
//! once, or 64.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use future_result::claim::Claim;
use future_result::sync::{Mutex, now, thread};
use future_result::{Cause, CellId, OwnQueue, PoolId, Status, Task, TaskError};

use crate::abandoned::Abandoned;
use crate::core::Core;

/// Below this length, deadlines of ended tasks are left alone.
const WATERMARK_MIN: usize = 64;

pub(crate) struct Timer {
    /// The pool's own.
    abandoned: Arc<Abandoned>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// The earliest comes first.
    deadlines: BinaryHeap<Deadline>,
    /// At this length the ended ones are dropped.
    watermark: usize,
    /// The thread's, once it is started.
    handle: Option<thread::JoinHandle<()>>,
    /// The thread, once it looks at the deadlines.
    sleeper: Option<thread::Thread>,
    /// No worker is left.
    closed: bool,
}

struct Deadline {
    at: Instant,
    claim: Claim,
}

/// What the thread does next.
enum Next {
    /// End this task.
    Expire(Claim),
    /// Sleep, until the deadline if there is one.
    Sleep(Option<Instant>),
    /// End.
    End,
}

impl Timer {
    pub(crate) fn new(abandoned: Arc<Abandoned>) -> Self {
        Self {
            abandoned,
            inner: Mutex::new(Inner {
                deadlines: BinaryHeap::new(),
                watermark: WATERMARK_MIN,
                handle: None,
                sleeper: None,
                closed: false,
            }),
        }
    }

    /// Has the task ended at this moment, or asked to stop. If the thread for that cannot be started,
    /// the task fails now.
    pub(crate) fn add(self: &Arc<Self>, core: &Core, at: Instant, claim: Claim) {
        let mut inner = self.inner.lock();
        if inner.closed {
            // Every task has ended, except one that its submitter runs.
            drop(inner);
            return;
        }
        if inner.handle.is_none() {
            match self.start(core) {
                Ok(handle) => inner.handle = Some(handle),
                Err(error) => {
                    drop(inner);
                    let text = format!(
                        "the system did not start the thread that enforces time limits ({error}); \
                         submit without one"
                    );
                    return claim.fail(TaskError::Lost(Cause::new(text)));
                }
            }
        }
        let is_earliest = inner.deadlines.peek().is_none_or(|next| at < next.at);
        inner.deadlines.push(Deadline { at, claim });
        let ended = inner.sweep();
        let sleeper = if is_earliest {
            inner.sleeper.clone()
        } else {
            None
        };
        drop(inner);
        drop(ended);
        if let Some(sleeper) = sleeper {
            sleeper.unpark();
        }
    }

    fn start(self: &Arc<Self>, core: &Core) -> io::Result<thread::JoinHandle<()>> {
        let mut builder = thread::Builder::new().name(format!("{}-timer", core.threads.name));
        if let Some(bytes) = core.threads.stack_size {
            builder = builder.stack_size(bytes);
        }
        let timer = Arc::clone(self);
        let id = core.id;
        // Part of the pool: if it drops the pool's last owner, that must not wait for the thread.
        builder.spawn(move || {
            let timer = Rc::new(Thread { id, timer });
            id.enter_with(timer.clone(), || timer.timer.run());
        })
    }

    fn run(&self) {
        self.inner.lock().sleeper = Some(thread::current());
        loop {
            // User code may have consumed a wake-up, but then we look again before we sleep.
            match self.next() {
                Next::Expire(claim) => claim.fail(TaskError::TimedOut),
                Next::Sleep(Some(deadline)) => thread::park_deadline(deadline),
                Next::Sleep(None) => thread::park(),
                Next::End => return,
            }
        }
    }

    fn next(&self) -> Next {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Next::End;
        }
        let Some(next) = inner.deadlines.peek() else {
            return Next::Sleep(None);
        };
        // That of an ended task need not be waited for.
        if !next.claim.is_done() && now() < next.at {
            return Next::Sleep(Some(next.at));
        }
        match inner.pop() {
            Some(due) => Next::Expire(due.claim),
            None => Next::Sleep(None),
        }
    }

    /// Nothing is left to time.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let rest = std::mem::take(&mut inner.deadlines);
        let sleeper = inner.sleeper.take();
        drop(inner);
        drop(rest);
        if let Some(sleeper) = sleeper {
            sleeper.unpark();
        }
    }

    /// Waits for the thread's end, after [`Timer::close`].
    pub(crate) fn join(&self) {
        let handle = self.inner.lock().handle.take();
        if let Some(handle) = handle
            && !thread::is_current(&handle)
        {
            // Panics of user code are contained; there is nothing to report.
            let _ = handle.join();
        }
    }
}

/// The thread: user code on it may wait for tasks of the pool, and so run them in place.
struct Thread {
    id: PoolId,
    timer: Arc<Timer>,
}

impl OwnQueue for Thread {
    fn take_if_next(&self, _: CellId) -> Option<Task> {
        None
    }

    fn count(&self, _: Option<Status>) {}

    fn refusal(&self, pool: PoolId) -> Option<TaskError> {
        if pool == self.id {
            self.timer.abandoned.refusal()
        } else {
            None
        }
    }
}

impl Inner {
    /// Removes the deadlines of ended tasks, if there may be many.
    fn sweep(&mut self) -> Vec<Deadline> {
        if self.deadlines.len() < self.watermark {
            return Vec::new();
        }
        let all = std::mem::take(&mut self.deadlines);
        let (ended, pending) = all
            .into_iter()
            .partition::<Vec<_>, _>(|it| it.claim.is_done());
        self.watermark = WATERMARK_MIN.max(2 * pending.len());
        self.deadlines = pending.into();
        ended
    }

    fn pop(&mut self) -> Option<Deadline> {
        let earliest = self.deadlines.pop();
        if self.deadlines.len() < self.watermark / 4 {
            self.watermark = WATERMARK_MIN.max(self.watermark / 2);
            self.deadlines.shrink_to(self.watermark);
        }
        earliest
    }
}

impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap pops the greatest first.
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Deadline {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Deadline {}
