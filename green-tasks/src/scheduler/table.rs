//! The tasks that have not ended, each in a slot. A slot is used again with another generation, so that
//! a waker that outlives its task finds nobody.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::time::Instant;

use super::task::{Body, Key, Phase, Task};

/// All tasks of a scheduler.
pub(super) struct Table {
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<u32>>,
    len: Cell<usize>,
    /// Of some tasks that have ended, the memory, so that the next ones need not ask for any.
    spares: RefCell<Vec<Rc<Task>>>,
}

/// So many are kept at most.
const SPARES: usize = 64;

struct Slot {
    generation: u32,
    task: Option<Rc<Task>>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            slots: RefCell::new(Vec::new()),
            free: RefCell::new(Vec::new()),
            len: Cell::new(0),
            spares: RefCell::new(Vec::new()),
        }
    }

    /// Enters the main task, which is running.
    pub(super) fn enter_main(&self, caller: &'static Location<'static>, now: Instant) -> Rc<Task> {
        let key = Key {
            slot: 0,
            generation: 0,
        };
        let main = Rc::new(Task::new(key, 0, caller, None, now, Body::Elsewhere));
        main.phase.set(Phase::Running);
        self.slots.borrow_mut().push(Slot {
            generation: 0,
            task: Some(Rc::clone(&main)),
        });
        self.len.set(1);
        main
    }

    /// How many tasks there are.
    pub(super) fn len(&self) -> usize {
        self.len.get()
    }

    /// The key of a task that is to be [entered](Self::enter); `None` if there are as many as can be counted.
    #[inline]
    pub(super) fn reserve(&self) -> Option<Key> {
        let free = self.free.borrow_mut().pop();
        let Some(slot) = free else {
            return self.add_slot();
        };
        let generation = self.slots.borrow()[slot as usize].generation;
        Some(Key { slot, generation })
    }

    /// Enters a task, whose key was reserved.
    #[inline]
    pub(super) fn enter(&self, task: Task) -> Rc<Task> {
        let place = task.key.slot as usize;
        let task = self.in_place(task);
        self.slots.borrow_mut()[place].task = Some(Rc::clone(&task));
        self.len.set(self.len.get() + 1);
        task
    }

    /// Puts a task into the place of one that has ended and that nobody has any more, if there is one.
    fn in_place(&self, task: Task) -> Rc<Task> {
        let spare = self.spares.borrow_mut().pop();
        if let Some(mut spare) = spare
            && let Some(place) = Rc::get_mut(&mut spare)
        {
            *place = task;
            return spare;
        }
        Rc::new(task)
    }

    fn add_slot(&self) -> Option<Key> {
        let mut slots = self.slots.borrow_mut();
        let slot = u32::try_from(slots.len()).ok()?;
        slots.push(Slot {
            generation: 0,
            task: None,
        });
        Some(Key {
            slot,
            generation: 0,
        })
    }

    pub(super) fn get(&self, key: Key) -> Option<Rc<Task>> {
        let slots = self.slots.borrow();
        let slot = slots.get(key.slot as usize)?;
        slot.task
            .as_ref()
            .filter(|_| slot.generation == key.generation)
            .cloned()
    }

    /// Forgets a task.
    pub(super) fn remove(&self, key: Key) {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(key.slot as usize) else {
            return;
        };
        if slot.generation != key.generation {
            return;
        }
        let task = slot.task.take();
        // A slot whose generations are used up stays empty.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.borrow_mut().push(key.slot);
        }
        drop(slots);
        if let Some(task) = task {
            self.len.set(self.len.get() - 1);
            let mut spares = self.spares.borrow_mut();
            if spares.len() < SPARES {
                spares.push(task);
            }
        }
    }

    /// All of them, in the order of their slots.
    pub(super) fn all(&self) -> Vec<Rc<Task>> {
        let slots = self.slots.borrow();
        slots.iter().filter_map(|slot| slot.task.clone()).collect()
    }
}
