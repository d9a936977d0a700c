//! What lies in the queue.

use future_result::{Task, TaskError, contain};

/// Work that has not started.
pub(crate) enum Job {
    /// Somebody may be waiting for it.
    Task(Task),
    /// Nobody can: no handle was made, and no cell.
    Closure(Box<dyn FnOnce() + Send>),
}

impl Job {
    /// Runs it on this thread. Its panics stay inside.
    pub(crate) fn run(self) {
        match self {
            Self::Task(task) => task.run(),
            Self::Closure(closure) => contain(closure),
        }
    }

    /// Gives it up.
    pub(crate) fn fail(self, error: TaskError) {
        match self {
            Self::Task(task) => task.fail(error),
            Self::Closure(closure) => contain(|| drop(closure)),
        }
    }

    /// Whether it was cancelled or run in place, and only takes up room.
    pub(crate) fn is_stale(&self) -> bool {
        match self {
            Self::Task(task) => task.is_stale(),
            Self::Closure(_) => false,
        }
    }
}
