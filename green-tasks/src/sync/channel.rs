//! Values from task to task, in order.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use super::queue::WaitQueue;

/// A channel without a bound: sending never waits.
///
/// # Examples
///
/// ```
/// use green_tasks::sync::unbounded;
///
/// let (sender, receiver) = unbounded();
/// sender.send(1)?;
/// sender.send(2)?;
/// drop(sender);
/// assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
/// # Ok::<(), green_tasks::sync::SendError<i32>>(())
/// ```
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    channel(usize::MAX)
}

/// A channel that holds at most this many values: sending more waits until there is room. 0 counts as 1.
///
/// # Examples
///
/// ```
/// use green_tasks::{spawn_local, sync::bounded, FutureResult, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// Runtime::builder().stackful(token).build()?.run(|| {
///     let (sender, receiver) = bounded(2);
///     let sending = spawn_local(move || (0..100).try_for_each(|n| sender.send(n)));
///     assert_eq!(receiver.iter().sum::<i32>(), 4950);
///     sending.result()
/// })???;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    channel(capacity.max(1))
}

fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        values: RefCell::new(VecDeque::new()),
        capacity,
        senders: Cell::new(1),
        receivers: Cell::new(1),
        sending: WaitQueue::new(),
        receiving: WaitQueue::new(),
        chosen: [Cell::new(0), Cell::new(0)],
    });
    let sender = Sender {
        shared: Rc::clone(&shared),
    };
    (sender, Receiver { shared })
}

/// The values, and who waits.
///
/// A grant tells a waiting task that it is worth looking. Another may have been faster; then it waits again. One
/// that unwinds instead of looking tells the next.
struct Shared<T> {
    values: RefCell<VecDeque<T>>,
    capacity: usize,
    senders: Cell<usize>,
    receivers: Cell<usize>,
    /// For room.
    sending: WaitQueue,
    /// For a value.
    receiving: WaitQueue,
    /// When a [`Select`](super::Select) last chose it, to receive and to send.
    chosen: [Cell<u64>; 2],
}

impl<T> Shared<T> {
    fn has_room(&self) -> bool {
        self.values.borrow().len() < self.capacity
    }

    fn push(&self, value: T) {
        self.values.borrow_mut().push_back(value);
        self.receiving.grant();
    }

    fn pop(&self) -> Option<T> {
        let value = self.values.borrow_mut().pop_front()?;
        self.sending.grant();
        Some(value)
    }
}

/// What a [`Select`](super::Select) needs to know of an end of a channel.
pub(super) struct End<'a> {
    /// Where to wait for it.
    pub(super) queue: &'a WaitQueue,
    /// When it was last chosen.
    pub(super) chosen: &'a Cell<u64>,
}

/// The end of a channel that values are put into. Clones are ends of the same channel.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends a value; waits for room if there is none.
    ///
    /// # Errors
    ///
    /// Gives the value back if all receivers are gone, also while it waits.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, if there is no room.
    ///
    /// # Cancel safety
    ///
    /// If the task is cancelled while it waits, the value has not been sent and is dropped.
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        let at = Location::caller();
        let shared = &*self.shared;
        loop {
            if shared.receivers.get() == 0 {
                return Err(SendError(value));
            }
            if shared.has_room() {
                shared.push(value);
                return Ok(());
            }
            let pass_on = || {
                shared.sending.grant();
            };
            shared
                .sending
                .wait(&"waits for room in a channel", at, pass_on);
        }
    }

    /// Sends a value if there is room.
    ///
    /// # Errors
    ///
    /// Gives the value back if there is none, or if all receivers are gone.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        if self.shared.receivers.get() == 0 {
            return Err(TrySendError::Closed(value));
        }
        if !self.shared.has_room() {
            return Err(TrySendError::Full(value));
        }
        self.shared.push(value);
        Ok(())
    }

    pub(super) fn end(&self) -> End<'_> {
        End {
            queue: &self.shared.sending,
            chosen: &self.shared.chosen[1],
        }
    }

    /// Whether sending would not wait.
    pub(super) fn is_ready(&self) -> bool {
        self.shared.has_room() || self.shared.receivers.get() == 0
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.set(self.shared.senders.get() + 1);
        Self {
            shared: Rc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let left = self.shared.senders.get() - 1;
        self.shared.senders.set(left);
        if left == 0 {
            self.shared.receiving.grant_all();
        }
    }
}

/// The end of a channel that values come out of. Clones are ends of the same channel: each value comes
/// out of one of them.
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Receives a value; waits for one if there is none.
    ///
    /// # Errors
    ///
    /// [`RecvError`] if there is none and all senders are gone.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, if there is none and a sender is left.
    ///
    /// # Cancel safety
    ///
    /// If the task is cancelled while it waits, no value is lost.
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        let at = Location::caller();
        let shared = &*self.shared;
        loop {
            if let Some(value) = shared.pop() {
                return Ok(value);
            }
            if shared.senders.get() == 0 {
                return Err(RecvError);
            }
            let pass_on = || {
                shared.receiving.grant();
            };
            shared
                .receiving
                .wait(&"waits for a value of a channel", at, pass_on);
        }
    }

    /// Receives a value if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`] if there is none.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.shared.pop() {
            Some(value) => Ok(value),
            None if self.shared.senders.get() == 0 => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// How many values can be received without waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.values.borrow().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn end(&self) -> End<'_> {
        End {
            queue: &self.shared.receiving,
            chosen: &self.shared.chosen[0],
        }
    }

    /// Whether receiving would not wait.
    pub(super) fn is_ready(&self) -> bool {
        !self.is_empty() || self.shared.senders.get() == 0
    }

    /// Receives until all senders are gone.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.set(self.shared.receivers.get() + 1);
        Self {
            shared: Rc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = self.shared.receivers.get() - 1;
        self.shared.receivers.set(left);
        if left == 0 {
            self.shared.sending.grant_all();
            // Their destructors may do anything, so they are not dropped during the borrow.
            let unreceived = self.shared.values.take();
            drop(unreceived);
        }
    }
}

/// The values of a channel, from [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.describe(f, "Sender")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.describe(f, "Receiver")
    }
}

impl<T> Shared<T> {
    fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("values", &self.values.borrow().len())
            .field("senders", &self.senders.get())
            .field("receivers", &self.receivers.get())
            .finish()
    }
}

/// All receivers are gone; this is the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// The value could not be sent at once; this is it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There is no room.
    Full(T),
    /// All receivers are gone.
    Closed(T),
}

/// There is no value, and all senders are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// There was no value at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is none now.
    Empty,
    /// There will be none: all senders are gone.
    Closed,
}

const CLOSED_SEND: &str = "nobody can receive the value any more";
const CLOSED_RECV: &str = "the channel is empty and nobody can send any more";

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED_SEND)
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the channel is full",
            Self::Closed(_) => CLOSED_SEND,
        })
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED_RECV)
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the channel is empty",
            Self::Closed => CLOSED_RECV,
        })
    }
}

impl<T> Error for SendError<T> {}
impl<T> Error for TrySendError<T> {}
impl Error for RecvError {}
impl Error for TryRecvError {}
