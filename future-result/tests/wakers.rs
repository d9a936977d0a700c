//! Proves that a waker, which is user code, can do its worst: panic, re-enter, outlive everything;
//! and that every clone of it is dropped exactly once.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread;

use future_result::{
    Cancel, Completer, CompletionSet, FutureResult, JoinHandle, TaskError, block_until, pair, task,
};

/// What a waker does, and how often it was asked to.
#[derive(Default)]
struct Script {
    clones: AtomicUsize,
    drops: AtomicUsize,
    wakes: AtomicUsize,
    panic_in_clone: AtomicBool,
    panic_in_drop: AtomicBool,
    panic_in_wake: AtomicBool,
    /// Done once, by the first that asks for it.
    on_clone: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    on_drop: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    on_wake: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Script {
    fn waker(self: &Arc<Self>) -> Waker {
        self.clones.fetch_add(1, SeqCst);
        let raw = RawWaker::new(Arc::into_raw(self.clone()).cast(), &VTABLE);
        // SAFETY: the functions of the table take the pointer for what it is, the count of an
        // `Arc<Script>`; and a `Script` can be shared by threads.
        unsafe { Waker::from_raw(raw) }
    }

    fn set(flag: &AtomicBool) {
        flag.store(true, SeqCst);
    }

    fn wakes(&self) -> usize {
        self.wakes.load(SeqCst)
    }

    fn assert_balanced(self: &Arc<Self>) {
        assert_eq!(
            self.clones.load(SeqCst),
            self.drops.load(SeqCst),
            "clones and drops"
        );
        assert_eq!(Arc::strong_count(self), 1, "a waker is left");
    }
}

/// Takes the action out before it runs, since it may come back here.
fn act(slot: &Mutex<Option<Box<dyn FnOnce() + Send>>>) {
    let action = slot.lock().unwrap().take();
    if let Some(action) = action {
        action();
    }
}

/// Panics without a report and without an allocation, once.
fn panic_if(flag: &AtomicBool) {
    if flag.swap(false, SeqCst) {
        resume_unwind(Box::new(()));
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: the pointer came from `Arc::into_raw`, and its count lives as long as the waker.
        let script = unsafe { &*data.cast::<Script>() };
        act(&script.on_clone);
        panic_if(&script.panic_in_clone);
        script.clones.fetch_add(1, SeqCst);
        // SAFETY: as above.
        unsafe { Arc::increment_strong_count(data.cast::<Script>()) };
        RawWaker::new(data, &VTABLE)
    },
    |data| {
        // SAFETY: the pointer came from `Arc::into_raw`, and this call gives its count up.
        let script = unsafe { Arc::from_raw(data.cast::<Script>()) };
        wake(&script);
        script.drops.fetch_add(1, SeqCst);
        panic_if(&script.panic_in_wake);
    },
    |data| {
        // SAFETY: the pointer came from `Arc::into_raw`, and its count lives as long as the waker.
        let script = unsafe { &*data.cast::<Script>() };
        wake(script);
        panic_if(&script.panic_in_wake);
    },
    |data| {
        // SAFETY: the pointer came from `Arc::into_raw`, and this call gives its count up.
        let script = unsafe { Arc::from_raw(data.cast::<Script>()) };
        script.drops.fetch_add(1, SeqCst);
        act(&script.on_drop);
        panic_if(&script.panic_in_drop);
    },
);

fn wake(script: &Script) {
    script.wakes.fetch_add(1, SeqCst);
    act(&script.on_wake);
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Polls with a fresh waker of the script, which is dropped before this returns.
fn register<F: Future + Unpin>(future: &mut F, script: &Arc<Script>) {
    assert!(poll(future, &script.waker()).is_pending());
}

fn with_and_without_callbacks(run: impl Fn(Completer<u8>, JoinHandle<u8>)) {
    let (completer, handle) = pair();
    run(completer, handle);
    let (completer, mut handle) = pair();
    // The waker is then in the list, not in the slot.
    handle.on_done(|_| ());
    run(completer, handle);
}

#[test]
fn polled_again_with_the_same_waker_clones_it_once() {
    let script = Arc::<Script>::default();
    let waker = script.waker();
    let (completer, mut handle) = pair();
    for _ in 0..5 {
        assert!(poll(&mut handle, &waker).is_pending());
    }
    assert_eq!(script.clones.load(SeqCst), 2, "ours and the handle's");
    completer.complete(1).unwrap();
    assert_eq!(script.wakes(), 1);
    assert!(matches!(poll(&mut handle, &waker), Poll::Ready(Ok(1))));
    drop(waker);
    script.assert_balanced();
}

#[test]
fn polled_again_with_another_waker_drops_the_first_unwoken() {
    with_and_without_callbacks(|completer, mut handle| {
        let (first, second) = (Arc::<Script>::default(), Arc::<Script>::default());
        register(&mut handle, &first);
        register(&mut handle, &second);
        first.assert_balanced();
        completer.complete(1).unwrap();
        assert_eq!((first.wakes(), second.wakes()), (0, 1));
        second.assert_balanced();
        assert_eq!(handle.result().unwrap(), 1);
    });
}

#[test]
fn waker_of_a_dropped_handle_is_dropped_by_the_end_of_the_work() {
    for run in [true, false] {
        let script = Arc::<Script>::default();
        let (task, mut handle) = task(|| 1);
        register(&mut handle, &script);
        drop(handle);
        if run {
            task.run();
        } else {
            drop(task);
        }
        assert_eq!(script.wakes(), 0);
        script.assert_balanced();
    }
}

#[test]
fn clone_that_panics_reaches_the_poller_and_the_handle_stays_usable() {
    with_and_without_callbacks(|completer, mut handle| {
        let (first, bad) = (Arc::<Script>::default(), Arc::<Script>::default());
        register(&mut handle, &first);
        Script::set(&bad.panic_in_clone);
        let waker = bad.waker();
        assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut handle, &waker))).is_err());
        // Polled again, it registers all the same.
        assert!(poll(&mut handle, &waker).is_pending());
        completer.complete(1).unwrap();
        assert_eq!(bad.wakes(), 1);
        assert_eq!(handle.result().unwrap(), 1);
        drop(waker);
        first.assert_balanced();
        bad.assert_balanced();
    });
}

