//! Wakers of a task that lie in its outcome's cell, in the [hook](super::hook), and so take no memory.
//!
//! A waker is a token: it keeps the cell's memory, and with it the hook, which is all that it looks at.
//! It owns nothing of the task, and may be cloned, woken and dropped anywhere and at any time, even long
//! after the outcome was taken.
//!
//! Tokens are counted in few bits, but unknown code may clone a waker without end; so clones beyond
//! [a limit](crate::state::State::try_add_token) get a cell of their own.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::hook::place;
use super::token::RawToken;
use super::{Header, Writer, state};

/// A hook that can wake its task, as well as ask it to stop.
#[doc(hidden)]
pub trait Wakes: Send + Sync + Sized + 'static {
    /// Somebody asks the running work to stop.
    fn cancel(&self);

    /// Somebody wakes the task, on any thread; perhaps when it has ended.
    fn wake(this: &WakeRef<Self>);

    /// Another hook that wakes the same task.
    fn another(&self) -> Self;
}

/// A reference to a hook, which keeps it.
#[doc(hidden)]
pub struct WakeRef<H> {
    hook: NonNull<H>,
    token: RawToken,
}

// SAFETY: it gives access to a shared `H` and may drop it, and a token can be sent.
unsafe impl<H: Send + Sync> Send for WakeRef<H> {}
// SAFETY: as above.
unsafe impl<H: Send + Sync> Sync for WakeRef<H> {}

impl<H> Deref for WakeRef<H> {
    type Target = H;

    #[inline]
    fn deref(&self) -> &H {
        // SAFETY: filled before anybody knew the cell and never written again; the token keeps it.
        unsafe { self.hook.as_ref() }
    }
}

impl<H> Clone for WakeRef<H> {
    fn clone(&self) -> Self {
        Self {
            hook: self.hook,
            token: self.token.clone(),
        }
    }
}

impl<H> fmt::Debug for WakeRef<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeRef").finish_non_exhaustive()
    }
}

/// The waker of a cell, borrowed from one of its owners.
#[doc(hidden)]
#[derive(Debug)]
pub struct WakerRef<'a> {
    /// Not a token of its own.
    waker: ManuallyDrop<Waker>,
    _owner: PhantomData<&'a ()>,
}

impl WakerRef<'_> {
    /// # Safety
    ///
    /// The cell has an owner for as long as this lives, and `table` is that of its hook.
    #[inline]
    pub(super) unsafe fn new(cell: NonNull<Header>, table: &'static RawWakerVTable) -> Self {
        let raw = RawWaker::new(cell.as_ptr().cast_const().cast(), table);
        // SAFETY: the table does what it should with the cell it was made for. The owner counts for this
        // waker as well, which is never dropped.
        let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw) });
        Self {
            waker,
            _owner: PhantomData,
        }
    }
}

impl Deref for WakerRef<'_> {
    type Target = Waker;

    #[inline]
    fn deref(&self) -> &Waker {
        &self.waker
    }
}

/// A waker that lies in no task's cell.
#[doc(hidden)]
pub fn waker_of<H: Wakes>(hook: H) -> Waker {
    let (writer, reader) = Writer::<()>::waking(None, hook);
    drop(reader);
    // It has one, so the fallback is never used.
    let waker = writer.waker();
    let waker = waker.map_or_else(|| Waker::noop().clone(), |waker| Waker::clone(&waker));
    // Nobody is there to take it.
    let _ = writer.complete(());
    waker
}

/// The table of wakers of cells with these types.
pub(super) const fn table<T, H: Wakes>() -> &'static RawWakerVTable {
    const { &RawWakerVTable::new(clone::<T, H>, wake::<T, H>, wake_by_ref::<T, H>, drop_waker) }
}

/// # Safety
///
/// `data` is a waker's, and its token stays until this returns.
#[inline]
unsafe fn cell(data: *const ()) -> NonNull<Header> {
    // SAFETY: it comes from a `NonNull`.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
}

/// # Safety
///
/// As [`cell`] says, of a cell with these types.
unsafe fn clone<T, H: Wakes>(data: *const ()) -> RawWaker {
    // SAFETY: passed on to the caller.
    let cell = unsafe { cell(data) };
    // SAFETY: a waker is an owner.
    if unsafe { state(cell) }.try_add_token() {
        return RawWaker::new(data, table::<T, H>());
    }
    // SAFETY: passed on to the caller.
    let hook = unsafe { place::<(), T, H>(cell) };
    // SAFETY: filled before anybody knew the cell, never written again, and the waker keeps it.
    let other = ManuallyDrop::new(waker_of(unsafe { hook.as_ref() }.another()));
    RawWaker::new(other.data(), other.vtable())
}

/// # Safety
///
/// As [`cell`] says, of a cell with these types; the waker is given up.
unsafe fn wake<T, H: Wakes>(data: *const ()) {
    // SAFETY: passed on to the caller, who gives up the token as well.
    let this = unsafe { reference::<T, H>(data) };
    H::wake(&this);
}

/// # Safety
///
/// As [`cell`] says, of a cell with these types.
unsafe fn wake_by_ref<T, H: Wakes>(data: *const ()) {
    // SAFETY: passed on to the caller, who keeps the token: it is not dropped here.
    let this = ManuallyDrop::new(unsafe { reference::<T, H>(data) });
    H::wake(&this);
}

/// # Safety
///
/// As [`cell`] says; the waker is given up.
unsafe fn drop_waker(data: *const ()) {
    // SAFETY: passed on to the caller.
    let cell = unsafe { cell(data) };
    // SAFETY: the waker's token, which is given up.
    drop(unsafe { RawToken::from_cell(cell) });
}

/// # Safety
///
/// As [`cell`] says, of a cell with these types; the token is that of the waker.
#[inline]
unsafe fn reference<T, H>(data: *const ()) -> WakeRef<H> {
    // SAFETY: passed on to the caller.
    let cell = unsafe { cell(data) };
    // SAFETY: passed on to the caller.
    let hook = unsafe { place::<(), T, H>(cell) };
    // SAFETY: passed on to the caller.
    let token = unsafe { RawToken::from_cell(cell) };
    WakeRef { hook, token }
}
