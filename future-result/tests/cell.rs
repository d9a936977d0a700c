//! Proves that a task runs once or is cancelled, never both, and that its closure, its value and its
//! wakers are dropped exactly once, whichever end goes first.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    reason = "tests count and coordinate with std's atomics and locks"
)]

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use future_result::{
    Cancel, CancelToken, Completer, FutureResult, JoinHandle, PoolId, Status, Task, TaskError,
    pair, task, task_in,
};

/// How often a race is run; each run takes some ten microseconds.
const ROUNDS: usize = if cfg!(miri) { 20 } else { 400 };

/// Counts the drops of the guards that it hands out.
#[derive(Clone, Debug, Default)]
struct Drops(Arc<AtomicUsize>);

impl Drops {
    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }

    fn guard(&self) -> Guard {
        Guard(self.clone())
    }
}

#[derive(Debug)]
struct Guard(Drops);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, SeqCst);
    }
}

/// Panics when dropped, without a report and without anything allocated.
struct PanicsOnDrop(Guard);

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        if !thread::panicking() {
            resume_unwind(Box::new(()));
        }
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// What waits for a task before its ends go, with the counts that tell whether all was undone.
struct Observed {
    drops: Drops,
    wakes: Arc<Wakes>,
    calls: Arc<AtomicUsize>,
}

impl Observed {
    fn new<T>(handle: &mut JoinHandle<T>, polled: bool, callback: bool) -> Self {
        let observed = Self {
            drops: Drops::default(),
            wakes: Arc::default(),
            calls: Arc::default(),
        };
        if polled {
            assert!(poll(handle, &Waker::from(observed.wakes.clone())).is_pending());
        }
        if callback {
            let (calls, guard) = (observed.calls.clone(), observed.drops.guard());
            handle.on_done(move |_| {
                calls.fetch_add(1, SeqCst);
                drop(guard);
            });
        }
        observed
    }

    fn assert_all_undone(&self, callback: bool, case: &str) {
        let expected = usize::from(callback);
        assert_eq!(self.calls.load(SeqCst), expected, "callback calls, {case}");
        assert_eq!(self.drops.count(), expected, "callback drops, {case}");
        assert_eq!(Arc::strong_count(&self.wakes), 1, "wakers left, {case}");
    }
}

fn poll<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, TaskError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

