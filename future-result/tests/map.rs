//! Proves that `Map` is lazy and ordered, runs ahead no further than told, and accounts for every
//! item once, over ways to submit that are made by hand.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use future_result::{
    CancelToken, FutureResult, JoinHandle, Map, PoolId, Task, TaskError, block_until, pair,
    run_chunk, task, task_in,
};

/// What a task of a map returns.
type Results = Vec<Result<u32, TaskError>>;

/// A pool that runs nothing by itself.
#[derive(Clone)]
struct Queue {
    tasks: Rc<RefCell<VecDeque<Task>>>,
    submitted: Rc<RefCell<Vec<Vec<u32>>>>,
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
            queue.submitted.borrow_mut().push(items.clone());
            let (task, handle) = task_in(queue.pool, move || run_chunk(&times_ten, items));
            queue.tasks.borrow_mut().push_back(task);
            handle
        }
    }

    fn pop(&self) -> Task {
        self.tasks.borrow_mut().pop_front().unwrap()
    }

    fn submitted(&self) -> Vec<Vec<u32>> {
        self.submitted.borrow().clone()
    }
}

/// The item that cannot be multiplied.
const UNLUCKY: u32 = 513;

fn times_ten(item: u32) -> u32 {
    if item == UNLUCKY {
        resume_unwind(Box::new("unlucky"));
    }
    item * 10
}

/// Runs each task in the call that submits it.
fn at_once(items: Vec<u32>) -> JoinHandle<Results> {
    let (task, handle) = task(move || run_chunk(&times_ten, items));
    task.run();
    handle
}

/// The values, and -1 for a panic, -2 for a cancellation, -3 for a time-out, -4 for a loss.
fn codes(results: impl Iterator<Item = Result<u32, TaskError>>) -> Vec<i64> {
    let code = |result| match result {
        Ok(value) => i64::from(value),
        Err(TaskError::Panicked(_)) => -1,
        Err(TaskError::Cancelled) => -2,
        Err(TaskError::TimedOut) => -3,
        Err(_) => -4,
    };
    results.map(code).collect()
}

#[test]
fn nothing_is_pulled_or_submitted_before_the_first_next() {
    let queue = Queue::new();
    let pulled = Rc::new(Cell::new(0));
    let count = pulled.clone();
    let input = (0..).inspect(move |_| count.set(count.get() + 1));
    let map = Map::new(input, queue.submitter(), 3).chunk_size(2);
    assert_eq!((pulled.get(), queue.submitted().len()), (0, 0));
    drop(map);
    assert_eq!((pulled.get(), queue.submitted().len()), (0, 0));
}

#[test]
fn input_is_pulled_no_further_ahead_than_the_buffer() {
    let queue = Queue::new();
    let pool = queue.pool;
    let pulled = Rc::new(Cell::new(0));
    let count = pulled.clone();
    // Endless.
    let input = (0..).inspect(move |_| count.set(count.get() + 1));
    let mut map = Map::new(input, queue.submitter(), 3);
    for taken in 0..20 {
        assert_eq!(pool.enter(|| map.next()).unwrap().unwrap(), taken * 10);
        assert_eq!(pulled.get(), taken + 3, "three in flight while it waited");
    }
    assert_eq!(queue.submitted().len(), 22);
}

#[test]
fn buffer_and_chunk_of_zero_count_as_one() {
    let queue = Queue::new();
    let pool = queue.pool;
    let mut map = Map::new(0..3, queue.submitter(), 0)
        .buffer_size(0)
        .chunk_size(0);
    assert_eq!(pool.enter(|| map.next()).unwrap().unwrap(), 0);
    assert_eq!(queue.submitted(), [[0]]);
    assert_eq!(
        codes(pool.enter(|| map.collect::<Vec<_>>()).into_iter()),
        [10, 20]
    );
}

