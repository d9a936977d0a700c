//! What the schedulers of one run share: the unstarted tasks, and who has nothing to do.
//!
//! One lock guards all of it, held for a few steps and never while user code runs. It is taken to spawn a task that
//! any of them may start, to take one, and before and after a sleep; not for what a scheduler does with its own
//! tasks. A run of one thread has no crew.
//!
//! # Nobody sleeps beside work
//!
//! Under the lock this always holds: *if there is an unstarted task and somebody is asleep, then somebody else is
//! searching.* Searching means having been woken for it, and not having looked yet.
//!
//! - Whoever pushes to the queue wakes a sleeper, which then searches, unless one does already.
//! - Whoever has searched takes a task from the queue, and wakes the next sleeper if there are more.
//! - Whoever lies down finds the queue empty.
//!
//! So each wake-up finds work or a queue that others have emptied, and a burst wakes one after the other. Here a
//! scheduler counts as *asleep* from before it lies down in its inbox or its reactor until after it has got up
//! there. The wake-up is mail, and nobody lies down while there is mail, so one that comes in between is not lost.
//!
//! # Who takes from the queue
//!
//! A scheduler with nothing to do takes the first task, one at a time. One with enough to do looks into the queue
//! too, every millisecond or so, since all may be busy; but a task that it takes waits behind its other tasks,
//! and can no longer go to anybody else. So it takes none while somebody is searching, nor while another has less
//! to do and looks often enough to take them. One that has not looked for long is in the middle of a long turn, and
//! its load says nothing.
//!
//! # When nothing can ever go on
//!
//! A scheduler lies down *without hope* if nothing but its own run could wake any of its tasks. If all do, there is
//! no unstarted task, and no inbox has mail, then nothing will ever happen: a sleeper reads its mail only after it
//! has got up here, and whoever could send it some is asleep too. The last to lie down, or to leave, notices, and
//! begins an [inquest](super::inquest).
//!
//! The crew's lock is taken before an inbox's, never after it.

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

/// A scheduler that has enough to do takes at most so many tasks at a time.
const SHARE: usize = 8;

/// A load this old says nothing any more. Two looks.
const STALE: Duration = Duration::from_millis(2);

/// The schedulers of a run.
pub(crate) struct Crew {
    id: PoolId,
    inboxes: Box<[Arc<Inbox>]>,
    state: Mutex<State>,
}

struct State {
    /// The unstarted tasks.
    unstarted: VecDeque<Parcel>,
    members: Box<[Member]>,
    /// What each had to do when it last looked into the queue.
    loads: Box<[Load]>,
    /// The sleeping schedulers; the last to lie down is woken first.
    sleepers: Vec<usize>,
    /// How many are searching.
    searching: usize,
    /// `run`'s closure has ended.
    is_closed: bool,
    inquest: Option<Inquest>,
}

/// What a scheduler is doing, as far as the others need to know.
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

/// One scheduler's place in a crew.
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

    /// Identifies the handles of the run's tasks.
    pub(super) fn id(&self) -> PoolId {
        self.id
    }

    pub(super) fn inbox(&self, place: usize) -> &Arc<Inbox> {
        &self.inboxes[place]
    }

    pub(super) fn size(&self) -> usize {
        self.inboxes.len()
    }

    /// Adds a task; gives it back if the run is ending.
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

    /// The first unstarted task, for a scheduler with nothing to do.
    pub(super) fn take(&self, place: usize, now: Instant) -> Option<Parcel> {
        let mut state = self.state.lock();
        state.loads[place] = Load {
            due: 0,
            at: Some(now),
        };
        state.unstarted.pop_front()
    }

    /// A fair share of the unstarted tasks, for a scheduler that has so many turns `due`.
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

    /// The numbers of the unstarted tasks, and where they were spawned.
    pub(crate) fn unstarted(&self) -> Vec<(u64, &'static Location<'static>)> {
        let state = self.state.lock();
        let parcels = state.unstarted.iter();
        parcels
            .map(|parcel| (parcel.serial, parcel.spawned_at))
            .collect()
    }

    /// The inboxes of all its schedulers.
    pub(crate) fn inboxes(&self) -> &[Arc<Inbox>] {
        &self.inboxes
    }

    /// A scheduler has nothing to do, and lies down in its inbox unless this gives it a task. Either way it gets up
    /// [here](Self::get_up).
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

    /// A scheduler has got up, for whatever reason; if it was to search, this is what it found.
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

    /// `run`'s closure has ended: nothing is started any more, and all others are told. Returns the unstarted
    /// tasks.
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

    /// A scheduler's testimony to an inquest.
    pub(super) fn testify(&self, place: usize, testimony: Testimony) {
        let mut state = self.state.lock();
        self.hear(&mut state, place, Some(testimony));
    }

    /// Begins an inquest if nothing can ever go on, and asks all schedulers that are there.
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

    /// After the last testimony, tells all the verdict. That is done under the lock, so that nobody hears of the
    /// end of the run first; and the last to speak is up, so no other inquest begins.
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
    /// Whether another scheduler should take the unstarted tasks.
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

    /// Makes a sleeper search, if there is something to find and nobody does yet.
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
    /// Nothing will come from it, except through its inbox.
    fn is_hopeless(self) -> bool {
        matches!(self, Self::Asleep { is_hopeless: true } | Self::Gone)
    }
}
