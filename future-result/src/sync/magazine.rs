//! The memory of cells: kept for the next ones rather than returned at once.
//!
//! Most cells have one of few sizes and a short life, and the allocator is the dearest part of a task. So
//! each thread keeps two *magazines* of free cells of each size, which only it touches. A full one goes
//! to the *depot*, where a thread that has run out takes it: so cells that one thread makes and another
//! frees come back, and the depot's lock is taken once in [`ROUNDS`] times at most. With two magazines a
//! thread does not go to the depot and back for every cell at the edge of one. (Bonwick and Adams,
//! "Magazines and Vmem", USENIX 2001.) A magazine lists its cells instead of chaining them, so nobody
//! reads or writes a free cell, and hardly anything here is unsafe.
//!
//! Nobody waits for the depot: whoever finds it locked goes to the allocator. So a process that was
//! forked while a thread of its parent held the lock does not hang.
//!
//! What is kept is bounded: [`ROUNDS`] cells in each of the magazines, and [`DEPOT_BYTES`] of each size in
//! the depot.
//!
//! It hides the use of freed cells from checkers, so these build with `--cfg pool_unpooled`.

use std::alloc::{self, Layout};
use std::cell::RefCell;
use std::mem;
use std::ptr::NonNull;

use parking_lot::Mutex;

/// The sizes that are kept, in bytes: with the 8-byte header of glibc's allocator, they fill its chunks.
const SIZES: [usize; 3] = [56, 88, 120];
/// What cells of these sizes are aligned to, in bytes.
const ALIGN: usize = 16;
/// How many cells fit into a magazine.
const ROUNDS: usize = 64;
/// How many bytes of free cells of each size stay in the depot at most.
const DEPOT_BYTES: usize = 8 << 20;
/// How many cells a thread gets from the allocator at a time, so as not to ask the depot for each.
const FRESH: usize = 8;

/// The memory of a free cell, allocated with the layout of its size.
struct Memory(NonNull<u8>);

// SAFETY: it is nobody else's.
unsafe impl Send for Memory {}

/// Free cells of one size. Its capacity is 0 until it is first used, and `ROUNDS` then.
type Magazine = Vec<Memory>;

/// What a thread keeps of one size.
struct Pair {
    /// Which of `SIZES`.
    size: usize,
    loaded: Magazine,
    /// Full or empty.
    spare: Magazine,
}

/// The full magazines of each size.
static DEPOTS: [Mutex<Vec<Magazine>>; SIZES.len()] =
    [const { Mutex::new(Vec::new()) }; SIZES.len()];

thread_local! {
    static PAIRS: [RefCell<Pair>; SIZES.len()] = const {
        [Pair::new(0), Pair::new(1), Pair::new(2)]
    };
}

/// Which of `SIZES` the layout gets.
#[inline]
fn size_of(layout: Layout) -> Option<usize> {
    if layout.align() > ALIGN {
        return None;
    }
    SIZES.iter().position(|&size| layout.size() <= size)
}

/// The layout of a size.
#[inline]
const fn layout_of(size: usize) -> Layout {
    match Layout::from_size_align(SIZES[size], ALIGN) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    }
}

/// As [`std::alloc::alloc`].
///
/// # Safety
///
/// The layout's size is not 0.
#[inline]
pub unsafe fn alloc(layout: Layout) -> *mut u8 {
    let Some(size) = size_of(layout) else {
        // SAFETY: passed on to the caller.
        return unsafe { alloc::alloc(layout) };
    };
    match with_pair(size, Pair::take) {
        Some(Memory(place)) => place.as_ptr(),
        // SAFETY: none of the sizes is 0.
        None => unsafe { alloc::alloc(layout_of(size)) },
    }
}

/// As [`std::alloc::dealloc`].
///
/// # Safety
///
/// `memory` was allocated by [`alloc`] with this layout, and is given up.
#[inline]
pub unsafe fn dealloc(memory: *mut u8, layout: Layout) {
    let (Some(size), Some(place)) = (size_of(layout), NonNull::new(memory)) else {
        // SAFETY: passed on to the caller.
        return unsafe { alloc::dealloc(memory, layout) };
    };
    let refused = with_pair(size, |pair| pair.keep(Memory(place)).then_some(()));
    if refused.is_none() {
        // SAFETY: allocated with this layout, whether it was kept in between or not.
        unsafe { alloc::dealloc(memory, layout_of(size)) };
    }
}

/// `None` also if the thread's locals are being destroyed, or if the program's own allocator got here from within `f`.
#[inline]
fn with_pair<R>(size: usize, f: impl FnOnce(&mut Pair) -> Option<R>) -> Option<R> {
    let f = |pairs: &[RefCell<Pair>; SIZES.len()]| f(&mut *pairs[size].try_borrow_mut().ok()?);
    PAIRS.try_with(f).ok().flatten()
}

impl Pair {
    const fn new(size: usize) -> RefCell<Self> {
        RefCell::new(Self {
            size,
            loaded: Vec::new(),
            spare: Vec::new(),
        })
    }

    #[inline]
    fn take(&mut self) -> Option<Memory> {
        match self.loaded.pop() {
            None => self.reload(),
            memory => memory,
        }
    }

    /// As [`Pair::take`], with the loaded magazine empty.
    #[cold]
    fn reload(&mut self) -> Option<Memory> {
        if !self.spare.is_empty() {
            mem::swap(&mut self.loaded, &mut self.spare);
        } else if let Some(full) = DEPOTS[self.size].try_lock()?.pop() {
            // The empty one goes back to the allocator: one call in `ROUNDS`.
            self.loaded = full;
        } else {
            self.loaded.reserve_exact(ROUNDS);
            // SAFETY: none of the sizes is 0.
            let fresh = || NonNull::new(unsafe { alloc::alloc(layout_of(self.size)) }).map(Memory);
            let fresh = std::iter::from_fn(fresh).take(FRESH);
            self.loaded.extend(fresh);
        }
        self.loaded.pop()
    }

    /// False if there is no room: then it was not kept.
    #[inline]
    fn keep(&mut self, memory: Memory) -> bool {
        if self.loaded.len() == self.loaded.capacity() && !self.unload() {
            return false;
        }
        self.loaded.push(memory);
        true
    }

    /// Makes room when the loaded magazine is full. False if it could not.
    #[cold]
    fn unload(&mut self) -> bool {
        if self.loaded.is_empty() {
            self.loaded.reserve_exact(ROUNDS);
            return true;
        }
        if self.spare.is_empty() {
            self.spare.reserve_exact(ROUNDS);
        } else {
            let empty = Vec::with_capacity(ROUNDS);
            let Some(mut depot) = DEPOTS[self.size].try_lock() else {
                return false;
            };
            let full = mem::replace(&mut self.spare, empty);
            if depot.len() < DEPOT_BYTES / (ROUNDS * SIZES[self.size]) {
                depot.push(full);
            } else {
                drop(depot);
                self.give_back(full);
            }
        }
        mem::swap(&mut self.loaded, &mut self.spare);
        true
    }

    /// To the allocator.
    fn give_back(&self, magazine: Magazine) {
        for Memory(place) in magazine {
            // SAFETY: allocated with this layout, and nobody else's.
            unsafe { alloc::dealloc(place.as_ptr(), layout_of(self.size)) };
        }
    }
}

/// The thread ends.
impl Drop for Pair {
    fn drop(&mut self) {
        for magazine in [mem::take(&mut self.loaded), mem::take(&mut self.spare)] {
            self.give_back(magazine);
        }
    }
}