#[test]
fn results_keep_the_order_of_the_input_whatever_the_order_of_completion() {
    let (to_run, tasks) = mpsc::channel::<Task>();
    let runner = thread::spawn(move || {
        // Five at a time, the youngest first.
        loop {
            let mut batch: Vec<Task> = tasks.iter().take(5).collect();
            if batch.is_empty() {
                return;
            }
            while let Some(task) = batch.pop() {
                task.run();
            }
        }
    });
    let submit = move |items| {
        let (task, handle) = task(move || run_chunk(&times_ten, items));
        to_run.send(task).unwrap();
        handle
    };
    // The buffer holds a batch, so the runner always gets one whole.
    let map = Map::new(0..50, submit, 9);
    let results = codes(map);
    assert_eq!(results, (0..50).map(|item| item * 10).collect::<Vec<i64>>());
    runner.join().unwrap();
}

#[test]
fn unordered_results_come_as_they_complete() {
    let queue = Queue::new();
    let mut map = Map::new(0..4, queue.submitter(), 4).unordered();
    // A task of the first `next`, run by the submit function of the last item.
    let tasks = queue.tasks.clone();
    let run_in_order = move |order: &[usize]| {
        let mut tasks: Vec<_> = tasks.borrow_mut().drain(..).map(Some).collect();
        for index in order {
            tasks[*index].take().unwrap().run();
        }
    };
    assert_eq!(
        queue.pool.enter(|| map.next()).unwrap().unwrap(),
        0,
        "the oldest, in place"
    );
    run_in_order(&[2, 1, 3]);
    assert_eq!(codes(map), [20, 10, 30]);
}

#[test]
fn unordered_keeps_what_was_submitted_before() {
    let queue = Queue::new();
    let pool = queue.pool;
    let mut map = Map::new(0..5, queue.submitter(), 3);
    assert_eq!(pool.enter(|| map.next()).unwrap().unwrap(), 0);
    let mut map = map.unordered();
    assert_eq!(map.size_hint(), (4, Some(4)));
    let mut rest = pool.enter(|| codes(map.by_ref()));
    rest.sort_unstable();
    assert_eq!(rest, [10, 20, 30, 40]);
    assert!(map.next().is_none());
}

#[test]
fn error_in_the_middle_does_not_end_the_rest() {
    assert_eq!(
        codes(Map::new(511..516, at_once, 2)),
        [5110, 5120, -1, 5140, 5150]
    );
    // A chunk is one task, yet a panic costs only its own item.
    let chunked = Map::new(511..516, at_once, 2).chunk_size(4);
    assert_eq!(codes(chunked), [5110, 5120, -1, 5140, 5150]);
    let unordered = Map::new(511..516, at_once, 2).chunk_size(4).unordered();
    assert_eq!(codes(unordered), [5110, 5120, -1, 5140, 5150]);
}

#[test]
fn chunks_are_whole_but_for_the_last() {
    let queue = Queue::new();
    let pool = queue.pool;
    let map = Map::new(0..7, queue.submitter(), 2).chunk_size(3);
    let results = pool.enter(|| codes(map));
    assert_eq!(results, [0, 10, 20, 30, 40, 50, 60]);
    assert_eq!(queue.submitted(), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);

    let queue = Queue::new();
    let map = Map::new(0..6, queue.submitter(), 2).chunk_size(3);
    assert_eq!(pool.enter(|| map.size_hint()), (6, Some(6)));
    let results = queue.pool.enter(|| codes(map));
    assert_eq!(results.len(), 6);
    assert_eq!(queue.submitted().len(), 2, "no empty task at the end");
}

#[test]
fn lost_chunk_costs_an_error_for_each_of_its_items() {
    for unordered in [false, true] {
        let mut number = 0;
        let submit = move |items| {
            number += 1;
            if number != 2 {
                return at_once(items);
            }
            let (task, handle) = task(move || run_chunk(&times_ten, items));
            drop(task);
            handle
        };
        let mut map = Map::new(0..7, submit, 3).chunk_size(3);
        if unordered {
            map = map.unordered();
        }
        assert_eq!(codes(map), [0, 10, 20, -4, -4, -4, 60]);
    }
}

