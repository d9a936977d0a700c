//! Tasks strung on their own cells: a queue that allocates nothing.
//!
//! A cell has one `next` pointer, which belongs to whoever holds its task, so a task is in at most one
//! list. The inbox is the stack of Treiber ("Systems Programming: Coping with Parallelism", IBM RJ 5118,
//! 1986) without its pop: takers swap out the whole stack and reverse it. Nobody follows a pointer of a
//! stack that others still push to, so the usual trouble of such stacks, a node freed or reused
//! meanwhile, cannot arise.

use std::fmt;
use std::mem;
use std::ptr::{self, NonNull};

use super::{Header, RawTask};
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::is_sampled;
use crate::{JoinHandle, PoolId, Status, Task};

/// The head of a closed inbox; the address of no cell.
const CLOSED: *mut Header = ptr::without_provenance_mut(1);

/// Tasks in the order in which they were added, in no memory but their own.
///
/// Dropped with tasks inside, it drops these, which completes their handles with
/// [`TaskError::Lost`](crate::TaskError::Lost).
///
/// # Examples
///
/// ```
/// use future_result::{task, FutureResult, TaskList};
///
/// let mut list = TaskList::new();
/// let handles = [1, 2].map(|n| {
///     let (task, handle) = task(move || n);
///     list.push_back(task);
///     handle
/// });
/// assert_eq!(list.len(), 2);
/// while let Some(task) = list.pop_front() {
///     task.run();
/// }
/// assert_eq!(handles.map(|handle| handle.result().unwrap()), [1, 2]);
/// ```
pub struct TaskList {
    /// Null if there are none. Each cell's `next` points to the following one; the last one's is arbitrary.
    first: *mut Header,
    /// Valid unless `first` is null.
    last: *mut Header,
    len: usize,
}

// SAFETY: it owns its tasks, which are `Send`, and the pointers are its own.
unsafe impl Send for TaskList {}
// SAFETY: through a shared reference only `len` is read.
unsafe impl Sync for TaskList {}

