//! Cancel tokens, and which cells the current thread is running.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::ptr::{self, NonNull};

use super::{Header, free_if_last, state, vtable};
use crate::blocker::PoolId;
use crate::sync::thread_locals;

thread_locals! {
    /// The latest of the cells whose closures have begun on this thread and not ended.
    static RUNNING: Stack = Stack { top: Cell::new(ptr::null()) };
}

/// A stack whose entries may leave out of order: closures on coroutines of one thread need not nest.
///
/// The entries lie in the frames that run the closures, and are chained in both directions. Each takes
/// itself out before its frame ends, so every pointer here is valid.
struct Stack {
    top: Cell<*const Entry>,
}

struct Entry {
    cell: NonNull<Header>,
    below: Cell<*const Entry>,
    above: Cell<*const Entry>,
}

impl Stack {
    /// # Safety
    ///
    /// The entry stays where it is until it is removed.
    unsafe fn push(&self, entry: &Entry) {
        let below = self.top.replace(entry);
        entry.below.set(below);
        entry.above.set(ptr::null());
        // SAFETY: null, or an entry of this stack, which is valid.
        if let Some(below) = unsafe { below.as_ref() } {
            below.above.set(entry);
        }
    }

    /// # Safety
    ///
    /// The entry is in this stack.
    unsafe fn remove(&self, entry: &Entry) {
        let (below, above) = (entry.below.get(), entry.above.get());
        // SAFETY: null, or an entry of this stack, which is valid.
        if let Some(below) = unsafe { below.as_ref() } {
            below.above.set(above);
        }
        // SAFETY: likewise.
        match unsafe { above.as_ref() } {
            Some(above) => above.below.set(below),
            None => self.top.set(below),
        }
    }

    /// The latest first.
    fn cells(&self) -> impl Iterator<Item = NonNull<Header>> {
        let mut next = self.top.get();
        std::iter::from_fn(move || {
            // SAFETY: null, or an entry of this stack, which is valid.
            let entry = unsafe { next.as_ref() }?;
            next = entry.below.get();
            Some(entry.cell)
        })
    }
}

/// Runs `f`, with the cell among those that this thread is running.
///
/// # Safety
///
/// The caller stays the runner of the cell until the call has ended.
#[inline]
pub(super) unsafe fn while_running<R>(cell: NonNull<Header>, f: impl FnOnce() -> R) -> R {
    /// Takes the entry out even if `f` unwinds.
    struct Leave<'a>(&'a Entry);

    impl Drop for Leave<'_> {
        #[inline]
        fn drop(&mut self) {
            // SAFETY: pushed by this thread, below.
            let _ = RUNNING.try_with(|running| unsafe { running.remove(self.0) });
        }
    }

    let entry = Entry {
        cell,
        below: Cell::new(ptr::null()),
        above: Cell::new(ptr::null()),
    };
    // SAFETY: the entry is borrowed, and so stays where it is, until `Leave` has taken it out.
    let entered = RUNNING.try_with(|running| unsafe { running.push(&entry) });
    // A thread whose locals are being destroyed runs its task without a token.
    let _leave = entered.is_ok().then(|| Leave(&entry));
    f()
}

/// The identity of a cell, for as long as something keeps the cell's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellId(NonZeroUsize);

impl CellId {
    pub(super) fn new(cell: NonNull<Header>) -> Self {
        Self(cell.addr())
    }

    #[inline]
    pub(super) fn is_at(self, cell: *mut Header) -> bool {
        self.0.get() == cell.addr()
    }
}

/// The cells that this thread is running; each leaves before it can be completed.
pub(crate) fn running() -> Vec<CellId> {
    // Allocates nothing if nothing is being run.
    let all = RUNNING.try_with(|running| running.cells().map(CellId::new).collect());
    all.unwrap_or_default()
}

/// Whether this thread is running a task.
#[doc(hidden)]
#[must_use]
pub fn is_running() -> bool {
    RUNNING
        .try_with(|running| !running.top.get().is_null())
        .unwrap_or(false)
}

