//! The state word of a cell: its bits, who may touch what in which of them, and every transition.
//!
//! A cell is owned jointly by at most three parties: the *task side* (a queued [`Task`](crate::Task) or
//! an unstarted [`Completer`](crate::Completer)), the *runner* (whoever won the right to produce the
//! outcome), and the *handle*. Cancel tokens keep the memory alive as well, but nothing else. There is no
//! reference count: each party is a bit, and the party whose transition leaves no owner frees the cell. A
//! waker that [lies in the cell](crate::cell) is a token, too.
//!
//! # What is in the word
//!
//! The lowest three bits are the phase.
//!
//! | phase | payload holds | who may touch the payload |
//! |---|---|---|
//! | `QUEUED` | the closure (a task); nothing or the future value (a pair) | nobody until claimed (a task); the completer (a pair) |
//! | `RUNNING` | whatever the runner puts there | the runner |
//! | `VALUE` | the value, until the handle takes it | the handle |
//! | `FAILED` | a boxed error, until the handle takes it | the handle |
//! | `EMPTY` | nothing: cancelled, or done with nobody there to take it | nobody |
//!
//! | flag | an owner? | meaning |
//! |---|---|---|
//! | `TASK` | yes | the task side's pointer exists; it lies in a queue, or an unstarted completer holds it |
//! | `HANDLE` | yes | the handle's pointer exists |
//! | `WAITER` | once done | the slot holds a waker. Before the outcome the handle may take it back; once done it belongs to the runner, which clears the flag as its last touch |
//! | `CALLBACKS` | no | the slot holds the list of callbacks, until the cell is freed. Excludes `WAITER` |
//! | `CANCEL` | no | the handle has cancelled, or asked the running task to stop |
//! | `HEARD` | no | somebody waits for `CANCEL`, or did: see [`listeners`](crate::cell) |
//! | tokens | yes | bits 9 and up count the cancel tokens |
//!
//! With neither `WAITER` nor `CALLBACKS` the slot belongs to the handle, and to the runner once the
//! handle is gone.
//!
//! # Transitions
//!
//! | from → to | who | ordering | publishes |
//! |---|---|---|---|
//! | `QUEUED\|TASK` → `RUNNING` | task side ([`State::start`]) | Relaxed | nothing: the closure came with the pointer |
//! | `QUEUED` → `RUNNING` | handle, to run or to cancel ([`State::claim_as_handle`]) | Relaxed | nothing, likewise |
//! | `QUEUED\|TASK\|HANDLE` → `RUNNING\|HANDLE` | whoever holds both sides ([`State::start_alone`]) | Relaxed | nothing: nobody else is there |
//! | `RUNNING\|HANDLE` → done | the same ([`State::complete_alone`]) | Relaxed | nothing, likewise |
//! | `RUNNING` → done | runner ([`State::complete`]) | AcqRel | the payload, to the handle; acquires the slot |
//! | `QUEUED\|TASK` → done | an unstarted completer (the same) | AcqRel | the same |
//! | `RUNNING` → `EMPTY`, − `WAITER` | runner that found the handle gone ([`State::retire`]) | AcqRel | its accesses, to whoever frees |
//! | done: − `WAITER` | runner ([`State::release_waiter`]) | AcqRel | its accesses, to whoever frees |
//! | not `QUEUED`: − `TASK` | task side ([`State::release_task`]) | AcqRel | its accesses, to whoever frees |
//! | not done: + `WAITER`, + `CALLBACKS` | handle ([`State::publish_waiter`], [`State::publish_callbacks`]) | Release | the slot, to the runner |
//! | not done: − `WAITER` | handle ([`State::retract_waiter`]) | Relaxed | nothing: it takes back what it wrote |
//! | not done: − `HANDLE` | handle ([`State::detach`]) | Release | its accesses, to the runner |
//! | done: − `HANDLE` | handle ([`State::release_handle`]) | AcqRel | its accesses, to whoever frees |
//! | `RUNNING`: + `CANCEL` | handle ([`State::claim_to_cancel`]) | Relaxed | nothing: it is a hint |
//! | + `HEARD` | token ([`State::listen`]) | Relaxed | nothing: a lock guards the wakers |
//! | + 1 token | runner, token | Relaxed | nothing: the caller is an owner already |
//! | − 1 token | token ([`State::release_token`]) | AcqRel | its accesses, to whoever frees |

