//! Starting: the builder, the token for stackful tasks, and `run`.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{Location, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::await_future;
use crate::deadlock::Deadlock;
use crate::offload::Offload;
use crate::scheduler::{Crew, Post, Scheduler, Settings, Unwind, current};
use crate::stack::{DEFAULT_SIZE, Guards, MIN_SIZE, Slab, StackPool};
use crate::stackful::Stackful;
use crate::threads::{self, Threads};
use crate::watchdog::{Hog, Watch, Watchdog};

/// The most tasks that may be suspended at a time, unless the builder sets another number.
const DEFAULT_STACKS: u32 = 1 << 20;
const MAX_SIZE: usize = 1 << 30;

/// Settings to run green tasks with. Each [`run`](Self::run) is separate: on the calling thread and
/// as many more as the [builder](Builder::threads) says, which end with it.
///
/// # Examples
///
/// Futures need no token:
///
/// ```
/// use green_tasks::{spawn_future, FutureResult, Runtime};
///
/// let answer = Runtime::new().run(|| spawn_future(async { 6 * 7 }).result())?;
/// assert_eq!(answer?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Runtime {
    settings: Builder,
}

/// Settings of a [`Runtime`].
///
/// # Examples
///
/// ```
/// use green_tasks::{spawn, FutureResult, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// let runtime = Runtime::builder().stackful(token).stack_size(128 << 10).build()?;
/// assert_eq!(runtime.run(|| spawn(|| 6 * 7).result())??, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing before `build`"]
pub struct Builder {
    stackful: Option<Stackful>,
    stack_size: usize,
    max_stacks: u32,
    threads: usize,
    pub(crate) offload: Offload,
    seed: Option<u64>,
    pub(crate) watch: Option<Watch>,
    guards: Guards,
}

impl Runtime {
    /// A runtime for futures, with the default settings.
    #[expect(clippy::new_without_default, reason = "settings have no neutral value")]
    #[must_use]
    pub fn new() -> Self {
        Self {
            settings: Self::builder(),
        }
    }

    /// For other settings than the defaults.
    pub fn builder() -> Builder {
        Builder {
            stackful: None,
            stack_size: DEFAULT_SIZE,
            max_stacks: DEFAULT_STACKS,
            threads: 1,
            offload: Offload::default(),
            seed: None,
            watch: None,
            guards: Guards::Installed,
        }
    }

