//! Proves that `TryMap` yields what comes before the first error, then the error, then nothing; and
//! that by then everything else is cancelled.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    reason = "tests count with std's atomics and locks"
)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use future_result::{
    CancelToken, Cause, FutureResult, JoinHandle, PoolId, Task, TaskError, TryError, TryMap,
    block_until, pair, task, task_in, try_run_chunk,
};

/// What a task of a map returns.
type Results = Vec<Result<Result<u32, u32>, TaskError>>;

/// A pool that runs nothing by itself.
#[derive(Clone)]
struct Queue {
    tasks: Rc<RefCell<VecDeque<Task>>>,
    submitted: Rc<Cell<usize>>,
    pool: PoolId,
}

impl Queue {
    fn new() -> Self {
        Self {
            tasks: Rc::default(),
            submitted: Rc::default(),
            pool: PoolId::new(),
        }
    }

    fn submitter(&self) -> impl FnMut(Vec<u32>) -> JoinHandle<Results> + use<> {
        let queue = self.clone();
        move |items| {
            queue.submitted.set(queue.submitted.get() + 1);
            let (task, handle) = task_in(queue.pool, move || try_run_chunk(&times_ten, items));
            queue.tasks.borrow_mut().push_back(task);
            handle
        }
    }
}

/// The item for which the function returns an error, and the one for which it panics.
const WRONG: u32 = 405;
const UNLUCKY: u32 = 513;

fn times_ten(item: u32) -> Result<u32, u32> {
    match item {
        WRONG => Err(item),
        UNLUCKY => resume_unwind(Box::new("unlucky")),
        _ => Ok(item * 10),
    }
}

/// Runs each task in the call that submits it.
fn at_once(items: Vec<u32>) -> JoinHandle<Results> {
    let (task, handle) = task(move || try_run_chunk(&times_ten, items));
    task.run();
    handle
}

/// The values, and 0 minus the error that was returned, -1 for a panic, -2 for a cancellation, -3
/// for a time-out, -4 for a loss.
fn code(result: Result<u32, TryError<u32>>) -> i64 {
    match result {
        Ok(value) => i64::from(value),
        Err(TryError::Returned(error)) => -i64::from(error),
        Err(TryError::Task(TaskError::Panicked(_))) => -1,
        Err(TryError::Task(TaskError::Cancelled)) => -2,
        Err(TryError::Task(TaskError::TimedOut)) => -3,
        Err(_) => -4,
    }
}

fn codes(results: impl Iterator<Item = Result<u32, TryError<u32>>>) -> Vec<i64> {
    results.map(code).collect()
}

#[derive(Clone)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn values_before_the_error_are_yielded_and_nothing_after_it() {
    for unordered in [false, true] {
        for chunk_size in 1..=8 {
            for (bad, error) in [(WRONG, -405), (UNLUCKY, -1)] {
                let mut map = TryMap::new(bad - 3.., at_once, 2).chunk_size(chunk_size);
                if unordered {
                    map = map.unordered();
                }
                let mut expected: Vec<i64> = (bad - 3..bad).map(|n| i64::from(n) * 10).collect();
                expected.push(error);
                assert_eq!(codes(map.by_ref()), expected, "chunks of {chunk_size}");
                assert!(map.next().is_none(), "fused");
            }
        }
    }
}

#[test]
fn without_an_error_everything_is_yielded_in_order() {
    let queue = Queue::new();
    for unordered in [false, true] {
        let mut map = TryMap::new(0..20, queue.submitter(), 7).chunk_size(3);
        if unordered {
            map = map.unordered();
        }
        // On a lone worker, which runs them in place.
        let results = queue.pool.enter(|| codes(map.by_ref()));
        assert_eq!(results, (0..20).map(|item| item * 10).collect::<Vec<i64>>());
        assert!(map.next().is_none());
    }
}

#[test]
fn collecting_gives_all_values_or_the_first_error() {
    let collect = |input| TryMap::new(input, at_once, 4).collect::<Result<Vec<_>, _>>();
    assert_eq!(collect(1..4).unwrap(), [10, 20, 30]);
    assert_eq!(collect(1..1).unwrap(), []);
    assert!(matches!(collect(1..1000), Err(TryError::Returned(WRONG))));
}

