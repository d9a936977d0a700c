//! Proves that a task runs once or is cancelled, never both, and that its closure, its value and its
//! wakers are dropped exactly once, whichever end goes first.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    reason = "tests count and coordinate with std's atomics and locks"
)]

mod support {
    pub(crate) mod drops;
    pub(crate) mod wakes;
}

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use future_result::claim::Claim;
use future_result::{
    Cancel, CancelToken, Completer, FutureResult, InPlace, JoinHandle, PoolId, Status, Task,
    TaskError, pair, pair_with_hook, task, task_in,
};

use self::support::drops::{Drops, Guard};
use self::support::wakes::Wakes;

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
    assert_eq!(handle.run_in_place(), InPlace::Never, "no worker");
    assert!(
        theirs.enter(|| handle.run_in_place()) == InPlace::Never,
        "another pool's worker"
    );
    assert_eq!(ours.enter(|| handle.run_in_place()), InPlace::Ran);
    assert!(
        ours.enter(|| handle.run_in_place()) == InPlace::Never,
        "it ran already"
    );
    assert!(task.is_stale());
    assert_eq!(handle.result().unwrap(), 1);

    let (homeless, mut handle) = future_result::task(|| 2);
    assert!(ours.enter(|| handle.run_in_place()) == InPlace::Never);
    homeless.run();

    let (_completer, mut handle) = pair::<()>();
    assert!(ours.enter(|| handle.run_in_place()) == InPlace::Never);

    let (task2, mut handle) = task_in(ours, || 3);
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert!(
        ours.enter(|| handle.run_in_place()) == InPlace::Never,
        "it was cancelled"
    );
    drop((task, task2));
}

#[test]
fn run_in_place_wakes_the_waker_of_an_earlier_poll() {
    let pool = PoolId::new();
    let (task, mut handle) = task_in(pool, || 1);
    let wakes = Arc::<Wakes>::default();
    assert!(poll(&mut handle, &Waker::from(wakes.clone())).is_pending());
    assert_eq!(pool.enter(|| handle.run_in_place()), InPlace::Ran);
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

#[test]
fn a_hook_is_called_for_each_request_to_stop_what_runs_and_dropped_with_the_cell() {
    let calls = Arc::new(AtomicUsize::new(0));
    let hook = || {
        let calls = Arc::clone(&calls);
        move || {
            calls.fetch_add(1, SeqCst);
        }
    };
    let pool = PoolId::new();

    let (queued, handle) = pair_with_hook::<u64, _>(pool, hook());
    assert_eq!(handle.cancel(), Cancel::Prevented);
    drop((queued, handle));
    assert_eq!(calls.load(SeqCst), 0);

    let (mut running, mut handle) = pair_with_hook(pool, hook());
    assert!(running.start());
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert!(running.is_cancelled());
    assert_eq!(calls.load(SeqCst), 2);
    // It has a home, but no closure to run there.
    assert_eq!(pool.enter(|| handle.run_in_place()), InPlace::Never);
    running.complete(5_u64).unwrap();
    assert_eq!(handle.cancel(), Cancel::TooLate);
    assert_eq!(handle.result().unwrap(), 5);
    assert_eq!(calls.load(SeqCst), 2);
    assert_eq!(Arc::strong_count(&calls), 1);
}

#[test]
fn claim_on_a_task_without_a_handle_cannot_be_had() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let task = Task::detached(move || {
        counted.fetch_add(1, SeqCst);
    });
    assert!(Claim::on(&task).is_none());
    task.run();
    assert_eq!(runs.load(SeqCst), 1);
}
