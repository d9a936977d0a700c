//! Tasks that wait for the same thing, in the order of their coming.
//!
//! What is waited for is *granted* to the first of them, who then has it: nobody can come between. A
//! task that was granted something and unwinds instead of taking it has to pass it on, so whoever
//! waits says how.
//!
//! A task may be left in here when its runtime has ended, if it could not end with it. It is passed
//! over: nobody would ever take what it was granted.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::Location;
use std::rc::Rc;

use crate::scheduler::{Ends, Rest, Scheduler, Task, current};

/// The tasks that wait.
#[derive(Default)]
pub(crate) struct WaitQueue {
    tasks: RefCell<VecDeque<Rc<Task>>>,
}

impl WaitQueue {
    pub(crate) const fn new() -> Self {
        Self {
            tasks: RefCell::new(VecDeque::new()),
        }
    }

    /// Lets the calling task wait until it is granted what this queue is for. If it unwinds instead,
    /// `pass_on` is called with what it was granted.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, where nobody could ever grant it.
    #[inline]
    pub(crate) fn wait(
        &self,
        what: &'static str,
        at: &'static Location<'static>,
        pass_on: impl Fn(),
    ) {
        let Some(scheduler) = current::get() else {
            panic!("outside of a runtime this would never end: the calling code {what} at {at}");
        };
        let rest = Rest {
            what,
            at: Some(at),
            ends: Ends::Here,
        };
        self.wait_unless(&scheduler, rest, pass_on, || false);
    }

    /// As [`wait`](Self::wait), unless `is_over` becomes true before: then it has not been granted.
    #[inline]
    pub(crate) fn wait_unless(
        &self,
        scheduler: &Scheduler,
        rest: Rest,
        pass_on: impl Fn(),
        is_over: impl Fn() -> bool,
    ) {
        let task = scheduler.current();
        task.granted.set(false);
        self.tasks.borrow_mut().push_back(Rc::clone(&task));
        let mut waiting = Waiting {
            queue: self,
            task: &task,
            pass_on,
            is_granted: false,
        };
        while !task.granted.get() && !is_over() {
            scheduler.rest(&task, rest);
        }
        waiting.is_granted = task.granted.get();
    }

    /// Grants it to the first task that waits. False if none does.
    pub(crate) fn grant(&self) -> bool {
        let Some(scheduler) = current::get() else {
            return false;
        };
        loop {
            let first = self.tasks.borrow_mut().pop_front();
            match first {
                None => return false,
                Some(task) if scheduler.owns(&task) => {
                    task.granted.set(true);
                    scheduler.wake(&task);
                    return true;
                }
                Some(_left_behind) => {}
            }
        }
    }

    /// Grants it to all that wait.
    pub(crate) fn grant_all(&self) {
        for _ in 0..self.len() {
            self.grant();
        }
    }

    /// How many tasks wait.
    pub(crate) fn len(&self) -> usize {
        self.tasks.borrow().len()
    }

    fn remove(&self, task: &Rc<Task>) {
        let mut tasks = self.tasks.borrow_mut();
        if let Some(place) = tasks.iter().position(|other| Rc::ptr_eq(other, task)) {
            let removed = tasks.remove(place);
            drop(tasks);
            drop(removed);
        }
    }
}

/// A task's place in the queue, while it waits.
struct Waiting<'a, P: Fn()> {
    queue: &'a WaitQueue,
    task: &'a Rc<Task>,
    pass_on: P,
    /// It was granted what it waits for, and takes it.
    is_granted: bool,
}

impl<P: Fn()> Drop for Waiting<'_, P> {
    fn drop(&mut self) {
        let granted = self.task.granted.take();
        if self.is_granted {
            return;
        }
        if granted {
            (self.pass_on)();
        } else {
            self.queue.remove(self.task);
        }
    }
}
