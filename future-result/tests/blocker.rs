//! Proves that waiting is what its context makes it: a thread parks and loses no wake-up, a blocker
//! is asked where one is installed, and both are as before when a wait ends, however it ends.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use future_result::{
    Blocker, Completer, CompletionSet, FutureResult, JoinHandle, PoolId, WaitTimedOut, When,
    as_completed, block_until, pair, task, task_in, wait, with_blocker,
};

/// Longer than the slowest machine takes; reached only if a wake-up was lost.
const LONG: Duration = Duration::from_secs(100);
const ROUNDS: usize = if cfg!(miri) { 20 } else { 300 };

fn long() -> Option<Instant> {
    Instant::now().checked_add(LONG)
}

/// Counts how often it was asked to block, and blocks as a plain thread would.
#[derive(Default)]
struct Counting {
    blocks: Cell<usize>,
}

struct Unparks(Thread);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Blocker for Counting {
    fn block(&self, deadline: Option<Instant>, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
        self.blocks.set(self.blocks.get() + 1);
        let waker = Waker::from(Arc::new(Unparks(thread::current())));
        while poll(&mut Context::from_waker(&waker)).is_pending() {
            match deadline {
                None => thread::park(),
                Some(deadline) if deadline <= Instant::now() => return,
                Some(deadline) => thread::park_timeout(deadline - Instant::now()),
            }
        }
    }
}

impl Counting {
    fn take(&self) -> usize {
        self.blocks.take()
    }
}

/// A handle that another thread completes as soon as it can.
fn soon(value: u8) -> JoinHandle<u8> {
    let (completer, handle) = pair();
    thread::spawn(move || completer.complete(value));
    handle
}

/// A handle that is not done, for as long as the completer is kept.
fn never() -> (Completer<u8>, JoinHandle<u8>) {
    pair()
}

#[test]
fn every_way_to_wait_asks_the_blocker() {
    let blocker = Rc::new(Counting::default());
    with_blocker(blocker.clone(), || {
        let (_kept, mut handle) = never();
        assert!(!handle.wait_timeout(Duration::ZERO));
        assert_eq!(blocker.take(), 1, "wait_timeout");
        assert!(wait(&mut [handle], When::All, Some(Duration::ZERO)).timed_out);
        assert_eq!(blocker.take(), 1, "wait");
        let (_kept, handle) = never();
        assert!(
            as_completed([handle])
                .timeout(Duration::ZERO)
                .next()
                .is_none()
        );
        assert_eq!(blocker.take(), 1, "as_completed");
        let (_kept, handle) = never();
        let mut set = CompletionSet::new();
        set.insert((), handle);
        assert!(set.wait_next_timeout(Duration::ZERO).is_err());
        assert_eq!(blocker.take(), 1, "CompletionSet");
        let (_kept, handle) = never();
        assert!(!handle.shared().wait_timeout(Duration::ZERO));
        assert_eq!(blocker.take(), 1, "Shared");
        assert_eq!(soon(3).result().unwrap(), 3);
    });
    blocker.take();
    assert_eq!(soon(4).result().unwrap(), 4);
    assert_eq!(blocker.take(), 0, "asked out of its scope");
    assert_eq!(Rc::strong_count(&blocker), 1);
}

#[test]
fn what_is_done_already_does_not_ask() {
    let blocker = Rc::new(Counting::default());
    let (completer, mut handle) = pair();
    completer.complete(1).unwrap();
    with_blocker(blocker.clone(), || {
        handle.wait();
        assert!(handle.wait_timeout(Duration::ZERO));
        assert_eq!(handle.result().unwrap(), 1);
    });
    assert_eq!(blocker.take(), 0);
}

#[test]
fn worker_that_runs_in_place_does_not_ask() {
    let (blocker, pool) = (Rc::new(Counting::default()), PoolId::new());
    let (tombstone, handle) = task_in(pool, || 1);
    let result = with_blocker(blocker.clone(), || pool.enter(|| handle.result()));
    assert_eq!(result.unwrap(), 1);
    assert_eq!(blocker.take(), 0);
    drop(tombstone);
}

