//! Cycles of waits: who waits for whom, and whether the thread that is about to park could ever be
//! woken.
//!
//! A thread that runs a task and is about to park without a time limit registers the tasks that it is
//! running and the tasks that it waits for, any of which ends its wait. It unregisters once it is woken,
//! before it looks at anything. Both happen under the registry's one lock, as does the search between
//! them, along the waits: from task to thread to task. If the search comes upon a task that no registered
//! thread is running (it is queued, or runs on a thread that is awake, or is done, or is completed by
//! hand), the wait may end. If it finds no such task, nothing found can go on before something else found
//! does: that is a cycle, and instead of parking, the last thread to join it gets
//! [`TaskError::Deadlock`]. Its handle gives up; the task goes on, and so can the others.
//!
//! Threads that run no task do not come here, as nobody can wait for them; nor do waits with a deadline,
//! which end by themselves, or those through a [`Blocker`](crate::Blocker). Nor does a worker that waits
//! for the other half of a `join`: a cycle through that is not found.
//!
//! # Frames that wait for all
//!
//! A scope ends only when all its tasks have ([`Members`]), so one that can never end is enough to block
//! it, and it cannot give up, since they borrow from it. The search then asks of each thread that it
//! found whether it is free to go on: one that waits for any of several is if one of those is, one that
//! needs all only if all are. If the searching thread is not, then of the waits on its cycle that can
//! give up, the last one does. If that is another thread's, it is marked and woken, and counts as free
//! from then on. That is repeated until the searching thread is free: several tasks of one scope may wait
//! for it, each on a cycle of its own.
//!
//! Which tasks a frame waits for is asked during the search, since they come and go while it is parked.
//!
//! There is always a wait that can give up: a frame needs tasks that were made after its own task began,
//! and what lies above a task on its thread's stack began after it. So a path along frames alone leads to
//! ever younger tasks, and never back.
//!
//! # Why no deadlock is reported falsely
//!
//! ```text
//! runner: unregister;  end the closure;  leave `RUNNING`;  complete the cell
//! waiter: find the cell pending;  register;  search
//! ```
//!
//! The runner's first step and the waiter's last two are under the lock. A search that finds the cell run
//! by a registered thread comes before that thread's next `unregister`, and so before the cell is
//! completed. (A registration lists only what is in `RUNNING`, which a cell leaves before it is
//! completed. So a later one, say by a callback that waits, does not list it.) If a search finds only
//! such cells, then at that moment none of their waits is over, even of threads that were woken for
//! nothing; and each could only be ended by another of them.
//!
//! No other cell gets one of these identities meanwhile: what is run is kept by its runner, and what is
//! waited for by a token in the registration. What a frame names is kept by a token at that moment; if it
//! is found among what registered threads run, it is the same cell, since none of these threads
//! registered during the search.
//!
//! A wait that was marked to give up may have got what it waits for by the time that it wakes, since
//! another gave up, too. So it looks once more.
//!
//! # Why none is missed
//!
//! Of the threads of a cycle, one registers last. Its search finds the others, whose registrations stay
//! until they are woken.
//!
//! A wait for many tasks does not list them, or else waiting for each in turn would take quadratic time:
//! it relies on there being more of them than registered threads are running. Once that no longer holds,
//! whoever registered last wakes it, and it lists them. (Many clones of one shared handle in one set make
//! the count too high: a cycle through such a set may stay unnoticed.)

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::blocker::{PoolId, Wait};
use crate::cell::{CellId, RawToken, running};
use crate::outlast::Members;
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

    /// Whether it has not ended, and belongs to this pool.
    pub(crate) fn is_pending_in(&self, pool: PoolId) -> bool {
        !self.0.is_done() && self.0.home() == Some(pool)
    }

    /// As [`is_pending_in`](Self::is_pending_in), for a pair.
    pub(crate) fn is_pending_pair_in(&self, pool: PoolId) -> bool {
        self.0.is_by_hand() && self.is_pending_in(pool)
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
    /// Says why; for a cycle, it names the tasks.
    pub(crate) error: TaskError,
}

statics! {
    static REGISTRY: Mutex<Registry> = Mutex::new(Registry::new());
}

