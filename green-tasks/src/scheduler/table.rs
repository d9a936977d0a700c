//! The tasks that have not ended, each in a slot. A slot is reused with another generation, so a waker that
//! outlives its task finds nobody. The generation is part of the task's key; when the task has ended, the next key
//! goes into the list of free ones.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;

use super::task::{Body, Key, Phase, Task};

/// All tasks of a scheduler.
pub(super) struct Table {
    slots: RefCell<Vec<Option<Rc<Task>>>>,
    /// The next keys of empty slots.
    free: RefCell<Vec<Key>>,
    len: Cell<usize>,
    /// Memory of ended tasks, to be reused without an allocation.
    spares: RefCell<Vec<Rc<Task>>>,
}

/// At most this many are kept.
const SPARES: usize = 64;

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
    pub(super) fn enter_main(&self, caller: &'static Location<'static>) -> Rc<Task> {
        let key = Key {
            slot: 0,
            generation: 0,
        };
        let main = Rc::new(Task::new(key, 0, caller, None, 0, Body::Elsewhere));
        main.phase.set(Phase::Running);
        self.slots.borrow_mut().push(Some(Rc::clone(&main)));
        self.len.set(1);
        main
    }

    /// How many tasks there are.
    pub(super) fn len(&self) -> usize {
        self.len.get()
    }

    /// The key for a task to be [entered](Self::enter); `None` if there are as many as can be counted.
    #[inline]
    pub(super) fn reserve(&self) -> Option<Key> {
        let free = self.free.borrow_mut().pop();
        free.or_else(|| self.add_slot())
    }

    /// Enters a task with its reserved key.
    #[inline]
    pub(super) fn enter(&self, task: Task) -> Rc<Task> {
        let place = task.key.slot as usize;
        let task = self.in_place(task);
        self.slots.borrow_mut()[place] = Some(Rc::clone(&task));
        self.len.set(self.len.get() + 1);
        task
    }

    /// Puts a task into the memory of one that has ended and that nobody holds any more, if there is one.
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

    #[cold]
    fn add_slot(&self) -> Option<Key> {
        let mut slots = self.slots.borrow_mut();
        let slot = u32::try_from(slots.len()).ok()?;
        slots.push(None);
        Some(Key {
            slot,
            generation: 0,
        })
    }

    pub(super) fn get(&self, key: Key) -> Option<Rc<Task>> {
        let slots = self.slots.borrow();
        let task = slots.get(key.slot as usize)?.as_ref();
        task.filter(|task| task.key == key).cloned()
    }

    /// Removes a task.
    pub(super) fn remove(&self, key: Key) {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(key.slot as usize);
        let task = slot.and_then(|slot| slot.take_if(|task| task.key == key));
        drop(slots);
        if let Some(task) = task {
            self.len.set(self.len.get() - 1);
            // A slot whose generations are used up stays empty.
            if let Some(generation) = key.generation.checked_add(1) {
                self.free.borrow_mut().push(Key { generation, ..key });
            }
            let mut spares = self.spares.borrow_mut();
            if spares.len() < SPARES {
                spares.push(task);
            }
        }
    }

    /// All of them, in the order of their slots.
    pub(super) fn all(&self) -> Vec<Rc<Task>> {
        let slots = self.slots.borrow();
        slots.iter().flatten().cloned().collect()
    }
}