/// Runs both at the same time, and gives what they return.
fn race<A: Send, B: Send>(
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            barrier.wait();
            other()
        });
        barrier.wait();
        let one = one();
        (one, other.join().unwrap())
    })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum TaskEnd {
    Run,
    RunToPanic,
    Fail,
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum HandleEnd {
    Drop,
    CancelThenDrop,
    CancelThenTake,
    Take,
    PollToReady,
}

fn end_handle<T>(mut handle: JoinHandle<T>, end: HandleEnd) {
    match end {
        HandleEnd::Drop => drop(handle),
        HandleEnd::CancelThenDrop => {
            let _ = handle.cancel();
        }
        HandleEnd::CancelThenTake => {
            let _ = handle.cancel();
            let _ = handle.result();
        }
        HandleEnd::Take => drop(handle.result()),
        HandleEnd::PollToReady => {
            assert!(poll(&mut handle, Waker::noop()).is_ready());
            assert_eq!(handle.status(), Status::Taken);
        }
    }
}

/// Every combination of the flags.
fn flags<const N: usize>() -> impl Iterator<Item = [bool; N]> {
    (0..1_u32 << N).map(|bits| std::array::from_fn(|bit| bits >> bit & 1 == 1))
}

#[test]
fn task_ends_in_every_order_drop_all_once() {
    use HandleEnd::{CancelThenDrop, CancelThenTake, PollToReady, Take};
    for task_end in [
        TaskEnd::Run,
        TaskEnd::RunToPanic,
        TaskEnd::Fail,
        TaskEnd::Drop,
    ] {
        for handle_end in [
            HandleEnd::Drop,
            CancelThenDrop,
            CancelThenTake,
            Take,
            PollToReady,
        ] {
            for [task_first, polled, callback, keep_token] in flags() {
                if !task_first && matches!(handle_end, Take | PollToReady) {
                    continue;
                }
                let case = format!("{task_end:?} {handle_end:?} {task_first} {polled} {callback}");
                let closure = Drops::default();
                let value = Drops::default();
                let runs = Arc::new(AtomicUsize::new(0));
                let (tokens, token) = mpsc::channel();
                let (task, mut handle) = {
                    let (guard, value, runs) = (closure.guard(), value.guard(), runs.clone());
                    task(move || {
                        let _guard = guard;
                        runs.fetch_add(1, SeqCst);
                        if keep_token {
                            tokens.send(CancelToken::current()).unwrap();
                        }
                        if task_end == TaskEnd::RunToPanic {
                            resume_unwind(Box::new("as told"));
                        }
                        value
                    })
                };
                let observed = Observed::new(&mut handle, polled, callback);
                let end_task = |task: Task| match task_end {
                    TaskEnd::Run | TaskEnd::RunToPanic => task.run(),
                    TaskEnd::Fail => task.fail(TaskError::TimedOut),
                    TaskEnd::Drop => drop(task),
                };
                if task_first {
                    end_task(task);
                    end_handle(handle, handle_end);
                } else {
                    end_handle(handle, handle_end);
                    end_task(task);
                }
                let prevented = !task_first && handle_end != HandleEnd::Drop;
                let ran = matches!(task_end, TaskEnd::Run | TaskEnd::RunToPanic) && !prevented;
                assert_eq!(runs.load(SeqCst), usize::from(ran), "runs, {case}");
                assert_eq!(closure.count(), 1, "closure drops, {case}");
                // A value that was never made went with the closure that captured it.
                assert_eq!(value.count(), 1, "value drops, {case}");
                observed.assert_all_undone(callback, &case);
                // Last, so that it frees the cell, if it was made.
                drop(token);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum PairEnd {
    Complete,
    StartThenComplete,
    Fail,
    Drop,
    StartThenDrop,
}

fn end_pair(mut completer: Completer<Guard>, end: PairEnd, value: &Drops) -> bool {
    match end {
        PairEnd::Complete => completer.complete(value.guard()).is_ok(),
        PairEnd::StartThenComplete => {
            let started = completer.start();
            let given = completer.complete(value.guard()).is_ok();
            assert!(started || !given, "gave a value without the right to");
            given
        }
        PairEnd::Fail => {
            completer.fail(TaskError::TimedOut);
            false
        }
        PairEnd::Drop => false,
        PairEnd::StartThenDrop => {
            let _ = completer.start();
            false
        }
    }
}

#[test]
fn pair_ends_in_every_order_drop_all_once() {
    use HandleEnd::{CancelThenDrop, CancelThenTake, PollToReady, Take};
    use PairEnd::{Complete, Fail, StartThenComplete, StartThenDrop};
    for pair_end in [
        Complete,
        StartThenComplete,
        Fail,
        PairEnd::Drop,
        StartThenDrop,
    ] {
        for handle_end in [
            HandleEnd::Drop,
            CancelThenDrop,
            CancelThenTake,
            Take,
            PollToReady,
        ] {
            for [pair_first, polled, callback, keep_token] in flags() {
                if !pair_first && matches!(handle_end, Take | PollToReady) {
                    continue;
                }
                let case = format!("{pair_end:?} {handle_end:?} {pair_first} {polled} {callback}");
                let value = Drops::default();
                let (completer, mut handle) = pair();
                let observed = Observed::new(&mut handle, polled, callback);
                let token = keep_token.then(|| completer.token());
                if pair_first {
                    let given = end_pair(completer, pair_end, &value);
                    let completes = matches!(pair_end, Complete | StartThenComplete);
                    assert_eq!(given, completes, "{case}");
                    end_handle(handle, handle_end);
                } else {
                    end_handle(handle, handle_end);
                    let given = end_pair(completer, pair_end, &value);
                    // Only a callback is left to take it.
                    let taken = callback && handle_end == HandleEnd::Drop;
                    let completes = matches!(pair_end, Complete | StartThenComplete);
                    assert_eq!(given, completes && taken, "{case}");
                }
                let made = matches!(pair_end, Complete | StartThenComplete);
                assert_eq!(value.count(), usize::from(made), "value drops, {case}");
                observed.assert_all_undone(callback, &case);
                drop(token);
            }
        }
    }
}

#[test]
fn cancel_races_claim_runs_once_or_never() {
    for _ in 0..ROUNDS {
        let (closure, value) = (Drops::default(), Drops::default());
        let runs = AtomicUsize::new(0);
        let runs = Arc::new(runs);
        let (task, handle) = {
            let (guard, value, runs) = (closure.guard(), value.guard(), runs.clone());
            task(move || {
                let _guard = guard;
                runs.fetch_add(1, SeqCst);
                value
            })
        };
        let ((), cancel) = race(|| task.run(), || handle.cancel());
        let result = handle.result();
        match cancel {
            Cancel::Prevented => {
                assert!(matches!(result, Err(TaskError::Cancelled)));
                assert_eq!(runs.load(SeqCst), 0);
            }
            Cancel::Requested | Cancel::TooLate => {
                assert!(result.is_ok());
                assert_eq!(runs.load(SeqCst), 1);
            }
        }
        drop(result);
        assert_eq!((closure.count(), value.count()), (1, 1));
    }
}

#[test]
fn cancel_races_complete_gives_the_value_to_one_side() {
    for round in 0..ROUNDS {
        let value = Drops::default();
        let (mut completer, handle) = pair();
        let given = value.guard();
        let (back, cancel) = race(
            move || {
                // Both ways to complete: with the right to, and winning it in the same step.
                if round % 2 == 0 && !completer.start() {
                    drop(completer);
                    return Err(given);
                }
                completer.complete(given)
            },
            || handle.cancel(),
        );
        assert_eq!(back.is_err(), cancel == Cancel::Prevented);
        assert_eq!(handle.result().is_err(), back.is_err());
        drop(back);
        assert_eq!(value.count(), 1);
    }
}

#[test]
fn drop_of_the_handle_races_run_value_dropped_once() {
    for round in 0..ROUNDS {
        let value = Drops::default();
        let guard = value.guard();
        let (task, mut handle) = task(move || guard);
        let wakes = Arc::<Wakes>::default();
        if round % 2 == 0 {
            assert!(poll(&mut handle, &Waker::from(wakes.clone())).is_pending());
        }
        race(|| task.run(), || drop(handle));
        assert_eq!(value.count(), 1);
        assert_eq!(Arc::strong_count(&wakes), 1);
    }
}

#[test]
fn drop_of_both_ends_and_a_token_race_free_once() {
    for _ in 0..ROUNDS {
        let value = Drops::default();
        let (completer, handle) = pair::<Guard>();
        let (token, given) = (completer.token(), value.guard());
        thread::scope(|scope| {
            let barrier = Arc::new(Barrier::new(3));
            let (here, there) = (barrier.clone(), barrier.clone());
            scope.spawn(move || {
                here.wait();
                drop(handle);
            });
            scope.spawn(move || {
                there.wait();
                drop(token.clone());
                drop(token);
            });
            barrier.wait();
            drop(completer.complete(given));
        });
        assert_eq!(value.count(), 1);
    }
}

#[test]
fn poll_races_complete_is_ready_or_woken() {
    for round in 0..ROUNDS {
        let (completer, mut handle) = pair();
        let wakes = Arc::<Wakes>::default();
        let waker = Waker::from(wakes.clone());
        if round % 2 == 0 {
            // Another waker is in the slot, to be replaced.
            assert!(poll(&mut handle, Waker::noop()).is_pending());
        }
        let (polled, ()) = race(
            || poll(&mut handle, &waker),
            || completer.complete(round).unwrap(),
        );
        match polled {
            Poll::Ready(result) => assert_eq!(result.unwrap(), round),
            Poll::Pending => {
                assert_eq!(wakes.count(), 1, "slept through the completion");
                assert_eq!(handle.result().unwrap(), round);
            }
        }
        drop(waker);
        assert_eq!(Arc::strong_count(&wakes), 1);
    }
}

#[test]
fn poll_with_the_same_waker_races_complete_is_ready_or_woken() {
    for round in 0..ROUNDS {
        let (completer, mut handle) = pair();
        let wakes = Arc::<Wakes>::default();
        let waker = Waker::from(wakes.clone());
        assert!(poll(&mut handle, &waker).is_pending());
        // Compares with the waker in the slot, while the runner may be taking it out.
        let (polled, ()) = race(
            || poll(&mut handle, &waker),
            || completer.complete(round).unwrap(),
        );
        assert_eq!(wakes.count(), 1, "registered before, so woken in any case");
        if polled.is_pending() {
            assert_eq!(handle.result().unwrap(), round);
        }
        drop(waker);
        assert_eq!(Arc::strong_count(&wakes), 1);
    }
}

#[test]
fn time_out_races_complete_gives_value_or_handle() {
    for _ in 0..ROUNDS {
        let value = Drops::default();
        let (completer, handle) = pair();
        let given = value.guard();
        let (waited, ()) = race(
            || handle.result_timeout(Duration::ZERO),
            move || completer.complete(given).unwrap(),
        );
        match waited {
            Ok(result) => drop(result.unwrap()),
            Err(handle) => drop(handle.result().unwrap()),
        }
        assert_eq!(value.count(), 1);
    }
}

#[test]
fn claim_in_place_races_pop_runs_once() {
    let pool = PoolId::new();
    for _ in 0..ROUNDS {
        let (closure, value) = (Drops::default(), Drops::default());
        let runs = Arc::new(AtomicUsize::new(0));
        let (task, handle) = {
            let (guard, value, runs) = (closure.guard(), value.guard(), runs.clone());
            task_in(pool, move || {
                let _guard = guard;
                runs.fetch_add(1, SeqCst);
                value
            })
        };
        let ((), result) = race(|| task.run(), || pool.enter(|| handle.result()));
        assert!(result.is_ok());
        assert_eq!(runs.load(SeqCst), 1);
        drop(result);
        assert_eq!((closure.count(), value.count()), (1, 1));
    }
}

#[test]
fn two_cancels_race_prevent_once_and_drop_the_closure_once() {
    for _ in 0..ROUNDS {
        let closure = Drops::default();
        let guard = closure.guard();
        let (task, handle) = task(move || drop(guard));
        let (one, other) = race(|| handle.cancel(), || handle.cancel());
        assert!(one == Cancel::Prevented || other == Cancel::Prevented);
        assert_ne!(one, Cancel::TooLate);
        assert_ne!(other, Cancel::TooLate);
        assert_eq!(closure.count(), 1);
        task.run();
        assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    }
}

#[test]
fn cancel_drops_the_closure_before_it_wakes() {
    struct Log(Mutex<Vec<&'static str>>);
    struct LogsDrop(Arc<Log>);

    impl Drop for LogsDrop {
        fn drop(&mut self) {
            self.0.0.lock().unwrap().push("closure dropped");
        }
    }

    impl Wake for Log {
        fn wake(self: Arc<Self>) {
            self.0.lock().unwrap().push("woken");
        }
    }

    let log = Arc::new(Log(Mutex::default()));
    let guard = LogsDrop(log.clone());
    let (task, mut handle) = task(move || drop(guard));
    assert!(poll(&mut handle, &Waker::from(log.clone())).is_pending());
    assert_eq!(handle.cancel(), Cancel::Prevented);
    // At once, with the tombstone still in its queue.
    assert_eq!(*log.0.lock().unwrap(), ["closure dropped", "woken"]);
    assert!(handle.is_done());
    assert!(task.is_stale());
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    drop(task);
    assert_eq!(log.0.lock().unwrap().len(), 2);
}

#[test]
fn cancel_answers_by_phase() {
    let (task, handle) = task(|| 1);
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(handle.cancel(), Cancel::Prevented, "asked again");
    assert_eq!(handle.status(), Status::Cancelled);
    task.run();

    let (mut completer, handle) = pair();
    assert!(completer.start());
    assert!(completer.start(), "asked again");
    assert!(!completer.is_cancelled());
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert!(completer.is_cancelled());
    assert_eq!(handle.status(), Status::Pending);
    completer.complete(2).unwrap();
    assert_eq!(handle.cancel(), Cancel::TooLate);
    assert_eq!(handle.status(), Status::Succeeded);
    assert_eq!(handle.result().unwrap(), 2);
}

#[test]
fn completer_of_a_cancelled_pair_does_not_start() {
    let (mut completer, handle) = pair();
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert!(!completer.start());
    assert!(!completer.start(), "asked again");
    assert_eq!(completer.complete("late"), Err("late"));
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
}

#[test]
fn status_follows_the_outcome() {
    let (completer, mut handle) = pair();
    assert_eq!(
        (handle.status(), handle.is_done()),
        (Status::Pending, false)
    );
    completer.complete(()).unwrap();
    assert_eq!(
        (handle.status(), handle.is_done()),
        (Status::Succeeded, true)
    );
    assert!(poll(&mut handle, Waker::noop()).is_ready());
    assert_eq!((handle.status(), handle.is_done()), (Status::Taken, true));
    assert_eq!(handle.cancel(), Cancel::TooLate);
    // Nothing to wait for any more, and nothing to call.
    handle.wait();
    assert!(handle.wait_timeout(Duration::ZERO));
    handle.on_done(|_| unreachable!("the outcome is gone"));

    let (completer, handle) = pair::<()>();
    drop(completer);
    assert_eq!(handle.status(), Status::Failed);
}

#[test]
fn polled_after_ready_panics_and_stays_taken() {
    let (completer, mut handle) = pair();
    completer.complete(7).unwrap();
    assert!(poll(&mut handle, Waker::noop()).is_ready());
    for _ in 0..2 {
        let again = catch_unwind(AssertUnwindSafe(|| poll(&mut handle, Waker::noop())));
        let payload = again.unwrap_err();
        assert!(
            payload
                .downcast_ref::<&str>()
                .unwrap()
                .contains("already taken")
        );
    }
    assert_eq!(handle.status(), Status::Taken);
}

#[test]
fn run_in_place_is_for_queued_tasks_of_the_own_pool() {
    let (ours, theirs) = (PoolId::new(), PoolId::new());

    let (task, mut handle) = task_in(ours, || 1);
    assert!(!handle.run_in_place(), "no worker");
    assert!(
        !theirs.enter(|| handle.run_in_place()),
        "another pool's worker"
    );
    assert!(ours.enter(|| handle.run_in_place()));
    assert!(!ours.enter(|| handle.run_in_place()), "it ran already");
    assert!(task.is_stale());
    assert_eq!(handle.result().unwrap(), 1);

    let (homeless, mut handle) = future_result::task(|| 2);
    assert!(!ours.enter(|| handle.run_in_place()));
    homeless.run();

    let (_completer, mut handle) = pair::<()>();
    assert!(!ours.enter(|| handle.run_in_place()));

    let (task2, mut handle) = task_in(ours, || 3);
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert!(!ours.enter(|| handle.run_in_place()), "it was cancelled");
    drop((task, task2));
}

#[test]
fn run_in_place_wakes_the_waker_of_an_earlier_poll() {
    let pool = PoolId::new();
    let (task, mut handle) = task_in(pool, || 1);
    let wakes = Arc::<Wakes>::default();
    assert!(poll(&mut handle, &Waker::from(wakes.clone())).is_pending());
    assert!(pool.enter(|| handle.run_in_place()));
    assert_eq!(wakes.count(), 1);
    assert_eq!(Arc::strong_count(&wakes), 1);
    drop(handle);
    drop(task);
}

#[test]
fn waits_nested_in_tasks_run_in_place_on_one_thread() {
    const DEPTH: usize = 50;

    fn nest(pool: PoolId, depth: usize, kept: Arc<Mutex<Vec<Task>>>) -> usize {
        if depth == 0 {
            return 0;
        }
        let queue = kept.clone();
        let (task, handle) = task_in(pool, move || nest(pool, depth - 1, queue));
        kept.lock().unwrap().push(task);
        handle.result().unwrap() + 1
    }

    let pool = PoolId::new();
    let kept = Arc::<Mutex<Vec<Task>>>::default();
    assert_eq!(pool.enter(|| nest(pool, DEPTH, kept.clone())), DEPTH);
    let tombstones = std::mem::take(&mut *kept.lock().unwrap());
    assert_eq!(tombstones.len(), DEPTH);
    for tombstone in tombstones {
        assert!(tombstone.is_stale());
        tombstone.run();
    }
}

#[test]
fn handle_moved_between_threads_wakes_the_latest_waker_alone() {
    let (completer, mut handle) = pair();
    let wakes: [Arc<Wakes>; 4] = Default::default();
    for wakes in &wakes {
        let waker = Waker::from(wakes.clone());
        handle = thread::spawn(move || {
            assert!(poll(&mut handle, &waker).is_pending());
            handle
        })
        .join()
        .unwrap();
    }
    completer.complete(()).unwrap();
    assert_eq!(wakes.each_ref().map(|wakes| wakes.count()), [0, 0, 0, 1]);
    assert_eq!(wakes.each_ref().map(Arc::strong_count), [1; 4]);
    handle.result().unwrap();
}

#[test]
fn polled_with_a_noop_waker_then_waited_for_elsewhere() {
    let (completer, mut handle) = pair();
    assert!(poll(&mut handle, Waker::noop()).is_pending());
    let (registered, wait) = mpsc::channel();
    let waiter = thread::spawn(move || {
        handle.on_done(|_| ());
        assert!(poll(&mut handle, Waker::noop()).is_pending());
        registered.send(()).unwrap();
        handle.result()
    });
    wait.recv().unwrap();
    completer.complete("there").unwrap();
    assert_eq!(waiter.join().unwrap().unwrap(), "there");
}

#[test]
fn leaked_ends_leave_the_other_end_working() {
    /// What is in here is never dropped, and yet no leak to a leak detector.
    static LEAKED: Mutex<Vec<Box<dyn std::any::Any + Send>>> = Mutex::new(Vec::new());
    let leak = |end: Box<dyn std::any::Any + Send>| LEAKED.lock().unwrap().push(end);

    let value = Drops::default();
    let guard = value.guard();
    let (completer, handle) = pair::<Guard>();
    leak(Box::new(handle));
    assert!(
        completer.complete(guard).is_ok(),
        "its handle might still come"
    );
    assert_eq!(value.count(), 0);

    let (completer, handle) = pair::<u8>();
    leak(Box::new(completer));
    let Err(handle) = handle.result_timeout(Duration::ZERO) else {
        unreachable!("nobody completes it")
    };
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));

    let (completer, handle) = pair();
    let token = completer.token();
    leak(Box::new(token.clone()));
    completer.complete(1).unwrap();
    assert_eq!(handle.result().unwrap(), 1);
    assert!(
        !token.is_cancelled(),
        "the cell lives as long as its tokens"
    );

    let closure = Drops::default();
    let guard = closure.guard();
    let (task, handle) = task(move || drop(guard));
    leak(Box::new(task));
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(closure.count(), 1);
}

#[test]
fn dropping_a_value_that_panics_frees_the_cell_and_reaches_the_dropper() {
    let value = Drops::default();
    let (completer, handle) = pair();
    let token = completer.token();
    assert!(completer.complete(PanicsOnDrop(value.guard())).is_ok());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(handle))).is_err());
    assert_eq!(value.count(), 1);
    assert!(!token.is_cancelled());
}

#[test]
fn dropping_a_value_that_panics_does_not_reach_the_runner() {
    let value = Drops::default();
    let guard = value.guard();
    let (task, handle) = task(|| PanicsOnDrop(guard));
    drop(handle);
    task.run();
    assert_eq!(value.count(), 1);
}

#[test]
fn dropping_a_closure_that_panics_completes_all_the_same() {
    let closure = Drops::default();
    let captured = PanicsOnDrop(closure.guard());
    let (unrun, handle) = task(move || drop(captured));
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(closure.count(), 1);
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    unrun.run();

    let captured = PanicsOnDrop(closure.guard());
    let (unrun, handle) = task(move || drop(captured));
    drop(unrun);
    assert_eq!(closure.count(), 2);
    assert!(matches!(handle.result(), Err(TaskError::Lost(_))));
}

#[test]
fn captured_drop_that_panics_after_the_value_was_made_is_a_panic() {
    let closure = Drops::default();
    let captured = PanicsOnDrop(closure.guard());
    let (task, handle) = task(move || {
        let _captured = captured;
        1
    });
    task.run();
    assert!(matches!(handle.result(), Err(TaskError::Panicked(_))));
    assert_eq!(closure.count(), 1);
}

#[test]
fn payload_whose_drop_panics_is_contained_where_nobody_takes_it() {
    let payload = Drops::default();
    let guard = payload.guard();
    let (task, handle) = task(move || resume_unwind(Box::new(PanicsOnDrop(guard))));
    drop(handle);
    task.run();
    assert_eq!(payload.count(), 1);
}

#[test]
fn completer_dropped_by_an_unwinding_thread_tells_its_handle() {
    let (completer, handle) = pair::<()>();
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _completer = completer;
        resume_unwind(Box::new(()));
    }));
    assert!(unwound.is_err());
    assert!(matches!(handle.result(), Err(TaskError::Lost(_))));
}

