//! Waiting for some or all of several handles, which stay with the caller.

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::blocker::{Interrupted, Wait, block};
use crate::deadlock::Edge;
use crate::ready_queue::{ReadyQueue, Ticket};
use crate::result::may_begin;
use crate::sync::now;
use crate::{FutureResult, InPlace, Status};

/// When [`wait`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum When {
    /// As soon as one handle is done.
    FirstCompleted,
    /// As soon as one is done with an error other than `Cancelled`; otherwise when all
    /// are done.
    FirstError,
    /// When all are done.
    All,
}

/// What [`wait`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Waited {
    /// The indices of the handles that are done, in order of completion; those that were
    /// done before the call come first.
    pub done: Vec<usize>,
    /// The indices of the others, ascending.
    pub pending: Vec<usize>,
    /// Whether the time ran out first.
    pub timed_out: bool,
}

/// Waits for some or all of `handles`, for at most `limit` if there is one, without taking outcomes.
///
/// A call costs O(1) for each handle and for each completion; to wait repeatedly, use a
/// [`CompletionSet`](crate::CompletionSet). It waits as its context waits; a worker runs queued
/// tasks of its own pool in place meanwhile, but begins none once the time is up.
///
/// # Examples
///
/// ```
/// use future_result::{pair, wait, FutureResult, When};
///
/// let (first, handle) = pair();
/// let (_second, other) = pair();
/// let mut handles = [handle, other];
/// first.complete("made it").unwrap();
/// let waited = wait(&mut handles, When::FirstCompleted, None);
/// assert_eq!((waited.done, waited.pending), (vec![0], vec![1]));
/// let [winner, loser] = handles;
/// let _ = loser.cancel();
/// assert_eq!(winner.result()?, "made it");
/// # Ok::<(), future_result::TaskError>(())
/// ```
pub fn wait<F: FutureResult>(handles: &mut [F], when: When, limit: Option<Duration>) -> Waited {
    let deadline = limit.and_then(|limit| now().checked_add(limit));
    let queue = ReadyQueue::new();
    let mut waiting = Waiting {
        seen: vec![false; handles.len()],
        done: Vec::new(),
        when,
        satisfied: handles.is_empty(),
    };
    for (index, handle) in handles.iter_mut().enumerate() {
        let waker = queue.waker(Ticket {
            index,
            generation: 0,
        });
        if handle
            .poll_done(&mut Context::from_waker(&waker))
            .is_ready()
        {
            waiting.note(index, handle.status());
        }
    }
    // What a worker has not yet tried to run in place.
    let mut untried: VecDeque<usize> = (0..handles.len()).collect();
    while !waiting.satisfied {
        // Run in place here if possible: below, a nested wait would need a parker of its own.
        if may_begin(deadline) && queue.is_empty() {
            run_one_in_place(handles, &mut untried);
        }
        let mut any = WaitForAny {
            handles,
            queue: &queue,
            untried: &mut untried,
            seen: &waiting.seen,
            pending: waiting.seen.len() - waiting.done.len(),
            deadline,
            popped: None,
        };
        match (block(deadline, &mut any), any.popped) {
            (_, Some(ticket)) => look(handles, &queue, ticket, &mut waiting),
            (Err(Interrupted::Stuck(stuck)), None) => {
                let handle = &mut handles[stuck.place];
                handle.give_up(stuck.error);
                waiting.note(stuck.place, handle.status());
            }
            (Ok(()) | Err(Interrupted::TimedOut), None) if deadline.is_none() => {}
            (Ok(()) | Err(Interrupted::TimedOut), None) => break,
        }
        if deadline.is_some_and(|deadline| now() >= deadline) {
            // What has completed by now counts; but a handle that wakes itself whenever it is
            // polled must not keep us here.
            let tickets = std::iter::from_fn(|| queue.try_pop()).take(handles.len());
            for ticket in tickets.collect::<Vec<_>>() {
                look(handles, &queue, ticket, &mut waiting);
            }
            break;
        }
    }
    waiting.finish()
}

/// A wait until some handle has something to report.
struct WaitForAny<'a, F> {
    handles: &'a mut [F],
    queue: &'a ReadyQueue,
    untried: &'a mut VecDeque<usize>,
    /// The handles that are done.
    seen: &'a [bool],
    pending: usize,
    deadline: Option<Instant>,
    popped: Option<Ticket>,
}

impl<F: FutureResult> Wait for WaitForAny<'_, F> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut popped = self.queue.poll_pop(context);
        // Again after every wake-up, since a shared handle may have been busy.
        if popped.is_pending()
            && may_begin(self.deadline)
            && run_one_in_place(self.handles, self.untried)
        {
            popped = self.queue.poll_pop(context);
        }
        popped.map(|ticket| self.popped = Some(ticket))
    }

    fn len(&self) -> usize {
        self.pending
    }

    fn awaited(&self) -> Option<Vec<Edge>> {
        let pending = (0..self.handles.len()).filter(|&place| !self.seen[place]);
        let edges = pending.map(|place| {
            let task = self.handles[place].awaited()?;
            Some(Edge { place, task })
        });
        edges.collect()
    }
}

/// Checks whether the handle that a ticket announces is done; it registers again if it is not.
fn look<F: FutureResult>(
    handles: &mut [F],
    queue: &ReadyQueue,
    ticket: Ticket,
    waiting: &mut Waiting,
) {
    let handle = &mut handles[ticket.index];
    let waker = queue.waker(ticket);
    if handle
        .poll_done(&mut Context::from_waker(&waker))
        .is_ready()
    {
        waiting.note(ticket.index, handle.status());
    }
}

/// Runs the first queued task that is this worker's to run, which then announces itself; false if
/// there is none.
fn run_one_in_place<F: FutureResult>(handles: &mut [F], untried: &mut VecDeque<usize>) -> bool {
    for _ in 0..untried.len() {
        let Some(index) = untried.pop_front() else {
            return false;
        };
        match handles[index].run_in_place() {
            InPlace::Ran => return true,
            InPlace::Busy => untried.push_back(index),
            InPlace::Never => {}
        }
    }
    false
}

struct Waiting {
    seen: Vec<bool>,
    done: Vec<usize>,
    when: When,
    satisfied: bool,
}

impl Waiting {
    fn note(&mut self, index: usize, status: Status) {
        if std::mem::replace(&mut self.seen[index], true) {
            return;
        }
        self.done.push(index);
        self.satisfied |= self.done.len() == self.seen.len()
            || match self.when {
                When::FirstCompleted => true,
                When::FirstError => status == Status::Failed,
                When::All => false,
            };
    }

    fn finish(self) -> Waited {
        let pending = (0..self.seen.len()).filter(|&index| !self.seen[index]);
        Waited {
            pending: pending.collect(),
            done: self.done,
            timed_out: !self.satisfied,
        }
    }
}