#[test]
fn dropped_map_cancels_what_has_not_started_and_detached_does_not() {
    for unordered in [false, true] {
        for detach in [false, true] {
            let queue = Queue::new();
            let pool = queue.pool;
            let mut map = Map::new(0..10, queue.submitter(), 4);
            if unordered {
                map = map.unordered();
            }
            assert!(pool.enter(|| map.next()).is_some());
            if detach {
                map.detach();
            } else {
                drop(map);
            }
            assert!(queue.pop().is_stale(), "ran in place");
            assert_eq!(queue.tasks.borrow().len(), 3);
            for task in queue.tasks.borrow_mut().drain(..) {
                assert_eq!(task.is_stale(), !detach);
                task.run();
            }
        }
    }
}

#[test]
fn dropped_map_asks_what_is_running_to_stop() {
    let (started, wait_for_start) = mpsc::channel();
    let (gone, go_on) = mpsc::channel::<()>();
    let go_on = Cell::new(Some(go_on));
    let (told, was_told) = mpsc::channel();
    let submit = |items: Vec<u32>| {
        if items == [0] {
            return at_once(items);
        }
        let (started, told) = (started.clone(), told.clone());
        let go_on = go_on.take().unwrap();
        let (task, handle) = task(move || {
            started.send(()).unwrap();
            go_on.recv().unwrap_err();
            told.send(CancelToken::current().is_cancelled()).unwrap();
            Vec::new()
        });
        thread::spawn(|| task.run());
        handle
    };
    let mut map = Map::new(0..2, submit, 2);
    assert!(map.next().is_some());
    wait_for_start.recv().unwrap();
    drop(map);
    drop(gone);
    assert!(was_told.recv().unwrap());
}

#[test]
fn map_on_a_lone_worker_finishes_in_place() {
    let queue = Queue::new();
    let pool = queue.pool;
    for unordered in [false, true] {
        let mut map = Map::new(0..20, queue.submitter(), 7).chunk_size(2);
        if unordered {
            map = map.unordered();
        }
        let results = pool.enter(|| codes(map));
        assert_eq!(results, (0..20).map(|item| item * 10).collect::<Vec<i64>>());
    }
    assert!(queue.tasks.borrow().iter().all(Task::is_stale));
}

#[test]
fn size_hint_counts_down_to_nothing() {
    let mut map = Map::new(0..10, at_once, 3).chunk_size(4);
    for left in (0..=10).rev() {
        assert_eq!(map.size_hint(), (left, Some(left)));
        assert_eq!(map.next().is_some(), left > 0);
    }
    assert_eq!(map.size_hint(), (0, Some(0)));
    assert!(map.next().is_none(), "fused");
}

#[test]
fn input_that_starts_again_after_its_end_is_not_asked_again() {
    let mut calls = 0;
    let input = std::iter::from_fn(move || {
        calls += 1;
        (calls != 3).then_some(calls)
    });
    let mut map = Map::new(input, at_once, 1);
    assert_eq!(codes(map.by_ref()), [10, 20]);
    assert!(map.next().is_none());
}

#[test]
fn panic_of_the_input_reaches_the_caller_and_the_rest_goes_on() {
    let input = (0..4).inspect(|item| {
        if *item == 2 {
            resume_unwind(Box::new("from the input"));
        }
    });
    let mut map = Map::new(input, at_once, 1);
    assert_eq!(map.next().unwrap().unwrap(), 0);
    assert_eq!(map.next().unwrap().unwrap(), 10);
    assert!(catch_unwind(AssertUnwindSafe(|| map.next())).is_err());
    assert_eq!(codes(map), [30]);
}

#[test]
fn panic_of_the_submission_reaches_the_caller_and_the_rest_goes_on() {
    let submit = |items: Vec<u32>| {
        if items == [1] {
            resume_unwind(Box::new("from submit"));
        }
        at_once(items)
    };
    let mut map = Map::new(0..3, submit, 1);
    assert_eq!(map.next().unwrap().unwrap(), 0);
    assert!(catch_unwind(AssertUnwindSafe(|| map.next())).is_err());
    assert_eq!(codes(map), [20]);
}