#[test]
fn value_whose_drop_waits_for_another_handle_does_not_hang_the_runner() {
    struct WaitsOnDrop(Option<JoinHandle<u8>>, mpsc::Sender<u8>);

    impl Drop for WaitsOnDrop {
        fn drop(&mut self) {
            let result = self.0.take().map(FutureResult::result);
            self.1.send(result.unwrap().unwrap()).unwrap();
        }
    }

    let (inner, awaited) = pair();
    let (log, seen) = mpsc::channel();
    let (task, handle) = task(move || WaitsOnDrop(Some(awaited), log));
    drop(handle);
    let runner = thread::spawn(|| task.run());
    inner.complete(9).unwrap();
    runner.join().unwrap();
    assert_eq!(seen.recv().unwrap(), 9);
}

#[test]
fn closure_that_owns_its_own_handle_is_detached_by_its_end() {
    for [run, cancel_inside] in flags() {
        let closure = Drops::default();
        let own = Arc::new(Mutex::new(None::<JoinHandle<Guard>>));
        let (captured, guard) = (own.clone(), closure.guard());
        let (task, handle) = task(move || {
            let handle = captured.lock().unwrap().take().unwrap();
            if cancel_inside {
                assert_eq!(handle.cancel(), Cancel::Requested);
                assert!(CancelToken::current().is_cancelled());
            }
            drop(handle);
            guard
        });
        *own.lock().unwrap() = Some(handle);
        drop(own);
        if run {
            task.run();
        } else {
            drop(task);
        }
        assert_eq!(closure.count(), 1);
    }
}