#[test]
fn clone_that_panics_leaves_a_cell_that_completes_without_a_waker() {
    with_and_without_callbacks(|completer, mut handle| {
        let bad = Arc::<Script>::default();
        Script::set(&bad.panic_in_clone);
        let waker = bad.waker();
        assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut handle, &waker))).is_err());
        completer.complete(1).unwrap();
        assert_eq!(bad.wakes(), 0);
        assert_eq!(handle.result().unwrap(), 1);
        drop(waker);
        bad.assert_balanced();
    });
}

#[test]
fn drop_that_panics_reaches_the_poller_who_replaced_it() {
    with_and_without_callbacks(|completer, mut handle| {
        let (bad, next) = (Arc::<Script>::default(), Arc::<Script>::default());
        register(&mut handle, &bad);
        Script::set(&bad.panic_in_drop);
        let waker = next.waker();
        assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut handle, &waker))).is_err());
        bad.assert_balanced();
        assert!(poll(&mut handle, &waker).is_pending());
        completer.complete(1).unwrap();
        assert_eq!(next.wakes(), 1);
        assert_eq!(handle.result().unwrap(), 1);
    });
}

#[test]
fn drop_that_panics_does_not_reach_the_runner_of_a_dropped_handle() {
    let bad = Arc::<Script>::default();
    let (task, mut handle) = task(|| 1);
    register(&mut handle, &bad);
    drop(handle);
    Script::set(&bad.panic_in_drop);
    task.run();
    assert!(!bad.panic_in_drop.load(SeqCst), "it was dropped");
    bad.assert_balanced();
}

