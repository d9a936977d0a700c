//! A bounded number of tasks.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::thread::panicking;

use future_result::{JoinHandle, Map, Panic, TaskError};

use crate::scheduler::{Task, Unwind, current, homeless};
use crate::sync::{Semaphore, WaitQueue};

/// A pool that holds a bounded number of tasks at a time.
///
/// It belongs to the runtime that it is used in, and to one of its threads: its tasks are like those of
/// [`spawn_local`](crate::spawn_local), and stay there even if other threads are idle. To use
/// [several threads](crate::Builder::threads), make a pool in each of several
/// [spawned](crate::spawn) tasks, as below. Dropping it waits until its tasks have ended. If a panic
/// drops it, it cancels them and does not wait; if one of its own tasks drops it, it does neither.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_tasks::{sleep, GreenPool, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// let runtime = Runtime::builder().stackful(token).deterministic(7).build()?;
/// let lengths = runtime.run(|| {
///     let pool = GreenPool::new(100);
///     let fetch = |page: &str| {
///         sleep(Duration::from_millis(200));
///         page.len()
///     };
///     pool.map(fetch, ["one", "three"]).collect::<Result<Vec<_>, _>>()
/// })?;
/// assert_eq!(lengths?, [3, 5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// On several threads, with a pool of 50 on each:
///
/// ```
/// use green_tasks::{spawn, FutureResult, GreenPool, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// let runtime = Runtime::builder().stackful(token).threads(2).build()?;
/// let sum = runtime.run(|| {
///     let part = |numbers: std::ops::Range<u64>| {
///         spawn(move || GreenPool::new(50).map(|n| n * n, numbers).sum::<Result<u64, _>>())
///     };
///     let parts = [part(0..500), part(500..1000)];
///     parts.map(|part| part.result().and_then(|sum| sum)).into_iter().sum::<Result<u64, _>>()
/// })?;
/// assert_eq!(sum?, 999 * 1000 * 1999 / 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct GreenPool {
    size: usize,
    crowd: Rc<Crowd>,
}

/// The tasks of a pool.
struct Crowd {
    permits: Semaphore,
    /// `None` briefly, while one is being spawned.
    tasks: RefCell<BTreeMap<u64, Option<Rc<Task>>>>,
    next: Cell<u64>,
    /// Waits until there are none.
    joining: WaitQueue,
}

impl GreenPool {
    /// A pool of at most `size` tasks at a time; 0 counts as 1.
    #[must_use]
    pub fn new(size: usize) -> Self {
        let size = size.max(1);
        Self {
            size,
            crowd: Rc::new(Crowd {
                permits: Semaphore::new(size),
                tasks: RefCell::new(BTreeMap::new()),
                next: Cell::new(0),
                joining: WaitQueue::new(),
            }),
        }
    }