#[test]
fn value_that_holds_a_token_of_its_own_cell_frees_it_last() {
    for take in [true, false] {
        let (completer, handle) = pair::<CancelToken>();
        let token = completer.token();
        assert!(completer.complete(token).is_ok());
        if take {
            let token = handle.result().unwrap();
            assert!(!token.is_cancelled());
        } else {
            drop(handle);
        }
    }
}

#[test]
fn token_tells_of_the_innermost_running_task() {
    let (tokens, token) = mpsc::channel();
    let (ask, asked) = mpsc::channel::<()>();
    let (outer, outer_handle) = task(move || {
        let inner_tokens = tokens.clone();
        let (inner, inner_handle) = task(move || {
            inner_tokens.send(CancelToken::current()).unwrap();
            resume_unwind(Box::new(()));
        });
        inner.run();
        let _: Result<(), TaskError> = inner_handle.result();
        // A panic inside has restored ours.
        tokens.send(CancelToken::current()).unwrap();
        asked.recv().unwrap_err();
        CancelToken::current().is_cancelled()
    });
    let runner = thread::spawn(|| outer.run());
    let (inner_token, outer_token) = (token.recv().unwrap(), token.recv().unwrap());
    assert!(!outer_token.is_cancelled());
    assert_eq!(outer_handle.cancel(), Cancel::Requested);
    assert!(outer_token.is_cancelled());
    assert!(!inner_token.is_cancelled());
    drop(ask);
    assert!(outer_handle.result().unwrap());
    runner.join().unwrap();
    assert!(outer_token.is_cancelled(), "also when all else is gone");
    assert!(!CancelToken::current().is_cancelled(), "no task at all");
}