    /// Runs `main` on the calling thread, together with the tasks that it and they spawn.
    ///
    /// `main` runs on the thread's own stack; wherever it waits, the tasks run. When it returns,
    /// remaining tasks are cancelled, on all threads, and `run` waits until they have ended, too. So
    /// wait for the handles of whatever has to finish.
    ///
    /// # Errors
    ///
    /// - [`RuntimeError::Deadlock`] if neither `main` nor any task could ever have gone on: they were
    ///   unwound where they waited.
    /// - [`RuntimeError::Stuck`] if `main` has returned, and some tasks cannot be ended.
    /// - [`RuntimeError::Nested`] on a thread that is within a `run` already, and
    ///   [`RuntimeError::Panicking`] in a destructor while a panic unwinds; `main` has not been called.
    /// - [`RuntimeError::ThreadEnds`] in the destructor of a thread-local, if it comes late; as above.
    /// - [`RuntimeError::Stacks`], [`RuntimeError::Threads`] and [`RuntimeError::Watchdog`] if the system gives
    ///   no memory for stacks, or no thread; as above.
    ///
    /// The process aborts if nothing could ever go on and `run` cannot return, because `main` or a
    /// blocking future waits in a destructor while it unwinds, or a [`scope`](crate::scope()) of
    /// theirs waits for such a task.
    ///
    /// # Panics
    ///
    /// If `main` does, once all tasks have ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::{spawn_future, yield_now, Runtime};
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// let seen = Rc::new(Cell::new(false));
    /// Runtime::new().run(|| {
    ///     let seen = Rc::clone(&seen);
    ///     drop(spawn_future(async move { seen.set(true) }));
    ///     yield_now();
    /// })?;
    /// assert!(seen.get());
    /// # Ok::<(), green_tasks::RuntimeError>(())
    /// ```
    #[track_caller]
    pub fn run<R>(&self, main: impl FnOnce() -> R) -> Result<R, RuntimeError> {
        if current::get().is_some() {
            return Err(RuntimeError::Nested);
        }
        if std::thread::panicking() {
            return Err(RuntimeError::Panicking);
        }
        if !current::is_possible() {
            return Err(RuntimeError::ThreadEnds);
        }
        let caller = Location::caller();
        let settings = &self.settings;
        let mut slabs = settings.reserve().map_err(RuntimeError::Stacks)?;
        let stacks = slabs.swap_remove(0).map(StackPool::new);
        let watchdog = settings.watch.clone().map(Watchdog::start);
        let watchdog = watchdog.transpose().map_err(RuntimeError::Watchdog)?;
        let crew = (settings.threads > 1).then(|| Crew::new(settings.threads));
        let others = match &crew {
            Some(crew) => {
                let started = Threads::start(crew, slabs, settings, caller);
                Some(started.map_err(RuntimeError::Threads)?)
            }
            None => None,
        };
        let scheduler = Scheduler::new(
            Settings {
                stacks,
                post: crew.map(|crew| Post { crew, place: 0 }),
                offload: settings.offload.clone(),
                seed: settings.seed,
                pulse: watchdog.as_ref().map(Watchdog::pulse),
            },
            caller,
        );
        let result = threads::enter(&scheduler, || scheduler.run_main(main));
        let left_elsewhere = others.and_then(Threads::join);
        let stuck = scheduler.take_stuck().or(left_elsewhere);
        match (result, scheduler.take_deadlock(), stuck) {
            (Err(payload), Some(deadlock), _) if payload.is::<Unwind>() => {
                Err(RuntimeError::Deadlock(deadlock))
            }
            (Err(payload), ..) => resume_unwind(payload),
            (Ok(_), _, Some(stuck)) => Err(RuntimeError::Stuck(stuck)),
            // If there was a deadlock, `main` caught the unwinding that was to end it.
            (Ok(result), ..) => Ok(result),
        }
    }

    /// Like [`run`](Self::run), for a future instead of a closure.
    ///
    /// # Errors
    ///
    /// Those of `run`.
    ///
    /// # Panics
    ///
    /// If the future does.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::{spawn_future, Runtime};
    ///
    /// let answer = Runtime::new().block_on(async { spawn_future(async { 6 * 7 }).await })?;
    /// assert_eq!(answer?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, RuntimeError> {
        self.run(|| await_future(future))
    }
}

impl Builder {
    /// Allows closures as tasks, each on a stack of its own. Without this token only futures can be tasks.
    pub fn stackful(self, token: Stackful) -> Self {
        Self {
            stackful: Some(token),
            ..self
        }
    }

    /// The size of a task's stack in bytes, rounded up to whole pages. By default 64 KiB, or 256 KiB with
    /// debug assertions, where code needs more. Only pages that a task touches cost memory.
    ///
    /// A task that needs more ends the process, with a message that names the task.
    pub fn stack_size(self, bytes: usize) -> Self {
        Self {
            stack_size: bytes,
            ..self
        }
    }

    /// How many tasks can have a stack at the same time, on each thread: by default 2²⁰, or fewer if the
    /// system allows only fewer. Tasks that have not started need none. A task that starts when all are in use ends with
    /// [`Rejection::Full`](future_result::Rejection::Full). Where guards are mappings (before Linux 6.13), at
    /// most 7/16 of the mappings that the system allows are used, which is usually 28,670; a task beyond
    /// that ends with [`TaskError::Lost`](crate::TaskError::Lost), which says how to get more.
    pub fn max_stacks(self, count: u32) -> Self {
        Self {
            max_stacks: count,
            ..self
        }
    }

