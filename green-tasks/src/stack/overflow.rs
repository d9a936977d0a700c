//! A task overflows its stack: the process ends, and reports which task it was.
//!
//! An access to a guard raises a signal. A signal's handler belongs to the process, so ours passes on whatever is
//! not about our guards to the handler that was there before. It runs on another stack (the thread's, set by
//! `sigaltstack`), and must be async-signal-safe: it reads the list of slabs, which never shrinks, and the stack's
//! label, formats into its own buffer, writes, and aborts.
#![expect(unsafe_code, reason = "handles signals")]

use std::fmt::{self, Write};
use std::io;
use std::mem::{self, MaybeUninit};
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::Once;

use future_result::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use future_result::sync::statics;

/// A task's name in the report, at the top of its stack.
#[derive(Clone, Copy)]
pub(crate) struct Label {
    serial: u64,
    /// Null if there is none.
    spawned_at: *const Location<'static>,
}

impl Label {
    pub(crate) fn new(serial: u64, spawned_at: &'static Location<'static>) -> Self {
        Self { serial, spawned_at }
    }
}

/// A slab, as the handler sees it. All zero: free for the next slab.
struct Entry {
    base: AtomicU64,
    end: AtomicU64,
    stride: AtomicU64,
    next: *mut Entry,
}

statics! {
    /// The list of slabs. Entries are added and reused, never freed.
    static FIRST: AtomicPtr<Entry> = AtomicPtr::new(ptr::null_mut());
    /// The former handlers of the signals; leaked. Null until ours are installed.
    static FORMER_SEGV: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());
    static FORMER_BUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());
}

/// Makes a slab known to the handler, until dropped.
pub(super) struct Registration(&'static Entry);

impl Registration {
    pub(super) fn new(memory: NonNull<u8>, len: usize, stride: usize) -> io::Result<Self> {
        install()?;
        let base = memory.addr().get() as u64;
        let entry = free_entry(base).unwrap_or_else(|| add_entry(base));
        // ORDERING: Relaxed; the handler uses it on the thread that faults in this slab, which got it from here. To
        // any other thread it is a slab that it does not use.
        entry.stride.store(stride as u64, Ordering::Relaxed);
        // ORDERING: Relaxed, as above. Until this, the slab is empty.
        entry.end.store(base + len as u64, Ordering::Relaxed);
        Ok(Self(entry))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // ORDERING: Relaxed; the next user of the entry writes it after it has won `base`.
        self.0.end.store(0, Ordering::Relaxed);
        // ORDERING: Release pairs with the Acquire in `free_entry`.
        self.0.base.store(0, Ordering::Release);
    }
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    // ORDERING: Acquire pairs with the Release in `add_entry`.
    let mut next = FIRST.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: entries are leaked, and complete before they are in the list.
        let entry: &'static Entry = unsafe { next.as_ref()? };
        next = entry.next;
        Some(entry)
    })
}

/// Claims an entry that has no slab.
fn free_entry(base: u64) -> Option<&'static Entry> {
    entries().find(|entry| {
        // ORDERING: Acquire pairs with the Release of the entry's last user.
        entry
            .base
            .compare_exchange(0, base, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    })
}

fn add_entry(base: u64) -> &'static Entry {
    let entry = Box::leak(Box::new(Entry {
        base: AtomicU64::new(base),
        end: AtomicU64::new(0),
        stride: AtomicU64::new(1),
        next: ptr::null_mut(),
    }));
    let pointer: *mut Entry = entry;
    // ORDERING: Relaxed; the exchange below checks whether it was the latest.
    let mut first = FIRST.load(Ordering::Relaxed);
    loop {
        // SAFETY: ours alone until it is in the list.
        unsafe { (*pointer).next = first };
        // ORDERING: Release publishes the entry to `entries`.
        match FIRST.compare_exchange_weak(first, pointer, Ordering::Release, Ordering::Relaxed) {
            // SAFETY: leaked, and from now on only written through its atomics.
            Ok(_) => return unsafe { &*pointer },
            Err(seen) => first = seen,
        }
    }
}

/// Installs our handler, and keeps the former ones.
fn install() -> io::Result<()> {
    static ONCE: Once = Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| {
        result = install_for(libc::SIGSEGV, &FORMER_SEGV)
            .and_then(|()| install_for(libc::SIGBUS, &FORMER_BUS));
    });
    result
}

