//! The cell: one allocation that holds a task from its submission to its result.
//!
//! Nearly all `unsafe` code of the crate is here. [`state`](crate::state) says who may touch what; the
//! types here are the parties it names, one file each: a party may do what its type can do, and gives up
//! its rights by consuming the type.
//!
//! | type | the party |
//! |---|---|
//! | [`RawTask`] | the task side of a closure: it lies in a queue |
//! | [`TaskList`], [`TaskInbox`], [`TaskDeque`] | many of these: queues |
//! | [`Writer`] | the task side of a pair, and its runner once started; likewise of a [`handed()`] task that has run |
//! | [`Runner`](runner::Runner) | whoever has won the right to produce the outcome |
//! | [`Reader`] | the handle |
//! | [`RawToken`] | a cancel token |
//! | [`Listener`] | a cancel token with a waker, which is woken when the cell is cancelled |
//! | [`RawClaim`] | a token that may also claim the task |
//! | [`WakeRef`] | a waker that lies in the cell, or a token for it |
//! | [`Hook`] | not a party: what a pool leaves in a cell to be told when running work should stop |
//!
//! # Layout
//!
//! `Header`, then the payload: the closure, later replaced by the value or the boxed error. Each lies
//! where a `Cell` of its type has `payload`, so a handle finds the value without knowing the closure's
//! type or asking a table for an offset.

mod callbacks;
mod claim;
mod handed;
mod hook;
mod list;
mod listeners;
mod reader;
mod ring;
mod runner;
mod task;
mod token;
mod waker;
mod writer;

use std::alloc::{Layout, handle_alloc_error};
use std::mem::{ManuallyDrop, MaybeUninit, offset_of};
use std::ptr::{self, NonNull};
use std::task::Waker;

use crate::TaskError;
use crate::blocker::PoolId;
use crate::state::{Outcome, Release, State};
use crate::sync::{UnsafeCell, alloc, dealloc};

use self::hook::Hook;

pub(crate) use self::claim::RawClaim;
pub(crate) use self::handed::handed;
pub use self::list::{TaskInbox, TaskList};
pub(crate) use self::listeners::Listener;
pub(crate) use self::reader::Reader;
pub use self::ring::{TaskDeque, TaskStealer};
use self::runner::Company;
pub(crate) use self::task::RawTask;
pub use self::token::{CellId, is_running};
pub(crate) use self::token::{RawToken, running};
pub use self::waker::{WakeRef, WakerRef, Wakes, waker_of};
pub(crate) use self::writer::{SlimWriter, Writer};

/// What every cell begins with, whatever its types.
#[repr(C)]
struct Header {
    state: State,
    /// The pool whose workers may run the task in place while they wait for it.
    home: Option<PoolId>,
    vtable: &'static VTable,
    /// The next task of the list that this one is in; the task side's alone.
    next: UnsafeCell<*mut Header>,
    /// A waker (`WAITER`) or the list of callbacks (`CALLBACKS`).
    slot: UnsafeCell<Slot>,
    /// Stands for the payload in loom's eyes, since the payload itself changes type.
    payload: UnsafeCell<()>,
}

/// Guards the promise in the crate's documentation; the checkers' types are larger.
#[cfg(not(any(pool_loom, pool_sim)))]
const _: () = assert!(size_of::<Header>() <= 48);

#[repr(C)]
union Slot {
    empty: (),
    waker: ManuallyDrop<Waker>,
    /// From `Arc::into_raw` of a `Callbacks<T>` with the cell's own `T`.
    callbacks: *const (),
}

/// What depends on the types of the closure and of the value.
struct VTable {
    layout: Layout,
    /// Whether there never was a handle: then whoever holds the task is its runner.
    detached: bool,
    /// Whether it is completed by hand, so that nobody can run it in place: it has no closure, or one
    /// that hands on its completer.
    by_hand: bool,
    /// What the pool has left in the cell.
    hook: Option<Hook>,
    role: Role,
    /// What the cell is called where tasks are named: the closure's path, or the value's.
    name: fn() -> &'static str,
    /// Runs the closure, completes the cell, and returns how it went. The caller must be the runner of a
    /// cell whose payload holds the closure, give up both, and be in the company it states.
    run: unsafe fn(NonNull<Header>, Company) -> Outcome,
    /// Drops the closure, if there is one, and completes the cell with the error. The same obligations.
    fail: unsafe fn(NonNull<Header>, TaskError),
    /// Drops the list of callbacks, given what is in the slot.
    drop_callbacks: unsafe fn(*const ()),
}

