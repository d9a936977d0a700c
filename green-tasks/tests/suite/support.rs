//! What several tests need.
#![expect(
    unsafe_code,
    reason = "the token is a promise, and only a raw waker sees its clones"
)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use green_tasks::{Builder, Runtime, RuntimeError, Stackful};

/// A builder with the token.
pub(crate) fn stackful() -> Builder {
    // SAFETY: the tests' tasks call only std and this crate; what would break the promise is within `no_suspend`.
    Runtime::builder().stackful(unsafe { Stackful::assume() })
}

/// Runs `main` on a runtime with stacks.
#[track_caller]
pub(crate) fn run<R>(main: impl FnOnce() -> R) -> R {
    match try_run(main) {
        Ok(result) => result,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn try_run<R>(main: impl FnOnce() -> R) -> Result<R, RuntimeError> {
    stackful().build()?.run(main)
}

/// Runs `main` with a virtual clock and in an order that the seed decides.
#[track_caller]
pub(crate) fn simulate<R>(seed: u64, main: impl FnOnce() -> R) -> R {
    match stackful()
        .deterministic(seed)
        .build()
        .and_then(|runtime| runtime.run(main))
    {
        Ok(result) => result,
        Err(error) => panic!("seed {seed}: {error}"),
    }
}

/// Counts the drops of the guards that it makes.
#[derive(Clone, Default)]
pub(crate) struct Drops(Rc<Cell<usize>>);

pub(crate) struct Counted(Drops);

impl Drops {
    pub(crate) fn counted(&self) -> Counted {
        Counted(self.clone())
    }

    pub(crate) fn get(&self) -> usize {
        self.0.get()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() + 1);
    }
}

/// Runs something when dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A waker that runs something when it is first cloned.
pub(crate) struct CloneHook {
    hook: RefCell<Option<Box<dyn FnOnce()>>>,
    is_woken: Cell<bool>,
}

impl CloneHook {
    pub(crate) fn new(hook: impl FnOnce() + 'static) -> Rc<Self> {
        Rc::new(Self {
            hook: RefCell::new(Some(Box::new(hook))),
            is_woken: Cell::new(false),
        })
    }

    /// Only for use on this thread.
    pub(crate) fn waker(self: &Rc<Self>) -> Waker {
        // SAFETY: a waker owns one count of a hook, which each function takes or leaves as the contract of
        // `RawWakerVTable` says. The tests keep it on its thread.
        unsafe { Waker::from_raw(Rc::clone(self).raw()) }
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.is_woken.get()
    }

    fn raw(self: Rc<Self>) -> RawWaker {
        static TABLE: RawWakerVTable = RawWakerVTable::new(
            |data| {
                let this = CloneHook::lent(data);
                let hook = this.hook.take();
                hook.into_iter().for_each(|hook| hook());
                this.raw()
            },
            |data| CloneHook::taken(data).is_woken.set(true),
            |data| CloneHook::lent(data).is_woken.set(true),
            |data| drop(CloneHook::taken(data)),
        );
        RawWaker::new(Rc::into_raw(self).cast(), &TABLE)
    }

    fn taken(data: *const ()) -> Rc<Self> {
        // SAFETY: from `raw`, and this waker's own count.
        unsafe { Rc::from_raw(data.cast()) }
    }

    fn lent(data: *const ()) -> Rc<Self> {
        // SAFETY: from `raw`, and the borrowed waker keeps it alive.
        unsafe { Rc::increment_strong_count(data.cast::<Self>()) };
        Self::taken(data)
    }
}