impl TaskList {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            first: ptr::null_mut(),
            last: ptr::null_mut(),
            len: 0,
        }
    }

    /// The number of tasks, tombstones included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether any of the tasks [is sampled](Task::is_sampled).
    #[doc(hidden)]
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        let mut current = self.first;
        for _ in 0..self.len {
            if is_sampled(current.addr()) {
                return true;
            }
            match NonNull::new(current) {
                // SAFETY: the list holds the cell's task.
                Some(cell) => current = unsafe { next(cell) },
                None => break,
            }
        }
        false
    }

    /// Adds a task at the end.
    #[inline]
    pub fn push_back(&mut self, task: Task) {
        let cell = task.into_raw().into_cell();
        if self.first.is_null() {
            self.first = cell.as_ptr();
        } else if let Some(last) = NonNull::new(self.last) {
            // SAFETY: the list is not empty, so its last cell is one whose task it holds.
            unsafe { set_next(last, cell.as_ptr()) };
        }
        self.last = cell.as_ptr();
        self.len += 1;
    }

    /// Adds a task at the front.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, FutureResult, TaskList};
    ///
    /// let mut list = TaskList::new();
    /// let [late, early] = [2, 1].map(|n| {
    ///     let (task, handle) = task(move || n);
    ///     list.push_front(task);
    ///     handle
    /// });
    /// list.pop_front().unwrap().run();
    /// assert!(early.is_done() && !late.is_done());
    /// ```
    pub fn push_front(&mut self, task: Task) {
        let cell = task.into_raw().into_cell();
        // SAFETY: the cell's task was just given to us.
        unsafe { set_next(cell, self.first) };
        if self.first.is_null() {
            self.last = cell.as_ptr();
        }
        self.first = cell.as_ptr();
        self.len += 1;
    }

    /// Takes the oldest task.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Task> {
        let cell = NonNull::new(self.first)?;
        self.len -= 1;
        self.first = if self.len == 0 {
            ptr::null_mut()
        } else {
            // SAFETY: the list holds the cell's task.
            unsafe { next(cell) }
        };
        // SAFETY: the cell's task was given up by whoever put it into the list, and leaves it here.
        Some(Task::from_raw(unsafe { RawTask::from_cell(cell) }))
    }

    /// Moves all of `other` to the end.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, TaskList};
    ///
    /// let [mut list, mut more] = [1, 2].map(|n| {
    ///     let mut list = TaskList::new();
    ///     list.push_back(task(move || n).0);
    ///     list
    /// });
    /// list.append(&mut more);
    /// assert_eq!((list.len(), more.len()), (2, 0));
    /// ```
    pub fn append(&mut self, other: &mut Self) {
        let other = mem::take(other);
        if other.is_empty() {
            return;
        }
        match NonNull::new(self.last) {
            Some(last) if !self.is_empty() => {
                // SAFETY: the list is not empty, so its last cell is one whose task it holds.
                unsafe { set_next(last, other.first) };
            }
            _ => self.first = other.first,
        }
        self.last = other.last;
        self.len += other.len;
        // Its tasks are in this list now.
        mem::forget(other);
    }

    /// Drops the tasks that were cancelled or run in place.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, FutureResult, TaskList};
    ///
    /// let (task, handle) = task(|| ());
    /// let mut list = TaskList::new();
    /// list.push_back(task);
    /// let _ = handle.cancel();
    /// list.drop_stale();
    /// assert!(list.is_empty());
    /// ```
    pub fn drop_stale(&mut self) {
        self.drop_stale_with(|_| ());
    }

    /// As [`drop_stale`](Self::drop_stale), and reports what became of each task that it drops; see [`Task::status`].
    #[doc(hidden)]
    pub fn drop_stale_with(&mut self, mut tell: impl FnMut(Option<Status>)) {
        for _ in 0..self.len {
            match self.pop_front() {
                Some(task) if task.is_stale() => tell(task.status()),
                Some(task) => self.push_back(task),
                None => break,
            }
        }
    }

    /// Builds a list from a chain that ends with `end`, the newest task first.
    ///
    /// # Safety
    ///
    /// The caller gives up the tasks of all the cells of the chain.
    unsafe fn from_newest(newest: *mut Header, end: *mut Header) -> Self {
        let mut list = Self {
            first: ptr::null_mut(),
            last: newest,
            len: 0,
        };
        let mut current = newest;
        while current != end
            && let Some(cell) = NonNull::new(current)
        {
            // SAFETY: the chain's tasks are ours, says the caller.
            current = unsafe { next(cell) };
            // SAFETY: the same.
            unsafe { set_next(cell, list.first) };
            list.first = cell.as_ptr();
            list.len += 1;
        }
        list
    }
}

impl Default for TaskList {
    fn default() -> Self {
        Self::new()
    }
}

impl Extend<Task> for TaskList {
    fn extend<I: IntoIterator<Item = Task>>(&mut self, tasks: I) {
        for task in tasks {
            self.push_back(task);
        }
    }
}

impl Drop for TaskList {
    fn drop(&mut self) {
        while self.pop_front().is_some() {}
    }
}

impl fmt::Debug for TaskList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskList").field("len", &self.len).finish()
    }
}

/// Where many threads leave tasks for one that takes them all: an unbounded queue whose push is one
/// compare-and-swap, whatever the number of takers.
///
/// # Examples
///
/// ```
/// use future_result::{task, FutureResult, TaskInbox};
///
/// let inbox = TaskInbox::new();
/// let (task, handle) = task(|| 42);
/// inbox.push(task).unwrap();
/// let mut tasks = inbox.take_all();
/// tasks.pop_front().unwrap().run();
/// assert_eq!(handle.result()?, 42);
/// # Ok::<(), future_result::TaskError>(())
/// ```
pub struct TaskInbox {
    /// The newest task, whose cell points to the one before; null, or `CLOSED`.
    head: AtomicPtr<Header>,
}

