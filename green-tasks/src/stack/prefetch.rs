//! Prefetches what will soon be needed of a stack.
//!
//! Where thousands of tasks take turns, each finds its stack neither in the nearer caches nor in the TLB, and would
//! wait for one line of it after the other. Whoever knows a little earlier which stack comes next requests them all
//! at once, and does something else meanwhile.
#![expect(unsafe_code, reason = "prefetching is a machine instruction")]

#[cfg(all(target_arch = "x86_64", not(miri)))]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
#[cfg(all(target_arch = "x86_64", not(miri)))]
use std::ptr;

use super::ROOM;

const LINE: usize = 64;
/// How much of a stack, down from its base, is needed when its task starts and goes to sleep.
const AT_BASE: usize = 12 * LINE;
/// How far down from the base the frames reach of a task that is only a few calls deep. Measured: two lines less
/// save nothing, and three more cost half of what these save.
const SHALLOW: usize = 6 * LINE;
/// How much is needed around the place where a task sleeps, when it resumes: what it calls, and its callers.
const BELOW: usize = 2 * LINE;
const ABOVE: usize = 8 * LINE;

/// About where a stack ends now, as an address that nobody reads from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame(usize);

impl Frame {
    /// In the caller's frame.
    #[inline(always)]
    pub(crate) fn here() -> Self {
        let place = 0_u8;
        Self((&raw const place).addr())
    }

    /// For a task that resumes here.
    #[inline]
    pub(crate) fn fetch(self) {
        fetch(self.0.wrapping_sub(BELOW), BELOW + ABOVE);
    }
}

/// For a task that starts on a stack with this base, with the room above it.
#[inline]
pub(super) fn fetch_base(base: usize) {
    fetch(base.wrapping_sub(AT_BASE), AT_BASE + ROOM);
}

/// For a task that resumes near the base of its stack, which is below this room.
#[inline(always)]
pub(crate) fn fetch_top(room: usize) {
    fetch(room.wrapping_sub(SHALLOW), SHALLOW + ROOM);
}

/// What each turn needs of the task at this address.
#[inline(always)]
pub(crate) fn fetch_task(task: usize) {
    fetch_line(task);
    fetch_line(task.wrapping_add(LINE));
}

/// The data of a fiber, at this address.
#[inline]
pub(crate) fn fetch_room(room: usize) {
    fetch(room, ROOM);
}

#[inline(always)]
fn fetch(from: usize, len: usize) {
    for offset in (0..len).step_by(LINE) {
        fetch_line(from.wrapping_add(offset));
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
fn fetch_line(address: usize) {
    let place = ptr::without_provenance(address);
    // SAFETY: a hint, which reads nothing that the program could see, and ignores invalid addresses.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(place) };
}

/// Elsewhere no stable way exists.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
fn fetch_line(_address: usize) {}
