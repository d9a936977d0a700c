//! The task side of a pair: a cell without a closure, completed by hand.

use std::alloc::Layout;
use std::any::type_name;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::hook::{Hook, Hooked, put_hook};
use super::runner::{Company, Runner, conclude, discard};
use super::task::drop_callbacks;
use super::waker::{self, WakerRef, Wakes};
use super::{
    CellId, Header, RawToken, Reader, Role, VTable, allocate, free_if_last, put, state, take,
    vtable,
};
use crate::blocker::PoolId;
use crate::state::{Completion, Outcome, State};
use crate::{Cause, TaskError};

/// The write half. Holds `TASK` until it has started, and is the runner afterwards.
pub(crate) struct Writer<T> {
    cell: NonNull<Header>,
    started: bool,
    /// A consumer of values: a longer-lived `T` may not be written where a shorter one is read.
    _value: PhantomData<fn(T)>,
}

// SAFETY: it moves a `T` to the handle's thread, and callbacks and wakers are `Send`.
unsafe impl<T: Send> Send for Writer<T> {}
// SAFETY: through a shared reference there are only atomic operations: loads, and tokens that are counted. A waker
// is a token, and its hook is `Sync`.
unsafe impl<T: Send> Sync for Writer<T> {}

impl<T> Writer<T> {
    #[inline]
    pub(crate) fn new(home: Option<PoolId>) -> (Self, Reader<T>) {
        let cell = allocate(State::new(), table::<T>(), home);
        // SAFETY: a new cell with this type of value, given up once.
        unsafe { Self::of(cell) }
    }

    /// As [`Writer::new`], with a hook that is called by whoever asks the running work to stop.
    #[inline]
    pub(crate) fn hooked<H>(home: Option<PoolId>, hook: H) -> (Self, Reader<T>)
    where
        H: Fn(CellId) + Send + Sync + 'static,
    {
        let cell = allocate(State::new(), hooked_table::<T, H>(), home);
        // SAFETY: nobody else knows the cell yet, and its layout is that of a `Hooked<(), T, H>`.
        unsafe { put_hook::<(), T, H>(cell, hook) };
        // SAFETY: a new cell with this type of value, given up once.
        unsafe { Self::of(cell) }
    }

    /// As [`Writer::hooked`], with a hook that also wakes the task.
    #[inline]
    pub(crate) fn waking<H: Wakes>(home: Option<PoolId>, hook: H) -> (Self, Reader<T>) {
        let cell = allocate(State::new(), waking_table::<T, H>(), home);
        // SAFETY: nobody else knows the cell yet, and its layout is that of a `Hooked<(), T, H>`.
        unsafe { put_hook::<(), T, H>(cell, hook) };
        // SAFETY: a new cell with this type of value, given up once.
        unsafe { Self::of(cell) }
    }