#[test]
fn deadline_before_the_first_next_submits_nothing_and_yields_one_error() {
    for unordered in [false, true] {
        let queue = Queue::new();
        let mut map = Map::new(0.., queue.submitter(), 4).timeout(Duration::ZERO);
        if unordered {
            map = map.unordered();
        }
        assert_eq!(codes(map.by_ref()), [-3]);
        assert_eq!(queue.submitted().len(), 0);
        assert!(map.next().is_none());
        assert_eq!(map.size_hint(), (0, Some(0)));
    }
}

#[test]
fn deadline_that_no_clock_can_say_is_none() {
    let map = Map::new(0..3, at_once, 2).timeout(Duration::MAX);
    assert_eq!(codes(map), [0, 10, 20]);
}

/// A map whose deadline passes while it submits its last task: the limit is doubled until the machine was
/// fast enough for the first `next` to begin in time.
fn map_that_expires_while_it_submits<F: FutureResult<Value = Results>>(
    items: u32,
    buffer_size: usize,
    unordered: bool,
    mut submit: impl FnMut(Vec<u32>) -> F,
) -> Vec<i64> {
    let mut limit = Duration::from_millis(20);
    loop {
        let submitted = Cell::new(0);
        let deadline = Cell::new(None);
        let submit_late = |chunk: Vec<u32>| {
            submitted.set(submitted.get() + 1);
            if submitted.get() == buffer_size {
                // What is waited for here is the deadline itself.
                let _timed_out = block_until(deadline.get(), |_| std::task::Poll::<()>::Pending);
            }
            submit(chunk)
        };
        let mut map = Map::new(0..items, submit_late, buffer_size).timeout(limit);
        if unordered {
            map = map.unordered();
        }
        // A moment later than the map's own, since it is taken afterwards.
        deadline.set(Instant::now().checked_add(limit));
        let results = codes(map);
        if submitted.get() > 0 {
            return results;
        }
        limit *= 2;
    }
}

#[test]
fn deadline_yields_what_is_done_and_cancels_the_rest() {
    for unordered in [false, true] {
        let kept = RefCell::new(Vec::new());
        let submit = |items: Vec<u32>| {
            if items[0].is_multiple_of(2) {
                return at_once(items);
            }
            let (completer, handle) = pair();
            kept.borrow_mut().push(completer);
            handle
        };
        let mut results = map_that_expires_while_it_submits(100, 5, unordered, submit);
        // The last one stands for all that were never submitted.
        assert_eq!(results.pop(), Some(-3));
        if unordered {
            results.sort_unstable();
            assert_eq!(results, [-3, -3, 0, 20, 40]);
        } else {
            assert_eq!(results, [0, -3, 20, -3, 40]);
        }
        assert!(
            kept.borrow()
                .iter()
                .all(|completer| completer.is_cancelled())
        );
    }
}

#[test]
fn deadline_after_the_last_submission_adds_no_error() {
    for unordered in [false, true] {
        let results = map_that_expires_while_it_submits(4, 4, unordered, at_once);
        assert_eq!(
            results,
            [0, 10, 20, 30],
            "every item has its result already"
        );
    }
}

#[test]
fn items_and_results_are_dropped_once_however_it_ends() {
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    for taken in 0..=6 {
        let drops = Arc::new(AtomicUsize::new(0));
        let made = Rc::new(Cell::new(0));
        let input = (0..6).map(|_| {
            made.set(made.get() + 1);
            Counted(drops.clone())
        });
        let mut kept = Vec::new();
        let mut number = 0;
        let submit = |items: Vec<Counted>| {
            number += 1;
            let (task, handle) = task(move || run_chunk(&|item: Counted| item, items));
            if number % 2 == 0 {
                task.run();
            } else {
                // Neither run nor dropped before the map: the map cancels it, or it is lost.
                kept.push(task);
                if taken > 0 {
                    kept.pop().unwrap().run();
                }
            }
            handle
        };
        let mut map = Map::new(input, submit, 2).chunk_size(2);
        for _ in 0..taken {
            assert!(map.next().unwrap().is_ok());
        }
        drop(map);
        drop(kept);
        assert_eq!(drops.load(SeqCst), made.get(), "after {taken} taken");
    }
}