/// What a task is to its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A task like any other.
    Task,
    /// A part of a task that is running already: it runs even if its pool has given up what is queued.
    Part,
    /// Made by a pool for itself, to have others take part in a call: not a user's task, so it is not counted.
    Helper,
}

/// A header with a payload of one of its types. Never instantiated; only a way to find the payload.
#[repr(C)]
struct Cell<P> {
    header: Header,
    payload: MaybeUninit<P>,
}

/// The room that a cell of a task `F` with the value `T` needs.
#[repr(C)]
union Room<F, T> {
    closure: ManuallyDrop<Cell<F>>,
    value: ManuallyDrop<Cell<T>>,
    error: ManuallyDrop<Cell<Box<TaskError>>>,
}

impl VTable {
    const fn layout<F, T>() -> Layout {
        Layout::new::<Room<F, T>>()
    }
}

/// Allocates a cell that has not started, with an empty payload.
#[inline]
fn allocate(state: State, vtable: &'static VTable, home: Option<PoolId>) -> NonNull<Header> {
    // SAFETY: the layout is that of a `Room`, which holds at least a header, so its size is not 0.
    let memory = unsafe { alloc(vtable.layout) };
    let Some(cell) = NonNull::new(memory.cast::<Header>()) else {
        handle_alloc_error(vtable.layout)
    };
    let header = Header {
        state,
        home,
        vtable,
        next: UnsafeCell::new(ptr::null_mut()),
        slot: UnsafeCell::new(Slot { empty: () }),
        payload: UnsafeCell::new(()),
    };
    // SAFETY: freshly allocated with a layout that begins with a header.
    unsafe { cell.write(header) };
    cell
}

/// Frees the memory, and the list of callbacks if there is one.
///
/// # Safety
///
/// - `cell` comes from [`allocate`] and the caller's transition answered [`Release::Last`], with
///   `has_callbacks`.
/// - The payload is empty, and so is the slot, but for callbacks.
#[inline]
unsafe fn free(cell: NonNull<Header>, has_callbacks: bool) {
    // SAFETY: the caller is the last owner, so the header is alive and nobody else uses it.
    let header = unsafe { cell.as_ref() };
    let vtable = header.vtable;
    if has_callbacks {
        // SAFETY: the last owner is an owner, and `CALLBACKS` is set.
        let list = unsafe { callbacks(cell) };
        // SAFETY: the list was put there with the type that the vtable was made for, and the last
        // owner drops it once.
        unsafe { (vtable.drop_callbacks)(list) };
    }
    if let Some(hook) = vtable.hook {
        // SAFETY: the last owner drops it once; only cells that have one have such a table.
        unsafe { hook.drop(cell) };
    }
    // Under loom, fails unless all other accesses of the cell happened before.
    header.next.with_mut(|_| ());
    header.slot.with_mut(|_| ());
    header.payload.with_mut(|_| ());
    // SAFETY: alive, and not used after this. (Under loom the fields have destructors.)
    unsafe { cell.drop_in_place() };
    // SAFETY: allocated by `allocate` with this very layout.
    unsafe { dealloc(cell.as_ptr().cast(), vtable.layout) };
}

/// Frees the cell if the transition made the caller its last owner.
///
/// # Safety
///
/// As for [`free`], with `release` as the transition's answer.
#[inline]
unsafe fn free_if_last(cell: NonNull<Header>, release: Release) {
    if let Release::Last { callbacks } = release {
        // SAFETY: passed on to the caller.
        unsafe { free(cell, callbacks) };
    }
}

/// The state word alone: a reference to the whole header would have to stay valid throughout a
/// transition, but others may free the cell the moment the transition has taken effect.
///
/// # Safety
///
/// The caller is an owner of the cell, and does not use the result after it has ceased to be.
#[inline]
unsafe fn state<'a>(cell: NonNull<Header>) -> &'a State {
    // SAFETY: the caller is an owner, so the header is alive.
    unsafe { &cell.as_ref().state }
}

/// The table that the cell was made with.
///
/// # Safety
///
/// The caller is an owner of the cell.
#[inline]
unsafe fn vtable(cell: NonNull<Header>) -> &'static VTable {
    // SAFETY: the caller is an owner, so the header is alive.
    unsafe { cell.as_ref() }.vtable
}

