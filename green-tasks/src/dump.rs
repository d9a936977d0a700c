//! What all tasks of a runtime are doing, for whoever asks.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use future_result::{JoinHandle, TaskError, pair};

use crate::scheduler::{Doing, Inbox, Mail, Scheduler, Task, current};

/// A task, as [`dump`] has found it. It is shown as a line of text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its number, in the order of spawning on one thread; 0 is the main task.
    pub number: u64,
    /// Where it was spawned, or the main task's runtime was run.
    pub spawned_at: &'static Location<'static>,
    /// What it was doing.
    pub state: TaskState,
}

/// What a task was doing, in a [`TaskInfo`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TaskState {
    /// Its code runs.
    Running,
    /// It can go on, or begin, as soon as its turn comes.
    Ready,
    /// It waits.
    #[non_exhaustive]
    Waiting {
        /// For what, as in "it *waits for a lock*".
        what: &'static str,
        /// Where it called for that, if it is known.
        at: Option<&'static Location<'static>>,
        /// For how long, by the runtime's clock. That is looked at every 61 turns at least and before the thread
        /// sleeps, so this may be too much by as long as those turns took.
        since: Duration,
    },
}

/// All tasks of the calling thread that have not ended, in the order of spawning. Of a runtime that has
/// [several threads](crate::Builder::threads), each knows its own tasks; what none has started is not told of.
/// Outside of a runtime there are none.
///
/// It is made at once, and costs as much as there are tasks. To ask from another thread, see [`monitor`].
///
/// # Examples
///
/// ```
/// use green_tasks::{dump, spawn_local, sync::Event, yield_now, Runtime, Stackful, TaskState};
/// use std::rc::Rc;
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// Runtime::builder().stackful(token).build()?.run(|| {
///     let event = Rc::new(Event::new());
///     let waited_for = Rc::clone(&event);
///     drop(spawn_local(move || event.wait()));
///     yield_now();
///     for task in dump() {
///         // task 1, spawned at src/main.rs:9:5, waits for an event at src/main.rs:9:32, since 0ns
///         println!("{task}");
///     }
///     assert!(matches!(dump()[1].state, TaskState::Waiting { what: "waits for an event", .. }));
///     waited_for.set();
/// })?;
/// # Ok::<(), green_tasks::RuntimeError>(())
/// ```
#[must_use]
pub fn dump() -> Vec<TaskInfo> {
    current::get().map_or_else(Vec::new, |scheduler| of(&scheduler))
}

/// By which other threads can ask what the tasks of a runtime's thread are doing, from [`monitor`].
#[derive(Clone)]
pub struct Monitor {
    inbox: Option<Arc<Inbox>>,
}

/// A way for other threads to ask what the tasks of the calling thread are doing.
///
/// # Examples
///
/// ```
/// use green_tasks::{monitor, spawn_future, FutureResult, Runtime};
///
/// let tasks = Runtime::new().run(|| {
///     let monitor = monitor();
///     let asking = std::thread::spawn(move || monitor.dump().result());
///     // Waits for what that thread is told, so that somebody is there to answer.
///     let (completer, told) = future_result::pair();
///     let telling = std::thread::spawn(move || completer.complete(asking.join()));
///     let tasks = told.result();
///     drop(telling.join());
///     tasks
/// })?;
/// let tasks = tasks?.expect("it has not panicked")?;
/// assert!(tasks[0].to_string().contains("the main task"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn monitor() -> Monitor {
    Monitor {
        inbox: current::get().map(|scheduler| Arc::clone(scheduler.inbox())),
    }
}

impl Monitor {
    /// As [`dump`](dump()), from any thread. The scheduler answers between two turns: as long as a task
    /// keeps its thread, there is no answer; a [watchdog](crate::Builder::watchdog) tells of that.
    ///
    /// If the runtime has ended, or the monitor was made outside of one, the handle has an error.
    pub fn dump(&self) -> JoinHandle<Vec<TaskInfo>> {
        let (completer, handle) = pair();
        match &self.inbox {
            Some(inbox) => inbox.send(Mail::Dump(completer)),
            None => completer.fail(TaskError::Lost(future_result::Cause::new(
                "the monitor was made outside of a runtime; make it within `Runtime::run`",
            ))),
        }
        handle
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

/// All tasks of a scheduler.
pub(crate) fn of(scheduler: &Scheduler) -> Vec<TaskInfo> {
    let now = scheduler.timers.now();
    let info = |task: &Rc<Task>| TaskInfo {
        number: task.serial,
        spawned_at: task.spawned_at,
        state: match task.doing() {
            Doing::Runs => TaskState::Running,
            Doing::IsReady => TaskState::Ready,
            Doing::Rests(rest) => TaskState::Waiting {
                what: rest.what,
                at: rest.at,
                since: now.saturating_duration_since(task.since.get()),
            },
        },
    };
    let mut tasks: Vec<_> = scheduler.all_tasks().iter().map(info).collect();
    tasks.sort_unstable_by_key(|task| task.number);
    tasks
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => write!(f, "the main task, of the run at {},", self.spawned_at)?,
            number => write!(f, "task {number}, spawned at {},", self.spawned_at)?,
        }
        match self.state {
            TaskState::Running => f.write_str(" runs"),
            TaskState::Ready => f.write_str(" can go on"),
            TaskState::Waiting { what, at, since } => {
                write!(f, " {what}")?;
                if let Some(at) = at {
                    write!(f, " at {at}")?;
                }
                write!(f, ", since {since:?}")
            }
        }
    }
}