#[test]
fn inner_blocker_is_restored_to_the_outer_also_by_a_panic() {
    let (outer, inner) = (Rc::new(Counting::default()), Rc::new(Counting::default()));
    let ask = || {
        let _timed_out = block_until(Some(Instant::now()), |_| Poll::<()>::Pending);
    };
    let asked = || (outer.take(), inner.take());
    with_blocker(outer.clone(), || {
        ask();
        assert_eq!(asked(), (1, 0));
        with_blocker(inner.clone(), ask);
        assert_eq!(asked(), (0, 1));
        ask();
        assert_eq!(asked(), (1, 0));
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            with_blocker(inner.clone(), || {
                ask();
                resume_unwind(Box::new("through a blocker"));
            });
        }));
        assert!(unwound.is_err());
        assert_eq!(asked(), (0, 1));
        ask();
        assert_eq!(asked(), (1, 0));
    });
    ask();
    assert_eq!(asked(), (0, 0));
    assert_eq!((Rc::strong_count(&outer), Rc::strong_count(&inner)), (1, 1));
}

#[test]
fn blocker_is_asked_again_by_a_wait_within_its_poll() {
    let blocker = Rc::new(Counting::default());
    let result = with_blocker(blocker.clone(), || {
        block_until(None, |_| {
            let inner = block_until(Some(Instant::now()), |_| Poll::<()>::Pending);
            assert_eq!(inner, Err(WaitTimedOut));
            Poll::Ready(soon(5).result().unwrap())
        })
    });
    assert_eq!(result, Ok(5));
    assert!(blocker.take() >= 2);
}

#[test]
fn blocker_that_gives_up_without_a_deadline_is_asked_again() {
    /// Gives up twice, then polls until ready.
    struct Impatient(Cell<usize>);

    impl Blocker for Impatient {
        fn block(
            &self,
            _deadline: Option<Instant>,
            poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
        ) {
            self.0.set(self.0.get() + 1);
            if self.0.get() < 3 {
                return;
            }
            while poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                thread::yield_now();
            }
        }
    }

    let impatient = || Rc::new(Impatient(Cell::new(0)));
    let (_kept, mut first) = never();
    assert!(
        !with_blocker(impatient(), || first.wait_timeout(LONG)),
        "it gave up"
    );
    assert_eq!(with_blocker(impatient(), || soon(1).result()).unwrap(), 1);
    let mut set = CompletionSet::new();
    set.insert((), soon(2));
    assert!(matches!(
        with_blocker(impatient(), || set.wait_next()),
        Some(((), Ok(2)))
    ));
    let mut handles = [soon(3)];
    let waited = with_blocker(impatient(), || wait(&mut handles, When::All, None));
    assert_eq!(waited.done, [0]);
}

#[test]
fn blocker_that_returns_without_polling_is_not_believed() {
    struct Idle;

    impl Blocker for Idle {
        fn block(
            &self,
            _deadline: Option<Instant>,
            _poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
        ) {
        }
    }

    let waited = with_blocker(Rc::new(Idle), || block_until(None, |_| Poll::Ready(1)));
    assert_eq!(waited, Err(WaitTimedOut));
}

#[test]
fn blocker_that_does_not_look_at_the_answer_loses_nothing() {
    /// Polls once, and returns whatever came of it.
    struct Deaf;

    impl Blocker for Deaf {
        fn block(
            &self,
            _deadline: Option<Instant>,
            poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
        ) {
            let _ = poll(&mut Context::from_waker(Waker::noop()));
        }
    }

    let waited = with_blocker(Rc::new(Deaf), || {
        block_until(Some(Instant::now()), |_| Poll::Ready("taken out of a set"))
    });
    assert_eq!(waited, Ok("taken out of a set"), "nothing is lost silently");
}

#[test]
fn blocker_whose_drop_waits_finds_the_former_one() {
    struct WaitsOnDrop(Rc<RefCell<Option<u8>>>);

    impl Blocker for WaitsOnDrop {
        fn block(
            &self,
            _deadline: Option<Instant>,
            _poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
        ) {
            unreachable!("nobody waits in its scope")
        }
    }

    impl Drop for WaitsOnDrop {
        fn drop(&mut self) {
            *self.0.borrow_mut() = Some(soon(8).result().unwrap());
        }
    }

    let seen = Rc::default();
    with_blocker(Rc::new(WaitsOnDrop(Rc::clone(&seen))), || ());
    assert_eq!(*seen.borrow(), Some(8));
}

#[test]
fn blocker_that_panics_leaves_the_thread_as_it_was() {
    struct Panics;

    impl Blocker for Panics {
        fn block(
            &self,
            _deadline: Option<Instant>,
            _poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
        ) {
            resume_unwind(Box::new("from a blocker"))
        }
    }

    let (completer, mut handle) = pair();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        with_blocker(Rc::new(Panics), || handle.wait());
    }));
    assert!(unwound.is_err());
    completer.complete(1).unwrap();
    assert_eq!(handle.result().unwrap(), 1);
    assert_eq!(soon(2).result().unwrap(), 2);
}

