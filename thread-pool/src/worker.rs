//! A worker: initialize, then find and run until the pool is closed and drained.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use future_result::sync::atomic::{Ordering, fence};
use future_result::sync::{SEARCHES, thread, thread_locals};
use future_result::{CellId, OwnQueue, Rejection, Task, TaskDeque, TaskError, TaskList, contain};

use crate::core::Core;
use crate::roster::Others;
use crate::sleep::{Awake, Bed};

/// After so many tasks of its own a worker lets some from outside in, so that tasks which submit
/// tasks without end cannot shut the others out.
const OUTSIDE_EVERY: u32 = 61;

thread_locals! {
    static LOCAL: RefCell<Option<Rc<Local>>> = RefCell::new(None);
}

/// What a worker keeps to itself.
pub(crate) struct Local {
    core: Arc<Core>,
    index: usize,
    deque: TaskDeque,
    others: Others,
    bed: Arc<Bed>,
    /// Tasks popped from the deque.
    pops: Cell<u32>,
}

impl Local {
    /// The calling thread's, if it is a worker of any pool.
    #[inline]
    pub(crate) fn current() -> Option<Rc<Self>> {
        // A thread whose locals are being destroyed is no worker any more.
        LOCAL.try_with(|local| local.borrow().clone()).ok().flatten()
    }

    /// The calling thread's, if it is a worker of this pool.
    #[inline]
    pub(crate) fn of(core: &Arc<Core>) -> Option<Rc<Self>> {
        Self::current().filter(|local| Arc::ptr_eq(&local.core, core))
    }

    /// The pool that the worker belongs to.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Adds a task to the deque; the caller wakes who is needed for it.
    #[inline]
    pub(crate) fn push(&self, task: Task) {
        if let Err(task) = self.deque.push(task) {
            self.make_room(task);
        }
    }

    /// Drops the deque's tombstones, and if that is not enough, moves its newer half to the injector.
    #[cold]
    fn make_room(&self, newest: Task) {
        let mut kept = TaskList::new();
        while let Some(task) = self.deque.pop() {
            // Dropping a tombstone frees memory and runs nothing of the user's.
            if !task.is_stale() {
                kept.push_back(task);
            }
        }
        kept.push_back(newest);
        for _ in 0..TaskDeque::CAPACITY / 2 {
            match kept.pop_front().map(|task| self.deque.push(task)) {
                Some(Ok(())) => {}
                Some(Err(task)) => kept.push_front(task),
                None => break,
            }
        }
        if !kept.is_empty() {
            self.core.injector.overflow(kept);
        }
    }

    /// The next task; searches and sleeps while there is none. `None` when the worker is to leave.
    fn next(&self) -> Option<Task> {
        let core = &self.core;
        let pops = self.pops.get().wrapping_add(1);
        self.pops.set(pops);
        if pops.is_multiple_of(OUTSIDE_EVERY) && self.refill() {
            self.tell_of_more();
        }
        if let Some(task) = self.deque.pop() {
            return Some(task);
        }
        if !core.sleep.is_crowded()
            && self.refill()
            && let Some(task) = self.deque.pop()
        {
            self.tell_of_more();
            return Some(task);
        }
        core.sleep.start_searching();
        self.search()
    }

    /// Gets tasks from outside, behind those that are there.
    fn refill(&self) -> bool {
        let workers = self.core.sleep.counts().live() as usize;
        self.core.injector.refill(&self.deque, workers)
    }

    /// Wakes another worker if there is more to do than this one has taken out.
    fn tell_of_more(&self) {
        // ORDERING: the producer's fence in the proof of `sleep`: tasks were moved.
        fence(Ordering::SeqCst);
        if self.core.sleep.is_wanting() && self.sees_work() {
            self.core.wake_if_wanting();
        }
    }

    fn sees_work(&self) -> bool {
        let core = &self.core;
        !core.injector.is_empty() || !self.others.are_idle(&core.roster)
    }

    /// As [`Local::next`], for a worker that counts as searching.
    fn search(&self) -> Option<Task> {
        let core = &self.core;
        loop {
            for turn in 0..=SEARCHES {
                if turn > 0 {
                    thread::yield_now();
                }
                if core.sleep.is_crowded() {
                    break;
                }
                if let Some(task) = self.find() {
                    if core.sleep.stop_searching() && self.sees_work() {
                        core.wake_if_wanting();
                    }
                    return Some(task);
                }
            }
            if core.is_over() && !self.sees_work() {
                core.leave();
                return None;
            }
            let to_do = |has_place| core.is_over() || (has_place && self.sees_work());
            if core.sleep.sleep(&self.bed, to_do) == Awake::Leave {
                return None;
            }
        }
    }

    fn find(&self) -> Option<Task> {
        if self.refill()
            && let Some(task) = self.deque.pop()
        {
            return Some(task);
        }
        self.others.steal(&self.core.roster, &self.deque)
    }
}

impl OwnQueue for Local {
    fn run_if_next(&self, task: CellId) -> bool {
        match self.deque.pop_if(task) {
            Some(task) => {
                task.run();
                true
            }
            None => false,
        }
    }
}

/// The body of a worker's thread.
pub(crate) fn run(core: Arc<Core>, index: usize, deque: TaskDeque) {
    let local = Rc::new(Local {
        core,
        index,
        deque,
        others: Others::new(index),
        bed: Arc::new(Bed::new()),
        pops: Cell::new(0),
    });
    let core = &local.core;
    let queue: Rc<dyn OwnQueue> = local.clone();
    core.id.enter_with(queue, || {
        let _ = LOCAL.try_with(|place| place.replace(Some(Rc::clone(&local))));
        if core.threads.initializer.is_some() && !initialize(core, index) {
            // Each of the others leaves after what it is running.
            core.close(Rejection::Broken);
            core.fail_queued(&TaskError::Rejected(Rejection::Broken));
        }
        let mut next = local.search();
        while let Some(task) = next {
            task.run();
            next = local.next();
        }
        let _ = LOCAL.try_with(RefCell::take);
    });
    core.forget_worker(index);
}

/// Runs the initializer. False if it panicked.
fn initialize(core: &Arc<Core>, index: usize) -> bool {
    // It may take long; nobody is to rely on this worker meanwhile.
    if core.sleep.stop_searching() && !core.injector.is_empty() {
        core.wake_if_wanting();
    }
    let mut succeeded = false;
    contain(|| {
        if let Some(initializer) = &core.threads.initializer {
            initializer(index);
        }
        succeeded = true;
    });
    core.sleep.start_searching();
    succeeded
}
