//! Who sleeps, who is woken, and when a thread starts or leaves: all decided from one word.
//!
//! # The word
//!
//! | field | counts the threads that |
//! |---|---|
//! | `live` | exist |
//! | `sleeping` | wait for a wake-up |
//! | `searching` | are awake and look for work: woken, just started, or out of work of their own |
//! | `blocked` | are inside `blocking`, and do not count as workers meanwhile |
//!
//! The others are *active*: `live - sleeping - blocked`, searching ones included. A pool wants as
//! many active threads as it has places, if there is work for them. A producer, which adds work,
//! looks at the word:
//!
//! - Somebody is searching: nothing to do, the work will be found.
//! - All places are taken: nothing to do, an active thread looks for work before it sleeps.
//! - Otherwise it wakes one sleeper, or starts a thread if there is none.
//!
//! A woken worker counts as searching from the moment it is woken, so a burst of submissions
//! wakes only one. When it finds work, it checks whether there is more, and wakes the next.
//! So threads wake one after another while there is work for them, and none wakes in vain.
//!
//! `sleeping` and `live` change under the lock of the list of sleepers, together with the list; the
//! word is read without it.
//!
//! # Why no work is slept through
//!
//! A producer and a worker that goes to sleep each do two things, with a `SeqCst` fence between them:
//!
//! ```text
//! producer: add the work;                       fence;  look at the word
//! worker:   sleeping + 1, searching - 1;        fence;  look at all queues
//! ```
//!
//! Of two `SeqCst` fences one comes first, and whatever was written before it is seen by reads
//! after the other. If the worker's comes first, the producer sees it sleeping; if the producer's
//! does, the worker sees the work.
//!
//! What if the producer wakes nobody, because it saw another worker searching or all places
//! taken? That worker has yet to leave its state. If it goes to sleep, its step comes later in the
//! word's order than the value that the producer read; so its fence comes after the producer's (else
//! the producer would have seen the step), and it sees the work. If a searching worker stops because
//! it found other work, it does the same: after its step come a fence and a look at all queues,
//! and it wakes the next one if they are not empty. An active worker takes one of these two
//! ways sooner or later.
//!
//! Moving work from one queue to another makes it invisible for a moment. Whoever moves it is active,
//! looks at the word after the move like any producer, and so makes up for what others missed.
//!
//! A worker that enters `blocking` stops being active without looking for work to do. So it does the
//! same as one that goes to sleep: `blocked + 1; fence; look at all queues`. If it sees work, it wakes
//! another in its place.
//!
//! # Mail
//!
//! A task for one particular worker is no work for the others, so no sleeper is chosen: after mailing all
//! workers, the sender wakes all sleepers, under the lock of the list. A worker enters the list before
//! it looks for mail; if it was not in the list yet, the lock makes it see the mail.
//!
//! # Leaving
//!
//! A worker that leaves no longer counts while it cleans up, which runs the user's code. Once the pool is
//! closed, the last worker to finish that ends the pool.
//!
//! One that leaves a closed pool was searching, and found nobody at work. But another may just have taken
//! a task while it still counts as searching, and rely on the leaving one for what that task adds. So the
//! leaving one, too, does as if it went to sleep: `live - 1, searching - 1; fence; look at all queues`,
//! and stays if they are not empty.

#[cfg(all(test, pool_loom))]
mod model;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use future_result::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use future_result::sync::{Mutex, MutexGuard, now, thread};

const FIELD: u64 = 0xFFFF;
const SEARCHING: u64 = 1;
const SLEEPING: u64 = 1 << 16;
const LIVE: u64 = 1 << 32;
const BLOCKED: u64 = 1 << 48;

/// The most threads that fit into the word.
pub(crate) const THREADS_MAX: usize = 0x7FFF;

/// A snapshot of the word.
#[derive(Clone, Copy)]
pub(crate) struct Counts(u64);

impl Counts {
    #[inline]
    pub(crate) const fn searching(self) -> u64 {
        self.0 & FIELD
    }

    #[inline]
    pub(crate) const fn sleeping(self) -> u64 {
        (self.0 / SLEEPING) & FIELD
    }

    #[inline]
    pub(crate) const fn live(self) -> u64 {
        (self.0 / LIVE) & FIELD
    }

