//! Cycles of waits: who waits for whom, and whether the thread that is about to park could ever be
//! woken.
//!
//! A thread that runs a task and is about to park without a time limit registers the tasks that it
//! is running and the tasks that it waits for, any of which ends its wait. It unregisters when it
//! has been woken, before it looks at anything. Both happen under the registry's one lock, and so
//! does the search between them: along the waits, from task to thread to task. Where it comes upon
//! a task that no registered thread is running (it is queued, or runs on a thread that is awake, or
//! is done, or is completed by hand), the wait may end. If it finds no such task, nothing that was
//! found can go on before something else of it does: that is a cycle, and instead of parking, the
//! last thread to join it gets [`TaskError::Deadlock`]. Its handle gives
//! up; the task goes on, and so can the others.
//!
//! Threads that run no task do not come here, as nobody can wait for them, nor do waits with a
//! deadline, which end by themselves, or by a [`Blocker`](crate::Blocker).
//!
//! # Why no deadlock is reported that is none
//!
//! ```text
//! runner: unregister;  end the closure;  leave `RUNNING`;  complete the cell
//! waiter: find the cell pending;  register;  search
//! ```
//!
//! The runner's first step and the waiter's last two are under the lock. A search that finds the
//! cell run by a registered thread is before that thread's next `unregister`, and so before the
//! cell is completed. (A registration lists only what is in `RUNNING`, which a cell has left before
//! it is completed. So one that is made later, say by a callback that waits, does not list it.) If
//! all that a search finds is such cells, then at that moment none of their waits is over, even of
//! those threads that have been woken for nothing; and each could only be ended by another of them.
//!
//! An identity is not given to another cell meanwhile: what is run is kept by its runner, and what
//! is waited for by a token in the registration.
//!
//! # Why none is missed
//!
//! Of the threads of a cycle one registers last. Its search finds the others, whose registrations
//! stay until they are woken.
//!
//! A wait for many tasks does not list them, or else waiting for each in turn would take quadratic
//! time: it counts on there being more of them than registered threads are running. As soon as that
//! is no longer so, whoever has registered last wakes it, and it lists them. (Many clones of one
//! shared handle in one set make the count too high: a cycle through such a set may stay unnoticed.)

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::task::Waker;

use crate::blocker::{PoolId, Wait};
use crate::cell::{CellId, RawToken, running};
use crate::sync::thread::Thread;
use crate::sync::{LISTED_MIN, Mutex, statics};
use crate::{Cause, TaskError};

/// A task that somebody waits for.
#[derive(Clone)]
pub struct Awaited(RawToken);

impl Awaited {
    pub(crate) const fn new(token: RawToken) -> Self {
        Self(token)
    }

    /// Which task it is.
    #[doc(hidden)]
    #[must_use]
    pub fn id(&self) -> CellId {
        self.0.id()
    }

    /// The pool that it belongs to.
    #[doc(hidden)]
    #[must_use]
    pub fn home(&self) -> Option<PoolId> {
        self.0.home()
    }

    /// What it is called.
    #[doc(hidden)]
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Whether it has not ended, and its pool's threads are in the parent of this process.
    pub(crate) fn is_inherited(&self) -> bool {
        !self.0.is_done() && self.0.home().is_some_and(PoolId::is_inherited)
    }
}

impl fmt::Debug for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Awaited").field(&self.0.name()).finish()
    }
}

/// A wait for one task.
pub(crate) struct Edge {
    /// The place of the task among all that the same thread waits for.
    pub(crate) place: usize,
    pub(crate) task: Awaited,
}

/// The wait would never end.
pub(crate) struct Stuck {
    /// The place of a task that is on the cycle, or will never end for another reason.
    pub(crate) place: usize,
    /// Says why; of a cycle, it names the tasks.
    pub(crate) error: TaskError,
}

statics! {
    static REGISTRY: Mutex<Registry> = Mutex::new(Registry::new());
}

/// Declares that the calling thread is about to park until `waiting` is woken; `None` if nobody
/// has to know.
///
/// # Errors
///
/// [`Stuck`] if that would be for ever.
pub(crate) fn register(
    thread: &Thread,
    waker: &Waker,
    waiting: &dyn Wait,
) -> Result<Option<Registration>, Stuck> {
    let running = running();
    if running.is_empty() {
        return Ok(None);
    }
    let count = waiting.len();
    let awaits = if count <= LISTED_MIN || count <= REGISTRY.lock().running_with(&running) {
        // Asked outside the lock, since handles have locks of their own.
        match waiting.awaited() {
            Some(list) => Awaits::Listed(list),
            None => return Ok(None),
        }
    } else {
        Awaits::Counted(count, waker.clone())
    };
    let mut registry = REGISTRY.lock();
    let ticket = registry.insert(thread.clone(), running, awaits);
    if let Some(stuck) = registry.search(ticket) {
        let removed = registry.remove(ticket);
        drop(registry);
        drop(removed);
        return Err(stuck);
    }
    let disproved = registry.take_disproved();
    drop(registry);
    disproved.into_iter().for_each(Waker::wake);
    Ok(Some(Registration(ticket)))
}

