//! One mapping that holds all stacks of one scheduler.
//!
//! ```text
//! │ guard │ … the stack grows down … │ room │ colour │ label │ guard │ …
//!         ▲ limit is below the guard  ▲ base
//! ```
//!
//! The mapping reserves addresses, no memory. A page costs memory once it is touched, and the pages below stacks
//! are *guards*: an access to one faults instead of touching a neighbour's data. If the kernel can make a guard
//! without a separate mapping (Linux 6.13), any number of stacks needs one mapping. Elsewhere each guard is another
//! mapping, and so is each stack between two of them. The kernel allows some 65,000 mappings, so there is room for
//! less than half as many stacks: some are left to the rest of the process, which could not get memory otherwise.
//!
//! Stacks begin at different places within a page (*colours*); otherwise what all tasks use most would compete for
//! the same few lines of the CPU's cache.
#![expect(unsafe_code, reason = "maps memory")]

use std::cell::Cell;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::{self, NonNull};
use std::rc::Rc;

use super::overflow::{Label, Registration};
use super::prefetch::fetch_base;

/// The distance between two colours: a cache line.
const COLOUR: usize = 64;
const COLOURS: usize = 32;
/// A fiber's data is above its stack's base, in this many bytes: a cache line.
pub(crate) const ROOM: usize = 64;
/// After so many stacks, with a page between each two, the pattern repeats in the next-level cache (64 KiB).
const PAGES_BETWEEN: usize = 16;

/// Addresses for stacks.
pub(crate) struct Slab {
    memory: NonNull<u8>,
    /// From one stack to the next: guard and stack.
    stride: usize,
    count: Cell<usize>,
    /// How many stacks addresses were reserved for.
    reserved: usize,
    page: usize,
    guards: Cell<Guards>,
    /// Ends before the memory is unmapped.
    registration: Option<Registration>,
}

// SAFETY: it owns its mapping, which any thread may use, make guards in and unmap. Its cell moves with it. The
// registration's entry is only written through atomics once it is in the list.
unsafe impl Send for Slab {}

/// How guards are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guards {
    /// Marks in the page table.
    Installed,
    /// Separate mappings that allow no access.
    Mapped,
}

/// The stack of one fiber, which nobody else uses.
///
/// It keeps its slab alive. One that is never given back does so forever, so a leaked stack stays valid memory.
pub(crate) struct Stack {
    slab: Rc<Slab>,
    index: u32,
    /// See [`base`](Self::base); each resumption needs it.
    base: NonZeroUsize,
}

impl Slab {
    /// Reserves addresses for `count` stacks of `size` bytes, or for fewer if not all fit.
    pub(crate) fn reserve(size: usize, count: u32, guards: Guards) -> io::Result<Self> {
        let page = page_size();
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        let stride = size
            .checked_next_multiple_of(page)
            .and_then(|size| size.checked_add(page))
            .ok_or_else(too_large)?;
        let mut count = count.max(1) as usize;
        loop {
            let mapped = stride
                .checked_mul(count)
                .ok_or_else(too_large)
                .and_then(map);
            match mapped {
                Ok(memory) => {
                    let mut slab = Self {
                        memory,
                        stride,
                        count: Cell::new(count),
                        reserved: count,
                        page,
                        guards: Cell::new(Guards::Installed),
                        registration: None,
                    };
                    if guards == Guards::Mapped {
                        slab.map_guards();
                    }
                    slab.registration = Some(Registration::new(memory, slab.len(), stride)?);
                    return Ok(slab);
                }
                Err(error) if count == 1 => return Err(error),
                // A limit of the process, or of the system.
                Err(_) => count /= 2,
            }
        }
    }

    /// How many stacks there may be.
    pub(crate) fn count(&self) -> usize {
        self.count.get()
    }

    /// Whether that is less than what was reserved, since each guard is a mapping.
    pub(crate) fn lacks_mappings(&self) -> bool {
        self.count.get() < self.reserved
    }

    /// From now on guards are mappings, and there are few enough stacks to leave some to others.
    fn map_guards(&self) {
        self.guards.set(Guards::Mapped);
        let allowed = max_mappings();
        self.count
            .set(self.count.get().min(allowed / 2 - allowed / 16));
    }