/// Keeps a cell's memory alive, to ask whether it was cancelled.
pub(crate) struct RawToken(NonNull<Header>);

// SAFETY: there are only atomic operations, whatever the types of closure and value; and freeing
// drops neither, since both are gone by then. A hook, which it may drop, is `Send` and `Sync`.
unsafe impl Send for RawToken {}
// SAFETY: as above.
unsafe impl Sync for RawToken {}

impl RawToken {
    /// # Safety
    ///
    /// The caller is an owner of the cell.
    pub(super) unsafe fn new(cell: NonNull<Header>) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { state(cell) }.add_token();
        Self(cell)
    }

    /// # Safety
    ///
    /// A token of the cell was counted for the caller, who gives it up.
    #[inline]
    pub(super) unsafe fn from_cell(cell: NonNull<Header>) -> Self {
        Self(cell)
    }

    /// A token of the task that this thread is running.
    pub(crate) fn current() -> Option<Self> {
        let cell = RUNNING.try_with(|running| running.cells().next()).ok()??;
        // SAFETY: an entry leaves with its frame, before its cell can be completed; so this very thread
        // is running the cell, which keeps it alive.
        Some(unsafe { Self::new(cell) })
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        // SAFETY: a token is an owner.
        unsafe { state(self.0) }.load().is_cancelled()
    }

    /// The cell, which the token keeps.
    pub(super) fn cell(&self) -> NonNull<Header> {
        self.0
    }

    /// The cell's identity: the token keeps the memory, so no other cell gets it meanwhile.
    pub(crate) fn id(&self) -> CellId {
        CellId::new(self.0)
    }

    /// The pool that the task belongs to.
    pub(crate) fn home(&self) -> Option<PoolId> {
        // SAFETY: a token is an owner, so the header is alive.
        unsafe { self.0.as_ref() }.home
    }

    /// Whether nobody can run it in place.
    pub(crate) fn is_by_hand(&self) -> bool {
        // SAFETY: a token is an owner.
        unsafe { vtable(self.0) }.by_hand
    }

    /// Whether the task has ended.
    pub(crate) fn is_done(&self) -> bool {
        // SAFETY: a token is an owner.
        unsafe { state(self.0) }.load().is_done()
    }

    /// What the cell is called.
    pub(crate) fn name(&self) -> &'static str {
        // SAFETY: a token is an owner.
        let name = unsafe { vtable(self.0) }.name;
        name()
    }
}

impl Clone for RawToken {
    fn clone(&self) -> Self {
        // SAFETY: a token is an owner.
        unsafe { Self::new(self.0) }
    }
}

impl Drop for RawToken {
    fn drop(&mut self) {
        // SAFETY: an owner until this very transition.
        let release = unsafe { state(self.0) }.release_token();
        // SAFETY: payload and slot were emptied by those who owned them.
        unsafe { free_if_last(self.0, release) };
    }
}

#[cfg(all(test, not(pool_loom)))]
mod tests {
    use super::*;

    #[test]
    fn cells_that_end_out_of_turn_leave_no_entry_behind() {
        let [a, b, c] = [1_usize, 2, 3].map(|n| {
            let address = NonZeroUsize::new(n * align_of::<Header>());
            Entry {
                cell: NonNull::without_provenance(address.unwrap()),
                below: Cell::new(ptr::null()),
                above: Cell::new(ptr::null()),
            }
        });
        let stack = Stack {
            top: Cell::new(ptr::null()),
        };
        for (ends, left) in [
            ([&a, &b, &c], [&[&c, &b][..], &[&c], &[]]),
            ([&b, &c, &a], [&[&c, &a][..], &[&a], &[]]),
        ] {
            for entry in [&a, &b, &c] {
                // SAFETY: it stays where it is.
                unsafe { stack.push(entry) };
            }
            for (entry, left) in ends.into_iter().zip(left) {
                // SAFETY: it was pushed.
                unsafe { stack.remove(entry) };
                let left = left.iter().map(|entry| entry.cell);
                assert!(stack.cells().eq(left));
            }
        }
    }
}