    /// The waker that lies in the cell, if any.
    #[inline]
    pub(crate) fn waker(&self) -> Option<WakerRef<'_>> {
        // SAFETY: an owner, by `TASK` or as the runner.
        let table = unsafe { vtable(self.cell) }.hook?.waker()?;
        // SAFETY: an owner, until it is completed, which takes this half; so it outlives the borrow.
        Some(unsafe { WakerRef::new(self.cell, table) })
    }

    /// The same in one pointer.
    #[inline]
    pub(crate) fn into_slim(self) -> SlimWriter<T> {
        SlimWriter(ManuallyDrop::new(self).cell, PhantomData)
    }

    /// # Safety
    ///
    /// The caller is the only owner of a new cell of this type of value, and gives it up.
    #[inline]
    unsafe fn of(cell: NonNull<Header>) -> (Self, Reader<T>) {
        let writer = Self {
            cell,
            started: false,
            _value: PhantomData,
        };
        // SAFETY: the handle's side of a new cell, taken once, with the type of its value.
        (writer, unsafe { Reader::new(cell) })
    }

    /// # Safety
    ///
    /// The caller is the runner of a cell with this type of value and an empty payload, and gives that up.
    #[inline]
    pub(super) unsafe fn started(cell: NonNull<Header>) -> Self {
        Self {
            cell,
            started: true,
            _value: PhantomData,
        }
    }

    /// From now on the handle can only ask to cancel. False if it has cancelled already.
    pub(crate) fn start(&mut self) -> bool {
        // SAFETY: an owner, by `TASK` or as the runner.
        self.started = self.started || unsafe { state(self.cell) }.start();
        self.started
    }

    /// Whether the handle has cancelled, or asked to.
    pub(crate) fn is_cancelled(&self) -> bool {
        // SAFETY: an owner, by `TASK` or as the runner.
        unsafe { state(self.cell) }.load().is_cancelled()
    }

    pub(crate) fn id(&self) -> CellId {
        CellId::new(self.cell)
    }

    /// A token that outlives this half.
    pub(crate) fn token(&self) -> RawToken {
        // SAFETY: an owner, by `TASK` or as the runner.
        unsafe { RawToken::new(self.cell) }
    }

    /// Completes with a value, which comes back if nobody can take it any more.
    #[inline]
    pub(crate) fn complete(self, value: T) -> Result<(), T> {
        // The payload of a pair is the writer's from the start: no canceller touches it.
        // SAFETY: an owner, the payload is empty and ours, and `T` is the type of the value.
        unsafe { put::<T>(self.cell, value) };
        // SAFETY: an owner, by `TASK` or as the runner.
        let completion = unsafe { state(self.cell) }.complete(Outcome::Value, self.started);
        if completion == Completion::Handed {
            // Last touch: the cell is the handle's.
            std::mem::forget(self);
            return Ok(());
        }
        self.notify_or_take_back(completion)
    }

    /// The rare part of [`Writer::complete`].
    #[cold]
    fn notify_or_take_back(mut self, completion: Completion) -> Result<(), T> {
        let cell = self.cell;
        let done = matches!(completion, Completion::Handed | Completion::Wake);
        if !done && !self.start() {
            // SAFETY: cancelled; the payload holds the value, and is still ours.
            let value = unsafe { take::<T>(cell) };
            drop(self);
            return Err(value);
        }
        std::mem::forget(self);
        if completion == Completion::Detached {
            // SAFETY: the payload holds the value, and is still ours.
            let value = unsafe { take::<T>(cell) };
            // SAFETY: we are the runner, the handle is gone, and the payload is empty, as a
            // cancelled outcome leaves it.
            unsafe { discard::<T>(cell, Outcome::Cancelled) };
            return Err(value);
        }
        // SAFETY: we are the runner, or were until this answer.
        unsafe { conclude::<T>(cell, Outcome::Value, completion) };
        Ok(())
    }

    /// Completes with an error, unless the handle has cancelled.
    pub(crate) fn fail(mut self, error: TaskError) {
        if self.start() {
            // SAFETY: started, so we are the runner; the payload is empty.
            let runner = unsafe { Runner::<T>::new(self.cell) };
            std::mem::forget(self);
            runner.finish(Err(error), Company::Others);
        }
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        if self.start() {
            let lost = Cause::new("its completer was dropped without an outcome");
            // SAFETY: started, so we are the runner; the payload is empty.
            unsafe { Runner::<T>::new(self.cell) }
                .finish(Err(TaskError::Lost(lost)), Company::Others);
        } else {
            // SAFETY: an owner by `TASK` until this very transition.
            let release = unsafe { state(self.cell) }.release_task();
            // SAFETY: cancelled: the payload of a pair is empty unless its writer has filled it.
            unsafe { free_if_last(self.cell, release) };
        }
    }
}

/// A [`Writer`] in one pointer, for those who have many: the cell says whether it has started.
pub(crate) struct SlimWriter<T>(NonNull<Header>, PhantomData<fn(T)>);

// SAFETY: as a writer.
unsafe impl<T: Send> Send for SlimWriter<T> {}
// SAFETY: as a writer.
unsafe impl<T: Send> Sync for SlimWriter<T> {}

