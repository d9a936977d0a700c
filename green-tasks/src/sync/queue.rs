//! Tasks that wait for the same thing, in the order of their arrival.
//!
//! It is *granted* to the first of them, which then has it: nobody can get in between. A task that was granted
//! something and unwinds instead of taking it has to pass it on, so each wait says how.
//!
//! A task that could not end with its runtime may be left in a queue. It is skipped: nobody would ever take what it
//! was granted.
//!
//! Each place in the queue has a number, by which its task leaves it. The numbers are in order, so a binary search
//! finds it, and leaves an empty place. So a hundred thousand tasks that wait for one thing can all be cancelled
//! without each of them scanning the queue.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::Location;
use std::rc::Rc;

use crate::scheduler::{Ends, Rest, Scheduler, Task, current};

/// So many empty places are not worth removing.
const SPARE: usize = 32;

/// The waiting tasks.
#[derive(Default)]
pub(crate) struct WaitQueue {
    line: RefCell<Line>,
}

/// What is in the `RefCell`; each borrow ends before anything else happens.
#[derive(Default)]
struct Line {
    /// In the order of their numbers. The first is never empty.
    places: VecDeque<Place>,
    next: u64,
    /// How many are empty.
    empty: usize,
}

struct Place {
    ticket: Ticket,
    /// `None` once it has left.
    task: Option<Rc<Task>>,
}

/// The number of a place, unique in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl Line {
    fn find(&self, ticket: Ticket) -> Option<usize> {
        let found = self
            .places
            .binary_search_by_key(&ticket, |place| place.ticket);
        found.ok()
    }

    /// Removes the first task.
    fn pop(&mut self) -> Option<Rc<Task>> {
        let first = self.places.pop_front()?;
        self.tidy();
        first.task
    }

    /// Restores that the first place is not empty, and most others are not.
    fn tidy(&mut self) {
        while self
            .places
            .front()
            .is_some_and(|place| place.task.is_none())
        {
            self.places.pop_front();
            self.empty -= 1;
        }
        if self.empty > SPARE && self.empty > self.places.len() / 2 {
            self.places.retain(|place| place.task.is_some());
            self.empty = 0;
        }
    }
}

impl WaitQueue {
    pub(crate) const fn new() -> Self {
        Self {
            line: RefCell::new(Line {
                places: VecDeque::new(),
                next: 0,
                empty: 0,
            }),
        }
    }

    /// Appends a task. A grant removes it.
    pub(super) fn enter(&self, task: &Rc<Task>) -> Ticket {
        let mut line = self.line.borrow_mut();
        let ticket = Ticket(line.next);
        line.next += 1;
        line.places.push_back(Place {
            ticket,
            task: Some(Rc::clone(task)),
        });
        ticket
    }

    /// Whether a place is still in the queue, so that nothing was granted to it.
    pub(super) fn holds(&self, ticket: Ticket) -> bool {
        self.line.borrow().find(ticket).is_some()
    }

    /// Removes a task. False if a grant already has.
    pub(super) fn leave(&self, ticket: Ticket) -> bool {
        let mut line = self.line.borrow_mut();
        let Some(place) = line.find(ticket) else {
            return false;
        };
        let task = line.places[place].task.take();
        line.empty += 1;
        line.tidy();
        drop(line);
        task.is_some()
    }

    /// Makes the calling task wait until it is granted what this queue is for. If it was and unwinds instead,
    /// `pass_on` is called.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, where nobody could ever grant it.
    #[inline]
    pub(crate) fn wait(
        &self,
        what: &'static &'static str,
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

    /// Like [`wait`](Self::wait), unless `is_over` becomes true first: then nothing was granted.
    #[inline]
    pub(crate) fn wait_unless(
        &self,
        scheduler: &Scheduler,
        rest: Rest,
        pass_on: impl Fn(),
        is_over: impl Fn() -> bool,
    ) {
        let task = scheduler.current();
        let mut waiting = Waiting {
            queue: self,
            ticket: self.enter(&task),
            task: &task,
            interrupted: task.granted.replace(false),
            pass_on,
            is_granted: false,
        };
        while !task.granted.get() && !is_over() {
            scheduler.rest(&task, rest);
        }
        waiting.is_granted = task.granted.get();
    }

    /// Grants it to the first waiting task. False if there is none.
    pub(crate) fn grant(&self) -> bool {
        let Some(scheduler) = current::get() else {
            return false;
        };
        loop {
            let first = self.line.borrow_mut().pop();
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

    /// Grants it to all waiting tasks.
    pub(crate) fn grant_all(&self) {
        for _ in 0..self.len() {
            self.grant();
        }
    }

    /// How many tasks wait.
    pub(crate) fn len(&self) -> usize {
        let line = self.line.borrow();
        line.places.len() - line.empty
    }
}

/// A task's place in the queue, while it waits.
struct Waiting<'a, P: Fn()> {
    queue: &'a WaitQueue,
    ticket: Ticket,
    task: &'a Rc<Task>,
    /// What the task was granted in an outer wait. A waker that is called while the task is current may try to wait:
    /// it cannot, and must not take the grant away.
    interrupted: bool,
    pass_on: P,
    /// It was granted what it waits for, and takes it.
    is_granted: bool,
}

impl<P: Fn()> Drop for Waiting<'_, P> {
    fn drop(&mut self) {
        let granted = self.task.granted.replace(self.interrupted);
        if self.is_granted {
            return;
        }
        if granted {
            (self.pass_on)();
        } else {
            self.queue.leave(self.ticket);
        }
    }
}