/// Fills the payload.
///
/// # Safety
///
/// The caller is an owner to whom the payload belongs; the payload is empty; `P` is the type of the
/// cell's closure, of its value, or a boxed error.
#[inline]
unsafe fn put<P>(cell: NonNull<Header>, value: P) {
    // SAFETY: the caller is an owner, so the header is alive.
    let access = unsafe { &cell.as_ref().payload };
    // SAFETY: `P` is one of the cell's types, says the caller.
    let place = unsafe { place::<P>(cell) };
    // SAFETY: inside the allocation, aligned, and the caller's alone.
    access.with_mut(|_| unsafe { place.write(value) });
}

/// Moves the payload out; it is empty afterwards.
///
/// # Safety
///
/// The caller is an owner to whom the payload belongs, and a `P` was [`put`] there last.
#[inline]
unsafe fn take<P>(cell: NonNull<Header>) -> P {
    // SAFETY: the caller is an owner, so the header is alive.
    let access = unsafe { &cell.as_ref().payload };
    // SAFETY: `P` is one of the cell's types, says the caller.
    let place = unsafe { place::<P>(cell) };
    // SAFETY: inside the allocation, aligned, the caller's alone, and holding a `P`.
    access.with_mut(|_| unsafe { place.read() })
}

/// Calls `f` with the payload.
///
/// # Safety
///
/// As for [`take`]; and the payload stays what it is until `f` returns.
unsafe fn show<P, R>(cell: NonNull<Header>, f: impl FnOnce(&P) -> R) -> R {
    // SAFETY: the caller is an owner, so the header is alive.
    let access = unsafe { &cell.as_ref().payload };
    // SAFETY: `P` is one of the cell's types, says the caller.
    let place = unsafe { place::<P>(cell) };
    // SAFETY: inside the allocation, aligned, holding a `P`, and nobody writes meanwhile.
    access.with(|_| f(unsafe { place.as_ref() }))
}

/// Where a payload of the type `P` lies.
///
/// # Safety
///
/// `P` is one of the types that the cell was allocated for.
#[inline]
unsafe fn place<P>(cell: NonNull<Header>) -> NonNull<P> {
    // SAFETY: the allocation has room for a `Cell<P>`, and so for this offset.
    unsafe { cell.byte_add(offset_of!(Cell<P>, payload)) }.cast()
}

/// Fills the slot.
///
/// # Safety
///
/// The caller is an owner to whom the slot belongs, and the slot is empty.
#[inline]
unsafe fn put_slot(cell: NonNull<Header>, content: Slot) {
    // SAFETY: the caller is an owner, so the header is alive.
    let slot = unsafe { &cell.as_ref().slot };
    // SAFETY: valid for writes, and nobody else looks, as the slot is the caller's.
    slot.with_mut(|slot| unsafe { slot.write(content) });
}

/// Moves the waker out of the slot.
///
/// # Safety
///
/// The caller is an owner, the slot holds a waker and belongs to the caller alone, who treats it as empty
/// from now on. Others may still compare the waker that was there with theirs.
#[inline]
unsafe fn take_waker(cell: NonNull<Header>) -> Waker {
    // SAFETY: the caller is an owner, so the header is alive.
    let slot = unsafe { &cell.as_ref().slot };
    // SAFETY: the slot holds a waker, says the caller. Only read, for those who compare.
    slot.with(|slot| unsafe { slot.cast::<Waker>().read() })
}

/// Whether the waker in the slot would wake what `waker` wakes.
///
/// The runner may be moving the waker out right now. That only reads the slot, as does this comparison,
/// which looks at the waker's two pointers and follows neither.
///
/// # Safety
///
/// The caller owns the handle, and the last thing it put into the slot was a waker.
unsafe fn slot_wakes_same(cell: NonNull<Header>, waker: &Waker) -> bool {
    // SAFETY: the caller is an owner, so the header is alive.
    let slot = unsafe { &cell.as_ref().slot };
    // SAFETY: holds the bytes of a waker, and nobody but the caller writes the slot.
    slot.with(|slot| unsafe { &*slot.cast::<ManuallyDrop<Waker>>() }.will_wake(waker))
}

/// The list of callbacks, as it came from `Arc::into_raw`.
///
/// # Safety
///
/// The caller is an owner and has seen `CALLBACKS`.
unsafe fn callbacks(cell: NonNull<Header>) -> *const () {
    // SAFETY: the caller is an owner, so the header is alive.
    let slot = unsafe { &cell.as_ref().slot };
    // SAFETY: with `CALLBACKS` the slot holds the list, and nobody writes the slot any more.
    slot.with(|slot| unsafe { slot.cast::<*const ()>().read() })
}