#[test]
fn wake_during_a_nested_wait_is_kept_for_the_outer() {
    let (wakers, to_wake) = mpsc::channel::<Waker>();
    let other = thread::spawn(move || {
        // The outer one's first, while its thread is parked in the inner wait.
        let (outer, inner) = (to_wake.recv().unwrap(), to_wake.recv().unwrap());
        outer.wake();
        inner.wake();
    });
    let mut polls = 0;
    let waited = block_until(long(), |context| {
        polls += 1;
        if polls > 1 {
            return Poll::Ready(());
        }
        wakers.send(context.waker().clone()).unwrap();
        let mut registered = false;
        block_until(long(), |context| {
            if std::mem::replace(&mut registered, true) {
                return Poll::Ready(());
            }
            wakers.send(context.waker().clone()).unwrap();
            Poll::Pending
        })
        .unwrap();
        Poll::Pending
    });
    assert_eq!(
        waited,
        Ok(()),
        "the inner wait swallowed the outer's wake-up"
    );
    assert_eq!(polls, 2);
    other.join().unwrap();
}

#[test]
fn waits_nested_in_polls_finish_inside_out() {
    fn nest(depth: u8) -> u8 {
        if depth == 0 {
            return 0;
        }
        let handle = soon(1);
        let inner = block_until(None, |_| Poll::Ready(nest(depth - 1))).unwrap();
        inner + handle.result().unwrap()
    }

    assert_eq!(nest(20), 20);
}

#[test]
fn unparks_by_others_are_not_taken_for_wake_ups() {
    let (wakers, to_wake) = mpsc::channel::<Waker>();
    let waiting = thread::current();
    let other = thread::spawn(move || {
        let waker = to_wake.recv().unwrap();
        for _ in 0..1000 {
            waiting.unpark();
            thread::yield_now();
        }
        waker.wake();
    });
    // Also an earlier one, left by somebody who did not park.
    thread::current().unpark();
    let mut polls = 0;
    let waited = block_until(long(), |context| {
        polls += 1;
        if polls > 1 {
            return Poll::Ready(());
        }
        wakers.send(context.waker().clone()).unwrap();
        Poll::Pending
    });
    assert_eq!(waited, Ok(()));
    assert_eq!(polls, 2, "polled for another's unpark");
    other.join().unwrap();
}

#[test]
fn park_within_a_poll_does_not_swallow_the_wake_up() {
    let mut polls = 0;
    let waited = block_until(long(), |context| {
        polls += 1;
        if polls > 1 {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        // Takes the token that the wake-up has set.
        thread::park();
        Poll::Pending
    });
    assert_eq!(waited, Ok(()));
}

#[test]
fn waker_of_an_earlier_wait_does_not_disturb_the_next() {
    let mut stale = None;
    let first = block_until(Some(Instant::now()), |context| {
        stale = Some(context.waker().clone());
        Poll::<()>::Pending
    });
    assert_eq!(first, Err(WaitTimedOut));
    let stale = stale.unwrap();
    stale.wake_by_ref();
    for value in 0..10 {
        let handle = soon(value);
        stale.wake_by_ref();
        assert_eq!(handle.result().unwrap(), value);
    }
    let polls = AtomicUsize::new(0);
    let waited = block_until(Some(Instant::now()), |_| {
        polls.fetch_add(1, SeqCst);
        Poll::<()>::Pending
    });
    assert_eq!(waited, Err(WaitTimedOut), "woken is not done");
}

#[test]
fn deadline_that_has_passed_still_looks() {
    let past = Some(Instant::now());
    assert_eq!(block_until(past, |_| Poll::Ready(1)), Ok(1));
    let (completer, handle) = pair();
    completer.complete(3).unwrap();
    assert_eq!(handle.result_timeout(Duration::ZERO).unwrap().unwrap(), 3);
}

#[test]
fn poll_that_panics_leaves_the_thread_able_to_wait() {
    let mut stale = None;
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        block_until(None, |context| -> Poll<()> {
            stale = Some(context.waker().clone());
            resume_unwind(Box::new("from poll"))
        })
    }));
    assert!(unwound.is_err());
    stale.unwrap().wake();
    assert_eq!(soon(1).result().unwrap(), 1);
}