    fn len(&self) -> usize {
        self.stride * self.reserved
    }

    /// Where the guard below a stack begins.
    fn bottom(&self, index: u32) -> NonNull<u8> {
        debug_assert!((index as usize) < self.reserved);
        // SAFETY: an index is less than the reserved number, so this is inside the mapping.
        unsafe { self.memory.byte_add(index as usize * self.stride) }
    }

    /// Where the label of a stack is.
    fn label(&self, index: u32) -> NonNull<Label> {
        let bottom = self.bottom(index);
        // SAFETY: the label is less than a stride above the guard's beginning.
        unsafe { bottom.byte_add(self.stride - size_of::<Label>()) }.cast()
    }

    /// Where a stack begins; it grows down from there. A multiple of [`ROOM`].
    #[inline]
    fn base(&self, index: u32) -> NonZeroUsize {
        // Stacks that the next-level cache sees at the same page have different colours, too.
        let place = index as usize;
        let colour = (place + place / PAGES_BETWEEN) % COLOURS * COLOUR;
        // Labels are that far up in the same page: a stack has several pages, so this is not 0.
        let base = self.label(index).addr().get() - colour - ROOM;
        NonZeroUsize::new(base & !(ROOM - 1)).unwrap_or(NonZeroUsize::MIN)
    }

    /// Prefetches what a task that starts on a stack needs first.
    #[inline]
    pub(super) fn fetch(&self, index: u32) {
        fetch_base(self.base(index).get());
    }

    /// Makes a stack's guard. Once made it stays.
    pub(super) fn guard(&self, index: u32) -> io::Result<()> {
        let guard = self.bottom(index);
        if self.guards.get() == Guards::Installed {
            // SAFETY: a page inside our mapping, not yet given to anybody.
            match unsafe { advise(guard, self.page, GUARD_INSTALL) } {
                Ok(()) => return Ok(()),
                // The kernel cannot; then this already fails for the first one.
                Err(_) => self.map_guards(),
            }
        }
        // SAFETY: a page inside our mapping, not yet given to anybody.
        let status = unsafe { libc::mprotect(guard.as_ptr().cast(), self.page, libc::PROT_NONE) };
        if status == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// How many bytes of a stack were used, in whole pages, since its memory was last given back: down to the
    /// lowest page in memory. `None` if the system does not tell.
    pub(super) fn depth(&self, index: u32) -> Option<usize> {
        let mut pages = [0; 64];
        let size = self.stride - self.page;
        // From the guard upwards, a batch of pages at a time.
        for offset in (0..size).step_by(pages.len() * self.page) {
            let len = (size - offset).min(pages.len() * self.page);
            // SAFETY: the guard is followed by the stack, and the offset is less than its size.
            let first = unsafe { self.bottom(index).byte_add(self.page + offset) };
            if !residence(first, len, &mut pages) {
                return None;
            }
            let used = pages[..len / self.page]
                .iter()
                .position(|page| page & 1 != 0);
            if let Some(unused) = used {
                return Some(size - offset - unused * self.page);
            }
        }
        Some(0)
    }

    /// Gives a stack's memory back to the system. Its guard stays.
    ///
    /// # Safety
    ///
    /// No `Stack` of this slab has this index.
    pub(super) unsafe fn discard(&self, index: u32) {
        // SAFETY: the guard is followed by the stack, inside the mapping.
        let bottom = unsafe { self.bottom(index).byte_add(self.page) };
        // SAFETY: the caller promises that nobody uses the stack, which extends to the next guard.
        let discarded = unsafe { advise(bottom, self.stride - self.page, DISCARD) };
        // If it failed, the memory stays, which does no harm.
        drop(discarded);
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        self.registration = None;
        // SAFETY: all of our own mapping. Every stack keeps the slab alive, so none is left.
        let status = unsafe { libc::munmap(self.memory.as_ptr().cast(), self.len()) };
        debug_assert_eq!(status, 0);
    }
}

impl Stack {
    /// # Safety
    ///
    /// No other `Stack` of this slab has this index, which is less than the count, and its guard has been made.
    #[inline]
    pub(super) unsafe fn new(slab: Rc<Slab>, index: u32) -> Self {
        let base = slab.base(index);
        Self { slab, index, base }
    }

