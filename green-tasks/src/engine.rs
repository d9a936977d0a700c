//! Switching stacks. The only file that names the coroutine crate.
//!
//! A [`Fiber`] is a closure on a stack of its own. It runs while somebody is in [`Fiber::resume`], and
//! returns from there when it suspends or ends. It is never unwound from outside and never dropped
//! while it is suspended: what lies on its stack would have to be dropped at a moment that nobody has
//! chosen, and a destructor that suspends meanwhile could not. One that cannot be finished is leaked
//! together with its stack, so that whatever points into it stays valid.
//!
//! What is known of a fiber lies on its stack, above its first frame, in a page that is there anyway: so
//! a fiber is a pointer, and where nothing is suspended no room is kept for one.
#![expect(
    unsafe_code,
    reason = "switches stacks, which the compiler knows nothing of"
)]

use std::num::NonZeroUsize;
use std::ptr::NonNull;

use corosensei::{Coroutine, CoroutineResult, Yielder};
use future_result::abort_on_unwind;

use crate::stack::{ROOM, Stack, fetch_room, fetch_top};

type Laid = Coroutine<(), (), (), Mounted>;

/// It fits where it is put.
const _: () = assert!(size_of::<Laid>() <= ROOM && align_of::<Laid>() <= 16);

/// A closure that can stop in the middle. Dropped, it is leaked together with its stack.
pub(crate) struct Fiber {
    /// In the room above the stack that it has itself, and which is no other fiber's until
    /// [`Fiber::into_stack`] has moved it out. Never dropped while suspended, which would unwind its stack.
    coroutine: NonNull<Laid>,
}

/// What a fiber has done until it returned from [`Fiber::resume`].
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It waits for the next `resume`.
    Suspended,
    /// It has ended, and is not to be resumed any more.
    Ended,
}

impl Fiber {
    /// Lays `entry` onto a stack. It gets what it needs to suspend, and must not unwind.
    pub(crate) fn new(stack: Stack, entry: impl FnOnce(Suspender) + 'static) -> Self {
        let room = stack.room().cast::<Laid>();
        let coroutine = Coroutine::with_stack(Mounted(stack), |yielder: &Yielder<(), ()>, ()| {
            let suspender = Suspender(NonNull::from(yielder));
            abort_on_unwind(|| entry(suspender));
        });
        // SAFETY: the room has the size and the alignment, it is above all frames, and whoever has the
        // stack has the room: nobody else.
        unsafe { room.write(coroutine) };
        Self { coroutine: room }
    }

    /// Goes on, until the fiber suspends or ends.
    #[inline(always)]
    pub(crate) fn resume(&mut self) -> Step {
        // SAFETY: written by `new` and still there, as the field says; and the fiber's own code, which runs
        // meanwhile, knows nothing of it. An alias is not resumed within this call, as its maker has promised.
        let coroutine = unsafe { self.coroutine.as_mut() };
        match coroutine.resume(()) {
            CoroutineResult::Yield(()) => Step::Suspended,
            CoroutineResult::Return(()) => Step::Ended,
        }
    }

    /// Has the CPU fetch what it needs to go on with it, but for its frames.
    #[inline]
    pub(crate) fn fetch(&self) {
        fetch_room(self.coroutine.addr().get());
    }

    /// The same, and what lies next to it on the stack: the frames of a fiber that is in few calls.
    #[inline(always)]
    pub(crate) fn fetch_top(&self) {
        fetch_top(self.coroutine.addr().get());
    }

    /// The same fiber once more.
    ///
    /// # Safety
    ///
    /// Of the two, one alone is used at a time: while one is in [`Fiber::resume`], the other is at most
    /// [fetched](Fiber::fetch), and neither once one was taken apart by [`Fiber::into_stack`], which cannot tell a
    /// fiber that is running from one that has ended.
    #[inline(always)]
    pub(crate) unsafe fn alias(&self) -> Self {
        Self {
            coroutine: self.coroutine,
        }
    }

    /// The stack that it was laid onto; `None` if it has not ended, and now never will.
    pub(crate) fn into_stack(self) -> Option<Stack> {
        // SAFETY: written by `new` and still there, as the field says. Nobody else has a reference: this one is
        // not being resumed, since it is here by value, and an alias is not, as its maker has promised.
        let has_ended = unsafe { self.coroutine.as_ref() }.done();
        // SAFETY: as above; and with this fiber goes the only pointer to it.
        has_ended.then(|| unsafe { self.coroutine.read() }.into_stack().0)
    }
}

/// What a fiber suspends itself with.
#[derive(Clone, Copy)]
pub(crate) struct Suspender(NonNull<Yielder<(), ()>>);

impl Suspender {
    /// Returns to whoever is in [`Fiber::resume`], until the next one.
    ///
    /// # Safety
    ///
    /// The fiber that got this suspender has not ended, and is the one that was resumed last of those
    /// that are running: the call is made, at whatever depth, by its closure.
    #[inline(always)]
    pub(crate) unsafe fn suspend(self) {
        // SAFETY: it lies at the base of the fiber's stack, until the fiber ends.
        let yielder = unsafe { self.0.as_ref() };
        yielder.suspend(());
    }
}

/// A stack as the coroutine crate wants to see it.
struct Mounted(Stack);

// SAFETY: a `Stack` has a guard page below it, or it would not have been given out, and more than the
// least size above that. Both ends are aligned to 16 bytes, as `Stack` promises.
unsafe impl corosensei::stack::Stack for Mounted {
    #[inline]
    fn base(&self) -> NonZeroUsize {
        self.0.base()
    }

    #[inline]
    fn limit(&self) -> NonZeroUsize {
        self.0.limit()
    }
}