#[test]
fn wakes_race_parks_and_none_is_lost() {
    let (to_complete, completers) = mpsc::channel::<Completer<usize>>();
    thread::scope(|scope| {
        scope.spawn(move || {
            for (number, completer) in completers.into_iter().enumerate() {
                completer.complete(number).unwrap();
            }
        });
        for round in 0..ROUNDS {
            let (completer, handle) = pair();
            to_complete.send(completer).unwrap();
            let Ok(result) = handle.result_timeout(LONG) else {
                unreachable!("slept through it")
            };
            assert_eq!(result.unwrap(), round);
        }
        drop(to_complete);
    });
}

/// Runs its function when the thread's locals are destroyed.
struct AtThreadEnd(RefCell<Option<Box<dyn FnOnce()>>>);

impl Drop for AtThreadEnd {
    fn drop(&mut self) {
        if let Some(function) = self.0.take() {
            function();
        }
    }
}

thread_local! {
    static AT_THREAD_END: AtThreadEnd = const { AtThreadEnd(RefCell::new(None)) };
}

/// Calls `last_words` from a destructor of a thread's locals, which run youngest first: so it finds
/// our own destroyed if the thread waited after it was set, and alive if it waited before.
fn at_thread_end(waited_before: bool, last_words: impl FnOnce() + Send + 'static) {
    let (seen, said) = mpsc::channel();
    let thread = thread::spawn(move || {
        if waited_before {
            assert_eq!(soon(1).result().unwrap(), 1);
        }
        AT_THREAD_END.with(|end| {
            *end.0.borrow_mut() = Some(Box::new(move || {
                last_words();
                seen.send(()).unwrap();
            }));
        });
        if !waited_before {
            with_blocker(Rc::new(Counting::default()), || ());
            assert_eq!(soon(2).result().unwrap(), 2);
        }
    });
    thread.join().unwrap();
    said.recv().unwrap();
}

#[test]
fn destructors_of_thread_locals_can_wait() {
    for waited_before in [true, false] {
        let (completer, handle) = pair();
        let (entered, wait_for_entry) = mpsc::channel();
        let other = thread::spawn(move || {
            wait_for_entry.recv().unwrap();
            completer.complete(9).unwrap();
        });
        at_thread_end(waited_before, move || {
            entered.send(()).unwrap();
            assert_eq!(handle.result().unwrap(), 9);
            let (_kept, mut handle) = never();
            assert!(!handle.wait_timeout(Duration::ZERO));
            let mut set = CompletionSet::new();
            set.insert((), soon(3));
            assert!(matches!(set.wait_next(), Some(((), Ok(3)))));
        });
        other.join().unwrap();
    }
}

#[test]
fn destructors_of_thread_locals_can_run_tasks() {
    for waited_before in [true, false] {
        at_thread_end(waited_before, || {
            let (task, handle) = task(future_result::CancelToken::current);
            task.run();
            assert!(!handle.result().unwrap().is_cancelled());
            let pool = PoolId::new();
            let (tombstone, handle) = task_in(pool, PoolId::current);
            assert_eq!(pool.enter(|| handle.result()).unwrap(), Some(pool));
            drop(tombstone);
        });
    }
}

#[test]
fn pools_are_entered_and_left_like_scopes() {
    let (outer, inner) = (PoolId::new(), PoolId::new());
    assert_ne!(outer, inner);
    assert_eq!(PoolId::current(), None);
    outer.enter(|| {
        assert_eq!(PoolId::current(), Some(outer));
        inner.enter(|| assert_eq!(PoolId::current(), Some(inner)));
        assert_eq!(PoolId::current(), Some(outer));
        let unwound = catch_unwind(|| inner.enter(|| resume_unwind(Box::new(()))));
        assert!(unwound.is_err());
        assert_eq!(PoolId::current(), Some(outer));
        let elsewhere = thread::spawn(PoolId::current).join().unwrap();
        assert_eq!(elsewhere, None);
    });
    assert_eq!(PoolId::current(), None);
}

#[test]
fn pools_made_by_racing_threads_all_differ() {
    let threads: Vec<_> = (0..4)
        .map(|_| thread::spawn(|| (0..1000).map(|_| PoolId::new()).collect::<Vec<_>>()))
        .collect();
    let mut seen = std::collections::HashSet::new();
    for thread in threads {
        for id in thread.join().unwrap() {
            assert!(seen.insert(id), "{id:?} came twice");
        }
    }
}