fn install_for(signal: libc::c_int, former: &AtomicPtr<libc::sigaction>) -> io::Result<()> {
    let mut there = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: only a query; the place is large enough.
    let status = unsafe { libc::sigaction(signal, ptr::null(), there.as_mut_ptr()) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: filled by the call.
    let there = unsafe { there.assume_init() };
    // ORDERING: Release pairs with the Acquire in `pass_on`. It is there before our handler is.
    former.store(Box::into_raw(Box::new(there)), Ordering::Release);
    // SAFETY: all zero is a valid value: no flags, an empty mask.
    let mut ours: libc::sigaction = unsafe { mem::zeroed() };
    ours.sa_sigaction = handle as *const () as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: a handler of the kind that the flags say, and async-signal-safe.
    let status = unsafe { libc::sigaction(signal, &raw const ours, ptr::null_mut()) };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The handler.
extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: with `SA_SIGINFO` the kernel gives one.
    let info_here = unsafe { &*info };
    // SAFETY: for these signals, this field is filled.
    let address = unsafe { info_here.si_addr() }.addr() as u64;
    let hit = entries().find_map(|entry| entry.stack_whose_guard_has(address));
    if let Some((stack, stride)) = hit {
        report(stack, stride);
        std::process::abort();
    }
    // SAFETY: what we were given.
    unsafe { pass_on(signal, info, context) };
}

impl Entry {
    /// The guard's beginning and the slab's stride, if the address is in a guard. Any access to the stacks' own
    /// pages succeeds, so it is enough that the address is in a slab.
    fn stack_whose_guard_has(&self, address: u64) -> Option<(u64, u64)> {
        // ORDERING: Relaxed on all three, as in `Registration::new`.
        let base = self.base.load(Ordering::Relaxed);
        let end = self.end.load(Ordering::Relaxed);
        let stride = self.stride.load(Ordering::Relaxed);
        if !(base..end).contains(&address) {
            return None;
        }
        Some((address - (address - base) % stride, stride))
    }
}

/// Reports the overflow on standard error.
fn report(stack: u64, stride: u64) {
    let label = (stack + stride) as usize - size_of::<Label>();
    // SAFETY: the top of a stack in use, since that stack hit its guard: it holds its label, or zeros.
    let label = unsafe { ptr::with_exposed_provenance::<Label>(label).read_volatile() };
    let mut text = Text {
        bytes: [0; 512],
        len: 0,
    };
    let size = stride - 4096;
    let _ = write!(text, "\ngreen task {}", label.serial);
    // SAFETY: null, or a static source location.
    if let Some(location) = unsafe { label.spawned_at.as_ref() } {
        let _ = write!(text, ", spawned at {location},");
    }
    let _ = writeln!(
        text,
        " has overflowed its stack of {size} bytes; give the runtime's builder a larger `stack_size`"
    );
    // SAFETY: writes our own initialised bytes. Whether it succeeds changes nothing.
    let _ = unsafe { libc::write(2, text.bytes.as_ptr().cast(), text.len) };
}

/// Text without allocation; what is too long is cut off.
struct Text {
    bytes: [u8; 512],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let len = text.len().min(room.len());
        room[..len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
        Ok(())
    }
}

/// Does what would have been done without us.
///
/// # Safety
///
/// Only a handler calls this, with its own arguments.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let former: &AtomicPtr<libc::sigaction> = if signal == libc::SIGBUS {
        &FORMER_BUS
    } else {
        &FORMER_SEGV
    };
    // ORDERING: Acquire pairs with the Release in `install_for`.
    let former = former.load(Ordering::Acquire);
    // SAFETY: it was put there before our handler was, and is leaked.
    let former = unsafe { &*former };
    let action = former.sa_sigaction;
    if action == libc::SIG_DFL || action == libc::SIG_IGN {
        // Returning repeats the access, and then the former action decides.
        // SAFETY: an action that was in force.
        unsafe { libc::sigaction(signal, former, ptr::null_mut()) };
    } else if former.sa_flags & libc::SA_SIGINFO != 0 {
        type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
        // SAFETY: a handler of this kind, as its flag says.
        let handler = unsafe { mem::transmute::<usize, Handler>(action) };
        handler(signal, info, context);
    } else {
        // SAFETY: a handler of the other kind, without the flag.
        let handler = unsafe { mem::transmute::<usize, extern "C" fn(libc::c_int)>(action) };
        handler(signal);
    }
}

/// The stack that the handler runs on: Rust's own threads have one, others may not.
pub(crate) struct SignalStack(Option<NonNull<libc::c_void>>);

const SIGNAL_STACK: usize = 64 << 10;

impl SignalStack {
    /// Gives the calling thread one if it has none. Must be dropped on the same thread.
    pub(crate) fn ensure() -> Self {
        let mut there = MaybeUninit::<libc::stack_t>::uninit();
        // SAFETY: only a query; the place is large enough.
        let status = unsafe { libc::sigaltstack(ptr::null(), there.as_mut_ptr()) };
        if status != 0 {
            return Self(None);
        }
        // SAFETY: filled by the call.
        let there = unsafe { there.assume_init() };
        if there.ss_flags & libc::SS_DISABLE == 0 {
            return Self(None);
        }
        Self(Self::set_new())
    }

    /// If there is no memory for it, an overflow ends the process without a report.
    fn set_new() -> Option<NonNull<libc::c_void>> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
        // SAFETY: a new mapping wherever there is room.
        let memory = unsafe { libc::mmap(ptr::null_mut(), SIGNAL_STACK, access, flags, -1, 0) };
        if memory == libc::MAP_FAILED {
            return None;
        }
        let stack = libc::stack_t {
            ss_sp: memory,
            ss_flags: 0,
            ss_size: SIGNAL_STACK,
        };
        // SAFETY: the memory is ours, and stays until the thread uses another stack or none.
        let status = unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) };
        debug_assert_eq!(status, 0);
        NonNull::new(memory)
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        let Some(memory) = self.0 else { return };
        let none = libc::stack_t {
            ss_sp: ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: SIGNAL_STACK,
        };
        // SAFETY: no handler is running on it, since this is not a handler's code.
        let status = unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) };
        if status == 0 {
            // SAFETY: our own mapping, which the thread no longer uses.
            unsafe { libc::munmap(memory.as_ptr(), SIGNAL_STACK) };
        }
    }
}