    #[inline]
    pub(crate) const fn blocked(self) -> u64 {
        self.0 / BLOCKED
    }

    #[inline]
    const fn active(self) -> u64 {
        self.live() - self.sleeping() - self.blocked()
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts")
            .field("live", &self.live())
            .field("sleeping", &self.sleeping())
            .field("searching", &self.searching())
            .field("blocked", &self.blocked())
            .finish()
    }
}

/// The word and the sleepers.
pub(crate) struct Sleep {
    word: AtomicU64,
    /// This many threads stay, idle or not.
    min: u64,
    /// How many may be active.
    places: u64,
    keep_alive: Duration,
    inner: Mutex<Inner>,
}

struct Inner {
    /// The last to fall asleep is last, and woken first, so that the first ones sleep long enough to leave.
    sleepers: Vec<Arc<Bed>>,
    /// Threads that count as live, but may still turn out not to start.
    starting: u64,
    /// Threads that no longer count, but still clean up.
    leaving: usize,
    /// No thread is started once the last one has left.
    closed: bool,
}

/// Where one worker sleeps.
pub(crate) struct Bed {
    thread: thread::Thread,
    woken: AtomicBool,
}

/// Whom to wake, or what else to do, about added work.
#[must_use]
pub(crate) enum Wake {
    /// Nobody.
    Nobody,
    /// This one, counted as searching from now on.
    Sleeper(Arc<Bed>),
    /// Start a thread. It already counts as live and searching; if it cannot be started, call
    /// [`Sleep::not_started`].
    Start,
}

/// Why a worker is awake again.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awake {
    /// To search; it counts as searching.
    Search,
    /// To leave, after idling for the keep-alive time. It no longer counts, and calls
    /// [`Sleep::left`] in the end.
    Leave,
}