#[test]
fn wake_that_panics_does_not_reach_whoever_completes() {
    with_and_without_callbacks(|completer, mut handle| {
        let bad = Arc::<Script>::default();
        register(&mut handle, &bad);
        Script::set(&bad.panic_in_wake);
        completer.complete(1).unwrap();
        assert_eq!(bad.wakes(), 1);
        bad.assert_balanced();
        assert_eq!(handle.result().unwrap(), 1);
    });
}

#[test]
fn wake_that_panics_does_not_reach_whoever_cancels() {
    let bad = Arc::<Script>::default();
    let (task, mut handle) = task(|| 1);
    register(&mut handle, &bad);
    Script::set(&bad.panic_in_wake);
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(bad.wakes(), 1);
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    task.run();
}

#[test]
fn wake_that_panics_does_not_keep_other_clones_asleep() {
    let scripts: [Arc<Script>; 3] = Default::default();
    let (completer, handle) = pair();
    let shared = handle.shared();
    let mut clones = scripts.each_ref().map(|_| shared.clone());
    for (clone, script) in clones.iter_mut().zip(&scripts) {
        register(clone, script);
    }
    Script::set(&scripts[0].panic_in_wake);
    completer.complete(1).unwrap();
    assert_eq!(scripts.each_ref().map(|script| script.wakes()), [1; 3]);
    for script in &scripts {
        script.assert_balanced();
    }
}

#[test]
fn clone_that_completes_the_cell_makes_the_poll_ready() {
    with_and_without_callbacks(|completer, mut handle| {
        let script = Arc::<Script>::default();
        *script.on_clone.lock().unwrap() = Some(Box::new(|| completer.complete(1).unwrap()));
        assert!(matches!(
            poll(&mut handle, &script.waker()),
            Poll::Ready(Ok(1))
        ));
        script.assert_balanced();
    });
}

#[test]
fn drop_of_the_old_waker_that_completes_the_cell_is_not_missed() {
    with_and_without_callbacks(|completer, mut handle| {
        let (old, new) = (Arc::<Script>::default(), Arc::<Script>::default());
        register(&mut handle, &old);
        *old.on_drop.lock().unwrap() = Some(Box::new(|| completer.complete(1).unwrap()));
        let polled = poll(&mut handle, &new.waker());
        assert!(polled.is_ready() || new.wakes() == 1, "slept through it");
        drop(handle);
        old.assert_balanced();
        new.assert_balanced();
    });
}

#[test]
fn wake_that_takes_the_outcome_finds_it() {
    with_and_without_callbacks(|completer, mut handle| {
        let script = Arc::<Script>::default();
        register(&mut handle, &script);
        let taken = Arc::new(Mutex::new(None));
        let result = taken.clone();
        *script.on_wake.lock().unwrap() = Some(Box::new(move || {
            // Frees the cell, on the completing thread and inside its wake-up.
            *result.lock().unwrap() = Some(handle.result().unwrap());
        }));
        completer.complete(7).unwrap();
        assert_eq!(*taken.lock().unwrap(), Some(7));
        script.assert_balanced();
    });
}

#[test]
fn wake_that_drops_the_set_ends_all_in_it() {
    let script = Arc::<Script>::default();
    let mut set = CompletionSet::new();
    let (first, handle) = pair();
    set.insert(0, handle);
    let (second, handle) = pair();
    set.insert(1, handle);
    let mut next = futures_lite::StreamExt::next(&mut set);
    register(&mut next, &script);
    *script.on_wake.lock().unwrap() = Some(Box::new(move || drop(set)));
    first.complete(1).unwrap();
    assert_eq!(script.wakes(), 1);
    assert_eq!(second.complete(2), Err(2), "the set has detached it");
    script.assert_balanced();
}

