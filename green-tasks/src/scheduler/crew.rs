//! What the schedulers of one run share: the tasks that none has started, and who has nothing to do.
//!
//! All of it is behind one lock, which is held for a few steps and never while users' code runs. It is
//! taken to spawn a task that any of them may start, to take one, and before and after a sleep; not
//! by what a scheduler does with its own tasks. A run of one thread has no crew.
//!
//! # Nobody sleeps beside work
//!
//! Under the lock this is always true: *if something has not been started and somebody is asleep, then
//! somebody else is searching.* To search is to have been woken for that, and not to have looked yet.
//!
//! - Whoever adds to the queue wakes a sleeper, which searches from then on, unless one does already.
//! - Whoever has searched takes one from the queue, and wakes the next if there are more.
//! - Whoever lies down finds the queue empty.
//!
//! So each wake-up finds work or a queue that others have emptied, and a burst wakes one after the
//! other. *Asleep* is what a scheduler is here from before it lies down in its inbox or its reactor until after
//! it has got up there. The wake-up is mail, and nobody lies down on mail, so that it is not lost if it
//! comes in between.
//!
//! # Who takes from the queue
//!
//! Whoever has nothing to do takes the first task, one at a time. Whoever has enough to do looks into the queue as
//! well, every millisecond or so, since all may have; but a task that it takes waits for its other tasks, and can
//! be given to nobody else any more. So it takes none while somebody is searching, nor while another has less to do
//! that looks often enough to take them. One that has not looked for long is in the middle of a long turn, and
//! what it has to do says nothing.
//!
//! # When nothing can ever go on
//!
//! A scheduler lies down *without hope* if nothing but its own run could wake any of its tasks. If
//! all do, nothing has not been started, and no inbox has mail, then nothing will ever happen: a
//! sleeper reads its mail only after it has got up here, and whoever could send it some is asleep as well. The last
//! to lie down, or to leave, finds that out, and begins an [inquest](super::inquest).
//!
//! The crew's lock is taken before that of an inbox, never after it.

#[cfg(all(test, pool_loom))]
mod model;

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use future_result::PoolId;
use future_result::sync::Mutex;

use super::inbox::{Inbox, Mail};
use super::inquest::{Inquest, Testimony};
use super::parcel::Parcel;

/// A scheduler that has enough to do takes as many tasks at a time from the queue, and no more.
const SHARE: usize = 8;

/// What a scheduler had to do so long ago says nothing any more. Two looks.
const STALE: Duration = Duration::from_millis(2);

/// The schedulers of a run.
pub(crate) struct Crew {
    id: PoolId,
    inboxes: Box<[Arc<Inbox>]>,
    state: Mutex<State>,
}

struct State {
    /// The tasks that nobody has started.
    unstarted: VecDeque<Parcel>,
    members: Box<[Member]>,
    /// What each had to do when it last looked into the queue.
    loads: Box<[Load]>,
    /// Those that are asleep; whoever lay down last is woken first.
    sleepers: Vec<usize>,
    /// How many are searching.
    searching: usize,
    /// The run's closure has ended.
    is_closed: bool,
    inquest: Option<Inquest>,
}

/// What a scheduler is doing, as far as the others have to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Up,
    Asleep {
        is_hopeless: bool,
    },
    /// It has been woken to look for work.
    Searching,
    Gone,
}

/// How many turns were due, and when.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    due: usize,
    at: Option<Instant>,
}

/// Which of a crew's schedulers one is.
pub(crate) struct Post {
    pub(crate) crew: Arc<Crew>,
    pub(crate) place: usize,
}