use std::fmt;

use crate::Status;
use crate::sync::atomic::{AtomicU32, Ordering};

const PHASE: u32 = 0b111;
/// Not started; the right to produce the outcome is still to be won.
const QUEUED: u32 = 0;
/// Somebody has won the right to produce the outcome and holds the payload.
const RUNNING: u32 = 1;
/// Done: the payload holds the value, which belongs to the handle.
const VALUE: u32 = 2;
/// Done: the payload holds a boxed error, which belongs to the handle.
const FAILED: u32 = 3;
/// Done: cancelled, or nobody was there to take the outcome. The payload holds nothing.
const EMPTY: u32 = 4;

/// The task side's pointer exists.
const TASK: u32 = 1 << 3;
/// The handle's pointer exists.
const HANDLE: u32 = 1 << 4;
/// The slot holds a waker.
const WAITER: u32 = 1 << 5;
/// The slot holds the list of callbacks.
const CALLBACKS: u32 = 1 << 6;
/// The handle has cancelled, or asked the running task to stop.
const CANCEL: u32 = 1 << 7;
/// Whoever sets `CANCEL` must look for wakers that wait for it.
const HEARD: u32 = 1 << 8;
/// One cancel token; they are counted in the bits from here up.
const TOKEN: u32 = 1 << 9;
/// More tokens than this must be a leak in a loop: abort before the count can wrap.
const TOKENS_MAX: u32 = u32::MAX / 2;

const OWNERS: u32 = !(PHASE | CALLBACKS | CANCEL | HEARD);

/// How an outcome is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Value,
    Failed,
    Cancelled,
}

impl Outcome {
    #[inline]
    const fn phase(self) -> u32 {
        match self {
            Self::Value => VALUE,
            Self::Failed => FAILED,
            Self::Cancelled => EMPTY,
        }
    }

    /// What users call it.
    #[inline]
    pub(crate) const fn status(self) -> Status {
        match self {
            Self::Value => Status::Succeeded,
            Self::Failed => Status::Failed,
            Self::Cancelled => Status::Cancelled,
        }
    }
}

/// Whether the caller was the last owner, and so must free the cell.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Others own the cell: it must not be touched any more.
    Shared,
    /// Nobody else does: free it.
    Last {
        /// Whether there is a list of callbacks in the slot.
        callbacks: bool,
    },
}

/// What a runner has to do next.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Completion {
    /// The outcome belongs to the handle: the cell must not be touched any more.
    Handed,
    /// The same, but first take the waker from the slot and call [`State::release_waiter`].
    Wake,
    /// Not done yet: run the callbacks, then complete under the list's lock.
    Callbacks,
    /// Not done yet: the handle is gone. Drop what is in the payload, then [`State::retire`].
    Detached,
    /// An unstarted completer came too late: the handle has cancelled. Nothing has changed.
    Cancelled,
}

/// What came of an attempt to cancel, as far as the state word goes.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CancelClaim {
    /// The caller is the runner now, and completes the cell as cancelled.
    Won,
    /// It is running, and has been asked to stop.
    Requested,
    /// It was cancelled before.
    Before,
    /// It is done.
    TooLate,
}

/// A snapshot of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot(u32);

impl Snapshot {
    #[inline]
    pub(crate) const fn is_done(self) -> bool {
        self.0 & PHASE >= VALUE
    }

    /// How the outcome is stored; `None` while there is none.
    #[inline]
    pub(crate) const fn outcome(self) -> Option<Outcome> {
        match self.0 & PHASE {
            VALUE => Some(Outcome::Value),
            FAILED => Some(Outcome::Failed),
            EMPTY => Some(Outcome::Cancelled),
            _ => None,
        }
    }

    /// The outcome in users' terms; `Pending` while there is none.
    #[inline]
    pub(crate) const fn status(self) -> Status {
        match self.outcome() {
            Some(outcome) => outcome.status(),
            None => Status::Pending,
        }
    }

