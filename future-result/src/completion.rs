//! Waiting for several handles, in the order of their completion.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;

use crate::blocker::{Interrupted, Wait, block};
use crate::deadlock::{Edge, Stuck};
use crate::ready_queue::{ReadyQueue, Ticket};
use crate::result::may_begin;
use crate::sync::now;
use crate::{FutureResult, InPlace, TaskError, WaitTimedOut};

/// Handles from any pools, yielded as they complete; more can be inserted at any time.
///
/// Each handle is yielded once, with the key that it was inserted under; those that are already
/// done come first. A completion costs O(1), whatever the number of handles, and nothing is
/// scanned.
///
/// It is an [`IntoIterator`], by value and by `&mut`, whose iterators wait as their context waits
/// and end when the set is empty; and a [`Stream`] for async code.
///
/// A worker of a pool that waits for a set first runs the set's queued tasks of that pool in place,
/// oldest first. Dropping the set detaches what is in it.
///
/// # Cancel safety
///
/// Dropping a future that awaits the stream's next item loses nothing.
///
/// # Examples
///
/// A crawler that finds more work in its results:
///
/// ```
/// use future_result::{pair, CompletionSet};
///
/// let (first, handle) = pair();
/// let mut set = CompletionSet::new();
/// set.insert("first", handle);
/// first.complete(1).unwrap();
/// while let Some((key, result)) = set.wait_next() {
///     println!("{key}: {}", result?);
///     if key == "first" {
///         let (second, handle) = pair();
///         set.insert("second", handle);
///         second.complete(2).unwrap();
///     }
/// }
/// # Ok::<(), future_result::TaskError>(())
/// ```
pub struct CompletionSet<K, F> {
    slots: Vec<Slot<K, F>>,
    free: Vec<usize>,
    live: usize,
    ready: ReadyQueue,
    /// What a worker has not yet tried to run in place; may list what is gone.
    untried: VecDeque<Ticket>,
}

struct Slot<K, F> {
    generation: u64,
    entry: Option<Entry<K, F>>,
}

struct Entry<K, F> {
    key: K,
    handle: F,
    waker: Waker,
}

/// How many spurious wake-ups one poll looks into before it gives up its turn: a handle may wake
/// itself whenever it is polled.
const SPURIOUS_MAX: usize = 64;

/// A key and the outcome of the handle that was inserted under it.
type Completed<K, F> = (K, Result<<F as FutureResult>::Value, TaskError>);