impl<T> SlimWriter<T> {
    /// Undoes [`Writer::into_slim`].
    #[inline]
    pub(crate) fn into_writer(self) -> Writer<T> {
        ManuallyDrop::into_inner(ManuallyDrop::new(self).writer())
    }

    /// The writer that it stands for, which must not be dropped while this owns the cell.
    #[inline]
    fn writer(&self) -> ManuallyDrop<Writer<T>> {
        ManuallyDrop::new(Writer {
            cell: self.0,
            // Only the task side gives up `TASK`: when it starts, or by letting go of the cell.
            // SAFETY: an owner, by `TASK` or as the runner.
            started: unsafe { state(self.0) }.load().has_left_queue(),
            _value: PhantomData,
        })
    }

    #[inline]
    pub(crate) fn start(&mut self) -> bool {
        self.writer().start()
    }

    /// As [`Writer::waker`].
    #[inline]
    pub(crate) fn waker(&self) -> Option<WakerRef<'_>> {
        // SAFETY: an owner, by `TASK` or as the runner.
        let table = unsafe { vtable(self.0) }.hook?.waker()?;
        // SAFETY: an owner, until it is completed, which takes this; so it outlives the borrow.
        Some(unsafe { WakerRef::new(self.0, table) })
    }
}

impl<T> Drop for SlimWriter<T> {
    fn drop(&mut self) {
        drop(ManuallyDrop::into_inner(self.writer()));
    }
}

/// The table for pairs.
fn table<T>() -> &'static VTable {
    const {
        &VTable {
            layout: VTable::layout::<(), T>(),
            detached: false,
            by_hand: true,
            hook: None,
            role: Role::Task,
            name: type_name::<T>,
            run: run::<T>,
            fail: fail::<T>,
            drop_callbacks: drop_callbacks::<T>,
        }
    }
}

/// The table for pairs with a hook.
fn hooked_table<T, H: Fn(CellId) + Send + Sync + 'static>() -> &'static VTable {
    const {
        &VTable {
            layout: Layout::new::<Hooked<(), T, H>>(),
            detached: false,
            by_hand: true,
            hook: Some(Hook::new::<(), T, H>()),
            role: Role::Task,
            name: type_name::<T>,
            run: run::<T>,
            fail: fail::<T>,
            drop_callbacks: drop_callbacks::<T>,
        }
    }
}

/// The table for pairs with a hook that wakes.
fn waking_table<T, H: Wakes>() -> &'static VTable {
    const {
        &VTable {
            layout: Layout::new::<Hooked<(), T, H>>(),
            detached: false,
            by_hand: true,
            hook: Some(Hook::waking::<T, H>(waker::table::<T, H>())),
            role: Role::Task,
            name: type_name::<T>,
            run: run::<T>,
            fail: fail::<T>,
            drop_callbacks: drop_callbacks::<T>,
        }
    }
}

/// Nobody runs a pair in place: see [`VTable::by_hand`].
///
/// # Safety
///
/// As [`VTable::run`] says.
unsafe fn run<T>(cell: NonNull<Header>, _company: Company) -> Outcome {
    // SAFETY: passed on to the caller.
    unsafe { fail::<T>(cell, TaskError::Cancelled) };
    Outcome::Cancelled
}

/// # Safety
///
/// As [`VTable::fail`] says, with the type that the cell was made with.
unsafe fn fail<T>(cell: NonNull<Header>, error: TaskError) {
    debug_assert!(matches!(error, TaskError::Cancelled));
    // Cancelling stores nothing, which matters: the writer may be filling the payload right now.
    // SAFETY: the caller is an owner, as the runner.
    let completion = unsafe { state(cell) }.complete(Outcome::Cancelled, true);
    // SAFETY: the caller was the runner, and a cancelled outcome stores nothing in the payload.
    unsafe { conclude::<T>(cell, Outcome::Cancelled, completion) };
}
