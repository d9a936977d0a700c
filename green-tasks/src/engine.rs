//! Switching stacks. Only this file names the coroutine crate.
//!
//! A [`Fiber`] is a closure on a stack of its own. It runs while somebody is in [`Fiber::resume`], and returns from
//! there when it suspends or ends. It is never unwound from outside and never dropped while suspended: what is on
//! its stack would be dropped at a moment that nobody chose, by destructors that could not suspend. One that cannot
//! be finished is leaked together with its stack, so that whatever points into it stays valid.
//!
//! A fiber's data is on its stack, above the first frame, in a page that exists anyway: so a fiber is a pointer,
//! and what is not suspended needs no space for one.
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

/// A closure that can stop in the middle. Dropping it leaks it together with its stack.
pub(crate) struct Fiber {
    /// In the room above its own stack, which no other fiber uses until [`Fiber::into_stack`] has moved it out.
    /// Never dropped while suspended, which would unwind its stack.
    coroutine: NonNull<Laid>,
}

/// What a fiber did before it returned from [`Fiber::resume`].
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It waits for the next `resume`.
    Suspended,
    /// It has ended, and must not be resumed again.
    Ended,
}

impl Fiber {
    /// Puts `entry` onto a stack. It gets what it needs to suspend, and must not unwind.
    pub(crate) fn new(stack: Stack, entry: impl FnOnce(Suspender) + 'static) -> Self {
        let room = stack.room().cast::<Laid>();
        let coroutine = Coroutine::with_stack(Mounted(stack), |yielder: &Yielder<(), ()>, ()| {
            let suspender = Suspender(NonNull::from(yielder));
            abort_on_unwind(|| entry(suspender));
        });
        // SAFETY: the room has the size and the alignment, and is above all frames; only the owner of the stack has
        // the room.
        unsafe { room.write(coroutine) };
        Self { coroutine: room }
    }

    /// Runs the fiber until it suspends or ends.
    #[inline(always)]
    pub(crate) fn resume(&mut self) -> Step {
        // SAFETY: written by `new` and still there, as the field says; and the fiber's own code, which runs
        // meanwhile, cannot reach it. An alias is not resumed during this call, as its maker promised.
        let coroutine = unsafe { self.coroutine.as_mut() };
        match coroutine.resume(()) {
            CoroutineResult::Yield(()) => Step::Suspended,
            CoroutineResult::Return(()) => Step::Ended,
        }
    }

    /// Prefetches what is needed to resume it, except its frames.
    #[inline]
    pub(crate) fn fetch(&self) {
        fetch_room(self.coroutine.addr().get());
    }

    /// The same, and what is next to it on the stack: the frames, if the fiber is only a few calls deep.
    #[inline(always)]
    pub(crate) fn fetch_top(&self) {
        fetch_top(self.coroutine.addr().get());
    }

    /// A second handle to the same fiber.
    ///
    /// # Safety
    ///
    /// Only one of the two is used at a time: while one is in [`Fiber::resume`], the other is at most
    /// [fetched](Fiber::fetch), and neither is used after [`Fiber::into_stack`] took one apart: it cannot tell a
    /// running fiber from one that has ended.
    #[inline(always)]
    pub(crate) unsafe fn alias(&self) -> Self {
        Self {
            coroutine: self.coroutine,
        }
    }

    /// The stack that it was put onto; `None` if it has not ended, and now never will.
    pub(crate) fn into_stack(self) -> Option<Stack> {
        // SAFETY: written by `new` and still there, as the field says. Nobody else has a reference: this handle is
        // not being resumed, since it was passed by value, and an alias is not, as its maker promised.
        let has_ended = unsafe { self.coroutine.as_ref() }.done();
        // SAFETY: as above; and this fiber takes the only pointer to it along.
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
    /// The fiber that got this suspender has not ended, and of all running fibers it was resumed last: its closure
    /// makes the call, at whatever depth.
    #[inline(always)]
    pub(crate) unsafe fn suspend(self) {
        // SAFETY: it is at the base of the fiber's stack until the fiber ends.
        let yielder = unsafe { self.0.as_ref() };
        yielder.suspend(());
    }
}

/// A stack in the form that the coroutine crate needs.
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
