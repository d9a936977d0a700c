//! A worker's own queue: a ring that its owner fills, and from whose front anyone may take.
//!
//! It is a worker's queue as in Go's and tokio's schedulers: a fixed ring of pointers between two
//! counters. `tail` is the owner's. `head` moves by compare-and-swap, by one for a pop, by many for a
//! steal; whoever moves it owns what it moved over. First in, first out, for the owner too.
//!
//! A taker reads the slots before it has won them, and uses what it read only if it wins. The owner does
//! not write a slot before it has seen `head` pass it, so a winner has read what was there. The counters
//! have 64 bits and never wrap.

use std::array;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::{CellId, Header, RawTask, TaskList};
use crate::Task;
use crate::sync::RING;
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

struct Ring {
    head: Line<AtomicU64>,
    tail: Line<AtomicU64>,
    /// The slots from `head` up to `tail` hold tasks.
    slots: [AtomicPtr<Header>; RING],
}

/// Against false sharing.
#[repr(align(128))]
struct Line<T>(T);

impl Ring {
    fn slot(&self, place: u64) -> &AtomicPtr<Header> {
        &self.slots[(place % RING as u64) as usize]
    }

    fn len(&self) -> usize {
        // ORDERING: Acquire, the head first: it never passes the tail, so the values read cannot either.
        let head = self.head.0.load(Ordering::Acquire);
        let tail = self.tail.0.load(Ordering::Acquire);
        tail.saturating_sub(head) as usize
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Both ends are gone: nobody else takes.
        while take_one(self, |_| true).is_some() {}
    }
}

/// The owner's end of a queue of tasks from whose front others may steal.
///
/// It holds a fixed number of tasks, enough for most; what does not fit goes elsewhere.
///
/// # Examples
///
/// ```
/// use future_result::{task, FutureResult, TaskDeque};
///
/// let mine = TaskDeque::new();
/// let (others, handle) = (TaskDeque::new(), task(|| 42));
/// mine.push(handle.0).unwrap();
/// let stolen = mine.stealer().steal_into(&others).unwrap();
/// stolen.run();
/// assert_eq!(handle.1.result()?, 42);
/// # Ok::<(), future_result::TaskError>(())
/// ```
pub struct TaskDeque {
    ring: Arc<Ring>,
    /// One owner at a time: it may move to another thread, but not be shared.
    _not_sync: PhantomData<std::cell::Cell<()>>,
}

/// A thief's end of a [`TaskDeque`].
#[derive(Clone)]
pub struct TaskStealer {
    ring: Arc<Ring>,
}

// SAFETY: whoever moves `head` over a task owns it alone, and tasks are `Send`.
unsafe impl Send for Ring {}
// SAFETY: as above; the slots themselves are atomics.
unsafe impl Sync for Ring {}

impl TaskDeque {
    /// How many tasks it holds at most.
    pub const CAPACITY: usize = RING;

    /// An empty queue.
    #[expect(clippy::new_without_default, reason = "a queue is made on purpose")]
    #[must_use]
    pub fn new() -> Self {
        let ring = Arc::new(Ring {
            head: Line(AtomicU64::new(0)),
            tail: Line(AtomicU64::new(0)),
            slots: array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
        });
        Self {
            ring,
            _not_sync: PhantomData,
        }
    }

    /// An end for those who steal.
    #[must_use]
    pub fn stealer(&self) -> TaskStealer {
        TaskStealer {
            ring: Arc::clone(&self.ring),
        }
    }

    /// The number of tasks, tombstones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a task at the end. A `SeqCst` read-modify-write: a `SeqCst` load after it does not overtake
    /// it.
    ///
    /// # Errors
    ///
    /// Gives the task back if there is no room.
    #[inline]
    pub fn push(&self, task: Task) -> Result<(), Task> {
        let ring = &*self.ring;
        // ORDERING: Relaxed; the owner alone changes it.
        let tail = ring.tail.0.load(Ordering::Relaxed);
        // ORDERING: Acquire pairs with the Release of the takers: whoever took from a slot has read it.
        let head = ring.head.0.load(Ordering::Acquire);
        if tail - head >= RING as u64 {
            return Err(task);
        }
        let cell = task.into_raw().into_cell();
        // ORDERING: Relaxed; published by the tail.
        ring.slot(tail).store(cell.as_ptr(), Ordering::Relaxed);
        // ORDERING: SeqCst contains the Release that pairs with the Acquire of the takers; it also keeps
        // the caller's next SeqCst load behind it.
        ring.tail.0.swap(tail + 1, Ordering::SeqCst);
        Ok(())
    }