#[test]
fn first_error_cancels_what_is_queued_and_asks_for_no_more() {
    for unordered in [false, true] {
        let queue = Queue::new();
        let pulled = Rc::new(Cell::new(0));
        let count = pulled.clone();
        let input = (WRONG - 1..).inspect(move |_| count.set(count.get() + 1));
        let mut map = TryMap::new(input, queue.submitter(), 5);
        if unordered {
            map = map.unordered();
        }
        let results: Vec<_> = queue.pool.enter(|| map.by_ref().take(2).collect());
        assert_eq!(codes(results.into_iter()), [4040, -405]);
        assert_eq!((queue.submitted.get(), pulled.get()), (6, 6));
        assert!(queue.tasks.borrow().iter().all(Task::is_stale));
        assert_eq!(Rc::strong_count(&pulled), 1, "the input is gone already");
        assert!(queue.pool.enter(|| map.next()).is_none());
        assert_eq!(queue.submitted.get(), 6);
    }
}

#[test]
fn first_error_asks_what_is_running_to_stop() {
    for unordered in [false, true] {
        let (gone, go_on) = mpsc::channel::<()>();
        let go_on = Cell::new(Some(go_on));
        let (told, was_told) = mpsc::channel();
        let submit = |items: Vec<u32>| {
            if items == [WRONG] {
                return at_once(items);
            }
            let (started, wait_for_start) = mpsc::channel();
            let (told, go_on) = (told.clone(), go_on.take().unwrap());
            let (task, handle) = task(move || {
                started.send(()).unwrap();
                go_on.recv().unwrap_err();
                told.send(CancelToken::current().is_cancelled()).unwrap();
                Vec::new()
            });
            thread::spawn(|| task.run());
            wait_for_start.recv().unwrap();
            handle
        };
        let mut map = TryMap::new(WRONG..=WRONG + 1, submit, 2);
        if unordered {
            map = map.unordered();
        }
        assert_eq!(map.next().map(code), Some(-405));
        drop(gone);
        assert!(was_told.recv().unwrap());
    }
}

#[test]
fn unordered_error_does_not_wait_for_what_was_submitted_before_it() {
    let kept = RefCell::new(Vec::new());
    let submit = |items: Vec<u32>| {
        if items == [WRONG] {
            return at_once(items);
        }
        let (completer, handle) = pair();
        kept.borrow_mut().push(completer);
        handle
    };
    let map = TryMap::new(WRONG - 2..=WRONG, submit, 3).unordered();
    assert_eq!(codes(map), [-405]);
    assert_eq!(kept.borrow().len(), 2);
    assert!(kept.borrow().iter().all(|one| one.is_cancelled()));
}

#[test]
fn ordered_error_waits_for_its_turn() {
    let late = RefCell::new(None);
    let submit = |items: Vec<u32>| {
        if items == [WRONG] {
            // Fails before the item in front of it is even run.
            let handle = at_once(items);
            late.take().into_iter().for_each(Task::run);
            return handle;
        }
        let (task, handle) = task(move || try_run_chunk(&times_ten, items));
        late.replace(Some(task));
        handle
    };
    let map = TryMap::new(WRONG - 1..=WRONG, submit, 2);
    assert_eq!(codes(map), [4040, -405]);
}

#[test]
fn rest_of_a_chunk_is_not_run_after_an_error() {
    for (bad, error) in [(WRONG, -405), (UNLUCKY, -1)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        let submit = move |items| {
            let count = count.clone();
            let function = move |item| {
                count.fetch_add(1, SeqCst);
                times_ten(item)
            };
            let (task, handle) = task(move || try_run_chunk(&function, items));
            task.run();
            handle
        };
        let map = TryMap::new(bad - 1..bad + 9, submit, 1).chunk_size(10);
        assert_eq!(codes(map), [i64::from(bad - 1) * 10, error]);
        assert_eq!(calls.load(SeqCst), 2);
    }
}

#[test]
fn chunk_that_is_asked_to_stop_does_so_after_its_current_item() {
    let (started, wait_for_start) = mpsc::channel();
    let (go, wait_for_go) = mpsc::channel::<()>();
    let drops = Arc::new(AtomicUsize::new(0));
    let items = vec![Counted(drops.clone()); 3];
    let (task, handle) = task(move || {
        let function = |item: Counted| {
            started.send(()).unwrap();
            wait_for_go.recv().unwrap_err();
            Ok::<_, ()>(item)
        };
        try_run_chunk(&function, items)
    });
    let runner = thread::spawn(|| task.run());
    wait_for_start.recv().unwrap();
    let _ = handle.cancel();
    drop(go);
    runner.join().unwrap();
    let results = handle.result().unwrap();
    assert_eq!(drops.load(SeqCst), 2, "one has become a result");
    assert!(matches!(
        results.as_slice(),
        [Ok(Ok(_)), Err(TaskError::Cancelled)]
    ));
    assert_eq!(wait_for_start.iter().count(), 0, "started no other item");
    drop(results);
    assert_eq!(drops.load(SeqCst), 3);
}

