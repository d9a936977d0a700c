//! Tasks for one particular worker, which nobody else may run.
//!
//! A worker checks its mailbox before its deques and before it sleeps; while it is empty, that is
//! one load of a line that nobody writes. Mail is rare, so the rest is under a lock.

use future_result::sync::Mutex;
use future_result::sync::atomic::{AtomicBool, Ordering};
use future_result::{Task, TaskList};

pub(crate) struct Mailbox {
    /// Whether there is mail. Changed under the lock.
    has_mail: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    tasks: TaskList,
    /// The worker is gone.
    closed: bool,
}

impl Mailbox {
    pub(crate) fn new() -> Self {
        Self {
            has_mail: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                tasks: TaskList::new(),
                closed: false,
            }),
        }
    }

    /// Adds a task; the caller wakes the worker. It comes back if the worker is gone.
    pub(crate) fn put(&self, task: Task) -> Result<(), Task> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(task);
        }
        inner.tasks.push_back(task);
        self.tell(&inner);
        Ok(())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // ORDERING: Relaxed; the mail itself comes by the lock. A worker going to sleep has a
        // fence before this, and whoever puts mail has one after it, as `sleep` explains.
        !self.has_mail.load(Ordering::Relaxed)
    }

    /// The oldest task, for the worker.
    #[inline]
    pub(crate) fn take(&self) -> Option<Task> {
        if self.is_empty() {
            None
        } else {
            self.take_locked()
        }
    }

    #[cold]
    fn take_locked(&self) -> Option<Task> {
        let mut inner = self.inner.lock();
        let task = inner.tasks.pop_front();
        self.tell(&inner);
        task
    }

    /// Everything, to be given up.
    pub(crate) fn take_all(&self) -> TaskList {
        let mut inner = self.inner.lock();
        let tasks = std::mem::take(&mut inner.tasks);
        self.tell(&inner);
        tasks
    }

    /// Stops accepting mail, for a worker that leaves, unless there is some. True if it is closed.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.closed |= inner.tasks.is_empty();
        inner.closed
    }

    /// Stops accepting mail, and returns what is in it: the worker did not start.
    pub(crate) fn close(&self) -> TaskList {
        self.inner.lock().closed = true;
        self.take_all()
    }

    /// How many tasks there are, tombstones included.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().tasks.len()
    }

    /// Called under the lock.
    fn tell(&self, inner: &Inner) {
        // ORDERING: Relaxed, as in `is_empty`.
        let has_mail = !inner.tasks.is_empty();
        self.has_mail.store(has_mail, Ordering::Relaxed);
    }
}