impl<K, F: FutureResult> CompletionSet<K, F> {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            live: 0,
            ready: ReadyQueue::new(),
            untried: VecDeque::new(),
        }
    }

    /// Adds a handle. Keys need not be unique.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{pair, CompletionSet};
    ///
    /// let (completer, handle) = pair();
    /// let mut set = CompletionSet::new();
    /// assert!(set.is_empty());
    /// set.insert("key", handle);
    /// assert_eq!(set.len(), 1);
    /// completer.complete(5).unwrap();
    /// assert!(matches!(set.wait_next(), Some(("key", Ok(5)))));
    /// assert!(set.wait_next().is_none());
    /// ```
    pub fn insert(&mut self, key: K, mut handle: F) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                entry: None,
            });
            self.slots.len() - 1
        });
        let ticket = Ticket {
            index,
            generation: self.slots[index].generation,
        };
        let waker = self.ready.waker(ticket);
        let done = handle
            .poll_done(&mut Context::from_waker(&waker))
            .is_ready();
        self.slots[index].entry = Some(Entry { key, handle, waker });
        self.live += 1;
        if done {
            self.ready.push(ticket);
        } else {
            self.remember_untried(ticket);
        }
    }

    /// How many handles have not been yielded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether every handle has been yielded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Waits for the next completion; `None` if the set is empty.
    pub fn wait_next(&mut self) -> Option<Completed<K, F>> {
        loop {
            if let Ok(next) = self.wait_deadline(None) {
                return next;
            }
        }
    }

    /// Waits at most `limit` for the next completion; `None` if the set is empty.
    ///
    /// # Errors
    ///
    /// [`WaitTimedOut`] if nothing completed in time. The set is as before.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use future_result::{pair, CompletionSet, WaitTimedOut};
    ///
    /// let (completer, handle) = pair::<u8>();
    /// let mut set = CompletionSet::new();
    /// set.insert("slow", handle);
    /// assert_eq!(set.wait_next_timeout(Duration::ZERO).unwrap_err(), WaitTimedOut);
    /// assert_eq!(set.len(), 1);
    /// # drop(completer);
    /// ```
    pub fn wait_next_timeout(
        &mut self,
        limit: Duration,
    ) -> Result<Option<Completed<K, F>>, WaitTimedOut> {
        self.wait_deadline(now().checked_add(limit))
    }

    /// Takes the handles that have not been yielded, with their keys, in no particular order.
    ///
    /// # Examples
    ///
    /// ```
    /// use future_result::{pair, CompletionSet, FutureResult};
    ///
    /// let (_completer, handle) = pair::<u8>();
    /// let mut set = CompletionSet::new();
    /// set.insert(1, handle);
    /// for (_key, handle) in set.into_pending() {
    ///     let _ = handle.cancel();
    /// }
    /// ```
    pub fn into_pending(self) -> impl Iterator<Item = (K, F)> {
        let entries = self.slots.into_iter().filter_map(|slot| slot.entry);
        entries.map(|entry| (entry.key, entry.handle))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        let entries = self.slots.iter().filter_map(|slot| slot.entry.as_ref());
        entries.map(|entry| &entry.key)
    }

    pub(crate) fn wait_deadline(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<Completed<K, F>>, WaitTimedOut> {
        // Run in place here if possible: below, a nested wait would need a parker of its own.
        while may_begin(deadline) {
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(next) = self.poll_completed(&mut context) {
                return Ok(next);
            }
            if !self.run_one_in_place() {
                break;
            }
        }
        let mut waiting = WaitForNext {
            set: self,
            deadline,
            next: None,
        };
        loop {
            match (block(deadline, &mut waiting), waiting.next.take()) {
                // However it ended: what was taken must not be lost.
                (_, Some(next)) => return Ok(next),
                (Err(Interrupted::Stuck(stuck)), None) => waiting.set.give_up(stuck),
                (Ok(()) | Err(Interrupted::TimedOut), None) => return Err(WaitTimedOut),
            }
        }
    }

    /// Ends a wait that would never end: its handle is done, with the error.
    fn give_up(&mut self, stuck: Stuck) {
        let slot = &mut self.slots[stuck.place];
        if let Some(entry) = &mut slot.entry {
            entry.handle.give_up(stuck.error);
            self.ready.push(Ticket {
                index: stuck.place,
                generation: slot.generation,
            });
        }
    }

    fn poll_completed(&mut self, context: &mut Context<'_>) -> Poll<Option<Completed<K, F>>> {
        for _ in 0..SPURIOUS_MAX {
            if self.live == 0 {
                return Poll::Ready(None);
            }
            let Poll::Ready(ticket) = self.ready.poll_pop(context) else {
                return Poll::Pending;
            };
            if let Some(next) = self.collect(ticket) {
                return Poll::Ready(Some(next));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// The outcome that a ticket announces, unless it was woken for nothing or is gone.
    fn collect(&mut self, ticket: Ticket) -> Option<Completed<K, F>> {
        let slot = &mut self.slots[ticket.index];
        if slot.generation != ticket.generation {
            return None;
        }
        // Taken out, so that a handle whose poll panics is no longer waited for. Its slot stays empty.
        let mut entry = slot.entry.take()?;
        self.live -= 1;
        let mut context = Context::from_waker(&entry.waker);
        if let Poll::Ready(result) = Pin::new(&mut entry.handle).poll(&mut context) {
            slot.generation += 1;
            self.free.push(ticket.index);
            return Some((entry.key, result));
        }
        slot.entry = Some(entry);
        self.live += 1;
        None
    }

    /// Runs the oldest queued task that is this worker's to run; false if there is none.
    fn run_one_in_place(&mut self) -> bool {
        for _ in 0..self.untried.len() {
            let Some(ticket) = self.untried.pop_front() else {
                return false;
            };
            let slot = &mut self.slots[ticket.index];
            if slot.generation != ticket.generation {
                continue;
            }
            match slot.entry.as_mut().map(|entry| entry.handle.run_in_place()) {
                Some(InPlace::Ran) => return true,
                Some(InPlace::Busy) => self.untried.push_back(ticket),
                Some(InPlace::Never) | None => {}
            }
        }
        false
    }

    fn remember_untried(&mut self, ticket: Ticket) {
        // Forgets what is gone once that is the larger part: amortised O(1) per insertion.
        if self.untried.len() > 2 * self.live + 32 {
            let slots = &self.slots;
            self.untried
                .retain(|ticket| slots[ticket.index].generation == ticket.generation);
        }
        self.untried.push_back(ticket);
    }
}

struct WaitForNext<'a, K, F: FutureResult> {
    set: &'a mut CompletionSet<K, F>,
    deadline: Option<Instant>,
    /// What the set has yielded.
    next: Option<Option<Completed<K, F>>>,
}

impl<K, F: FutureResult> Wait for WaitForNext<'_, K, F> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut polled = self.set.poll_completed(context);
        // Again after every wake-up, since a shared handle may have been busy.
        if polled.is_pending() && may_begin(self.deadline) && self.set.run_one_in_place() {
            polled = self.set.poll_completed(context);
        }
        polled.map(|next| self.next = Some(next))
    }

    fn len(&self) -> usize {
        self.set.len()
    }

    fn awaited(&self) -> Option<Vec<Edge>> {
        let edge = |(place, slot): (usize, &Slot<K, F>)| {
            let entry = slot.entry.as_ref()?;
            Some(entry.handle.awaited().map(|task| Edge { place, task }))
        };
        let slots = self.set.slots.iter().enumerate();
        slots.filter_map(edge).collect()
    }
}

