//! What all tasks of a runtime are doing.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use future_result::sync::Mutex;
use future_result::{Completer, JoinHandle, TaskError, pair};

use crate::scheduler::{Crew, Doing, Inbox, Mail, Scheduler, Task, current};

/// A task, as [`dump`] found it. It displays as a line of text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its number, in the order of spawning on one thread; 0 is the main task.
    pub number: u64,
    /// Where it was spawned; for the main task, where the runtime was run.
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
        /// For how long, by the runtime's clock, as read at least every 61 turns and before the thread sleeps: so
        /// this may be too much by the length of those turns.
        since: Duration,
    },
}

/// All tasks of the runtime that have not ended, in the order of their numbers. Outside of a runtime there are
/// none.
///
/// It waits for nobody. So in a runtime with
/// [several threads](crate::Builder::threads) it lists only tasks of the calling thread and those that none has
/// started. A [`monitor`] asks all threads, and can do so from anywhere.
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
    let Some(scheduler) = current::get() else {
        return Vec::new();
    };
    let mut tasks = of(&scheduler);
    if let Some(crew) = scheduler.crew() {
        tasks.extend(unstarted(crew));
    }
    in_order(&mut tasks);
    tasks
}

/// Lets any thread ask what all tasks of a runtime are doing, from [`monitor`].
#[derive(Clone)]
pub struct Monitor(Option<Monitored>);

#[derive(Clone)]
enum Monitored {
    One(Arc<Inbox>),
    All(Arc<Crew>),
}

/// A way to ask what all tasks of the runtime are doing, on all of its threads and from any thread.
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
    Monitor(current::get().map(|scheduler| match scheduler.crew() {
        Some(crew) => Monitored::All(Arc::clone(crew)),
        None => Monitored::One(Arc::clone(scheduler.inbox())),
    }))
}

impl Monitor {
    /// All tasks of the runtime that have not ended, in the order of their numbers. Each of its threads answers
    /// between two turns, one earlier than another; the handle is done when all have. While a task holds up its
    /// thread, there is no answer; a [watchdog](crate::Builder::watchdog) reports that.
    ///
    /// If the runtime has ended, or the monitor was made outside of one, the handle has an error.
    pub fn dump(&self) -> JoinHandle<Vec<TaskInfo>> {
        let (completer, handle) = pair();
        match &self.0 {
            Some(Monitored::One(inbox)) => {
                let asked = Asked::all(1, Vec::new(), completer);
                asked.for_each(|asked| inbox.send(Mail::Dump(asked)));
            }
            Some(Monitored::All(crew)) => {
                // First: a task taken after this is in its taker's answer.
                let unstarted = unstarted(crew);
                let inboxes = crew.inboxes();
                let asked = Asked::all(inboxes.len(), unstarted, completer);
                let both = asked.zip(inboxes);
                both.for_each(|(asked, inbox)| inbox.send(Mail::Dump(asked)));
            }
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

/// A request for a scheduler's part of a dump. If the scheduler is gone, it is dropped and adds nothing.
pub(crate) struct Asked {
    gathered: Arc<Mutex<Gathered>>,
}

/// What the schedulers have answered so far.
struct Gathered {
    missing: usize,
    is_answered: bool,
    tasks: Vec<TaskInfo>,
    completer: Option<Completer<Vec<TaskInfo>>>,
}

impl Asked {
    /// So many parts, and what is known without them.
    fn all(
        count: usize,
        tasks: Vec<TaskInfo>,
        completer: Completer<Vec<TaskInfo>>,
    ) -> impl Iterator<Item = Self> {
        let gathered = Arc::new(Mutex::new(Gathered {
            missing: count,
            is_answered: false,
            tasks,
            completer: Some(completer),
        }));
        (0..count).map(move |_| Self {
            gathered: Arc::clone(&gathered),
        })
    }

    pub(crate) fn answer(self, tasks: Vec<TaskInfo>) {
        let mut gathered = self.gathered.lock();
        gathered.is_answered = true;
        gathered.tasks.extend(tasks);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut gathered = self.gathered.lock();
        gathered.missing -= 1;
        if gathered.missing > 0 {
            return;
        }
        let completer = gathered.completer.take();
        let is_answered = gathered.is_answered;
        let mut tasks = std::mem::take(&mut gathered.tasks);
        // The waiter may run anybody's code.
        drop(gathered);
        if let Some(completer) = completer.filter(|_| is_answered) {
            in_order(&mut tasks);
            // Perhaps nobody wants it any more.
            drop(completer.complete(tasks));
        }
    }
}

/// Sorts them. Of a task that is listed twice, since it was started meanwhile, the later entry is right.
fn in_order(tasks: &mut Vec<TaskInfo>) {
    tasks.sort_by_key(|task| task.number);
    tasks.dedup_by(|later, earlier| {
        let is_same = later.number == earlier.number;
        if is_same {
            std::mem::swap(later, earlier);
        }
        is_same
    });
}

/// The unstarted tasks.
fn unstarted(crew: &Crew) -> Vec<TaskInfo> {
    let info = |(number, spawned_at)| TaskInfo {
        number,
        spawned_at,
        state: TaskState::Ready,
    };
    crew.unstarted().into_iter().map(info).collect()
}

/// All tasks of a scheduler, in no order.
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
                since: now.saturating_duration_since(scheduler.since(task)),
            },
        },
    };
    scheduler.all_tasks().iter().map(info).collect()
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
