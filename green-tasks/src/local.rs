//! Values of tasks, as thread-locals are values of threads.
//!
//! A task has a list of the values whose scopes it is within, the innermost first. Entering a scope prepends an
//! entry, and leaving it, in whatever way, removes the entry; a future does so around each poll. On one task scopes
//! end in the reverse order of their beginning, as calls do, so only the front of the list ever changes. Entries
//! are reference-counted: a value lives as long as somebody uses it.

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::iter;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use future_result::sync::thread_locals;

use crate::scheduler::{Task, current};

thread_locals! {
    /// The list of code outside of tasks.
    static OUTSIDE: Locals = Locals::new();
}

/// The list of a task.
#[derive(Default)]
pub(crate) struct Locals(Cell<Option<Rc<Entry>>>);

struct Entry {
    /// Whose value it is: the address of a [`LocalKey`].
    key: usize,
    value: Rc<dyn Any>,
    outer: Option<Rc<Entry>>,
}

impl Locals {
    pub(crate) const fn new() -> Self {
        Self(Cell::new(None))
    }

    fn push(&self, key: usize, value: Rc<dyn Any>) {
        let outer = self.0.take();
        self.0.set(Some(Rc::new(Entry { key, value, outer })));
    }

    fn pop(&self) {
        let left = self.0.take();
        self.0
            .set(left.as_ref().and_then(|left| left.outer.clone()));
        // The value's destructor may do anything.
        drop(left);
    }

    fn find(&self, key: usize) -> Option<Rc<dyn Any>> {
        let first = self.0.take();
        let mut entries = iter::successors(first.as_ref(), |entry| entry.outer.as_ref());
        let found = entries.find(|entry| entry.key == key);
        let value = found.map(|entry| Rc::clone(&entry.value));
        self.0.set(first);
        value
    }
}

/// Calls `f` with the calling code's list. `None` if that is empty, and once the thread's locals are destroyed.
fn with_locals<R>(f: impl FnOnce(&Locals) -> R) -> Option<R> {
    match current::get() {
        Some(scheduler) => scheduler.current().get_locals().map(f),
        None => OUTSIDE.try_with(f).ok(),
    }
}

/// Declares values that each task has of its own: a static [`LocalKey`] for each.
///
/// # Examples
///
/// ```
/// use green_tasks::{spawn_local, yield_now, FutureResult, Runtime, Stackful};
///
/// green_tasks::task_local! {
///     /// Whose request a task is about.
///     static USER: String;
/// }
///
/// fn greet() -> String {
///     USER.with(|user| format!("hello {user}"))
/// }
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// let greetings = Runtime::builder().stackful(token).build()?.run(|| {
///     let tasks: Vec<_> = ["ann", "bob"]
///         .map(|user| {
///             spawn_local(move || {
///                 USER.scope(user.to_owned(), || {
///                     yield_now(); // The other one's turn, with its own.
///                     greet()
///                 })
///             })
///         })
///         .into();
///     tasks.into_iter().map(FutureResult::result).collect::<Result<Vec<_>, _>>()
/// })?;
/// assert_eq!(greetings?, ["hello ann", "hello bob"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! task_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty);+ $(;)?) => {
        $($(#[$attribute])* $visibility static $name: $crate::LocalKey<$type> =
            $crate::LocalKey::new(stringify!($name));)+
    };
}

