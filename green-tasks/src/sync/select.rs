//! Waiting for the first of several things.
//!
//! A selecting task has a place in the queue of each of its branches. As everywhere in channels, a grant says that
//! it is worth looking. The task looks at its branches, takes one that is ready, and leaves all queues; where it
//! was granted something that it does not take, it tells the next waiter. Nothing else runs between look and take,
//! so what was ready is there.
//!
//! If several are ready, it takes the one that was last taken the longest ago, by a count of all choices on the
//! thread. Only the order of these counts matters, so runs are repeatable.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use future_result::sync::thread_locals;

use super::channel::End;
use super::queue::Ticket;
use super::{Receiver, RecvError, SendError, Sender};
use crate::scheduler::{Ends, Rest, Task, current};
use crate::time::{Alarm, Armed};

thread_locals! {
    /// How many choices there have been.
    static CHOICES: Cell<u64> = Cell::new(0);
}

/// Waits for the first of several channels, or for a time, and runs the closure given for it.
///
/// Of several ready branches, the one that was taken longest ago is taken, so none starves.
/// What the closures return is what [`wait`](Self::wait) returns; only one of them is called. Keep
/// them small, and let them return what happened: they cannot all borrow the same thing mutably.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_tasks::sync::{unbounded, RecvError, Select};
/// use green_tasks::{sleep, spawn_local, Runtime, Stackful};
///
/// enum Event {
///     Number(u32),
///     Tick,
///     End,
/// }
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// let runtime = Runtime::builder().stackful(token).deterministic(7).build()?;
/// let (sum, ticks) = runtime.run(|| {
///     let (numbers, incoming) = unbounded();
///     let (stop, stopping) = unbounded::<()>();
///     drop(spawn_local(move || {
///         for n in 1..=3 {
///             numbers.send(n)?;
///             sleep(Duration::from_millis(1500));
///         }
///         drop(stop);
///         sleep(Duration::from_secs(60));
///         Ok::<_, green_tasks::sync::SendError<u32>>(())
///     }));
///     let (mut sum, mut ticks) = (0, 0);
///     loop {
///         let event = Select::new()
///             .recv(&incoming, |number| number.map_or(Event::End, Event::Number))
///             .recv(&stopping, |_gone| Event::End)
///             .after(Duration::from_secs(1), || Event::Tick)
///             .wait();
///         match event {
///             Event::Number(number) => sum += number,
///             Event::Tick => ticks += 1,
///             Event::End => break (sum, ticks),
///         }
///     }
/// })?;
/// assert_eq!((sum, ticks), (6, 3));
/// # Ok::<(), green_tasks::RuntimeError>(())
/// ```
#[must_use = "it does nothing before `wait`"]
pub struct Select<'a, R> {
    branches: Vec<Branch<'a, R>>,
    /// The earliest timeout, and what is done then.
    time: Option<(Duration, Box<dyn FnOnce() -> R + 'a>)>,
}

struct Branch<'a, R> {
    end: End<'a>,
    action: Box<dyn Action<R> + 'a>,
}

/// A branch's operation.
trait Action<R> {
    fn is_ready(&self) -> bool;

    /// Does it. It was ready, and nothing has happened since.
    fn take(self: Box<Self>) -> R;
}

struct Receive<'a, T, F> {
    receiver: &'a Receiver<T>,
    then: F,
}

struct Transmit<'a, T, V, F> {
    sender: &'a Sender<T>,
    value: V,
    then: F,
}

impl<T, R, F: FnOnce(Result<T, RecvError>) -> R> Action<R> for Receive<'_, T, F> {
    fn is_ready(&self) -> bool {
        self.receiver.is_ready()
    }

    fn take(self: Box<Self>) -> R {
        let received = self.receiver.recv();
        (self.then)(received)
    }
}

impl<T, R, V, F> Action<R> for Transmit<'_, T, V, F>
where
    V: FnOnce() -> T,
    F: FnOnce(Result<(), SendError<T>>) -> R,
{
    fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    fn take(self: Box<Self>) -> R {
        let unused = Unused(self.sender);
        let value = (self.value)();
        std::mem::forget(unused);
        let sent = self.sender.send(value);
        (self.then)(sent)
    }
}

/// Room that was granted, and goes unused if making the value unwinds.
struct Unused<'a, T>(&'a Sender<T>);

impl<T> Drop for Unused<'_, T> {
    fn drop(&mut self) {
        self.0.end().queue.grant();
    }
}

impl<'a, R> Select<'a, R> {
    /// Nothing to wait for yet.
    pub const fn new() -> Self {
        Self {
            branches: Vec::new(),
            time: None,
        }
    }

    /// Adds a branch that receives a value, or finds that all senders are gone.
    pub fn recv<T>(
        self,
        receiver: &'a Receiver<T>,
        then: impl FnOnce(Result<T, RecvError>) -> R + 'a,
    ) -> Self {
        self.with(receiver.end(), Receive { receiver, then })
    }

    /// Adds a branch that sends a value, or finds that all receivers are gone. The value is made when
    /// there is room, so if another branch is taken nothing is lost.
    ///
    /// If `value` waits, the room may be gone, and the send waits for it again.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::sync::{bounded, Select};
    ///
    /// let (left, to_left) = bounded(1);
    /// let (right, to_right) = bounded(1);
    /// let mut jobs = vec![1, 2];
    /// while let Some(job) = jobs.pop() {
    ///     let sent = Select::new()
    ///         .send(&left, || job, |sent| sent)
    ///         .send(&right, || job, |sent| sent)
    ///         .wait();
    ///     sent?;
    /// }
    /// assert_eq!((to_left.len(), to_right.len()), (1, 1));
    /// # Ok::<(), green_tasks::sync::SendError<i32>>(())
    /// ```
    pub fn send<T>(
        self,
        sender: &'a Sender<T>,
        value: impl FnOnce() -> T + 'a,
        then: impl FnOnce(Result<(), SendError<T>>) -> R + 'a,
    ) -> Self {
        let action = Transmit {
            sender,
            value,
            then,
        };
        self.with(sender.end(), action)
    }

