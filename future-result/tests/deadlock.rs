//! Proves that a cycle of waits ends with an error that names its tasks, whichever ways of waiting it
//! is made of, and that nothing else does.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use future_result::{
    Cancel, CancelToken, CompletionSet, FutureResult, JoinHandle, Map, PoolId, Shared, Status,
    Task, TaskError, When, as_completed, pair, pair_with_hook, task, task_in, wait,
};

const ROUNDS: usize = if cfg!(miri) { 5 } else { 300 };
const SHORT: Duration = Duration::from_millis(1);

/// Where a task finds the handle that it is to wait for.
struct Slot<F>(Arc<Mutex<Option<F>>>);

impl<F> Slot<F> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn put(&self, handle: F) {
        *self.0.lock().unwrap() = Some(handle);
    }

    fn take(&self) -> F {
        self.0.lock().unwrap().take().unwrap()
    }
}

impl<F> Clone for Slot<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

fn is_deadlock<T>(result: &Result<T, TaskError>) -> bool {
    matches!(result, Err(TaskError::Deadlock(_)))
}

/// Runs each task in a thread of its own, and waits until all have ended.
fn run_all(tasks: impl IntoIterator<Item = Task>) {
    let threads: Vec<_> = tasks
        .into_iter()
        .enumerate()
        .map(|(index, task)| {
            let builder = thread::Builder::new().name(format!("runner-{index}"));
            builder.spawn(|| task.run()).unwrap()
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A task that waits for its own end in some way, and what that gave.
fn waits_for_itself<R: Send + 'static>(
    wait: impl FnOnce(JoinHandle<()>) -> R + Send + 'static,
) -> R {
    let (log, seen) = mpsc::channel();
    let own = Slot::new();
    let (task, handle) = task({
        let own = own.clone();
        move || log.send(wait(own.take())).unwrap()
    });
    own.put(handle);
    task.run();
    seen.recv().unwrap()
}

/// A ring of tasks, each in a thread of its own and each waiting for the next in the same way; returns
/// the errors that they got.
fn ring(
    length: usize,
    wait: impl Fn(JoinHandle<usize>) -> Result<usize, TaskError> + Copy + Send + 'static,
) -> Vec<TaskError> {
    let slots: Vec<Slot<JoinHandle<usize>>> = (0..length).map(|_| Slot::new()).collect();
    let errors = Arc::new(Mutex::new(Vec::new()));
    let started = Arc::new(Barrier::new(length));
    let tasks: Vec<_> = (0..length)
        .map(|index| {
            let next = slots[(index + 1) % length].clone();
            let (errors, started) = (Arc::clone(&errors), Arc::clone(&started));
            let (task, handle) = task(move || {
                started.wait();
                let result = wait(next.take());
                errors.lock().unwrap().extend(result.err());
                index
            });
            slots[index].put(handle);
            task
        })
        .collect();
    run_all(tasks);
    Arc::try_unwrap(errors).unwrap().into_inner().unwrap()
}

#[test]
fn task_that_waits_for_itself_gets_the_error() {
    assert!(waits_for_itself(|own| is_deadlock(&own.result())));
}

#[test]
fn every_view_of_the_handle_shows_the_error() {
    waits_for_itself(|mut own| {
        own.wait();
        assert_eq!(own.status(), Status::Failed);
        assert!(own.is_done());
        assert!(own.wait_timeout(Duration::ZERO));
        assert!(!CancelToken::current().is_cancelled());
        assert!(is_deadlock(&own.result()));
    });
    waits_for_itself(|own| {
        assert!(is_deadlock(&futures_lite::future::block_on(async {
            let mut own = own;
            own.wait();
            own.await
        })));
    });
    // A limit beyond the clock's range is none.
    waits_for_itself(|own| {
        let result = own.result_timeout(Duration::MAX);
        assert!(result.is_ok_and(|result| is_deadlock(&result)));
    });
    waits_for_itself(|own| assert!(is_deadlock(&own.boxed().result())));
}

#[test]
fn handle_that_gives_up_leaves_task_and_callback_alone() {
    let (log, seen) = mpsc::channel();
    let ended = waits_for_itself(move |mut own| {
        own.on_done(move |result| log.send(result.is_ok()).unwrap());
        own.wait();
        !CancelToken::current().is_cancelled()
    });
    assert!(ended, "it was cancelled");
    assert!(seen.recv().unwrap(), "its callback saw another outcome");
}

#[test]
fn handle_that_cancels_when_dropped_also_cancels_when_it_gives_up() {
    assert!(waits_for_itself(|own| {
        let error = is_deadlock(&own.cancel_on_drop().result());
        error && CancelToken::current().is_cancelled()
    }));
}

#[test]
fn timed_wait_for_itself_times_out() {
    assert!(waits_for_itself(|own| own.result_timeout(SHORT).is_err()));
}

#[test]
fn ring_of_two_ends_with_one_error() {
    for _ in 0..ROUNDS {
        assert_eq!(ring(2, JoinHandle::result).len(), 1);
    }
}

#[test]
fn ring_of_three_ends_with_one_error() {
    for _ in 0..ROUNDS {
        assert_eq!(ring(3, JoinHandle::result).len(), 1);
    }
}

#[test]
fn ring_through_boxes_shared_handles_and_sets_ends_with_one_error() {
    for _ in 0..ROUNDS / 10 + 1 {
        assert_eq!(ring(3, |next| next.boxed().result()).len(), 1);
        assert_eq!(ring(3, |next| next.shared().result()).len(), 1);
        assert_eq!(ring(3, |next| next.shared().shared().result()).len(), 1);
        assert_eq!(
            ring(3, |next| as_completed([next]).next().unwrap().1).len(),
            1
        );
        for when in [When::All, When::FirstCompleted, When::FirstError] {
            let errors = ring(3, move |next| {
                let mut handles = [next];
                let waited = wait(&mut handles, when, None);
                assert_eq!((waited.done, waited.timed_out), (vec![0], false));
                let [next] = handles;
                assert!(next.is_done());
                next.result()
            });
            assert_eq!(errors.len(), 1);
        }
    }
}

#[test]
fn timed_member_ends_the_ring_by_its_time_out() {
    static WAITS: AtomicUsize = AtomicUsize::new(0);
    let errors = ring(3, |next| {
        if WAITS.fetch_add(1, SeqCst) == 0 {
            return Ok(next.result_timeout(SHORT).map_or(0, Result::unwrap));
        }
        next.result()
    });
    assert!(errors.is_empty(), "{errors:?}");
}

mod app {
    use super::{FutureResult, JoinHandle, Slot, Task, TaskError, mpsc, task};

    pub(super) type Log = mpsc::Sender<Result<(), TaskError>>;

    pub(super) fn load(log: Log, other: Slot<JoinHandle<()>>) -> (Task, JoinHandle<()>) {
        task(move || log.send(other.take().result()).unwrap())
    }

    pub(super) fn parse(log: Log, other: Slot<JoinHandle<()>>) -> (Task, JoinHandle<()>) {
        task(move || log.send(other.take().result()).unwrap())
    }
}

#[test]
fn error_names_the_tasks_and_their_threads() {
    let (log, results) = mpsc::channel();
    let (load, parse) = (Slot::new(), Slot::new());
    let (loading, handle) = app::load(log.clone(), parse.clone());
    load.put(handle);
    let (parsing, handle) = app::parse(log, load.clone());
    parse.put(handle);
    run_all([loading, parsing]);
    let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    let [error] = errors.as_slice() else {
        panic!("{errors:?}")
    };
    let (load, parse) = (
        "`deadlock::app::load::{{closure}}`",
        "`deadlock::app::parse::{{closure}}`",
    );
    let text = |first, thread, second, other| {
        format!(
            "the task waits for itself: {first} (on thread runner-{thread}) waits for {second} (on \
             thread runner-{other}), which waits for {first}; break the cycle, or wait with a time \
             limit"
        )
    };
    // Either may have been the last to wait.
    let expected = [text(load, 0, parse, 1), text(parse, 1, load, 0)];
    assert!(expected.contains(&error.to_string()), "{error}");
}

#[test]
fn worker_that_waits_for_a_task_below_the_one_it_runs_in_place_gets_the_error() {
    let pool = PoolId::new();
    let (log, seen) = mpsc::channel();
    let below = Slot::new();
    let (tombstone, above) = task_in(pool, {
        let below: Slot<JoinHandle<()>> = below.clone();
        move || is_deadlock(&below.take().result())
    });
    let (task, handle) = task_in(pool, move || log.send(above.result()).unwrap());
    below.put(handle);
    pool.enter(|| task.run());
    assert!(seen.recv().unwrap().unwrap());
    drop(tombstone);
}

#[test]
fn cycle_through_a_shared_handle_that_is_checked_out_to_run_in_place_ends() {
    for _ in 0..ROUNDS {
        let pool = PoolId::new();
        let (started, wait_for_start) = mpsc::channel();
        let waiting = Slot::new();
        let (tombstone, handle) = task_in(pool, {
            let waiting: Slot<JoinHandle<bool>> = waiting.clone();
            move || {
                started.send(()).unwrap();
                is_deadlock(&waiting.take().result())
            }
        });
        let (one, other) = (handle.shared(), Slot::new());
        other.put(one.clone());
        let (log, seen) = mpsc::channel();
        let (waiter, handle) = task(move || {
            wait_for_start.recv().unwrap();
            let result = other.take().result();
            log.send(is_deadlock(&result)).unwrap();
            true
        });
        waiting.put(handle);
        // In a task, or else the waiter's end would not concern this thread.
        let (runner, runner_handle) = task(move || pool.enter(|| one.result()).unwrap());
        run_all([waiter, runner]);
        let errors = [seen.recv().unwrap(), runner_handle.result().unwrap()];
        assert_eq!(errors.iter().filter(|&&error| error).count(), 1);
        drop(tombstone);
    }
}

#[test]
fn only_the_clone_that_waited_gets_the_error() {
    let own = Slot::new();
    let (task, handle) = task({
        let own: Slot<Shared<JoinHandle<u8>>> = own.clone();
        move || {
            let mut own = own.take();
            own.wait();
            assert_eq!(own.status(), Status::Failed);
            assert_eq!(own.cancel(), Cancel::TooLate);
            let mut again = own.clone();
            assert_eq!(again.status(), Status::Pending);
            again.wait();
            assert!(is_deadlock(&again.result()) && is_deadlock(&own.result()));
            8
        }
    });
    let shared = handle.shared();
    own.put(shared.clone());
    task.run();
    assert_eq!(shared.result().unwrap(), 8);
}

#[test]
fn set_yields_what_can_end_before_the_error() {
    for others in [1, 8, 40] {
        let outcomes = waits_for_itself(move |own| {
            let (completers, handles): (Vec<_>, Vec<_>) = (0..others).map(|_| pair()).unzip();
            let mut set = CompletionSet::new();
            set.insert(0, own);
            (1..).zip(handles).for_each(|(key, it)| set.insert(key, it));
            let completing = thread::spawn(move || {
                for completer in completers {
                    completer.complete(()).unwrap();
                }
            });
            let outcomes: Vec<_> = set.into_iter().collect();
            completing.join().unwrap();
            outcomes
        });
        let (last, before) = outcomes.split_last().unwrap();
        assert!(before.iter().all(|(_, result)| result.is_ok()));
        assert!(last.0 == 0 && is_deadlock(&last.1));
    }
}

#[test]
fn wait_for_all_goes_on_after_the_error() {
    let done = waits_for_itself(|own| {
        let (completer, handle) = pair();
        let mut handles = [own, handle];
        let completing = thread::spawn(move || completer.complete(()).unwrap());
        let waited = wait(&mut handles, When::All, None);
        completing.join().unwrap();
        assert_eq!(handles[0].status(), Status::Failed);
        assert_eq!(handles[1].status(), Status::Succeeded);
        waited.done
    });
    // In a list of two, the one that can end ends first.
    assert_eq!(done, [1, 0]);
}

/// A task that waits for all of its subtasks, each of which waits for it: more than are listed at once.
fn all_wait_for_their_collector(
    collect: impl FnOnce(Vec<JoinHandle<bool>>) -> usize + Send + 'static,
) {
    const SUBTASKS: usize = 40;
    let collector = Slot::new();
    let (tasks, handles): (Vec<_>, Vec<_>) = (0..SUBTASKS)
        .map(|_| {
            let collector: Slot<Shared<JoinHandle<usize>>> = collector.clone();
            task(move || {
                let waited_for = collector.0.lock().unwrap().clone().unwrap();
                is_deadlock(&waited_for.result())
            })
        })
        .unzip();
    let (collecting, handle) = task(move || collect(handles));
    let shared = handle.shared();
    collector.put(shared.clone());
    run_all(tasks.into_iter().chain([collecting]));
    let errors = shared.result().unwrap();
    assert!(errors > 0);
    drop(collector.take());
}

#[test]
#[cfg_attr(miri, ignore = "interpreted, its searches take more than ten minutes")]
fn large_set_of_tasks_that_wait_for_their_collector_ends() {
    for _ in 0..ROUNDS / 10 + 1 {
        all_wait_for_their_collector(|handles| {
            let outcomes = as_completed(handles).map(|(_, result)| result);
            // Either a subtask had the error, or its handle here.
            outcomes
                .filter(|it| it.as_ref().map_or(true, |&error| error))
                .count()
        });
        all_wait_for_their_collector(|mut handles| {
            let waited = wait(&mut handles, When::All, None);
            assert!(waited.pending.is_empty());
            let outcomes = handles.into_iter().map(JoinHandle::result);
            outcomes
                .filter(|it| it.as_ref().map_or(true, |&error| error))
                .count()
        });
    }
}

#[test]
fn handle_of_an_unknown_kind_may_always_end_a_wait() {
    let outcomes = waits_for_itself(|own| {
        let (completer, handle) = pair();
        let foreign = Foreign(handle);
        let completing = thread::spawn(move || completer.complete(()).unwrap());
        let outcomes: Vec<_> = as_completed([own.boxed(), foreign.boxed()]).collect();
        completing.join().unwrap();
        outcomes
    });
    assert!(matches!(outcomes[0], (1, Ok(()))));
    assert!(outcomes[1].0 == 0 && is_deadlock(&outcomes[1].1));
}

/// A handle that does not say what it waits for.
struct Foreign(JoinHandle<()>);

impl Future for Foreign {
    type Output = Result<(), TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl FutureResult for Foreign {
    type Value = ();

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_done(context)
    }

    fn status(&self) -> Status {
        self.0.status()
    }

    fn cancel(&self) -> Cancel {
        self.0.cancel()
    }
}

#[test]
fn map_whose_item_is_its_own_task_yields_the_error() {
    let own = Slot::new();
    let (log, seen) = mpsc::channel();
    let (task, handle) = task({
        let own: Slot<JoinHandle<Vec<Result<(), TaskError>>>> = own.clone();
        move || {
            let results: Vec<_> = Map::new([()], |_| own.take(), 1).collect();
            log.send(results).unwrap();
            vec![]
        }
    });
    own.put(handle);
    task.run();
    let results = seen.recv().unwrap();
    assert!(results.len() == 1 && is_deadlock(&results[0]));
}

#[test]
fn chain_of_waits_without_a_cycle_ends_without_an_error() {
    const LINKS: usize = 20;
    for _ in 0..ROUNDS {
        let (completer, handle) = pair();
        let mut last = handle;
        let tasks: Vec<_> = (0..LINKS)
            .map(|_| {
                let before = std::mem::replace(&mut last, pair().1);
                let (task, handle) = task(move || before.result().unwrap() + 1);
                last = handle;
                task
            })
            .collect();
        let completing = thread::spawn(move || completer.complete(0).unwrap());
        run_all(tasks);
        assert_eq!(last.result().unwrap(), LINKS);
        completing.join().unwrap();
    }
}

#[test]
fn tasks_that_wait_for_earlier_ones_in_every_way_see_no_error() {
    const TASKS: usize = if cfg!(miri) { 8 } else { 24 };
    for round in 0..ROUNDS {
        let mut shared: Vec<Shared<JoinHandle<usize>>> = Vec::new();
        let tasks: Vec<_> = (0..TASKS)
            .map(|index| {
                // Some earlier ones, others in each round.
                let earlier = shared.iter().enumerate();
                let earlier = earlier.filter(|(other, _)| (index * 7 + other * 5 + round) % 3 == 0);
                let mut earlier: Vec<_> = earlier.map(|(_, handle)| handle.clone()).collect();
                let (task, handle) = task(move || match (index + round) % 3 {
                    0 => as_completed(earlier).map(|(_, it)| it.unwrap() % 7).sum(),
                    1 => wait(&mut earlier, When::All, None).done.len(),
                    _ => earlier.into_iter().map(|it| it.result().unwrap() % 7).sum(),
                });
                shared.push(handle.shared());
                task
            })
            .collect();
        run_all(tasks);
        assert!(shared.into_iter().all(|handle| handle.result().is_ok()));
    }
}

#[test]
fn the_only_thread_of_a_pool_that_waits_for_a_task_of_it_is_told() {
    let pool = PoolId::new();
    let (kept, handle) = pair_with_hook::<u32, _>(pool, || ());
    let (_other, others) = pair_with_hook::<u32, _>(PoolId::new(), || ());
    pool.enter_alone(|| {
        assert!(matches!(handle.result(), Err(TaskError::Deadlock(_))));
        // With a limit it waits, and likewise for another pool's task.
        let (completer, handle) = pair_with_hook::<u32, _>(pool, || ());
        let handle = handle.result_timeout(SHORT).unwrap_err();
        let others = others.result_timeout(SHORT).unwrap_err();
        assert!(!others.is_done());
        completer.complete(7).unwrap();
        assert_eq!(handle.result().unwrap(), 7);
    });
    // The task itself is not affected, and other threads wait for such tasks as for any.
    assert!(!kept.is_cancelled());
    let (completer, handle) = pair_with_hook::<u32, _>(pool, || ());
    let waiter = thread::spawn(move || handle.result());
    completer.complete(8).unwrap();
    assert_eq!(waiter.join().unwrap().unwrap(), 8);
}
