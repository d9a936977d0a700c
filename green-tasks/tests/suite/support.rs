//! What all tests need.
#![expect(
    unsafe_code,
    reason = "the token is a promise, and only a raw waker knows of its clones"
)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use green_tasks::{Builder, Runtime, RuntimeError, Stackful};

/// A builder with the token.
pub(crate) fn stackful() -> Builder {
    // SAFETY: the tests' tasks call std and this crate; where they would break the promise, they do
    // so within `no_suspend`.
    Runtime::builder().stackful(unsafe { Stackful::assume() })
}

/// Runs `main` on a runtime of closures.
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

/// Runs `main` with a virtual clock and an order that the seed decides.
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

/// Counts the drops of the guards that it hands out.
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

/// A waker that runs something when it is cloned for the first time. Lives for ever.
pub(crate) struct CloneHook {
    hook: RefCell<Option<Box<dyn FnOnce()>>>,
    is_woken: Cell<bool>,
}

impl CloneHook {
    pub(crate) fn new(hook: impl FnOnce() + 'static) -> &'static Self {
        Box::leak(Box::new(Self {
            hook: RefCell::new(Some(Box::new(hook))),
            is_woken: Cell::new(false),
        }))
    }

    /// To be used on this thread alone.
    pub(crate) fn waker(&'static self) -> Waker {
        // SAFETY: the functions take what they are given for a hook, which lives for ever; the tests
        // leave it on its thread.
        unsafe { Waker::from_raw(self.raw()) }
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.is_woken.get()
    }

    fn raw(&'static self) -> RawWaker {
        static TABLE: RawWakerVTable = RawWakerVTable::new(
            |data| {
                let this = CloneHook::of(data);
                let hook = this.hook.take();
                hook.into_iter().for_each(|hook| hook());
                this.raw()
            },
            |data| CloneHook::of(data).is_woken.set(true),
            |data| CloneHook::of(data).is_woken.set(true),
            |_| (),
        );
        RawWaker::new(std::ptr::from_ref(self).cast(), &TABLE)
    }

    fn of(data: *const ()) -> &'static Self {
        // SAFETY: from `raw`, of a hook that was leaked.
        unsafe { &*data.cast::<Self>() }
    }
}