    /// How many threads run tasks: the one that calls [`run`](Runtime::run), and others that
    /// start and end with it. By default 1; 0 counts as 1.
    ///
    /// A task from [`spawn`](crate::spawn) is started by whichever thread gets to it first, and stays
    /// there. All other tasks stay on the thread that spawned them, including those of a
    /// [`scope`](crate::scope()) and of a [`GreenPool`](crate::GreenPool).
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::{spawn, FutureResult, Runtime, Stackful};
    ///
    /// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
    /// let token = unsafe { Stackful::assume() };
    /// let runtime = Runtime::builder().stackful(token).threads(2).build()?;
    /// let sum = runtime.run(|| {
    ///     let parts: Vec<_> = (0..4_u64)
    ///         .map(|part| spawn(move || (part * 100..part * 100 + 100).sum::<u64>()))
    ///         .collect();
    ///     parts.into_iter().map(FutureResult::result).sum::<Result<u64, _>>()
    /// })?;
    /// assert_eq!(sum?, 399 * 400 / 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn threads(self, count: usize) -> Self {
        Self {
            threads: count.max(1),
            ..self
        }
    }

    /// Where blocking calls are made (those of [`unblock`](crate::unblock), and look-ups of host
    /// names): `run` must have its argument called on some other thread, soon and once. It must not wait itself,
    /// since it is called on a thread that has tasks to run. If it drops the argument uncalled, whoever
    /// waits gets an error.
    ///
    /// By default this crate has threads of its own for that, at most 16. For more of them, or fewer, or a bound on
    /// what waits, provide a pool.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::{unblock, FutureResult, Runtime};
    ///
    /// // With a `ThreadPoolExecutor` it would be `move |call| drop(pool.execute(call))`.
    /// let runtime = Runtime::builder().blocking(|call| drop(std::thread::spawn(call))).build()?;
    /// assert_eq!(runtime.run(|| unblock(|| 6 * 7).result())??, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn blocking<F>(self, run: F) -> Self
    where
        F: Fn(Box<dyn FnOnce() + Send>) + Send + Sync + 'static,
    {
        Self {
            offload: Offload::new(run),
            ..self
        }
    }

    /// Makes guards as a system does that has no cheaper ones, for tests.
    #[doc(hidden)]
    pub fn mapped_guards(self) -> Self {
        Self {
            guards: Guards::Mapped,
            ..self
        }
    }

    /// Makes runs reproducible, for tests: `seed` decides which of the ready tasks is next,
    /// and the clock is a virtual one, which jumps to the next time that a task
    /// waits for when there is nothing else to do.
    ///
    /// What comes from other threads or from sockets is not reproducible, and the clock does not wait for it. So
    /// such a runtime has one thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::{spawn_future, sleep_async, yield_now, Runtime};
    /// use std::{cell::RefCell, rc::Rc, time::Duration};
    ///
    /// let order = |seed| {
    ///     let seen = Rc::new(RefCell::new(Vec::new()));
    ///     let ran = Runtime::builder().deterministic(seed).build()?.run(|| {
    ///         for n in 0..4 {
    ///             let seen = Rc::clone(&seen);
    ///             drop(spawn_future(async move { seen.borrow_mut().push(n) }));
    ///         }
    ///         green_tasks::sleep(Duration::from_secs(3600));
    ///     });
    ///     ran.map(|()| seen.take())
    /// };
    /// assert_eq!(order(1)?, order(1)?);
    /// assert!((2..50).any(|seed| order(seed).ok() != order(1).ok()));
    /// # Ok::<(), green_tasks::RuntimeError>(())
    /// ```
    pub fn deterministic(self, seed: u64) -> Self {
        Self {
            seed: Some(seed),
            ..self
        }
    }

    /// Starts a thread for each of the runtime's threads, which looks for tasks that hold it up for `limit` or
    /// longer. It calls `report` once for each such turn, at most a quarter of the limit later, while
    /// the turn still goes on, so that endless ones are reported, too.
    ///
    /// Off by default. It costs three plain stores a turn, and its thread wakes four times per limit (at
    /// most every millisecond), even while there is nothing to do. Its clock is the real one, even in a
    /// [deterministic](Self::deterministic) runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::Runtime;
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let runtime = Runtime::builder()
    ///     .watchdog(Duration::from_millis(5), move |hog| drop(sender.send(hog.to_string())))
    ///     .build()?;
    /// // Keeps the thread until the watchdog reports it.
    /// let told = runtime.run(|| receiver.recv())?;
    /// assert!(told?.contains("the main task has held its thread"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watchdog(self, limit: Duration, report: impl Fn(&Hog) + Send + Sync + 'static) -> Self {
        let report = Arc::new(report);
        Self {
            watch: Some(Watch { limit, report }),
            ..self
        }
    }

    /// The runtime with these settings.
    ///
    /// # Errors
    ///
    /// - [`RuntimeError::StackSize`] if the size of stacks is less than 16 KiB or more than 1 GiB.
    /// - [`RuntimeError::OneThread`] if several threads were asked for in a
    ///   [deterministic](Self::deterministic) runtime, or in one without the token
    ///   [`stackful`](Self::stackful), where they would have nothing to do.
    pub fn build(self) -> Result<Runtime, RuntimeError> {
        if !(MIN_SIZE..=MAX_SIZE).contains(&self.stack_size) {
            return Err(RuntimeError::StackSize(self.stack_size));
        }
        if self.threads > 1 && (self.seed.is_some() || self.stackful.is_none()) {
            return Err(RuntimeError::OneThread);
        }
        Ok(Runtime { settings: self })
    }

    /// Reserves the stacks of each thread; the first is the calling one.
    fn reserve(&self) -> io::Result<Vec<Option<Slab>>> {
        let slab = || {
            self.stackful
                .map(|_| Slab::reserve(self.stack_size, self.max_stacks, self.guards))
        };
        (0..self.threads).map(|_| slab().transpose()).collect()
    }
}

