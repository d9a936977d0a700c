//! The stream of completions behind every wait for several handles.
//!
//! Each handle gets a waker that knows the handle's ticket; waking it appends the ticket to a lock-free
//! queue. So a completion costs its thread O(1), whatever the number of handles, and the consumer never
//! looks at a handle that has nothing to report.
//!
//! # Why no completion is slept through
//!
//! The consumer announces that it sleeps, then looks at the queue once more; the producer appends, then
//! looks whether anybody sleeps. Each puts a `SeqCst` fence between its two steps:
//!
//! ```text
//! consumer: asleep = true;  fence;  queue empty?
//! producer: append;         fence;  asleep?
//! ```
//!
//! Of two `SeqCst` fences one comes first, and what was written before it is seen by what is read
//! after the other. So at least one of the two sees what the other wrote: either the consumer finds
//! the ticket, or the producer finds the sleeper and wakes it.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering, fence};
use crate::sync::channel::{Receiver, Sender, unbounded};

/// Says whose completion it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) index: usize,
    /// Tells the users of one index apart.
    pub(crate) generation: u64,
}

/// The consumer's end.
pub(crate) struct ReadyQueue {
    receiver: Receiver<Ticket>,
    shared: Arc<Inbox>,
}

struct Inbox {
    sender: Sender<Ticket>,
    /// The consumer has left its waker and sleeps, or is about to.
    asleep: AtomicBool,
    /// Touched by the consumer, and by the one producer that finds it asleep.
    waker: Mutex<Option<Waker>>,
}

impl ReadyQueue {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = unbounded();
        let shared = Arc::new(Inbox {
            sender,
            asleep: AtomicBool::new(false),
            waker: Mutex::new(None),
        });
        Self { receiver, shared }
    }

    /// A waker that announces `ticket`.
    pub(crate) fn waker(&self, ticket: Ticket) -> Waker {
        Waker::from(Arc::new(Announce {
            inbox: Arc::clone(&self.shared),
            ticket,
        }))
    }

    /// Announces `ticket` right away.
    pub(crate) fn push(&self, ticket: Ticket) {
        self.shared.push(ticket);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    pub(crate) fn try_pop(&self) -> Option<Ticket> {
        self.receiver.try_recv().ok()
    }

    pub(crate) fn poll_pop(&self, context: &mut Context<'_>) -> Poll<Ticket> {
        if let Some(ticket) = self.try_pop() {
            return Poll::Ready(ticket);
        }
        let waker = context.waker().clone();
        let before = self.shared.waker.lock().replace(waker);
        drop(before);
        // ORDERING: the fence is the one of the proof above. The flag itself publishes nothing, as
        // the waker lies behind a lock. Every change of it is an AcqRel swap, so that they are
        // ordered by what they read; plain stores would do by coherence, but not for loom.
        self.shared.asleep.swap(true, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        match self.try_pop() {
            Some(ticket) => {
                // A producer that still finds us asleep wakes us for nothing.
                self.shared.asleep.swap(false, Ordering::AcqRel);
                Poll::Ready(ticket)
            }
            None => Poll::Pending,
        }
    }
}

impl Inbox {
    fn push(&self, ticket: Ticket) {
        // Fails only when the consumer is gone, and then there is nobody to tell.
        if self.sender.send(ticket).is_err() {
            return;
        }
        // ORDERING: the fence is the one of the proof above. The Relaxed load is the look that the proof
        // speaks of, and saves the swap; the swap decides which producer wakes.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel) {
            let waker = self.waker.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

struct Announce {
    inbox: Arc<Inbox>,
    ticket: Ticket,
}

impl Wake for Announce {
    fn wake(self: Arc<Self>) {
        self.inbox.push(self.ticket);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.inbox.push(self.ticket);
    }
}