    /// The most tasks that there may be at a time.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// How many tasks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.crowd.tasks.borrow().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Runs a closure as a task of the pool, as [`spawn_local`](crate::spawn_local) does. Waits while the pool is
    /// full.
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled while it waits, the closure is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::{FutureResult, GreenPool, Runtime, Stackful};
    ///
    /// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
    /// let token = unsafe { Stackful::assume() };
    /// let answer = Runtime::builder().stackful(token).build()?.run(|| {
    ///     let pool = GreenPool::new(2);
    ///     pool.spawn(|| 6 * 7).result()
    /// })?;
    /// assert_eq!(answer?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&self, closure: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        self.crowd.spawn(Location::caller(), closure)
    }

    /// Applies `function` to every item of `input` in tasks of the pool, lazily, and yields the results
    /// in the order of the input.
    ///
    /// Pulls the input only [`buffer_size`](Map::buffer_size) tasks ahead, which is the size of the
    /// pool unless set otherwise. See [`Map`] for chunks and for time-outs.
    #[expect(
        clippy::type_complexity,
        reason = "no alias can name the closure's opaque type"
    )]
    #[track_caller]
    pub fn map<F, I, R>(
        &self,
        function: F,
        input: I,
    ) -> Map<
        I::IntoIter,
        impl FnMut(Vec<I::Item>) -> JoinHandle<Vec<Result<R, TaskError>>> + use<F, I, R>,
        JoinHandle<Vec<Result<R, TaskError>>>,
        R,
    >
    where
        I: IntoIterator,
        I::Item: 'static,
        F: Fn(I::Item) -> R + 'static,
        R: 'static,
    {
        let at = Location::caller();
        let crowd = Rc::clone(&self.crowd);
        let function = Rc::new(function);
        let submit = move |items: Vec<I::Item>| {
            let function = Rc::clone(&function);
            crowd.spawn(at, move || {
                let results = items.into_iter().map(|item| call(&*function, item));
                results.collect()
            })
        };
        Map::new(input, submit, self.size)
    }

    /// The same as [`map`](Self::map), under gevent's name for the lazy one: here both are
    /// lazy.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::{GreenPool, Runtime, Stackful};
    ///
    /// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
    /// let token = unsafe { Stackful::assume() };
    /// let squares = Runtime::builder().stackful(token).build()?.run(|| {
    ///     let pool = GreenPool::new(10);
    ///     // Never asks for more than it needs of an input that does not end.
    ///     pool.imap(|n| n * n, 1..).take(3).collect::<Result<Vec<u64>, _>>()
    /// })?;
    /// assert_eq!(squares?, [1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(
        clippy::type_complexity,
        reason = "no alias can name the closure's opaque type"
    )]
    #[track_caller]
    pub fn imap<F, I, R>(
        &self,
        function: F,
        input: I,
    ) -> Map<
        I::IntoIter,
        impl FnMut(Vec<I::Item>) -> JoinHandle<Vec<Result<R, TaskError>>> + use<F, I, R>,
        JoinHandle<Vec<Result<R, TaskError>>>,
        R,
    >
    where
        I: IntoIterator,
        I::Item: 'static,
        F: Fn(I::Item) -> R + 'static,
        R: 'static,
    {
        self.map(function, input)
    }

    /// Like [`map`](Self::map), but yields the results as they complete.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use green_tasks::{sleep, GreenPool, Runtime, Stackful};
    ///
    /// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
    /// let token = unsafe { Stackful::assume() };
    /// let runtime = Runtime::builder().stackful(token).deterministic(7).build()?;
    /// let order = runtime.run(|| {
    ///     let wait = |seconds| {
    ///         sleep(Duration::from_secs(seconds));
    ///         seconds
    ///     };
    ///     let pool = GreenPool::new(3);
    ///     pool.imap_unordered(wait, [3, 1, 2]).collect::<Result<Vec<_>, _>>()
    /// })?;
    /// assert_eq!(order?, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(
        clippy::type_complexity,
        reason = "no alias can name the closure's opaque type"
    )]
    #[track_caller]
    pub fn imap_unordered<F, I, R>(
        &self,
        function: F,
        input: I,
    ) -> Map<
        I::IntoIter,
        impl FnMut(Vec<I::Item>) -> JoinHandle<Vec<Result<R, TaskError>>> + use<F, I, R>,
        JoinHandle<Vec<Result<R, TaskError>>>,
        R,
    >
    where
        I: IntoIterator,
        I::Item: 'static,
        F: Fn(I::Item) -> R + 'static,
        R: 'static,
    {
        self.map(function, input).unordered()
    }

    /// Waits until the pool has no task, including those added meanwhile.
    #[track_caller]
    pub fn join(&self) {
        while !self.is_empty() {
            self.crowd
                .joining
                .wait(&"waits for the tasks of a pool", Location::caller(), || ());
        }
    }

    /// Cancels all tasks of the pool; [`join`](Self::join) waits until they have ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use green_tasks::{sleep, FutureResult, GreenPool, Runtime, Stackful, TaskError};
    ///
    /// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
    /// let token = unsafe { Stackful::assume() };
    /// Runtime::builder().stackful(token).build()?.run(|| {
    ///     let pool = GreenPool::new(10);
    ///     let handle = pool.spawn(|| sleep(Duration::from_secs(3600)));
    ///     pool.cancel_all();
    ///     pool.join();
    ///     assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    /// })?;
    /// # Ok::<(), green_tasks::RuntimeError>(())
    /// ```
    pub fn cancel_all(&self) {
        let Some(scheduler) = current::get() else {
            return;
        };
        let tasks: Vec<_> = self
            .crowd
            .tasks
            .borrow()
            .values()
            .flatten()
            .cloned()
            .collect();
        // A stuck earlier run may have left tasks behind, which are not this one's.
        for task in tasks.iter().filter(|task| scheduler.owns(task)) {
            scheduler.cancel(task);
        }
    }

    /// Whether the calling task is one of the pool's.
    fn is_within(&self) -> bool {
        let current = current::get().map(|scheduler| scheduler.current());
        let tasks = self.crowd.tasks.borrow();
        current.is_some_and(|current| {
            tasks
                .values()
                .flatten()
                .any(|task| Rc::ptr_eq(task, &current))
        })
    }
}

impl Crowd {
    fn spawn<F, T>(self: &Rc<Self>, at: &'static Location<'static>, closure: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let Some(scheduler) = current::get() else {
            return homeless().handle;
        };
        self.permits.acquire_for(&"waits for room in a pool", at);
        let member = Member::new(self);
        let number = member.number;
        let spawned = scheduler.spawn_call(at, move || {
            let _member = member;
            closure()
        });
        if let Some(task) = spawned.task
            && let Some(entry) = self.tasks.borrow_mut().get_mut(&number)
        {
            *entry = Some(task);
        }
        spawned.handle
    }
}

/// A task's place in its pool.
struct Member {
    crowd: Rc<Crowd>,
    number: u64,
}

impl Member {
    /// The caller has a permit, which this returns when dropped.
    fn new(crowd: &Rc<Crowd>) -> Self {
        let number = crowd.next.get();
        crowd.next.set(number + 1);
        crowd.tasks.borrow_mut().insert(number, None);
        Self {
            crowd: Rc::clone(crowd),
            number,
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let gone = self.crowd.tasks.borrow_mut().remove(&self.number);
        drop(gone);
        self.crowd.permits.release();
        if self.crowd.tasks.borrow().is_empty() {
            self.crowd.joining.grant_all();
        }
    }
}

/// One call of a map: a panic becomes its result, but the unwinding of a cancelled task goes on.
fn call<A, R>(function: &impl Fn(A) -> R, item: A) -> Result<R, TaskError> {
    // Unwind safety: the item is consumed, and whoever takes the result gets the panic.
    let result = catch_unwind(AssertUnwindSafe(|| function(item)));
    result.map_err(|payload: Box<dyn Any + Send>| {
        if payload.is::<Unwind>() {
            resume_unwind(payload)
        }
        TaskError::Panicked(Panic::from_payload(payload))
    })
}

impl Drop for GreenPool {
    fn drop(&mut self) {
        if self.is_empty() || current::get().is_none() || self.is_within() {
            return;
        }
        if panicking() {
            // They cannot unwind as long as we do, if it is us who unwind; so do not wait for them.
            return self.cancel_all();
        }
        self.join();
    }
}

impl fmt::Debug for GreenPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GreenPool")
            .field("size", &self.size)
            .field("tasks", &self.len())
            .finish()
    }
}