#[test]
fn wake_that_polls_the_set_inline_finds_the_completion() {
    let script = Arc::<Script>::default();
    let set = Arc::new(Mutex::new(CompletionSet::new()));
    let (completer, handle) = pair();
    set.lock().unwrap().insert("only", handle);
    register(
        &mut futures_lite::StreamExt::next(&mut *set.lock().unwrap()),
        &script,
    );
    let (found, here) = (Arc::new(Mutex::new(None)), set.clone());
    let result = found.clone();
    *script.on_wake.lock().unwrap() = Some(Box::new(move || {
        let next = here.lock().unwrap().wait_next();
        *result.lock().unwrap() = next.map(|(key, result)| (key, result.unwrap()));
    }));
    completer.complete(3).unwrap();
    assert_eq!(*found.lock().unwrap(), Some(("only", 3)));
}

#[test]
fn wake_that_polls_another_clone_inline_finds_the_outcome() {
    let (outer, inner) = (Arc::<Script>::default(), Arc::<Script>::default());
    let (completer, handle) = pair();
    let mut shared = handle.shared();
    let mut other = shared.clone();
    register(&mut shared, &outer);
    register(&mut other, &inner);
    let found = Arc::new(Mutex::new(None));
    let result = found.clone();
    *outer.on_wake.lock().unwrap() = Some(Box::new(move || {
        let polled = poll(&mut other, Waker::noop());
        *result.lock().unwrap() = Some(polled);
    }));
    completer.complete(5).unwrap();
    let found = found.lock().unwrap().take();
    assert!(matches!(found, Some(Poll::Ready(Ok(5)))), "{found:?}");
    drop(shared);
    outer.assert_balanced();
    inner.assert_balanced();
}

#[test]
fn waker_that_owns_its_handle_ends_with_it() {
    // A cycle, like an executor's task: it holds the future, whose cell holds its waker.
    let script = Arc::<Script>::default();
    let (completer, mut handle) = pair::<u8>();
    register(&mut handle, &script);
    *script.on_wake.lock().unwrap() = Some(Box::new(move || drop(handle)));
    drop(completer);
    script.assert_balanced();
}

#[test]
fn wakers_kept_for_ever_wake_nothing_that_is_gone() {
    /// Keeps every waker that it is polled with; ready at once, or never.
    struct Keeps(Arc<Mutex<Vec<Waker>>>);

    impl Future for Keeps {
        type Output = Result<(), TaskError>;

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            self.0.lock().unwrap().push(context.waker().clone());
            Poll::Pending
        }
    }

    impl FutureResult for Keeps {
        type Value = ();

        fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
            Pin::new(self).poll(context).map(drop)
        }

        fn status(&self) -> future_result::Status {
            future_result::Status::Pending
        }

        fn cancel(&self) -> Cancel {
            Cancel::Requested
        }
    }

    let kept = Arc::new(Mutex::new(Vec::new()));
    let mut set = CompletionSet::new();
    set.insert((), Keeps(kept.clone()));
    set.insert((), Keeps(kept.clone()));
    assert!(set.wait_next_timeout(std::time::Duration::ZERO).is_err());
    drop(set);

    let mut shared = Keeps(kept.clone()).shared();
    assert!(poll(&mut shared, Waker::noop()).is_pending());
    drop(shared);

    let keeps = Arc::clone(&kept);
    thread::spawn(move || {
        let mut polls = 0;
        block_until(None, |context| {
            polls += 1;
            keeps.lock().unwrap().push(context.waker().clone());
            if polls == 1 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .unwrap();
    })
    .join()
    .unwrap();

    let mut handles = [Keeps(kept.clone())];
    let limit = Some(std::time::Duration::ZERO);
    let waited = future_result::wait(&mut handles, future_result::When::All, limit);
    assert!(waited.timed_out);
    drop(handles);

    // The queue, the fan-out, and the thread that they would wake are all gone.
    let wakers = std::mem::take(&mut *kept.lock().unwrap());
    assert!(wakers.len() >= 6);
    for waker in wakers {
        waker.wake_by_ref();
        waker.wake();
    }
}