/// Lasts for as long as the thread is parked.
pub(crate) struct Registration(Ticket);

impl Drop for Registration {
    fn drop(&mut self) {
        // Tokens may free cells, which is not done under the lock.
        let removed = REGISTRY.lock().remove(self.0);
        drop(removed);
    }
}

/// The number of a registration, in their order.
type Ticket = u64;

/// The threads that are parked, or about to, while they run tasks.
struct Registry {
    last: Ticket,
    parked: BTreeMap<Ticket, Parked>,
    /// Which of them is running a cell.
    running: BTreeMap<CellId, Ticket>,
    /// Those that count, by the count.
    counting: BTreeSet<(usize, Ticket)>,
}

struct Parked {
    thread: Thread,
    running: Vec<CellId>,
    awaits: Awaits,
}

enum Awaits {
    Listed(Vec<Edge>),
    /// So many that one of them is not run by a parked thread; to be woken when that may be wrong.
    Counted(usize, Waker),
}

/// A thread that a search has come upon, and how.
struct Hop<'a> {
    ticket: Ticket,
    /// The hop before it, and what is waited for there; `None` for the thread that searches.
    from: Option<(usize, &'a Edge)>,
}

impl Registry {
    const fn new() -> Self {
        Self {
            last: 0,
            parked: BTreeMap::new(),
            running: BTreeMap::new(),
            counting: BTreeSet::new(),
        }
    }

    /// How many cells are run by parked threads, once the one that runs `more` has joined them.
    fn running_with(&self, more: &[CellId]) -> usize {
        self.running.len() + more.len()
    }

    fn insert(&mut self, thread: Thread, running: Vec<CellId>, awaits: Awaits) -> Ticket {
        self.last += 1;
        let ticket = self.last;
        self.running
            .extend(running.iter().map(|&cell| (cell, ticket)));
        if let Awaits::Counted(count, _) = awaits {
            self.counting.insert((count, ticket));
        }
        let parked = Parked {
            thread,
            running,
            awaits,
        };
        self.parked.insert(ticket, parked);
        ticket
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Parked> {
        let parked = self.parked.remove(&ticket)?;
        for cell in &parked.running {
            self.running.remove(cell);
        }
        if let Awaits::Counted(count, _) = parked.awaits {
            self.counting.remove(&(count, ticket));
        }
        Some(parked)
    }

    /// The wakers of those that cannot count on what they do any more.
    fn take_disproved(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(&(count, ticket)) = self.counting.first()
            && count <= self.running.len()
        {
            self.counting.pop_first();
            if let Some(Awaits::Counted(_, waker)) = self.parked.get(&ticket).map(|it| &it.awaits) {
                wakers.push(waker.clone());
            }
        }
        wakers
    }

    /// Whether the wait of `ticket` can never end, and why. Breadth first: the shortest cycle is the
    /// one that is told.
    fn search(&self, ticket: Ticket) -> Option<Stuck> {
        let mut hops = vec![Hop { ticket, from: None }];
        let mut found = BTreeSet::new();
        let mut closing = None;
        let mut next = 0;
        while let Some(hop) = hops.get(next) {
            let Awaits::Listed(list) = &self.parked.get(&hop.ticket)?.awaits else {
                return None;
            };
            for edge in list {
                let runner = *self.running.get(&edge.task.0.id())?;
                if runner == ticket {
                    closing = closing.or(Some((next, edge)));
                } else if found.insert(runner) {
                    let from = Some((next, edge));
                    hops.push(Hop {
                        ticket: runner,
                        from,
                    });
                }
            }
            next += 1;
        }
        // A cycle that the searching thread is not on was found by the last to join it.
        closing.map(|closing| self.describe(&hops, closing))
    }

    fn describe(&self, hops: &[Hop<'_>], closing: (usize, &Edge)) -> Stuck {
        let mut way = vec![closing];
        while let Some(edge) = hops[way[way.len() - 1].0].from {
            way.push(edge);
        }
        let first = closing.1.task.0.name();
        let mut text = format!("`{first}`");
        for (index, &(hop, edge)) in way.iter().rev().enumerate() {
            let which = if index == 0 { "" } else { ", which" };
            let thread = self.thread_name(hops[hop].ticket);
            let name = edge.task.0.name();
            text += &format!(" (on {thread}){which} waits for `{name}`");
        }
        text += "; break the cycle, or wait with a time limit";
        Stuck {
            place: way[way.len() - 1].1.place,
            error: TaskError::Deadlock(Cause::new(text)),
        }
    }

    fn thread_name(&self, ticket: Ticket) -> String {
        let parked = self.parked.get(&ticket);
        match parked.and_then(|parked| parked.thread.name()) {
            Some(name) => format!("thread {name}"),
            None => "a thread without a name".to_owned(),
        }
    }
}
