//! One worker as the pool's state knows it: its process, its tasks, and what has been decided about it.

use std::io;
use std::time::Instant;

use future_result::sync::now;

use super::Process;
use crate::job::Job;
use crate::lane::Lane;

#[derive(Debug)]
pub(super) struct Worker<P> {
    pub(super) process: P,
    /// Its place among those that are not leaving.
    pub(super) index: usize,
    pub(super) lane: Lane,
    pub(super) stage: Stage,
    /// How many tasks it was given.
    pub(super) given: u64,
    /// Since when its first task has been running, as far as the pool knows.
    pub(super) since: Instant,
    /// Since when it has been idle, if it is.
    pub(super) idle_since: Instant,
    /// When it is killed, for its task's time limit or because it does not leave.
    pub(super) deadline: Option<Instant>,
    pub(super) condemned: Option<Condemned>,
    /// The poller will report when it can be written to again.
    pub(super) is_blocked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Starting,
    Ready,
    Leaving,
}

#[derive(Debug)]
pub(super) struct Condemned {
    pub(super) why: Why,
    /// The tasks from this number on have not begun, and never will here.
    pub(super) unstarted: u64,
}

/// Why the pool killed a worker.
#[derive(Clone, Debug)]
pub(crate) enum Why {
    /// A handle wants its running task to stop, or the owner wants all of them to.
    Cancelled,
    /// The task with this number has run out of time.
    TimedOut(u64),
    /// It closed its result pipe. It is probably exiting, and its end will say more.
    Silent,
    /// It broke the protocol, or could not be used.
    Complaint(String),
}

impl<P: Process> Worker<P> {
    /// Another task is the first from now on: restarts the clocks.
    pub(super) fn begin_front(&mut self) {
        self.since = now();
        let limit = self.lane.front().and_then(Job::limit);
        self.deadline = limit.and_then(|limit| self.since.checked_add(limit));
    }

    /// Whether a task waits behind its first one and could be taken back.
    pub(super) fn has_waiting(&self) -> bool {
        self.lane.len() >= 2 && self.condemned.is_none()
    }

    pub(super) fn flush(&mut self, poller: &P::Poller, id: u64) -> io::Result<()> {
        loop {
            let pieces = self.lane.unwritten();
            if pieces.is_empty() {
                if std::mem::take(&mut self.is_blocked) {
                    self.process.unwatch_room(poller);
                }
                return Ok(());
            }
            match self.process.write(&pieces) {
                Ok(written) => {
                    drop(pieces);
                    self.lane.wrote(written);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => {
                        if !self.is_blocked {
                            self.process.watch_room(poller, id)?;
                            self.is_blocked = true;
                        }
                        return Ok(());
                    }
                    _ => return Err(error),
                },
            }
        }
    }
}

/// What a task's error says about a worker that was killed.
pub(super) fn complaint(why: Option<&Why>) -> Option<String> {
    match why? {
        Why::Complaint(text) => Some(text.clone()),
        // It ended by itself.
        Why::Silent => None,
        Why::Cancelled | Why::TimedOut(_) => {
            Some("it was killed because of another task".to_owned())
        }
    }
}