/// Declares that the calling thread is about to park until `waiting` is woken; `None` if nobody needs to know.
///
/// # Errors
///
/// [`Stuck`] if that would be forever.
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
    let awaits = if let Some(members) = waiting.members() {
        Awaits::All(members)
    } else if count <= LISTED_MIN || count <= REGISTRY.lock().running_with(&running) {
        // Asked outside the lock, since handles have locks of their own.
        match waiting.awaited() {
            Some(list) => Awaits::Any(list),
            None => return Ok(None),
        }
    } else {
        Awaits::Counted(count)
    };
    let parked = Parked {
        thread: thread.clone(),
        waker: waker.clone(),
        running,
        awaits,
        given_up: None,
    };
    let mut registry = REGISTRY.lock();
    let ticket = registry.insert(parked);
    let mut to_wake = match registry.resolve(ticket) {
        Ok(to_wake) => to_wake,
        Err(stuck) => {
            let removed = registry.remove(ticket);
            drop(registry);
            drop(removed);
            return Err(stuck);
        }
    };
    to_wake.append(&mut registry.take_disproved());
    drop(registry);
    to_wake.into_iter().for_each(Waker::wake);
    Ok(Some(Registration(Some(ticket))))
}

/// Lasts for as long as the thread is parked.
pub(crate) struct Registration(Option<Ticket>);

impl Registration {
    /// The thread has been woken. Returns an error if its wait was chosen to give up.
    pub(crate) fn end(mut self) -> Option<Stuck> {
        self.remove()?.given_up.take()
    }

    fn remove(&mut self) -> Option<Parked> {
        // Tokens may free cells, which must not happen under the lock.
        let ticket = self.0.take()?;
        REGISTRY.lock().remove(ticket)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        drop(self.remove());
    }
}

/// Numbers registrations in their order.
type Ticket = u64;

/// The threads that are parked, or about to park, while they run tasks.
struct Registry {
    last: Ticket,
    parked: BTreeMap<Ticket, Parked>,
    /// Which of them is running a cell.
    running: BTreeMap<CellId, Ticket>,
    /// The waits that count their tasks, by the count.
    counting: BTreeSet<(usize, Ticket)>,
}

struct Parked {
    thread: Thread,
    waker: Waker,
    running: Vec<CellId>,
    awaits: Awaits,
    /// Whoever closed a cycle has chosen this wait to end with this.
    given_up: Option<Stuck>,
}

enum Awaits {
    /// Any one of them is enough.
    Any(Vec<Edge>),
    /// So many that one of them is not run by a parked thread; to be woken when that may no longer hold.
    Counted(usize),
    /// All of them, and the wait cannot give up.
    All(Arc<dyn Members>),
}

/// A parked thread that a search has found.
struct Hop {
    needs_all: bool,
    /// Whether it may go on.
    is_free: bool,
    /// Tasks that it waits for and that other parked threads are running.
    ways: Vec<Way>,
}

/// From one parked thread to another: the first waits for a task that the second is running.
#[derive(Clone, Copy)]
struct Way {
    /// The place of the task among all that the first waits for.
    place: usize,
    name: &'static str,
    runner: Ticket,
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

    /// How many cells parked threads run, once the one that runs `more` has joined them.
    fn running_with(&self, more: &[CellId]) -> usize {
        self.running.len() + more.len()
    }

