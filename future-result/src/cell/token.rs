//! Cancel tokens, and which cells the current thread is running.

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use super::{Header, free_if_last, state, vtable};
use crate::blocker::PoolId;
use crate::sync::thread_locals;

thread_locals! {
    /// The cells whose closures have begun on this thread and not ended.
    static RUNNING: Stack = Stack {
        top: Cell::new(None),
        below: RefCell::new(Vec::new()),
    };
}

/// A stack whose entries may also leave out of turn: closures that run on coroutines of one thread
/// need not end in the order of their beginning. Each takes out its own entry, so that no entry
/// outlives its cell.
struct Stack {
    /// Apart from the others, so that a task that is not nested allocates nothing.
    top: Cell<Option<NonNull<Header>>>,
    below: RefCell<Vec<NonNull<Header>>>,
}

impl Stack {
    fn push(&self, cell: NonNull<Header>) {
        if let Some(below) = self.top.replace(Some(cell)) {
            self.below.borrow_mut().push(below);
        }
    }

    fn remove(&self, cell: NonNull<Header>) {
        let mut below = self.below.borrow_mut();
        if self.top.get() == Some(cell) {
            self.top.set(below.pop());
        } else if let Some(place) = below.iter().rposition(|&other| other == cell) {
            below.remove(place);
        }
    }
}

/// Which cell it is, for as long as something keeps the cell's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    let all = RUNNING.try_with(|running| {
        // Allocates nothing where nothing is being run.
        let below = running.below.borrow();
        let cells = running.top.get().into_iter().chain(below.iter().copied());
        cells.map(CellId::new).collect()
    });
    all.unwrap_or_default()
}

/// Marks a cell as one that this thread is running, until dropped.
pub(super) struct Running {
    cell: NonNull<Header>,
}

impl Running {
    /// # Safety
    ///
    /// The caller stays the runner of the cell until the guard is dropped, on this thread.
    #[inline]
    pub(super) unsafe fn enter(cell: NonNull<Header>) -> Self {
        // A thread whose locals are being destroyed runs its task without a token.
        let _ = RUNNING.try_with(|running| running.push(cell));
        Self { cell }
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        let _ = RUNNING.try_with(|running| running.remove(self.cell));
    }
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

    /// A token of the task that this thread is running.
    pub(crate) fn current() -> Option<Self> {
        let cell = RUNNING.try_with(|running| running.top.get()).ok()??;
        // SAFETY: an entry leaves with its `Running`, before its cell can be completed; so the cell
        // is being run, and kept alive by that, on this very thread.
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

    /// Which cell it is: the token keeps the memory, so no other cell gets this identity meanwhile.
    pub(crate) fn id(&self) -> CellId {
        CellId::new(self.0)
    }

    /// The pool that the task belongs to.
    pub(crate) fn home(&self) -> Option<PoolId> {
        // SAFETY: a token is an owner, so the header is alive.
        unsafe { self.0.as_ref() }.home
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
            NonNull::without_provenance(address.unwrap())
        });
        let stack = Stack {
            top: Cell::new(None),
            below: RefCell::new(Vec::new()),
        };
        for (ends, left) in [
            ([a, b, c], [Some(c), Some(c), None]),
            ([b, c, a], [Some(c), Some(a), None]),
        ] {
            for cell in [a, b, c] {
                stack.push(cell);
            }
            for (cell, left) in ends.into_iter().zip(left) {
                stack.remove(cell);
                assert_eq!(stack.top.get(), left);
            }
        }
    }
}