#[test]
fn dropping_a_handle_detaches_and_the_work_goes_on() {
    let ran = Arc::new(AtomicBool::new(false));
    let flag = ran.clone();
    let (detached, handle) = task(move || flag.store(true, SeqCst));
    drop(handle);
    assert!(!detached.is_stale());
    detached.run();
    assert!(ran.load(SeqCst));
}

#[test]
fn cancel_on_drop_cancels_unless_taken() {
    let (dropped, handle) = task(|| 1);
    drop(handle.cancel_on_drop());
    assert!(dropped.is_stale());

    let (taken, handle) = task(|| 2);
    let handle = handle.cancel_on_drop();
    taken.run();
    assert_eq!(handle.result().unwrap(), 2);

    let (waited, handle) = task(|| 3);
    let Err(handle) = handle.cancel_on_drop().result_timeout(Duration::ZERO) else {
        unreachable!("nobody runs it")
    };
    assert!(!waited.is_stale(), "a wait that timed out must not cancel");
    drop(handle);
    assert!(waited.is_stale());
}

#[test]
#[ignore = "aborts; for the test below"]
fn flood_of_leaked_tokens() {
    let (completer, _handle) = pair::<()>();
    let token = completer.token();
    for _ in 0..1_u32 << 24 {
        std::mem::forget(token.clone());
    }
}