/// Why a runtime could not be built, or a run failed.
///
/// # Examples
///
/// ```
/// use green_tasks::{Runtime, RuntimeError};
///
/// let runtime = Runtime::new();
/// let inner = runtime.run(|| runtime.run(|| ()))?;
/// assert!(matches!(inner, Err(RuntimeError::Nested)));
/// # Ok::<(), RuntimeError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RuntimeError {
    /// Stacks must have between 16 KiB and 1 GiB; this was asked for.
    StackSize(usize),
    /// The system refused memory for stacks: ask for smaller or fewer ones.
    Stacks(io::Error),
    /// The system refused a thread for the watchdog.
    Watchdog(io::Error),
    /// The calling thread is within a `run` already: spawn there, or use a thread of its own.
    Nested,
    /// The calling thread is unwinding from a panic, so no task could be cancelled; or an earlier
    /// run on it was [`Stuck`](Self::Stuck), with tasks that unwind.
    Panicking,
    /// The calling thread is ending, and its locals have been destroyed.
    ThreadEnds,
    /// A deterministic runtime has one thread, and so has one without the token `stackful`, since only
    /// closures can be started elsewhere: leave out one of the settings, or give the token.
    OneThread,
    /// The system refused a thread: ask for fewer.
    Threads(io::Error),
    /// Nothing could ever have gone on.
    Deadlock(Deadlock),
    /// These tasks were cancelled when `main` had returned, and wait in destructors for what will never
    /// come. They are leaked, with their stacks; their handles never get an outcome, and if they unwind,
    /// std considers the thread as panicking from then on. Fix the destructors.
    Stuck(Deadlock),
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StackSize(size) => {
                write!(
                    f,
                    "stacks must have between 16 KiB and 1 GiB, not {size} bytes"
                )
            }
            Self::Stacks(_) => {
                f.write_str("the system refused memory for stacks; ask for smaller or fewer ones")
            }
            Self::Watchdog(_) => f.write_str("the system refused a thread for the watchdog"),
            Self::Nested => f.write_str(
                "a runtime already runs on this thread; spawn there, or use another thread",
            ),
            Self::Panicking => {
                f.write_str("this thread is unwinding from a panic, so no task could be cancelled")
            }
            Self::ThreadEnds => {
                f.write_str("this thread is ending, and its locals are destroyed; use another one")
            }
            Self::OneThread => f.write_str(
                "a runtime that is deterministic, or has no token for closures, has one thread; \
                 leave out `threads` or `deterministic`, or give the token",
            ),
            Self::Threads(_) => f.write_str("the system refused a thread; ask for fewer"),
            Self::Deadlock(deadlock) => deadlock.fmt(f),
            Self::Stuck(tasks) => write!(f, "some tasks could not be ended: {tasks}"),
        }
    }
}

impl Error for RuntimeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Stacks(error) | Self::Threads(error) | Self::Watchdog(error) => Some(error),
            _ => None,
        }
    }
}