    /// Moves up to `count` of the oldest tasks of `list` to the end in one step, as far as there is room,
    /// and returns how many. Otherwise like [`push`](Self::push).
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{task, TaskDeque, TaskList};
    ///
    /// let mut list = TaskList::new();
    /// list.extend([1, 2, 3].map(|n| task(move || n).0));
    /// let deque = TaskDeque::new();
    /// assert_eq!(deque.push_from(&mut list, 2), 2);
    /// assert_eq!((deque.len(), list.len()), (2, 1));
    /// ```
    pub fn push_from(&self, list: &mut TaskList, count: usize) -> usize {
        let ring = &*self.ring;
        // ORDERING: as in `push`.
        let tail = ring.tail.0.load(Ordering::Relaxed);
        let head = ring.head.0.load(Ordering::Acquire);
        let room = RING as u64 - (tail - head);
        let mut end = tail;
        while end - tail < room.min(count as u64)
            && let Some(task) = list.pop_front()
        {
            let cell = task.into_raw().into_cell();
            // ORDERING: Relaxed; behind the tail, where nobody looks yet.
            ring.slot(end).store(cell.as_ptr(), Ordering::Relaxed);
            end += 1;
        }
        if end > tail {
            // ORDERING: as in `push`.
            ring.tail.0.swap(end, Ordering::SeqCst);
        }
        (end - tail) as usize
    }

    /// Takes the oldest task.
    #[inline]
    #[must_use]
    pub fn pop(&self) -> Option<Task> {
        take_one(&self.ring, |_| true)
    }

    /// Takes the oldest task if it is this one.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn pop_if(&self, task: CellId) -> Option<Task> {
        take_one(&self.ring, |oldest| task.is_at(oldest))
    }
}

impl TaskStealer {
    /// Whether there is nothing to steal.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of tasks, tombstones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Takes the oldest task.
    #[must_use]
    pub fn steal(&self) -> Option<Task> {
        take_one(&self.ring, |_| true)
    }

    /// Takes half of the tasks, the oldest ones: returns the first, and adds the others to `to`.
    #[must_use]
    pub fn steal_into(&self, to: &TaskDeque) -> Option<Task> {
        let (from, to) = (&*self.ring, &*to.ring);
        // ORDERING: as in `push`.
        let tail = to.tail.0.load(Ordering::Relaxed);
        let room = RING as u64 - (tail - to.head.0.load(Ordering::Acquire));
        // ORDERING: as in `take_one`.
        let mut head = from.head.0.load(Ordering::Acquire);
        loop {
            let available = from.tail.0.load(Ordering::Acquire).saturating_sub(head);
            let count = available.div_ceil(2).min(room + 1);
            if count == 0 || ptr::eq(from, to) {
                return None;
            }
            let first = from.slot(head).load(Ordering::Relaxed);
            for offset in 1..count {
                let cell = from.slot(head + offset).load(Ordering::Relaxed);
                // Behind the tail, where nobody looks yet.
                to.slot(tail + offset - 1).store(cell, Ordering::Relaxed);
            }
            match from.head.0.compare_exchange(
                head,
                head + count,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    // ORDERING: as in `push`.
                    to.tail.0.swap(tail + count - 1, Ordering::SeqCst);
                    // SAFETY: moving the head over it made the task ours.
                    return unsafe { task_at(first) };
                }
                Err(seen) => head = seen,
            }
        }
    }
}

/// Takes the oldest task, if `is_wanted` accepts its cell's address.
#[inline]
fn take_one(ring: &Ring, is_wanted: impl Fn(*mut Header) -> bool) -> Option<Task> {
    // ORDERING: Acquire, so that the tail read next is not older, and what was pushed is seen.
    let mut head = ring.head.0.load(Ordering::Acquire);
    loop {
        // ORDERING: Acquire pairs with the Release of `push`: we see the slot, and the task's cell.
        let tail = ring.tail.0.load(Ordering::Acquire);
        if head >= tail {
            return None;
        }
        // ORDERING: Relaxed; if it is stale, the compare-and-swap fails.
        let cell = ring.slot(head).load(Ordering::Relaxed);
        if !is_wanted(cell) {
            return None;
        }
        // ORDERING: Release pairs with the Acquire of `push`, which may then use the slot again.
        match ring
            .head
            .0
            .compare_exchange_weak(head, head + 1, Ordering::AcqRel, Ordering::Acquire)
        {
            // SAFETY: moving the head over it made the task ours.
            Ok(_) => return unsafe { task_at(cell) },
            Err(seen) => head = seen,
        }
    }
}

/// # Safety
///
/// The cell's task was given up by whoever pushed it, and is the caller's.
#[inline]
unsafe fn task_at(cell: *mut Header) -> Option<Task> {
    let cell = NonNull::new(cell)?;
    // SAFETY: passed on to the caller.
    Some(Task::from_raw(unsafe { RawTask::from_cell(cell) }))
}

impl fmt::Debug for TaskDeque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskDeque")
            .field("len", &self.len())
            .finish()
    }
}

impl fmt::Debug for TaskStealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskStealer")
            .field("len", &self.len())
            .finish()
    }
}