impl Sleep {
    /// For `min` threads that are about to start, and so count as searching.
    pub(crate) fn new(min: usize, places: usize, keep_alive: Duration) -> Self {
        let min = min as u64;
        Self {
            word: AtomicU64::new(min * (LIVE + SEARCHING)),
            min,
            places: places as u64,
            keep_alive,
            inner: Mutex::new(Inner {
                sleepers: Vec::new(),
                starting: min,
                leaving: 0,
                closed: false,
            }),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        // ORDERING: Relaxed; for show, nothing is read after it.
        Counts(self.word.load(Ordering::Relaxed))
    }

    /// Whether added work needs another worker. The caller has issued a fence, or has added the work by
    /// a `SeqCst` read-modify-write.
    #[inline]
    pub(crate) fn is_wanting(&self) -> bool {
        // ORDERING: SeqCst, so that it is not read before the caller's SeqCst read-modify-write.
        let counts = Counts(self.word.load(Ordering::SeqCst));
        counts.searching() == 0 && counts.active() < self.places
    }

    /// Chooses whom to wake about added work.
    #[cold]
    pub(crate) fn wake_one(&self) -> Wake {
        let mut inner = self.inner.lock();
        if !self.is_wanting() {
            return Wake::Nobody;
        }
        if let Some(bed) = inner.sleepers.pop() {
            self.add(SEARCHING.wrapping_sub(SLEEPING));
            // ORDERING: Release pairs with the Acquire in `sleep`, which thereby sees the work. (A swap
            // where a store would do, for loom.)
            bed.woken.swap(true, Ordering::AcqRel);
            return Wake::Sleeper(bed);
        }
        let counts = self.counts();
        // A closed pool may need more threads for what is queued, as tasks may need each other;
        // but it has ended once its last thread has left.
        let starts = !inner.closed || counts.live() > 0;
        if !starts || counts.live() >= THREADS_MAX as u64 {
            return Wake::Nobody;
        }
        inner.starting += 1;
        self.add(LIVE + SEARCHING);
        Wake::Start
    }

    /// The calling thread, which already counts, has begun.
    pub(crate) fn started(&self) {
        self.inner.lock().starting -= 1;
    }

    /// Takes back a [`Wake::Start`], or this many of the first threads. True if no thread is left.
    pub(crate) fn not_started(&self, threads: usize) -> bool {
        let mut inner = self.inner.lock();
        inner.starting -= threads as u64;
        let change = (threads as u64).wrapping_mul(LIVE + SEARCHING);
        self.add(change.wrapping_neg());
        self.is_deserted(&inner)
    }

    /// Wakes a sleeper, if there is one, in place of a thread that could not be started: others may have
    /// relied on the thread, since it counted as searching.
    pub(crate) fn wake_instead(&self) {
        // ORDERING: the fence of the proof above: work added in reliance on it is seen from here.
        fence(Ordering::SeqCst);
        let mut inner = self.inner.lock();
        let bed = inner.sleepers.pop();
        if let Some(bed) = &bed {
            self.add(SEARCHING.wrapping_sub(SLEEPING));
            // ORDERING: as in `wake_one`.
            bed.woken.swap(true, Ordering::AcqRel);
        }
        drop(inner);
        if let Some(bed) = bed {
            bed.wake();
        }
    }

    /// Closes the pool, and wakes all sleepers. True if no thread is left.
    pub(crate) fn close(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.closed = true;
        // All may have left already, since another flag tells them that the pool is closed.
        let is_deserted = self.is_deserted(&inner);
        self.wake_sleepers(inner);
        is_deserted
    }

    fn is_deserted(&self, inner: &Inner) -> bool {
        inner.leaving == 0 && self.counts().live() == 0
    }

    /// Wakes all sleepers.
    pub(crate) fn wake_all(&self) {
        self.wake_sleepers(self.inner.lock());
    }

    fn wake_sleepers(&self, mut inner: MutexGuard<'_, Inner>) {
        let sleepers = std::mem::take(&mut inner.sleepers);
        for bed in &sleepers {
            self.add(SEARCHING.wrapping_sub(SLEEPING));
            // ORDERING: as in `wake_one`.
            bed.woken.swap(true, Ordering::AcqRel);
        }
        drop(inner);
        for bed in sleepers {
            bed.thread.unpark();
        }
    }

    /// The calling worker is out of work and begins to search.
    pub(crate) fn start_searching(&self) {
        self.add(SEARCHING);
    }

    /// The calling worker has found something to run. True if it was the last one to
    /// search and there are workers to wake: then it has to look for more.
    pub(crate) fn stop_searching(&self) -> bool {
        let counts = self.add(SEARCHING.wrapping_neg());
        // ORDERING: the fence of the proof above.
        fence(Ordering::SeqCst);
        counts.searching() == 0 && counts.active() < self.places
    }

    /// Whether no thread is at work, so that no more work can come from one.
    pub(crate) fn is_quiet(&self) -> bool {
        let counts = self.counts();
        counts.live() == counts.sleeping() + counts.searching()
    }

    /// Whether the calling worker is the only one that searches.
    pub(crate) fn is_sole_searcher(&self) -> bool {
        self.counts().searching() == 1
    }

    /// Whether some worker is awake and looks for work.
    pub(crate) fn has_searchers(&self) -> bool {
        self.counts().searching() > 0
    }

    /// How many threads may be active.
    pub(crate) const fn places(&self) -> usize {
        self.places as usize
    }

    /// Whether there are more active threads than places, since a blocked one came back.
    pub(crate) fn is_crowded(&self) -> bool {
        self.counts().active() > self.places
    }

    /// The calling worker, which was searching, begins to leave, and no longer counts. True if
    /// there is a place for it: then it has to look for work that others left to it, and
    /// [`stay`](Sleep::stay) if there is some.
    pub(crate) fn leave(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.leaving += 1;
        self.add((LIVE + SEARCHING).wrapping_neg());
        if inner.closed {
            // It found all quiet, so the sleepers may leave, too.
            self.wake_sleepers(inner);
        }
        // ORDERING: the fence of the proof above.
        fence(Ordering::SeqCst);
        self.is_wanting()
    }

    /// Undoes [`Sleep::leave`]: the calling worker searches again.
    pub(crate) fn stay(&self) {
        let mut inner = self.inner.lock();
        inner.leaving -= 1;
        self.add(LIVE + SEARCHING);
    }

    /// The calling worker has left. True if it was the last thread, and the pool is closed.
    pub(crate) fn left(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.leaving -= 1;
        inner.closed && self.is_deserted(&inner)
    }

    /// The calling worker, which was searching, sleeps until it is woken; not at all if there is
    /// something `to_do`, given whether there is a place for it. After the keep-alive time it
    /// leaves, if there are more than `min` and `may_leave` agrees.
    pub(crate) fn sleep(
        &self,
        bed: &Arc<Bed>,
        to_do: impl FnOnce(bool) -> bool,
        may_leave: impl Fn() -> bool,
    ) -> Awake {
        let mut inner = self.inner.lock();
        inner.sleepers.push(Arc::clone(bed));
        let counts = self.add(SLEEPING.wrapping_sub(SEARCHING));
        drop(inner);
        // ORDERING: the fence of the proof above.
        fence(Ordering::SeqCst);
        // Without a place, leave it to those who have one: they look for work before they sleep.
        if to_do(self.counts().active() < self.places) {
            self.get_up(bed);
            return Awake::Search;
        }
        let mut deadline = self.deadline(counts);
        // ORDERING: Acquire pairs with the Release of whoever woke us, so we see the work.
        while !bed.woken.swap(false, Ordering::Acquire) {
            match deadline {
                None => thread::park(),
                Some(at) if self.is_over(at) => match self.expire(bed, &may_leave) {
                    Some(awake) => return awake,
                    None => deadline = None,
                },
                Some(at) => thread::park_deadline(at),
            }
        }
        Awake::Search
    }

    fn is_over(&self, deadline: Instant) -> bool {
        self.keep_alive.is_zero() || now() >= deadline
    }

    /// When a sleeper may leave, if it may.
    fn deadline(&self, counts: Counts) -> Option<Instant> {
        if counts.live() > self.min {
            now().checked_add(self.keep_alive)
        } else {
            None
        }
    }

    /// Leaves, or finds that it was woken at the last moment. `None` if it may not leave.
    fn expire(&self, bed: &Arc<Bed>, may_leave: impl Fn() -> bool) -> Option<Awake> {
        let mut inner = self.inner.lock();
        if self.counts().live().saturating_sub(inner.starting) <= self.min {
            return None;
        }
        if inner.remove(bed) {
            if !may_leave() {
                self.add(SEARCHING.wrapping_sub(SLEEPING));
                return Some(Awake::Search);
            }
            inner.leaving += 1;
            self.add((LIVE + SLEEPING).wrapping_neg());
            return Some(Awake::Leave);
        }
        // ORDERING: Acquire as in `sleep`; set under the lock by whoever took us off the list.
        bed.woken.swap(false, Ordering::Acquire);
        Some(Awake::Search)
    }

    /// Undoes falling asleep, unless somebody has woken us already.
    fn get_up(&self, bed: &Arc<Bed>) {
        let mut inner = self.inner.lock();
        if inner.remove(bed) {
            self.add(SEARCHING.wrapping_sub(SLEEPING));
        } else {
            // ORDERING: Acquire as in `sleep`; set under the lock by whoever took us off the list.
            bed.woken.swap(false, Ordering::Acquire);
        }
    }

    /// The calling worker stops counting as one until [`Sleep::unblock`].
    pub(crate) fn block(&self) {
        self.add(BLOCKED);
        // ORDERING: the fence of the proof above: there is one worker less for the work that is left.
        fence(Ordering::SeqCst);
    }

    /// Ends [`Sleep::block`].
    pub(crate) fn unblock(&self) {
        self.add(BLOCKED.wrapping_neg());
    }

    /// Changes the word, and returns its new value.
    fn add(&self, change: u64) -> Counts {
        // ORDERING: AcqRel, so that loom orders the changes as real memory does; what they mean to
        // others depends on the fences.
        let before = self.word.fetch_add(change, Ordering::AcqRel);
        Counts(before.wrapping_add(change))
    }
}

impl Inner {
    fn remove(&mut self, bed: &Arc<Bed>) -> bool {
        let place = self
            .sleepers
            .iter()
            .rposition(|other| Arc::ptr_eq(other, bed));
        place.map(|place| self.sleepers.remove(place)).is_some()
    }
}

impl Bed {
    /// The calling thread's.
    pub(crate) fn new() -> Self {
        Self {
            thread: thread::current(),
            woken: AtomicBool::new(false),
        }
    }

    /// Unparks its owner.
    pub(crate) fn wake(&self) {
        self.thread.unpark();
    }
}