    /// Whether there is a value, the handle is the only owner, and the slot is empty.
    #[inline]
    pub(crate) const fn is_lone_value(self) -> bool {
        self.0 & !(CANCEL | HEARD) == VALUE | HANDLE
    }

    /// Whether the task side has let go of the cell, or is its runner.
    #[inline]
    pub(crate) const fn has_left_queue(self) -> bool {
        self.0 & TASK == 0
    }

    #[inline]
    pub(crate) const fn is_queued(self) -> bool {
        self.0 & PHASE == QUEUED
    }

    pub(crate) const fn is_cancelled(self) -> bool {
        self.0 & CANCEL != 0
    }

    /// Whether somebody may wait for `CANCEL`.
    pub(crate) const fn is_heard(self) -> bool {
        self.0 & HEARD != 0
    }

    pub(crate) const fn has_waiter(self) -> bool {
        self.0 & WAITER != 0
    }

    #[inline]
    pub(crate) const fn has_callbacks(self) -> bool {
        self.0 & CALLBACKS != 0
    }

    #[inline]
    const fn release(self) -> Release {
        if self.is_done() && self.0 & OWNERS == 0 {
            Release::Last {
                callbacks: self.has_callbacks(),
            }
        } else {
            Release::Shared
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 & PHASE {
            QUEUED => "QUEUED",
            RUNNING => "RUNNING",
            VALUE => "VALUE",
            FAILED => "FAILED",
            _ => "EMPTY",
        })?;
        for (bit, name) in [
            (TASK, "TASK"),
            (HANDLE, "HANDLE"),
            (WAITER, "WAITER"),
            (CALLBACKS, "CALLBACKS"),
            (CANCEL, "CANCEL"),
            (HEARD, "HEARD"),
        ] {
            if self.0 & bit != 0 {
                write!(f, "|{name}")?;
            }
        }
        match self.0 / TOKEN {
            0 => Ok(()),
            tokens => write!(f, "|{tokens} tokens"),
        }
    }
}

/// The atomic word itself.
pub(crate) struct State(AtomicU32);

