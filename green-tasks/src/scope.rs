//! Tasks that borrow from the code that spawns them.
//!
//! # Why what they borrow outlives them
//!
//! Each task counts in [`Children`] from its spawning until its closure has been consumed and its value dropped or
//! given to a handle, which cannot leave `'scope` if the value cannot. [`scope`] returns or unwinds only after that
//! count has reached zero: it waits in a hold, where nothing interrupts it, not even a deadlock, and behind a guard
//! that aborts if it unwound nevertheless. If the count never reaches zero, its frame stays: on a task's stack,
//! which is then never used again, or on the thread's own, where the process aborts before the frame would be left.
//! Nobody else can end `'scope`, since a [`Scope`] is only ever lent out.
#![expect(unsafe_code, reason = "no type can express that a task may borrow")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::rc::Rc;

use future_result::{JoinHandle, TaskError, abort_on_unwind};

use crate::scheduler::{Call, Ends, Job, Rest, Scheduler, Task, current, homeless};

/// Runs `f` with a [`Scope`], whose tasks may borrow what outlives this call. Returns when all of
/// them have ended.
///
/// They stay on the calling thread, like those of [`spawn_local`](crate::spawn_local), so what they
/// borrow need not be `Sync`: a `Cell` will do.
///
/// If `f` unwinds, or its task is cancelled or times out meanwhile, the scope's tasks are
/// cancelled, and still waited for. A task's panic is in its handle, as always.
///
/// # Panics
///
/// If `f` does, after the tasks have ended; and within [`no_suspend`](crate::no_suspend), before `f` is
/// called.
///
/// # Examples
///
/// ```
/// use green_tasks::{scope, yield_now, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// Runtime::builder().stackful(token).build()?.run(|| {
///     let text = String::from("borrowed, not moved");
///     let mut lengths = [0; 3];
///     scope(|s| {
///         for (word, length) in text.split(' ').zip(&mut lengths) {
///             drop(s.spawn(move || {
///                 yield_now();
///                 *length = word.len();
///             }));
///         }
///     });
///     assert_eq!(lengths, [9, 3, 5]);
/// })?;
/// # Ok::<(), green_tasks::RuntimeError>(())
/// ```
#[track_caller]
pub fn scope<'env, F, R>(f: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    let Some(scheduler) = current::get() else {
        // It refuses all spawns.
        return f(&Scope::new(None));
    };
    let task = scheduler.current();
    assert!(
        !task.is_pinned(),
        "a scope waits for its tasks, which it cannot do within `no_suspend`; move it out of there"
    );
    let rest = Rest {
        what: &"waits for the tasks of a scope",
        at: Some(Location::caller()),
        ends: Ends::Here,
    };
    let children = Rc::new(Children {
        tasks: RefCell::new(BTreeMap::new()),
        next: Cell::new(0),
        parent: Rc::clone(&task),
    });
    let scope = Scope::new(Some(Rc::clone(&children)));
    // Unwind safety: passed on to the caller.
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    // Nothing may end this frame before what borrows from it is gone.
    abort_on_unwind(|| {
        let _hold = task.interrupts().hold();
        let mut is_ending = result.is_err();
        while !children.tasks.borrow().is_empty() {
            if is_ending || task.wants_out() {
                is_ending = true;
                children.cancel_all(&scheduler);
            }
            scheduler.rest(&task, rest);
        }
    });
    task.raise();
    result.unwrap_or_else(|payload| resume_unwind(payload))
}