impl TaskInbox {
    /// An empty inbox, open.
    #[must_use]
    pub fn new() -> Self {
        Self {
            head: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Adds a task. A `SeqCst` read-modify-write: a `SeqCst` load after it does not overtake it.
    ///
    /// # Errors
    ///
    /// Gives the task back if the inbox is closed.
    #[inline]
    pub fn push(&self, task: Task) -> Result<(), Task> {
        let cell = task.into_raw().into_cell();
        // SAFETY: we hold the cell's task, and give it up.
        if unsafe { self.push_chain(cell, cell) } {
            Ok(())
        } else {
            // SAFETY: not pushed, so it is still ours.
            Err(Task::from_raw(unsafe { RawTask::from_cell(cell) }))
        }
    }

    /// Adds all of `tasks` at once, in order and with none in between. Otherwise like [`push`](Self::push).
    ///
    /// # Errors
    ///
    /// Gives the tasks back if the inbox is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, TaskInbox, TaskList};
    ///
    /// let mut tasks = TaskList::new();
    /// tasks.extend([1, 2, 3].map(|n| task(move || n).0));
    /// let inbox = TaskInbox::new();
    /// inbox.push_all(tasks).unwrap();
    /// assert_eq!(inbox.take_all().len(), 3);
    /// ```
    pub fn push_all(&self, tasks: TaskList) -> Result<(), TaskList> {
        let (Some(first), Some(_)) = (NonNull::new(tasks.first), NonNull::new(tasks.last)) else {
            return if self.is_closed() { Err(tasks) } else { Ok(()) };
        };
        // A stack runs from the newest to the oldest.
        let mut reversed = ptr::null_mut();
        let mut current = first;
        for left in (0..tasks.len).rev() {
            let following = if left == 0 {
                ptr::null_mut()
            } else {
                // SAFETY: the list holds the cell's task.
                unsafe { next(current) }
            };
            // SAFETY: the same.
            unsafe { set_next(current, reversed) };
            reversed = current.as_ptr();
            match NonNull::new(following) {
                Some(following) => current = following,
                None => break,
            }
        }
        mem::forget(tasks);
        // SAFETY: a chain of cells whose tasks were the list's, from the newest to the oldest.
        if unsafe { self.push_chain(current, first) } {
            return Ok(());
        }
        // SAFETY: not pushed, so they are still ours; `push_chain` has set what the oldest points
        // to, which here is the end.
        Err(unsafe { TaskList::from_newest(current.as_ptr(), CLOSED) })
    }

    /// Makes a [detached](Task::detached) task of `closure` and adds it.
    ///
    /// # Errors
    ///
    /// Gives the closure back if the inbox is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::TaskInbox;
    ///
    /// let inbox = TaskInbox::new();
    /// drop(inbox.close());
    /// let Err(refused) = inbox.push_detached(|| println!("not lost")) else { unreachable!() };
    /// refused();
    /// ```
    #[inline]
    pub fn push_detached<F>(&self, closure: F) -> Result<(), F>
    where
        F: FnOnce() + Send + 'static,
    {
        match self.push(Task::detached(closure)) {
            Ok(()) => Ok(()),
            // SAFETY: this is the task made above, of an `F`.
            Err(task) => Err(unsafe { task.into_raw().into_detached_closure() }),
        }
    }

    /// Makes a task of `closure`, as [`task_in`](crate::task_in) does, and adds it.
    ///
    /// # Errors
    ///
    /// Gives the closure back if the inbox is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{FutureResult, PoolId, TaskInbox};
    ///
    /// let (inbox, pool) = (TaskInbox::new(), PoolId::new());
    /// let Ok(handle) = inbox.push_task_in(pool, || 1) else { unreachable!() };
    /// inbox.close().pop_front().unwrap().run();
    /// let Err(refused) = inbox.push_task_in(pool, || 2) else { unreachable!() };
    /// assert_eq!(handle.result()? + refused(), 3);
    /// # Ok::<(), future_result::TaskError>(())
    /// ```
    #[inline]
    pub fn push_task_in<F, T>(&self, pool: PoolId, closure: F) -> Result<JoinHandle<T>, F>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (task, reader) = RawTask::new(closure, Some(pool));
        match self.push(Task::from_raw(task)) {
            Ok(()) => Ok(JoinHandle::new(reader)),
            // SAFETY: these are both sides of the cell made above, of an `F`.
            Err(task) => Err(unsafe { task.into_raw().into_closure(reader) }),
        }
    }

    /// False if the inbox is closed; then `oldest` points to `CLOSED`.
    ///
    /// # Safety
    ///
    /// The caller holds the tasks of the chain from `newest` to `oldest`, and gives them up if the
    /// answer is true.
    #[inline]
    unsafe fn push_chain(&self, newest: NonNull<Header>, oldest: NonNull<Header>) -> bool {
        // ORDERING: Relaxed; nothing is read through the pointer.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: we hold the task until the compare-and-swap has succeeded.
            unsafe { set_next(oldest, head) };
            if head == CLOSED {
                return false;
            }
            // ORDERING: SeqCst contains the Release that publishes the cells, and pairs with the Acquire
            // of `take_all`; it also keeps the caller's next SeqCst load behind it.
            match self.head.compare_exchange_weak(
                head,
                newest.as_ptr(),
                Ordering::SeqCst,
                Ordering::Relaxed,
            ) {
                // Last touch: others may run and free the cells.
                Ok(_) => return true,
                Err(seen) => head = seen,
            }
        }
    }

