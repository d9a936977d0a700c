//! Waiting for cells to be cancelled.
//!
//! Few tasks do that, so the cell has only a flag for it. The wakers lie in a table of the process, keyed
//! by the cell, where whoever cancels looks if the flag is set.

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::task::{Poll, Waker};

use super::{CellId, Header, RawToken, state};
use crate::panic::contain;
use crate::state::CancelClaim;
use crate::sync::{Mutex, statics};

struct Listeners {
    /// The second part of the key tells the listeners of one cell apart.
    wakers: BTreeMap<(CellId, u64), Waker>,
    last: u64,
}

statics! {
    static LISTENERS: Mutex<Listeners> = Mutex::new(Listeners {
        wakers: BTreeMap::new(),
        last: 0,
    });
}

/// A token, and a place in the table while it waits.
pub(crate) struct Listener {
    token: RawToken,
    place: Option<u64>,
}

impl Listener {
    pub(crate) const fn new(token: RawToken) -> Self {
        Self { token, place: None }
    }

    /// Ready if the cell is cancelled; otherwise `waker` will be woken when it is.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<()> {
        if !self.token.is_cancelled() {
            self.register(waker.clone());
            // SAFETY: a token is an owner.
            if !unsafe { state(self.token.cell()) }.listen() {
                return Poll::Pending;
            }
        }
        self.leave();
        Poll::Ready(())
    }

    /// The waker is cloned before the lock and a former one dropped after it, since both may run user code.
    fn register(&mut self, waker: Waker) {
        let mut listeners = LISTENERS.lock();
        let place = *self.place.get_or_insert_with(|| {
            listeners.last += 1;
            listeners.last
        });
        let former = listeners.wakers.insert((self.token.id(), place), waker);
        drop(listeners);
        drop(former);
    }

    fn leave(&mut self) {
        if let Some(place) = self.place.take() {
            let waker = LISTENERS.lock().wakers.remove(&(self.token.id(), place));
            drop(waker);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Claims the cell to cancel it, and wakes whoever waits for that.
///
/// # Safety
///
/// The caller is an owner of the cell.
pub(super) unsafe fn claim_to_cancel(cell: NonNull<Header>) -> CancelClaim {
    // SAFETY: passed on to the caller.
    let state = unsafe { state(cell) };
    let claim = state.claim_to_cancel();
    // Looked at after the claim: whoever sets the flag later sees that the cell is cancelled.
    if matches!(claim, CancelClaim::Won | CancelClaim::Requested) && state.load().is_heard() {
        wake(CellId::new(cell));
    }
    claim
}

#[cold]
fn wake(cell: CellId) {
    let mut woken = Vec::new();
    let mut listeners = LISTENERS.lock();
    let all = (cell, 0)..=(cell, u64::MAX);
    while let Some((&key, _)) = listeners.wakers.range(all.clone()).next() {
        woken.extend(listeners.wakers.remove(&key));
    }
    drop(listeners);
    for waker in woken {
        contain(|| waker.wake());
    }
}