    fn insert(&mut self, parked: Parked) -> Ticket {
        self.last += 1;
        let ticket = self.last;
        self.running
            .extend(parked.running.iter().map(|&cell| (cell, ticket)));
        if let Awaits::Counted(count) = parked.awaits {
            self.counting.insert((count, ticket));
        }
        self.parked.insert(ticket, parked);
        ticket
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Parked> {
        let parked = self.parked.remove(&ticket)?;
        for cell in &parked.running {
            self.running.remove(cell);
        }
        if let Awaits::Counted(count) = parked.awaits {
            self.counting.remove(&(count, ticket));
        }
        Some(parked)
    }

    /// The wakers of those whose count no longer holds.
    fn take_disproved(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(&(count, ticket)) = self.counting.first()
            && count <= self.running.len()
        {
            self.counting.pop_first();
            wakers.extend(self.parked.get(&ticket).map(|it| it.waker.clone()));
        }
        wakers
    }

    /// Makes waits give up until that of `ticket`, the last to park, may end. Returns the wakers of those
    /// chosen; the error if it is that wait itself.
    fn resolve(&mut self, ticket: Ticket) -> Result<Vec<Waker>, Stuck> {
        let mut chosen = Vec::new();
        while let Some(cycle) = self.cycle(ticket) {
            let can_give_up = |&place: &usize| {
                let parked = self.parked.get(&cycle[place].0);
                parked.is_some_and(|parked| matches!(parked.awaits, Awaits::Any(_)))
            };
            // The last to join the cycle that can give up. There is one: see above.
            let candidates = (0..cycle.len()).filter(can_give_up);
            let Some(place) = candidates.max_by_key(|&place| cycle[place].0) else {
                break;
            };
            let stuck = self.describe(&cycle, place);
            if cycle[place].0 == ticket {
                return Err(stuck);
            }
            if let Some(parked) = self.parked.get_mut(&cycle[place].0) {
                parked.given_up = Some(stuck);
                chosen.push(parked.waker.clone());
            }
        }
        Ok(chosen)
    }

    /// The shortest cycle that the wait of `ticket` is on, if it can never end: each thread on it, with
    /// its way to the next.
    fn cycle(&self, ticket: Ticket) -> Option<Vec<(Ticket, Way)>> {
        let hops = self.stuck_hops(ticket)?;
        // Breadth first: who was found, from which of those before, and by which way.
        let mut found: Vec<(Ticket, Option<(usize, Way)>)> = vec![(ticket, None)];
        let mut next = 0;
        while let Some(&(from, _)) = found.get(next) {
            for &way in &hops.get(&from)?.ways {
                if way.runner == ticket {
                    let mut cycle = vec![(from, way)];
                    let mut back = found[next].1;
                    while let Some((before, way)) = back {
                        cycle.push((found[before].0, way));
                        back = found[before].1;
                    }
                    cycle.reverse();
                    return Some(cycle);
                }
                let is_stuck = hops.get(&way.runner).is_some_and(|hop| !hop.is_free);
                if is_stuck && found.iter().all(|&(seen, _)| seen != way.runner) {
                    found.push((way.runner, Some((next, way))));
                }
            }
            next += 1;
        }
        // A cycle without this thread was found by the last to join it.
        None
    }

    /// All parked threads that the wait of `ticket` depends on, if it can never end.
    fn stuck_hops(&self, ticket: Ticket) -> Option<BTreeMap<Ticket, Hop>> {
        let mut hops = BTreeMap::new();
        let mut to_visit = vec![ticket];
        let mut is_simple = true;
        while let Some(next) = to_visit.pop() {
            if hops.contains_key(&next) {
                continue;
            }
            let hop = self.hop(next)?;
            is_simple &= !hop.needs_all;
            if hop.is_free && is_simple {
                // So are all on the way there.
                return None;
            }
            to_visit.extend(hop.ways.iter().map(|way| way.runner));
            hops.insert(next, hop);
        }
        // Whoever waits for somebody free is free, until no more of them are found.
        loop {
            let is_free = |way: &Way| hops.get(&way.runner).is_none_or(|hop: &Hop| hop.is_free);
            let freed = hops.iter().filter(|(_, hop)| {
                !hop.is_free
                    && if hop.needs_all {
                        hop.ways.iter().all(is_free)
                    } else {
                        hop.ways.iter().any(is_free)
                    }
            });
            let freed: Vec<Ticket> = freed.map(|(&ticket, _)| ticket).collect();
            if freed.is_empty() {
                break;
            }
            for ticket in freed {
                hops.get_mut(&ticket)?.is_free = true;
            }
        }
        let is_stuck = !hops.get(&ticket)?.is_free;
        is_stuck.then_some(hops)
    }

    fn hop(&self, ticket: Ticket) -> Option<Hop> {
        let parked = self.parked.get(&ticket)?;
        let mut ways = Vec::new();
        let mut needs_all = false;
        // False if nobody registered runs the task.
        let mut add = |place, cell, name| {
            let runner = self.running.get(&cell);
            ways.extend(runner.map(|&runner| Way {
                place,
                name,
                runner,
            }));
            runner.is_some()
        };
        let is_free = match &parked.awaits {
            _ if parked.given_up.is_some() => true,
            Awaits::Counted(_) => true,
            Awaits::Any(list) => !list
                .iter()
                .all(|edge| add(edge.place, edge.task.0.id(), edge.task.0.name())),
            Awaits::All(members) => {
                needs_all = true;
                members.for_each(&mut |cell, name| {
                    add(0, cell, name);
                });
                false
            }
        };
        Some(Hop {
            needs_all,
            is_free,
            ways,
        })
    }

    /// The error of the wait at this place of a cycle.
    fn describe(&self, cycle: &[(Ticket, Way)], place: usize) -> Stuck {
        let before = (place + cycle.len() - 1) % cycle.len();
        let mut text = format!("`{}`", cycle[before].1.name);
        let ways = cycle.iter().cycle().skip(place).take(cycle.len());
        for (index, &(ticket, way)) in ways.enumerate() {
            let which = if index == 0 { "" } else { ", which" };
            let thread = self.thread_name(ticket);
            text += &format!(" (on {thread}){which} waits for `{}`", way.name);
        }
        text += "; break the cycle, or wait with a time limit";
        Stuck {
            place: cycle[place].1.place,
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