/// A value of which each task has its own, declared with [`task_local!`](crate::task_local).
///
/// It exists within a [`scope`](Self::scope), only for the task that entered it: tasks that it
/// spawns have none until they enter a scope of their own, into which they can move what they need.
/// Outside of a runtime, each thread has its own values.
pub struct LocalKey<T: 'static> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }

    /// Runs `f`, in which the calling task has `value`. Scopes may be nested: the innermost
    /// counts.
    ///
    /// # Cancel safety
    ///
    /// However `f` ends, the value is dropped with it.
    ///
    /// # Examples
    ///
    /// ```
    /// green_tasks::task_local! { static DEPTH: u32 }
    ///
    /// DEPTH.scope(1, || {
    ///     assert_eq!(DEPTH.scope(2, || DEPTH.with(|depth| *depth)), 2);
    ///     assert_eq!(DEPTH.with(|depth| *depth), 1);
    /// });
    /// ```
    pub fn scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        self.within(&(Rc::new(value) as Rc<dyn Any>), f)
    }

    /// Like [`scope`](Self::scope), for a future: whichever task polls it has the value meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::{spawn_future, Runtime};
    ///
    /// green_tasks::task_local! { static NUMBER: u32 }
    ///
    /// let doubled = Runtime::new().block_on(async {
    ///     let task = spawn_future(NUMBER.scope_async(21, async { NUMBER.with(|n| n * 2) }));
    ///     task.await
    /// })?;
    /// assert_eq!(doubled?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scope_async<F: Future>(&'static self, value: T, future: F) -> LocalScope<T, F> {
        LocalScope {
            key: self,
            value: Rc::new(value),
            future: Some(Box::pin(future)),
        }
    }

    /// Calls `f` with the calling task's value.
    ///
    /// # Panics
    ///
    /// If it has none.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.find() {
            Some(value) => f(&value),
            None => panic!(
                "the calling task has no `{}`; call this within its `scope`",
                self.name
            ),
        }
    }

    /// Calls `f` with the calling task's value.
    ///
    /// # Errors
    ///
    /// [`NoValue`] if it has none.
    ///
    /// # Examples
    ///
    /// ```
    /// green_tasks::task_local! { static NUMBER: u32 }
    ///
    /// assert!(NUMBER.try_with(|n| *n).is_err());
    /// assert_eq!(NUMBER.scope(5, || NUMBER.try_with(|n| *n)), Ok(5));
    /// ```
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, NoValue> {
        self.find().map(|value| f(&value)).ok_or(NoValue)
    }

    /// The struct is not empty, so no two statics have the same address.
    fn address(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn find(&'static self) -> Option<Rc<T>> {
        let value = with_locals(|locals| locals.find(self.address())).flatten()?;
        value.downcast().ok()
    }

    fn within<R>(&'static self, value: &Rc<dyn Any>, f: impl FnOnce() -> R) -> R {
        /// Leaves the scope on the task that entered it.
        struct Leave(Option<Rc<Task>>);

        impl Drop for Leave {
            fn drop(&mut self) {
                match &self.0 {
                    Some(task) => task.locals().pop(),
                    None => drop(OUTSIDE.try_with(Locals::pop)),
                }
            }
        }

        let task = current::get().map(|scheduler| scheduler.current());
        let enter = |locals: &Locals| locals.push(self.address(), Rc::clone(value));
        match &task {
            Some(task) => enter(task.locals()),
            None => drop(OUTSIDE.try_with(enter)),
        }
        let _leave = Leave(task);
        f()
    }
}

impl<T> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey")
            .field("name", &self.name)
            .finish()
    }
}

/// A future with a value for whoever polls it, from [`LocalKey::scope_async`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct LocalScope<T: 'static, F> {
    key: &'static LocalKey<T>,
    value: Rc<T>,
    /// `None` once it is being dropped.
    future: Option<Pin<Box<F>>>,
}

impl<T: 'static, F: Future> Future for LocalScope<T, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let value: Rc<dyn Any> = Rc::clone(&self.value) as _;
        let key = self.key;
        match &mut self.future {
            Some(future) => key.within(&value, || future.as_mut().poll(context)),
            None => Poll::Pending,
        }
    }
}

impl<T: 'static, F> Drop for LocalScope<T, F> {
    /// The future's destructors may ask for the value.
    fn drop(&mut self) {
        let value: Rc<dyn Any> = Rc::clone(&self.value) as _;
        let future = self.future.take();
        self.key.within(&value, || drop(future));
    }
}

impl<T, F> fmt::Debug for LocalScope<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalScope")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The calling task is not within a scope of this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoValue;

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the calling task has no such value; call this within its `scope`")
    }
}

impl Error for NoValue {}