/// Where tasks may borrow, from [`scope`].
///
/// # Examples
///
/// What a task borrows must outlive the scope:
///
/// ```compile_fail,E0373
/// green_tasks::scope(|s| {
///     let inside = String::from("gone when the closure returns");
///     drop(s.spawn(|| println!("{inside}")));
/// });
/// ```
pub struct Scope<'scope, 'env: 'scope> {
    /// `None` outside of a runtime.
    children: Option<Rc<Children>>,
    /// Invariant: otherwise `'scope` could shrink, and tasks could borrow from inside the closure.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Scope<'scope, '_> {
    fn new(children: Option<Rc<Children>>) -> Self {
        Self {
            children,
            scope: PhantomData,
            env: PhantomData,
        }
    }

    /// Runs a closure as a task of its own on the calling thread, as
    /// [`spawn_local`](crate::spawn_local) does. It may borrow, and may use
    /// the scope to spawn more.
    ///
    /// Dropping the handle detaches; the scope waits for the task all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::{scope, FutureResult, Runtime, Stackful};
    ///
    /// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
    /// let token = unsafe { Stackful::assume() };
    /// let text = String::from("one two");
    /// let words = Runtime::builder().stackful(token).build()?.run(|| {
    ///     scope(|s| s.spawn(|| text.split(' ').collect::<Vec<_>>()).result())
    /// })??;
    /// assert_eq!(words, ["one", "two"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, closure: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        let (Some(scheduler), Some(children)) = (current::get(), &self.children) else {
            return homeless().handle;
        };
        let mut entry = None;
        let spawned = scheduler.spawn(Location::caller(), |completer| {
            let presence = Presence::new(children);
            entry = Some(presence.number);
            let job: Box<dyn Job + 'scope> = Box::new(ScopedCall {
                call: Box::new(Call { closure, completer }),
                presence,
            });
            // SAFETY: what it borrows lives until `scope` returns or unwinds, which is not before the job's
            // `Presence` is dropped; and that is after the closure and, unless a handle has it, the value.
            unsafe { outlive(job) }
        });
        if let (Some(number), Some(task)) = (entry, spawned.task) {
            let mut tasks = children.tasks.borrow_mut();
            tasks.insert(number, Some(task));
        }
        spawned.handle
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = self.children.as_ref();
        let tasks = tasks.map_or(0, |children| children.tasks.borrow().len());
        f.debug_struct("Scope").field("tasks", &tasks).finish()
    }
}

/// The tasks of a scope that have not ended.
struct Children {
    /// `None` briefly, while one is being spawned.
    tasks: RefCell<BTreeMap<u64, Option<Rc<Task>>>>,
    next: Cell<u64>,
    parent: Rc<Task>,
}

impl Children {
    fn cancel_all(&self, scheduler: &Scheduler) {
        let tasks: Vec<_> = self.tasks.borrow().values().flatten().cloned().collect();
        for task in tasks {
            scheduler.cancel(&task);
        }
    }
}

/// Something is left of a task that may borrow.
struct Presence {
    children: Rc<Children>,
    number: u64,
}

impl Presence {
    fn new(children: &Rc<Children>) -> Self {
        let number = children.next.get();
        children.next.set(number + 1);
        children.tasks.borrow_mut().insert(number, None);
        Self {
            children: Rc::clone(children),
            number,
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let gone = self.children.tasks.borrow_mut().remove(&self.number);
        drop(gone);
        if self.children.tasks.borrow().is_empty()
            && let Some(scheduler) = current::get()
        {
            scheduler.wake(&self.children.parent);
        }
    }
}

/// A closure that may borrow, and its presence.
struct ScopedCall<F, T> {
    call: Box<Call<F, T>>,
    /// Dropped last.
    presence: Presence,
}

impl<F: FnOnce() -> T, T> Job for ScopedCall<F, T> {
    fn start(&mut self) -> bool {
        self.call.start()
    }

    fn run(self: Box<Self>, task: &Task) {
        let Self { call, presence } = *self;
        call.run(task);
        drop(presence);
    }

    fn refuse(self: Box<Self>, error: TaskError) {
        let Self { call, presence } = *self;
        call.refuse(error);
        drop(presence);
    }
}

/// Erases the lifetime of a job's borrows.
///
/// # Safety
///
/// What the job borrows lives until it has run or been refused, however that ends.
unsafe fn outlive<'a>(job: Box<dyn Job + 'a>) -> Box<dyn Job> {
    let job: *mut (dyn Job + 'a) = Box::into_raw(job);
    // SAFETY: the two types differ only in a lifetime, which has no representation.
    let job = unsafe { std::mem::transmute::<*mut (dyn Job + 'a), *mut (dyn Job + 'static)>(job) };
    // SAFETY: it came from `into_raw`; the caller answers for the lifetime.
    unsafe { Box::from_raw(job) }
}