    /// Takes everything, the oldest first.
    #[inline]
    #[must_use]
    pub fn take_all(&self) -> TaskList {
        // ORDERING: Acquire pairs with the Release of a push.
        let mut head = self.head.load(Ordering::Relaxed);
        while !head.is_null() && head != CLOSED {
            match self.head.compare_exchange_weak(
                head,
                ptr::null_mut(),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                // SAFETY: the swap made the chain ours; it ends with null.
                Ok(newest) => return unsafe { TaskList::from_newest(newest, ptr::null_mut()) },
                Err(seen) => head = seen,
            }
        }
        TaskList::new()
    }

    /// Accepts nothing more, and takes everything.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, TaskInbox};
    ///
    /// let inbox = TaskInbox::new();
    /// assert!(inbox.close().is_empty());
    /// let refused = inbox.push(task(|| ()).0).unwrap_err();
    /// refused.run();
    /// ```
    pub fn close(&self) -> TaskList {
        // ORDERING: Acquire as in `take_all`; SeqCst, since the closer then looks for sleepers.
        let newest = self.head.swap(CLOSED, Ordering::SeqCst);
        if newest == CLOSED {
            return TaskList::new();
        }
        // SAFETY: the swap made the chain ours; it ends with null.
        unsafe { TaskList::from_newest(newest, ptr::null_mut()) }
    }

    /// Whether there is nothing to take; a `SeqCst` load.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // ORDERING: SeqCst, so that it does not overtake a SeqCst read-modify-write before it.
        let head = self.head.load(Ordering::SeqCst);
        head.is_null() || head == CLOSED
    }

    /// Whether it was closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::TaskInbox;
    ///
    /// let inbox = TaskInbox::new();
    /// assert!(!inbox.is_closed());
    /// drop(inbox.close());
    /// assert!(inbox.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // ORDERING: Relaxed; it publishes nothing.
        self.head.load(Ordering::Relaxed) == CLOSED
    }
}

impl Default for TaskInbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TaskInbox {
    fn drop(&mut self) {
        drop(self.close());
    }
}

impl fmt::Debug for TaskInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskInbox")
            .field("is_empty", &self.is_empty())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

/// # Safety
///
/// The caller holds the cell's task.
#[inline]
unsafe fn next(cell: NonNull<Header>) -> *mut Header {
    // SAFETY: the task side is an owner, so the header is alive.
    let next = unsafe { &cell.as_ref().next };
    // SAFETY: `next` belongs to whoever holds the task.
    next.with(|next| unsafe { *next })
}

/// # Safety
///
/// The caller holds the cell's task.
#[inline]
unsafe fn set_next(cell: NonNull<Header>, following: *mut Header) {
    // SAFETY: the task side is an owner, so the header is alive.
    let next = unsafe { &cell.as_ref().next };
    // SAFETY: `next` belongs to whoever holds the task.
    next.with_mut(|next| unsafe { *next = following });
}
