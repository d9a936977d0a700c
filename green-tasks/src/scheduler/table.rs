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
}

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
        }
    }

    /// Enters the main task, which is running.
    pub(super) fn enter_main(&self, caller: &'static Location<'static>, now: Instant) -> Rc<Task> {
        let key = Key {
            slot: 0,
            generation: 0,
        };
        let main = Task::new(key, 0, caller, None, now, Body::Elsewhere);
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

    /// Enters the task that is made for a free slot; `None` if there are as many as can be counted.
    pub(super) fn insert(&self, task: impl FnOnce(Key) -> Rc<Task>) -> Option<Rc<Task>> {
        let slot = match self.free.borrow_mut().pop() {
            Some(slot) => slot,
            None => self.add_slot()?,
        };
        let generation = self.slots.borrow()[slot as usize].generation;
        let task = task(Key { slot, generation });
        self.slots.borrow_mut()[slot as usize].task = Some(Rc::clone(&task));
        self.len.set(self.len.get() + 1);
        Some(task)
    }

    fn add_slot(&self) -> Option<u32> {
        let mut slots = self.slots.borrow_mut();
        let slot = u32::try_from(slots.len()).ok()?;
        slots.push(Slot {
            generation: 0,
            task: None,
        });
        Some(slot)
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
        if task.is_some() {
            self.len.set(self.len.get() - 1);
        }
    }

    /// All of them, in the order of their slots.
    pub(super) fn all(&self) -> Vec<Rc<Task>> {
        let slots = self.slots.borrow();
        slots.iter().filter_map(|slot| slot.task.clone()).collect()
    }
}