    /// Whether it belongs to this slab.
    #[inline]
    pub(super) fn is_of(&self, slab: &Rc<Slab>) -> bool {
        Rc::ptr_eq(&self.slab, slab)
    }

    #[inline]
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// Where the stack begins; it grows down from there. A multiple of [`ROOM`].
    #[inline]
    pub(crate) fn base(&self) -> NonZeroUsize {
        self.base
    }

    /// The room above the base: [`ROOM`] bytes, aligned to as many, which only the stack's owner uses.
    #[inline]
    pub(crate) fn room(&self) -> NonNull<u8> {
        self.slab.bottom(self.index).with_addr(self.base)
    }

    /// The lowest address of the guard; a multiple of 16.
    #[inline]
    pub(crate) fn limit(&self) -> NonZeroUsize {
        self.slab.bottom(self.index).addr()
    }

    /// Names the stack's task, for the report of an overflow.
    #[inline]
    pub(crate) fn set_label(&self, label: Label) {
        // SAFETY: inside the stack, above its base, and aligned since strides are whole pages; and the stack is
        // ours.
        unsafe { self.slab.label(self.index).write(label) };
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const GUARD_INSTALL: Option<libc::c_int> = Some(102);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const GUARD_INSTALL: Option<libc::c_int> = None;

/// The advice that empties pages.
#[cfg(any(target_os = "linux", target_os = "android"))]
const DISCARD: Option<libc::c_int> = Some(libc::MADV_DONTNEED);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const DISCARD: Option<libc::c_int> = Some(libc::MADV_FREE);

#[cfg(any(target_os = "linux", target_os = "android"))]
const MAP_FLAGS: libc::c_int =
    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MAP_FLAGS: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE;

#[cfg(any(target_os = "linux", target_os = "android"))]
const NO_HUGE_PAGES: Option<libc::c_int> = Some(libc::MADV_NOHUGEPAGE);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const NO_HUGE_PAGES: Option<libc::c_int> = None;

/// How many mappings a process may have.
fn max_mappings() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let number = text.ok().and_then(|text| text.trim().parse().ok());
    // Linux's default.
    number.unwrap_or(65530)
}

fn page_size() -> usize {
    // SAFETY: asks for a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).map_or(4096, |size| size.max(4096))
}

fn map(len: usize) -> io::Result<NonNull<u8>> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping wherever there is room; no existing memory is touched.
    let memory = unsafe { libc::mmap(ptr::null_mut(), len, access, MAP_FLAGS, -1, 0) };
    if memory == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let memory = NonNull::new(memory.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
    // A stack that uses one page should not cost a huge one.
    // SAFETY: all of the new mapping.
    let advised = unsafe { advise(memory, len, NO_HUGE_PAGES) };
    // A system without huge pages does not know the advice.
    drop(advised);
    Ok(memory)
}

/// Sets the lowest bit of a place for each page that is in memory; there are at least as many places as pages.
/// False if the system does not tell.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn residence(first: NonNull<u8>, len: usize, pages: &mut [u8; 64]) -> bool {
    // SAFETY: only asks about addresses; it writes a byte a page, and there are as many.
    let status = unsafe { libc::mincore(first.as_ptr().cast(), len, pages.as_mut_ptr().cast()) };
    status == 0
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn residence(_first: NonNull<u8>, _len: usize, _pages: &mut [u8; 64]) -> bool {
    false
}

/// # Safety
///
/// These are whole pages of our mapping on whose content nobody relies: at worst, they are empty or fault
/// afterwards.
unsafe fn advise(memory: NonNull<u8>, len: usize, advice: Option<libc::c_int>) -> io::Result<()> {
    let advice = advice.ok_or(io::ErrorKind::Unsupported)?;
    // SAFETY: passed on to the caller.
    let status = unsafe { libc::madvise(memory.as_ptr().cast(), len, advice) };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
