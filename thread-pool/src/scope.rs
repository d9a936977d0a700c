//! Tasks that borrow from their caller's stack.
//!
//! # Why what they borrow outlives them
//!
//! Each task carries a [`Presence`](crate::crowd::Presence) as its guard, which is dropped when nothing is left of
//! the task but its value; and that belongs to a handle that cannot leave `'scope`. So closures and handles can borrow
//! the crowd. Only the presence must own it, as it touches it once more after counting itself out.
//! [`Crowd::wait_until_empty`] returns when all presences are gone. [`ThreadPoolExecutor::scope`] calls it before it
//! returns, whether its closure returned or unwound; and nobody else can end `'scope`, since a [`Scope`] is only
//! ever lent. Leaking a handle leaks a value that nobody looks at any more, and the scope cannot be leaked.

#![expect(unsafe_code, reason = "no type can express that a task may borrow")]

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use future_result::claim::{Role, task_with_guard};
use future_result::sync::atomic::{AtomicBool, Ordering};
use future_result::{
    Cancel, FutureResult, InPlace, JoinHandle, Status, TaskError, abort_on_unwind, contain,
};

use crate::ThreadPoolExecutor;
use crate::crowd::Crowd;
use crate::current;

impl ThreadPoolExecutor {
    /// Runs `f` with a [`Scope`], whose tasks may borrow what outlives this call. Returns when all
    /// of them have ended.
    ///
    /// On one of the pool's own workers, tasks that have not started by the end of `f` are run right
    /// there.
    ///
    /// # Deadlocks
    ///
    /// A task of the scope must not wait for the task that runs the scope, nor for anything that does: the
    /// scope cannot end first. If it waits for a handle without a time limit, that wait ends with
    /// [`TaskError::Deadlock`].
    ///
    /// # Panics
    ///
    /// If `f` does; if a [`Blocker`](future_result::Blocker) of the calling thread's does while it waits for
    /// the tasks (the rest of the wait parks the thread); or if a task has panicked, or was cancelled by a
    /// shutdown of the pool, and nobody has taken its result. In any case all tasks have ended before.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{FutureResult, TaskError, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let text = String::from("borrowed, not moved");
    /// let mut counts = [0; 3];
    /// let longest = pool.scope(|scope| {
    ///     for (word, count) in text.split(' ').zip(&mut counts) {
    ///         scope.spawn(move || *count = word.len());
    ///     }
    ///     let longest = scope.spawn(|| text.split(' ').max_by_key(|word| word.len()));
    ///     longest.result()
    /// })?;
    /// assert_eq!(longest, Some("borrowed,"));
    /// assert_eq!(counts, [9, 3, 5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scope<'env, F, R>(&'env self, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        let scope = Scope {
            pool: self,
            crowd: Arc::new(Crowd::of_scope(self.core.id)),
            scope: PhantomData,
            env: PhantomData,
        };
        let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
        // Nothing unwinds here; if it did, the tasks would outlive what they borrow.
        let waited = abort_on_unwind(|| scope.crowd.wait_until_empty(self.core.id));
        match (result, waited) {
            (Err(payload), waited) => {
                contain(|| drop(waited));
                resume_unwind(payload)
            }
            (Ok(result), Err(payload)) => {
                contain(|| drop(result));
                resume_unwind(payload)
            }
            (Ok(_), Ok(())) if scope.crowd.has_failed() => {
                panic!("a task of the scope panicked or did not run, and nobody took its result")
            }
            (Ok(result), Ok(())) => result,
        }
    }
}

