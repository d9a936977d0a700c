//! Waiting for some or all of several handles, which stay with the caller.

use std::task::Context;
use std::time::{Duration, Instant};

use crate::ready_queue::{ReadyQueue, Ticket};
use crate::{FutureResult, PoolId, Status, block_until};

/// When [`wait`] comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// As soon as one handle is done.
    FirstCompleted,
    /// As soon as one is done with an error other than having been cancelled; otherwise when all
    /// are done.
    FirstError,
    /// When all are done.
    All,
}

/// What [`wait`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Waited {
    /// The places of the handles that are done, in the order of their completion; those that were
    /// done before the call come first.
    pub done: Vec<usize>,
    /// The places of the others, ascending.
    pub pending: Vec<usize>,
    /// Whether the time ran out before what was waited for had happened.
    pub timed_out: bool,
}

/// Waits for some or all of `handles`, at most for `limit` if there is one, and takes no outcome.
///
/// Waiting costs O(1) for each completion, and nothing is scanned. It waits as its context waits; a
/// worker first runs queued tasks of its own pool in place, as far as it needs to.
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
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
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
    if PoolId::current().is_some() {
        for (index, handle) in handles.iter_mut().enumerate() {
            if waiting.satisfied {
                break;
            }
            if handle.run_in_place() {
                waiting.note(index, handle.status());
            }
        }
    }
    while !waiting.satisfied {
        let Ok(ticket) = block_until(deadline, |context| queue.poll_pop(context)) else {
            if deadline.is_some() {
                break;
            }
            continue;
        };
        let handle = &mut handles[ticket.index];
        // Registers again if it was woken for nothing.
        let waker = queue.waker(ticket);
        if handle
            .poll_done(&mut Context::from_waker(&waker))
            .is_ready()
        {
            waiting.note(ticket.index, handle.status());
        } else if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            // A handle that wakes itself whenever it is polled would keep us here.
            break;
        }
    }
    waiting.finish()
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