    /// Adds a branch that is taken if no other is ready for this long, counted from the call of
    /// [`wait`](Self::wait). With a limit of zero it does not wait. Of several the shortest counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use green_tasks::{sync::{unbounded, Select}, Runtime};
    ///
    /// let (_sender, receiver) = unbounded::<u8>();
    /// let got = Runtime::new().run(|| {
    ///     Select::new()
    ///         .recv(&receiver, Result::ok)
    ///         .after(Duration::ZERO, || None)
    ///         .wait()
    /// })?;
    /// assert_eq!(got, None);
    /// # Ok::<(), green_tasks::RuntimeError>(())
    /// ```
    pub fn after(mut self, limit: Duration, then: impl FnOnce() -> R + 'a) -> Self {
        if self.time.as_ref().is_none_or(|(before, _)| limit < *before) {
            self.time = Some((limit, Box::new(then)));
        }
        self
    }

    fn with(mut self, end: End<'a>, action: impl Action<R> + 'a) -> Self {
        let action = Box::new(action);
        self.branches.push(Branch { end, action });
        self
    }

    /// Waits until a branch is ready, and returns what its closure returns.
    ///
    /// # Panics
    ///
    /// If a closure does; and outside of a runtime, if no branch is ready, unless the time is zero.
    /// Without any branch, nothing can ever go on.
    ///
    /// # Cancel safety
    ///
    /// If the task is cancelled while it waits, no branch was taken: nothing has been received or sent.
    #[track_caller]
    pub fn wait(mut self) -> R {
        let at = Location::caller();
        if let Some(ready) = self.choose() {
            return self.take(ready);
        }
        if let Some((Duration::ZERO, then)) = self.time {
            return then();
        }
        let Some(scheduler) = current::get() else {
            panic!("outside of a runtime this would never end: the select at {at}");
        };
        let rest = Rest {
            what: &"waits for the first of several channels",
            at: Some(at),
            ends: Ends::Here,
        };
        let task = scheduler.current();
        let limit = self
            .time
            .as_ref()
            .and_then(|(limit, _)| scheduler.timers.after(*limit))
            .map(|at| scheduler.timers.arm(at, Alarm::Wake(Rc::clone(&task))));
        let mut places = Places::new(&self.branches, &task);
        let ready = loop {
            scheduler.rest(&task, rest);
            if let Some(ready) = self.choose() {
                places.take(ready);
                break Some(ready);
            }
            if limit.as_ref().is_some_and(Armed::is_over) {
                break None;
            }
            places.renew();
        };
        drop(places);
        drop(limit);
        match (ready, self.time.take()) {
            (Some(ready), _) => self.take(ready),
            (None, Some((_, then))) => then(),
            (None, None) => unreachable!("only a limit ends the loop without a branch"),
        }
    }

    /// Which branch to take: of the ready ones, that which was taken the longest ago.
    fn choose(&self) -> Option<usize> {
        let places = 0..self.branches.len();
        places
            .filter(|&place| self.branches[place].action.is_ready())
            .min_by_key(|&place| self.branches[place].end.chosen.get())
    }

    fn take(mut self, place: usize) -> R {
        let Branch { end, action } = self.branches.swap_remove(place);
        let choices = CHOICES.try_with(|choices| choices.replace(choices.get() + 1));
        end.chosen.set(choices.map_or(0, |before| before + 1));
        action.take()
    }
}

/// A task's places in the queues of its branches while it waits.
struct Places<'a, 'b, R> {
    branches: &'a [Branch<'b, R>],
    tickets: Vec<Ticket>,
    task: &'a Rc<Task>,
    /// The branch whose grant it uses.
    taken: Option<usize>,
}

impl<'a, 'b, R> Places<'a, 'b, R> {
    fn new(branches: &'a [Branch<'b, R>], task: &'a Rc<Task>) -> Self {
        let tickets = branches.iter().map(|branch| branch.end.queue.enter(task));
        Self {
            branches,
            tickets: tickets.collect(),
            task,
            taken: None,
        }
    }

    fn take(&mut self, place: usize) {
        self.taken = Some(place);
    }

    /// Goes to the end of each queue whose grant was for something that others have taken.
    fn renew(&mut self) {
        for (branch, ticket) in self.branches.iter().zip(&mut self.tickets) {
            if !branch.end.queue.holds(*ticket) {
                *ticket = branch.end.queue.enter(self.task);
            }
        }
    }
}

impl<R> Drop for Places<'_, '_, R> {
    fn drop(&mut self) {
        for (place, (branch, ticket)) in self.branches.iter().zip(&self.tickets).enumerate() {
            let was_granted = !branch.end.queue.leave(*ticket);
            if was_granted && self.taken != Some(place) {
                branch.end.queue.grant();
            }
        }
    }
}

impl<R> Default for Select<'_, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> fmt::Debug for Select<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select")
            .field("branches", &self.branches.len())
            .field("after", &self.time.as_ref().map(|(limit, _)| limit))
            .finish()
    }
}