impl State {
    /// A cell that has not started, with both sides alive.
    #[inline]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(QUEUED | TASK | HANDLE))
    }

    /// A task that never had a handle: nobody else can claim it, or ask how it ended.
    #[inline]
    pub(crate) fn detached() -> Self {
        Self(AtomicU32::new(QUEUED | TASK))
    }

    /// Reads the word. Seeing "done" acquires the payload.
    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        // ORDERING: pairs with the Release of `complete`; the handle reads the payload after it.
        Snapshot(self.0.load(Ordering::Acquire))
    }

    /// The task side becomes the runner and gives up its pointer, unless the handle got there first: then
    /// nothing changes.
    #[inline]
    pub(crate) fn start(&self) -> bool {
        let mut current = QUEUED | TASK | HANDLE;
        while current & PHASE == QUEUED {
            // ORDERING: Relaxed; atomicity alone decides who runs, and the closure became visible
            // with the pointer that the caller got from the queue.
            match self.0.compare_exchange_weak(
                current,
                (current & !(PHASE | TASK)) | RUNNING,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(seen) => current = seen,
            }
        }
        false
    }

    /// As [`State::start`], without a read-modify-write, for a caller that also holds the handle. False,
    /// with nothing changed, if there is anybody else, or a waker or a callback.
    #[inline]
    pub(crate) fn start_alone(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of the tokens that were there.
        if self.0.load(Ordering::Acquire) != QUEUED | TASK | HANDLE {
            return false;
        }
        // ORDERING: Relaxed; both owners are the caller, so nobody else may touch the word.
        self.0.store(RUNNING | HANDLE, Ordering::Relaxed);
        true
    }

    /// The task side lets go of what the handle has claimed.
    pub(crate) fn release_task(&self) -> Release {
        // ORDERING: Release lets whoever frees see our accesses; Acquire lets us free after theirs.
        let before = self.0.fetch_and(!TASK, Ordering::AcqRel);
        Snapshot(before & !TASK).release()
    }

    /// The handle claims, to run in place. The queue keeps its pointer, as a tombstone.
    pub(crate) fn claim_as_handle(&self) -> bool {
        self.claim_keeping_task(RUNNING)
    }

    fn claim_keeping_task(&self, set: u32) -> bool {
        // ORDERING: Relaxed on both sides, as in `start`; the closure became visible with the
        // handle.
        let mut current = self.0.load(Ordering::Relaxed);
        while current & PHASE == QUEUED {
            match self.0.compare_exchange_weak(
                current,
                current | set,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(seen) => current = seen,
            }
        }
        false
    }

    /// The handle cancels: it claims what has not started, and asks what runs to stop.
    pub(crate) fn claim_to_cancel(&self) -> CancelClaim {
        if self.claim_keeping_task(RUNNING | CANCEL) {
            return CancelClaim::Won;
        }
        // ORDERING: Relaxed; the flag is a hint that publishes nothing.
        let mut current = self.0.load(Ordering::Relaxed);
        while current & PHASE == RUNNING {
            match self.0.compare_exchange_weak(
                current,
                current | CANCEL,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return CancelClaim::Requested,
                Err(seen) => current = seen,
            }
        }
        if current & PHASE == EMPTY {
            CancelClaim::Before
        } else {
            CancelClaim::TooLate
        }
    }

    /// The runner, or an unstarted completer, hands the outcome to the handle.
    ///
    /// Makes no transition when the answer is `Callbacks`, `Detached` or `Cancelled`.
    #[inline]
    pub(crate) fn complete(&self, outcome: Outcome, started: bool) -> Completion {
        let start = if started { RUNNING } else { QUEUED | TASK };
        self.complete_from(start | HANDLE, outcome, CALLBACKS)
    }

    /// As [`State::complete`], for a runner that has run the callbacks and holds their lock.
    pub(crate) fn complete_after_callbacks(&self, outcome: Outcome) -> Completion {
        self.complete_from(RUNNING | HANDLE | CALLBACKS, outcome, 0)
    }

    /// As [`State::complete`], for a runner that also holds the handle.
    #[inline]
    pub(crate) fn complete_alone(&self, outcome: Outcome) -> Completion {
        // ORDERING: Acquire as in `start_alone`; the closure may have made tokens, or left some.
        if self.0.load(Ordering::Acquire) != RUNNING | HANDLE {
            return self.complete(outcome, true);
        }
        // ORDERING: Relaxed, as in `start_alone`.
        self.0.store(outcome.phase() | HANDLE, Ordering::Relaxed);
        Completion::Handed
    }

    /// Starts from a guess of the word, which saves the load: one RMW in the common case, even when the
    /// cache line is elsewhere.
    #[inline]
    fn complete_from(&self, guess: u32, outcome: Outcome, stop_at: u32) -> Completion {
        let before = guess & (PHASE | TASK);
        let mut current = guess;
        loop {
            if current & PHASE != before & PHASE {
                return Completion::Cancelled;
            }
            if current & stop_at != 0 {
                return Completion::Callbacks;
            }
            if current & HANDLE == 0 {
                return Completion::Detached;
            }
            // ORDERING: Release publishes the payload to the handle's `load`; Acquire, on failure
            // too, makes the waker or the list in the slot visible.
            match self.0.compare_exchange_weak(
                current,
                (current & !before) | outcome.phase(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) if current & WAITER != 0 => return Completion::Wake,
                Ok(_) => return Completion::Handed,
                Err(seen) => current = seen,
            }
        }
    }

    /// The runner leaves a cell whose handle is gone; it has emptied slot and payload.
    pub(crate) fn retire(&self) -> Release {
        // RUNNING (1) becomes EMPTY (4) and WAITER is cleared: three bits change at once, so a CAS.
        let mut current = RUNNING;
        loop {
            let next = (current & !(PHASE | WAITER)) | EMPTY;
            // ORDERING: Release lets whoever frees see our accesses; Acquire lets us free after
            // theirs.
            match self
                .0
                .compare_exchange_weak(current, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Snapshot(next).release(),
                Err(seen) => current = seen,
            }
        }
    }

    /// The runner has taken the waker out of the slot of a cell that is done.
    pub(crate) fn release_waiter(&self) -> Release {
        // ORDERING: Release lets whoever frees see that the slot was read; Acquire lets us free.
        let before = self.0.fetch_and(!WAITER, Ordering::AcqRel);
        Snapshot(before & !WAITER).release()
    }

    /// The handle takes its waker back, to own the slot. `Err`: done, and the slot is the runner's.
    pub(crate) fn retract_waiter(&self) -> Result<(), Snapshot> {
        self.update_unless_done(|current| current & !WAITER, Ordering::Relaxed)
    }

    /// The handle has put a waker into the slot. `Err`: done, and the slot is still the handle's.
    pub(crate) fn publish_waiter(&self) -> Result<(), Snapshot> {
        self.update_unless_done(|current| current | WAITER, Ordering::Release)
    }

    /// The handle has put the list of callbacks into the slot. `Err`: done, and the slot is still the handle's.
    pub(crate) fn publish_callbacks(&self) -> Result<(), Snapshot> {
        self.update_unless_done(|current| current | CALLBACKS, Ordering::Release)
    }

    /// The handle leaves before there is an outcome. `Err`: done, and the outcome is the handle's.
    #[inline]
    pub(crate) fn detach(&self) -> Result<(), Snapshot> {
        self.update_unless_done(|current| current & !HANDLE, Ordering::Release)
    }

    #[inline]
    fn update_unless_done(
        &self,
        update: impl Fn(u32) -> u32,
        ordering: Ordering,
    ) -> Result<(), Snapshot> {
        // ORDERING: Acquire as in `load`, for the callers that go on to read the payload. On
        // success `ordering` is Release where the caller hands over what it wrote into the slot
        // (pairs with the Acquire of `complete`), else Relaxed: it takes back what it wrote itself.
        let mut current = self.0.load(Ordering::Acquire);
        while !Snapshot(current).is_done() {
            match self.0.compare_exchange_weak(
                current,
                update(current),
                ordering,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(()),
                Err(seen) => current = seen,
            }
        }
        Err(Snapshot(current))
    }

    /// The handle leaves after disposing of the outcome. `seen` is what it saw before.
    #[inline]
    pub(crate) fn release_handle(&self, seen: Snapshot) -> Release {
        if seen.0 & OWNERS == HANDLE {
            // Nobody else is left, and nobody can come back. The Acquire of `load` orders the others'
            // last accesses, which each of them released, before the free.
            return Snapshot(seen.0 & !HANDLE).release();
        }
        // ORDERING: Release lets whoever frees see our accesses; Acquire lets us free after theirs.
        let before = self.0.fetch_and(!HANDLE, Ordering::AcqRel);
        Snapshot(before & !HANDLE).release()
    }

    /// A token has left a waker for the cancellation. True if already cancelled: then perhaps nobody wakes it.
    pub(crate) fn listen(&self) -> bool {
        // ORDERING: Relaxed, as is the canceller's. Each of the two writes the word before it looks for
        // the other, so one of them sees the other's flag. A lock guards the waker: a canceller that sees
        // this flag cannot have held the lock before us, since its flag would then have happened before
        // ours, and we would see it.
        let before = self.0.fetch_or(HEARD, Ordering::Relaxed);
        Snapshot(before).is_cancelled()
    }

    /// An owner makes one more token.
    pub(crate) fn add_token(&self) {
        // ORDERING: Relaxed; the caller is an owner, so the cell cannot go away meanwhile.
        if self.0.fetch_add(TOKEN, Ordering::Relaxed) > TOKENS_MAX {
            std::process::abort();
        }
    }

    /// As [`State::add_token`], for callers that can do without. False, with nothing changed, above a
    /// limit that leaves room for all threads to pass it at once.
    pub(crate) fn try_add_token(&self) -> bool {
        // ORDERING: Relaxed; only a count, and the caller is an owner.
        let is_room = self.0.load(Ordering::Relaxed) < TOKENS_MAX / 2;
        if is_room {
            self.add_token();
        }
        is_room
    }

    /// A token is dropped.
    pub(crate) fn release_token(&self) -> Release {
        // ORDERING: Release lets whoever frees see our accesses; Acquire lets us free after theirs.
        let before = self.0.fetch_sub(TOKEN, Ordering::AcqRel);
        Snapshot(before - TOKEN).release()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load().fmt(f)
    }
}