impl<K, F: FutureResult> Default for CompletionSet<K, F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, F: FutureResult> Stream for CompletionSet<K, F>
where
    K: Unpin,
{
    type Item = Completed<K, F>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_completed(context)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.live, Some(self.live))
    }
}

impl<K, F: FutureResult> IntoIterator for CompletionSet<K, F> {
    type Item = Completed<K, F>;
    type IntoIter = IntoIter<K, F>;

    fn into_iter(self) -> IntoIter<K, F> {
        IntoIter { set: self }
    }
}

impl<'a, K, F: FutureResult> IntoIterator for &'a mut CompletionSet<K, F> {
    type Item = Completed<K, F>;
    type IntoIter = IterMut<'a, K, F>;

    fn into_iter(self) -> IterMut<'a, K, F> {
        IterMut { set: self }
    }
}

/// Waits for one completion after another; owns its set.
#[derive(Debug)]
#[must_use = "iterators are lazy; dropping this one detaches its handles"]
pub struct IntoIter<K, F> {
    set: CompletionSet<K, F>,
}

impl<K, F: FutureResult> Iterator for IntoIter<K, F> {
    type Item = Completed<K, F>;

    fn next(&mut self) -> Option<Self::Item> {
        self.set.wait_next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.set.len(), Some(self.set.len()))
    }
}

/// Waits for one completion after another; leaves the set usable.
#[derive(Debug)]
#[must_use = "iterators are lazy"]
pub struct IterMut<'a, K, F> {
    set: &'a mut CompletionSet<K, F>,
}

impl<K, F: FutureResult> Iterator for IterMut<'_, K, F> {
    type Item = Completed<K, F>;

    fn next(&mut self) -> Option<Self::Item> {
        self.set.wait_next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.set.len(), Some(self.set.len()))
    }
}

impl<K, F> fmt::Debug for CompletionSet<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionSet")
            .field("len", &self.live)
            .finish_non_exhaustive()
    }
}

/// Yields the outcomes of handles in order of completion, each with its handle's index in `handles`.
///
/// Those that are already done come first. The iterator waits as its context waits; dropping it
/// detaches what it has not yielded.
///
/// # Examples
///
/// ```
/// use future_result::{as_completed, task};
///
/// let (slow, slow_handle) = task(|| "slow");
/// let (fast, fast_handle) = task(|| "fast");
/// fast.run();
/// let mut completed = as_completed([slow_handle, fast_handle]);
/// assert!(matches!(completed.next(), Some((1, Ok("fast")))));
/// slow.run();
/// assert!(matches!(completed.next(), Some((0, Ok("slow")))));
/// assert!(completed.next().is_none());
/// ```
pub fn as_completed<I>(handles: I) -> AsCompleted<I::Item>
where
    I: IntoIterator<Item: FutureResult>,
{
    let mut set = CompletionSet::new();
    for (index, handle) in handles.into_iter().enumerate() {
        set.insert(index, handle);
    }
    AsCompleted {
        set,
        deadline: None,
    }
}

/// The iterator that [`as_completed`] returns.
#[derive(Debug)]
#[must_use = "iterators are lazy; dropping this one detaches its handles"]
pub struct AsCompleted<F> {
    set: CompletionSet<usize, F>,
    deadline: Option<Instant>,
}

impl<F: FutureResult> AsCompleted<F> {
    /// Ends the iteration when `limit` has passed since this call, whatever is still pending.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use future_result::{as_completed, pair, FutureResult};
    ///
    /// let (_never, handle) = pair::<u8>();
    /// let mut completed = as_completed([handle]).timeout(Duration::ZERO);
    /// assert!(completed.next().is_none());
    /// for (_index, handle) in completed.into_pending() {
    ///     let _ = handle.cancel();
    /// }
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.deadline = now().checked_add(limit);
        self
    }

    /// How many handles have not been yielded: after the iteration has ended, those that were not
    /// done in time.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.set.len()
    }

    /// Takes the handles that have not been yielded, each with its index.
    pub fn into_pending(self) -> impl Iterator<Item = (usize, F)> {
        self.set.into_pending()
    }
}

impl<F: FutureResult> Iterator for AsCompleted<F> {
    type Item = Completed<usize, F>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.deadline {
            None => self.set.wait_next(),
            Some(deadline) => self.set.wait_deadline(Some(deadline)).ok().flatten(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let least = match self.deadline {
            None => self.set.len(),
            Some(_) => 0,
        };
        (least, Some(self.set.len()))
    }
}