#[test]
#[cfg(unix)]
#[cfg_attr(miri, ignore = "starts a process")]
fn flood_of_leaked_tokens_aborts_before_the_count_can_wrap() {
    use std::os::unix::process::ExitStatusExt;

    const SIGABRT: i32 = 6;
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "flood_of_leaked_tokens", "--ignored"])
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
}

#[test]
fn debug_prints_decoded_states() {
    let (queued, mut handle) = task(|| 1);
    assert_eq!(
        format!("{handle:?}"),
        "JoinHandle { state: QUEUED|TASK|HANDLE }"
    );
    assert_eq!(format!("{queued:?}"), "Task { is_stale: false }");
    queued.run();
    assert_eq!(format!("{handle:?}"), "JoinHandle { state: VALUE|HANDLE }");
    assert!(poll(&mut handle, Waker::noop()).is_ready());
    assert_eq!(format!("{handle:?}"), "JoinHandle { state: Taken }");

    let (completer, handle) = pair::<()>();
    let token = completer.token();
    assert!(format!("{handle:?}").ends_with("|1 tokens }"), "{handle:?}");
    assert_eq!(
        format!("{completer:?}"),
        "Completer { is_cancelled: false }"
    );
    assert_eq!(format!("{token:?}"), "CancelToken { is_cancelled: false }");
}