/// Where tasks may borrow, from [`ThreadPoolExecutor::scope`].
///
/// # Examples
///
/// A task may add others:
///
/// ```
/// use std::sync::mpsc;
/// use thread_pool::{Scope, ThreadPoolExecutor};
///
/// fn visit<'scope>(scope: &'scope Scope<'scope, '_>, found: mpsc::Sender<u32>, n: u32) {
///     if n > 0 {
///         for child in [n - 1, n / 2] {
///             let found = found.clone();
///             scope.spawn(move || visit(scope, found, child));
///         }
///     }
///     found.send(n).unwrap();
/// }
///
/// let pool = ThreadPoolExecutor::new(2)?;
/// let (sender, found) = mpsc::channel();
/// pool.scope(|scope| visit(scope, sender, 3));
/// assert_eq!(found.into_iter().count(), 11);
/// # Ok::<(), thread_pool::BuildError>(())
/// ```
///
/// What a task borrows must outlive the scope:
///
/// ```compile_fail,E0373
/// # let pool = thread_pool::ThreadPoolExecutor::new(1).unwrap();
/// pool.scope(|scope| {
///     let inside = String::from("gone when the closure returns");
///     scope.spawn(|| println!("{inside}"));
/// });
/// ```
pub struct Scope<'scope, 'env: 'scope> {
    pool: &'env ThreadPoolExecutor,
    crowd: Arc<Crowd>,
    /// Invariant: otherwise `'scope` could shrink, and tasks could borrow from inside the closure.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Scope<'scope, '_> {
    /// Runs `job` on a worker, and returns the handle of its result.
    ///
    /// The bound of the pool's queue does not hold it back. If the pool is shut down, a task of the pool
    /// that is still running may go on to spawn its parts, and these run even if the shutdown is a
    /// [cancelling](ThreadPoolExecutor::shutdown_now) one, which cancels those that it finds in the queue.
    /// On any other thread the job is run at once, right there.
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{as_completed, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let lines = ["one two", "three"];
    /// let words: usize = pool.scope(|scope| {
    ///     let counts = lines.iter().map(|line| scope.spawn(|| line.split(' ').count()));
    ///     as_completed(counts).filter_map(|(_, count)| count.ok()).sum()
    /// });
    /// assert_eq!(words, 3);
    /// # Ok::<(), thread_pool::BuildError>(())
    /// ```
    pub fn spawn<F, T>(&'scope self, job: F) -> ScopedHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.spawn_as(Role::Task, job)
    }

    /// Like [`spawn`](Self::spawn), with a role.
    pub(crate) fn spawn_as<F, T>(&'scope self, role: Role, job: F) -> ScopedHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let crowd: &'scope Crowd = &self.crowd;
        let fate = Fate {
            crowd,
            is_good: false,
        };
        let closure = move || {
            let value = job();
            fate.end_well();
            value
        };
        let core = &self.pool.core;
        // Spawned by a task that goes on after the pool gave up queued tasks: it runs all the same.
        let is_late = current::is_of(core) && core.abandoned.is_set();
        let role = if is_late { Role::Part } else { role };
        // SAFETY: what closure and value borrow outlives `'scope`, which lasts until the crowd has
        // been waited for, and so until the presence is dropped. The handle cannot leave `'scope`.
        let (task, inner) =
            unsafe { task_with_guard(core.id, closure, Crowd::enter(&self.crowd), role) };
        self.crowd.add(&task);
        current::with_of(core, |local| match local {
            Some(local) => {
                // Even if the pool is shut down: it is part of a running task.
                if is_late {
                    core.push_part(task);
                } else {
                    core.push_local(local, task);
                }
            }
            None => {
                if let Err(task) = core.push(task) {
                    task.run();
                } else if role == Role::Helper {
                    core.count_helpers(1);
                }
            }
        });
        ScopedHandle {
            inner,
            crowd,
            is_seen: AtomicBool::new(false),
            scope: PhantomData,
        }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// Travels with a task's closure, and counts a failure if it is dropped before the task has ended
/// well: the task panicked, or never ran.
struct Fate<'scope> {
    crowd: &'scope Crowd,
    is_good: bool,
}

impl Fate<'_> {
    /// The task has ended well. By value, so that a closure captures it whole.
    fn end_well(mut self) {
        self.is_good = true;
    }
}

impl Drop for Fate<'_> {
    fn drop(&mut self) {
        if !self.is_good {
            self.crowd.fail();
        }
    }
}

/// The handle of a task that may borrow, from [`Scope::spawn`]. Dropping it detaches; the scope
/// waits for the task all the same.
///
/// It is a [`FutureResult`] like any other handle.
///
/// # Examples
///
/// ```
/// use thread_pool::{FutureResult, ThreadPoolExecutor};
///
/// let pool = ThreadPoolExecutor::new(2)?;
/// let words = vec!["the", "longest", "word"];
/// let longest: &&str = pool.scope(|scope| {
///     // The result borrows, too.
///     scope.spawn(|| words.iter().max_by_key(|word| word.len())).result()
/// })?.unwrap();
/// assert_eq!(*longest, "longest");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ScopedHandle<'scope, T> {
    inner: JoinHandle<T>,
    crowd: &'scope Crowd,
    /// Whether the handle's owner knows of a failure of the task.
    is_seen: AtomicBool,
    /// The value may borrow, so it must not get out of the scope.
    scope: PhantomData<&'scope mut &'scope ()>,
}

impl<T> ScopedHandle<'_, T> {
    /// Notes that the failure of the task was seen.
    fn seen(&self) {
        // ORDERING: Relaxed; it publishes nothing. The task has already counted its failure.
        if !self.is_seen.swap(true, Ordering::Relaxed) {
            self.crowd.forgive();
        }
    }
}

impl<T> Future for ScopedHandle<'_, T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.inner).poll(context);
        match &polled {
            // The handle has given up, not the task.
            Poll::Ready(Ok(_) | Err(TaskError::Deadlock(_))) | Poll::Pending => {}
            Poll::Ready(Err(_)) => self.seen(),
        }
        polled
    }
}

impl<T> FutureResult for ScopedHandle<'_, T> {
    type Value = T;

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_done(context)
    }

    fn status(&self) -> Status {
        self.inner.status()
    }

    fn cancel(&self) -> Cancel {
        let cancel = self.inner.cancel();
        if cancel == Cancel::Prevented {
            self.seen();
        }
        cancel
    }

    fn run_in_place(&mut self) -> InPlace {
        self.inner.run_in_place()
    }

    fn awaited(&self) -> Option<future_result::Awaited> {
        self.inner.awaited()
    }

    fn give_up(&mut self, error: TaskError) {
        self.inner.give_up(error);
    }
}

impl<T> fmt::Debug for ScopedHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopedHandle").field(&self.inner).finish()
    }
}