#[test]
fn chunk_that_was_asked_to_stop_in_its_last_item_is_whole() {
    let handle = Arc::new(std::sync::Mutex::new(None::<JoinHandle<Results>>));
    let (to_cancel, cancelled) = (handle.clone(), handle.clone());
    let function = move |item: u32| {
        if item == 2 {
            let _ = to_cancel.lock().unwrap().as_ref().unwrap().cancel();
        }
        Ok(item)
    };
    let (task, made) = task(move || try_run_chunk(&function, vec![1, 2]));
    *handle.lock().unwrap() = Some(made);
    task.run();
    let results = cancelled.lock().unwrap().take().unwrap().result().unwrap();
    assert!(matches!(results.as_slice(), [Ok(Ok(1)), Ok(Ok(2))]));
}

#[test]
fn destructor_of_an_item_that_is_not_run_costs_no_result() {
    struct Bomb(u32, Arc<AtomicUsize>);

    impl Drop for Bomb {
        fn drop(&mut self) {
            self.1.fetch_add(1, SeqCst);
            if self.0 == WRONG + 1 {
                resume_unwind(Box::new("from drop"));
            }
        }
    }

    let drops = Arc::new(AtomicUsize::new(0));
    let items = (WRONG - 1..WRONG + 3).map(|item| Bomb(item, drops.clone()));
    let results = try_run_chunk(&|item: Bomb| times_ten(item.0), items.collect());
    assert!(matches!(results.as_slice(), [Ok(Ok(4040)), Ok(Err(WRONG))]));
    assert_eq!(drops.load(SeqCst), 4);
}

#[test]
fn lost_chunk_costs_one_error() {
    for unordered in [false, true] {
        let mut number = 0;
        let submit = move |items| {
            number += 1;
            let handle = at_once(items);
            if number != 2 {
                return handle;
            }
            let (task, handle) = task(Vec::new);
            drop(task);
            handle
        };
        let mut map = TryMap::new(0..7, submit, 3).chunk_size(3);
        if unordered {
            map = map.unordered();
        }
        assert_eq!(codes(map), [0, 10, 20, -4]);
    }
}

#[test]
fn deadline_before_the_first_next_submits_nothing_and_yields_one_error() {
    for unordered in [false, true] {
        let queue = Queue::new();
        let mut map = TryMap::new(0.., queue.submitter(), 4).timeout(Duration::ZERO);
        if unordered {
            map = map.unordered();
        }
        assert_eq!(codes(map.by_ref()), [-3]);
        assert_eq!(queue.submitted.get(), 0);
        assert!(map.next().is_none());
    }
}

#[test]
fn deadline_yields_what_is_done_and_one_error_and_cancels_the_rest() {
    let mut limit = Duration::from_millis(20);
    // Doubled until the machine was fast enough for the first `next` to begin in time.
    loop {
        let kept = RefCell::new(Vec::new());
        let deadline = Cell::new(None);
        let submit = |items: Vec<u32>| {
            if items == [0] {
                return at_once(items);
            }
            let (completer, handle) = pair();
            kept.borrow_mut().push(completer);
            if kept.borrow().len() == 3 {
                // What is waited for here is the deadline itself.
                let _timed_out = block_until(deadline.get(), |_| Poll::<()>::Pending);
            }
            handle
        };
        let map = TryMap::new(0..100, submit, 4).timeout(limit);
        // A moment later than the map's own, since it is taken afterwards.
        deadline.set(Instant::now().checked_add(limit));
        let results = codes(map);
        if kept.borrow().is_empty() {
            limit *= 2;
            continue;
        }
        assert_eq!(results, [0, -3]);
        assert_eq!(kept.borrow().len(), 3);
        assert!(kept.borrow().iter().all(|one| one.is_cancelled()));
        return;
    }
}

#[test]
fn dropped_map_cancels_what_has_not_started_and_detached_does_not() {
    for unordered in [false, true] {
        for detach in [false, true] {
            let queue = Queue::new();
            let mut map = TryMap::new(0..10, queue.submitter(), 8).buffer_size(4);
            if unordered {
                map = map.unordered();
            }
            assert_eq!(queue.pool.enter(|| map.next()).map(code), Some(0));
            if detach {
                map.detach();
            } else {
                drop(map);
            }
            let mut tasks = queue.tasks.borrow_mut();
            assert!(tasks.pop_front().unwrap().is_stale(), "ran in place");
            assert_eq!(tasks.len(), 3);
            assert!(tasks.iter().all(|task| task.is_stale() != detach));
        }
    }
}

