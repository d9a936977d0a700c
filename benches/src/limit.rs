//! What cannot be beaten.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

/// The least that a one-allocation, two-party result can cost: allocate and free a box of the
/// cell's size, and one read-modify-write by each side.
#[inline]
#[must_use]
pub fn box_and_two_rmws() -> u64 {
    let cell = Box::new((AtomicU32::new(0), [7_u64; 5]));
    // ORDERING: as in the cell; on x86 any read-modify-write costs the same.
    cell.0.fetch_xor(1, Ordering::AcqRel);
    cell.0.fetch_xor(2, Ordering::AcqRel);
    black_box(&cell).1[0]
}