impl Crew {
    pub(crate) fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            id: PoolId::new(),
            inboxes: (0..size).map(|_| Arc::new(Inbox::new())).collect(),
            state: Mutex::new(State {
                unstarted: VecDeque::new(),
                members: vec![Member::Up; size].into(),
                loads: vec![Load::default(); size].into(),
                sleepers: Vec::with_capacity(size),
                searching: 0,
                is_closed: false,
                inquest: None,
            }),
        })
    }

    /// By which handles' tasks are known to be the run's.
    pub(super) fn id(&self) -> PoolId {
        self.id
    }

    pub(super) fn inbox(&self, place: usize) -> &Arc<Inbox> {
        &self.inboxes[place]
    }

    pub(super) fn size(&self) -> usize {
        self.inboxes.len()
    }

    /// Adds a task; gives it back if the run ends.
    pub(super) fn push(&self, parcel: Parcel) -> Result<(), Parcel> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(parcel);
        }
        state.unstarted.push_back(parcel);
        let roused = state.rouse();
        drop(state);
        self.wake(roused);
        Ok(())
    }

    /// The first task that nobody has started, for one who has nothing to do.
    pub(super) fn take(&self, place: usize, now: Instant) -> Option<Parcel> {
        let mut state = self.state.lock();
        state.loads[place] = Load {
            due: 0,
            at: Some(now),
        };
        state.unstarted.pop_front()
    }

    /// A fair share of what nobody has started, for one who has something else to do: so many turns are due.
    pub(super) fn share(&self, place: usize, due: usize, now: Instant) -> Vec<Parcel> {
        let mut state = self.state.lock();
        let fair = if state.is_left_to_others(place, due, now) {
            0
        } else {
            state.unstarted.len().div_ceil(self.size()).min(SHARE)
        };
        state.loads[place] = Load {
            due: due + fair,
            at: Some(now),
        };
        state.unstarted.drain(..fair).collect()
    }

    /// The numbers of the tasks that nobody has started, and where they were spawned.
    pub(crate) fn unstarted(&self) -> Vec<(u64, &'static Location<'static>)> {
        let state = self.state.lock();
        let parcels = state.unstarted.iter();
        parcels
            .map(|parcel| (parcel.serial, parcel.spawned_at))
            .collect()
    }

    /// The ways to all of its schedulers.
    pub(crate) fn inboxes(&self) -> &[Arc<Inbox>] {
        &self.inboxes
    }

    /// A scheduler has nothing to do, and lies down in its inbox unless this gives it something. It gets
    /// up [here](Self::get_up) in any case.
    pub(super) fn lie_down(&self, place: usize, is_hopeless: bool) -> Option<Parcel> {
        let mut state = self.state.lock();
        if let Some(parcel) = state.unstarted.pop_front() {
            return Some(parcel);
        }
        state.members[place] = Member::Asleep { is_hopeless };
        state.sleepers.push(place);
        self.begin_inquest(&mut state);
        None
    }

    /// A scheduler has got up, for whatever reason; if it was to search, this is what it has found.
    pub(super) fn get_up(&self, place: usize) -> Option<Parcel> {
        let mut state = self.state.lock();
        let former = std::mem::replace(&mut state.members[place], Member::Up);
        if former != Member::Searching {
            state.sleepers.retain(|&other| other != place);
            return None;
        }
        state.searching -= 1;
        let found = state.unstarted.pop_front();
        let roused = state.rouse();
        drop(state);
        self.wake(roused);
        found
    }

    /// The run's closure has ended: nothing is started any more, and all others are told. Gives what nobody
    /// has started.
    pub(super) fn close(&self, place: usize) -> Vec<Parcel> {
        let mut state = self.state.lock();
        state.is_closed = true;
        let left = std::mem::take(&mut state.unstarted);
        drop(state);
        for (other, inbox) in self.inboxes.iter().enumerate() {
            if other != place {
                inbox.send(Mail::Close);
            }
        }
        left.into()
    }

    /// The run will not begin: there is no first scheduler, and the others are told to end.
    pub(crate) fn give_up(&self) {
        drop(self.close(0));
    }

    /// A scheduler has ended all its tasks, and gets no more.
    pub(super) fn leave(&self, place: usize) {
        let mut state = self.state.lock();
        state.members[place] = Member::Gone;
        self.hear(&mut state, place, None);
        self.begin_inquest(&mut state);
    }

    /// What a scheduler has to say to an inquest.
    pub(super) fn testify(&self, place: usize, testimony: Testimony) {
        let mut state = self.state.lock();
        self.hear(&mut state, place, Some(testimony));
    }

    /// Begins one if nothing can ever go on, and asks all that are there.
    fn begin_inquest(&self, state: &mut State) {
        let is_over = state.inquest.is_none()
            && state.unstarted.is_empty()
            && state.members.iter().all(|member| member.is_hopeless())
            && self.inboxes.iter().all(|inbox| inbox.is_empty());
        if !is_over {
            return;
        }
        let is_there = |place: &usize| state.members[*place] != Member::Gone;
        let asked: Vec<_> = (0..self.size()).filter(is_there).collect();
        for &place in &asked {
            self.inboxes[place].send(Mail::Testify);
        }
        if !asked.is_empty() {
            state.inquest = Some(Inquest::new(asked));
        }
    }

    /// If this was the last one to be heard, tells all what follows. That is done under the lock, so that nobody
    /// hears of the end of the run before; and whoever spoke last is up, so that no other inquest begins.
    fn hear(&self, state: &mut State, place: usize, testimony: Option<Testimony>) {
        let is_last = |inquest: &mut Inquest| inquest.hear(place, testimony);
        let Some(inquest) = state.inquest.take_if(is_last) else {
            return;
        };
        let verdict = inquest.verdict();
        for inbox in &self.inboxes {
            inbox.send(Mail::Verdict(verdict.clone()));
        }
    }

    fn wake(&self, place: Option<usize>) {
        if let Some(place) = place {
            self.inboxes[place].send(Mail::Search);
        }
    }
}

impl State {
    /// Whether another than this one is to take what has not been started.
    fn is_left_to_others(&self, place: usize, due: usize, now: Instant) -> bool {
        let mut others = self.members.iter().zip(&self.loads).enumerate();
        let has_less = |load: &Load| {
            let is_fresh = |at| now.saturating_duration_since(at) < STALE;
            load.due < due && load.at.is_some_and(is_fresh)
        };
        self.searching > 0
            || others.any(|(other, (&member, load))| {
                other != place && member == Member::Up && has_less(load)
            })
    }

    /// Has a sleeper search, if there is something to find, and nobody does.
    fn rouse(&mut self) -> Option<usize> {
        if self.unstarted.is_empty() || self.searching > 0 {
            return None;
        }
        let place = self.sleepers.pop()?;
        self.members[place] = Member::Searching;
        self.searching += 1;
        Some(place)
    }
}

impl Member {
    /// Nothing will come from it, but for what is in its inbox.
    fn is_hopeless(self) -> bool {
        matches!(self, Self::Asleep { is_hopeless: true } | Self::Gone)
    }
}