#[test]
fn knobs_and_detaching_do_nothing_after_the_error() {
    let mut map = TryMap::new(WRONG.., at_once, 2);
    assert_eq!(map.next().map(code), Some(-405));
    let mut map = map
        .buffer_size(8)
        .chunk_size(8)
        .unordered()
        .timeout(Duration::ZERO);
    assert!(map.next().is_none());
    map.detach();
}

#[test]
fn nothing_is_submitted_before_the_first_next() {
    let queue = Queue::new();
    drop(TryMap::new(0.., queue.submitter(), 3));
    assert_eq!(queue.submitted.get(), 0);
}

#[test]
fn size_hint_promises_no_more_than_the_next_item() {
    let mut map = TryMap::new(WRONG - 2..WRONG + 8, at_once, 3).chunk_size(4);
    for left in (8..=10).rev() {
        let (least, most) = map.size_hint();
        assert_eq!(least, 1);
        assert!(most.unwrap() <= left);
        assert!(map.next().is_some());
    }
    assert_eq!(map.size_hint(), (0, Some(0)));

    let mut map = TryMap::new(0..2, at_once, 3);
    assert_eq!(map.size_hint(), (1, Some(2)));
    assert_eq!(map.by_ref().count(), 2);
    assert_eq!(map.size_hint(), (0, Some(0)));
}

#[test]
fn panic_of_the_input_reaches_the_caller_and_the_rest_goes_on() {
    let input = (0..4).inspect(|item| {
        if *item == 2 {
            resume_unwind(Box::new("from the input"));
        }
    });
    let mut map = TryMap::new(input, at_once, 1);
    assert_eq!(map.by_ref().take(2).map(code).collect::<Vec<_>>(), [0, 10]);
    assert!(catch_unwind(AssertUnwindSafe(|| map.next())).is_err());
    assert_eq!(codes(map), [30]);
}

#[test]
fn items_and_results_are_dropped_once_wherever_the_error_is() {
    for unordered in [false, true] {
        for chunk_size in 1..=4 {
            for wrong in 0..=7 {
                let drops = Arc::new(AtomicUsize::new(0));
                let made = Cell::new(0);
                let input = (0..6).map(|number| {
                    made.set(made.get() + 1);
                    (number, Counted(drops.clone()))
                });
                let kept = RefCell::new(Vec::new());
                let submit = |items: Vec<(u32, Counted)>| {
                    let is_late = items[0].0 > wrong;
                    let function = move |(number, item): (u32, Counted)| {
                        if number == wrong { Err(item) } else { Ok(item) }
                    };
                    let (task, handle) = task(move || try_run_chunk(&function, items));
                    if is_late {
                        kept.borrow_mut().push(task);
                    } else {
                        task.run();
                    }
                    handle
                };
                let mut map = TryMap::new(input, submit, 3).chunk_size(chunk_size);
                if unordered {
                    map = map.unordered();
                }
                let results: Vec<_> = map.by_ref().collect();
                let is_error = results.last().is_some_and(Result::is_err);
                assert_eq!(is_error, wrong < 6);
                assert_eq!(
                    drops.load(SeqCst) + results.len(),
                    made.get(),
                    "with the error, all others are gone already"
                );
                drop((map, results));
                assert_eq!(drops.load(SeqCst), made.get());
                assert!(kept.borrow().iter().all(Task::is_stale));
            }
        }
    }
}

#[test]
fn error_says_what_the_one_inside_says_and_leads_to_its_source() {
    let inside = || io::Error::other(TaskError::TimedOut);
    let returned = TryError::Returned(inside());
    assert_eq!(returned.to_string(), TaskError::TimedOut.to_string());
    assert!(returned.source().is_none());

    let outer = TaskError::Lost(Cause::new(Nested(inside())));
    let (by_task, by_function) = (TryError::<Nested>::Task(outer.clone()), Nested(inside()));
    assert_eq!(by_task.to_string(), outer.to_string());
    assert!(by_task.source().unwrap().is::<io::Error>());
    let by_function = TryError::Returned(by_function);
    assert_eq!(by_function.to_string(), "nested");
    assert!(by_function.source().unwrap().is::<io::Error>());
}

#[derive(Debug)]
struct Nested(io::Error);

impl std::fmt::Display for Nested {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nested")
    }
}

impl Error for Nested {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
