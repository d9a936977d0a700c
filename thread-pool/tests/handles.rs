//! Proves that the pool's handles are futures, can be waited for in sets, and tell their callbacks.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support;

use std::collections::HashSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_lite::{StreamExt, future};
use thread_pool::{
    BoxedResult, Cancel, CompletionSet, FutureResult, JoinHandle, Status, TaskError,
    ThreadPoolExecutor, When, as_completed, wait,
};

use self::support::occupy;

/// Sends its name when woken.
struct Tell(Mutex<Sender<&'static str>>, &'static str);

impl Wake for Tell {
    fn wake(self: Arc<Self>) {
        self.0.lock().unwrap().send(self.1).unwrap();
    }
}

#[test]
fn a_pool_and_its_handles_can_be_used_where_panics_are_caught() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let handle = pool.submit(|| 6 * 7);
    // Without `AssertUnwindSafe`.
    let caught = catch_unwind(|| {
        (
            handle.result().unwrap(),
            pool.submit(|| 1).result().unwrap(),
        )
    });
    assert_eq!(caught.unwrap(), (42, 1));
}

#[test]
fn a_handle_is_awaited_like_any_future() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let value = future::block_on(async {
        let one = pool.submit(|| 1);
        let two = pool.submit(|| 2);
        let (one, two) = future::zip(one, two).await;
        one.unwrap() + two.unwrap()
    });
    assert_eq!(value, 3);
    let error = future::block_on(pool.submit(|| panic!("awaited"))).map(|()| 0);
    assert!(matches!(error, Err(TaskError::Panicked(_))));
}

#[test]
fn ten_thousand_handles_are_awaited_one_by_one() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    future::block_on(async {
        for n in 0..10_000 {
            assert_eq!(pool.submit(move || n).await.unwrap(), n);
        }
    });
}

#[test]
fn the_latest_waker_alone_is_woken_and_once() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let mut handle = pool.submit(|| 5);
    let (sender, woken) = channel();
    let wakers = ["first", "second"].map(|name| {
        let tell = Tell(Mutex::new(sender.clone()), name);
        Waker::from(Arc::new(tell))
    });
    for waker in &wakers {
        let mut context = Context::from_waker(waker);
        assert!(Pin::new(&mut handle).poll(&mut context).is_pending());
    }
    drop(gate);
    assert_eq!(woken.recv().unwrap(), "second");
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(result) = Pin::new(&mut handle).poll(&mut context) else {
        unreachable!("woken, yet not ready")
    };
    assert_eq!(result.unwrap(), 5);
    pool.shutdown().unwrap();
    assert!(woken.try_recv().is_err());
}

#[test]
fn a_dropped_await_of_a_borrowed_handle_loses_nothing() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let mut handle = pool.submit(|| "still ours");
    assert!(future::block_on(future::poll_once(&mut handle)).is_none());
    drop(gate);
    assert_eq!(future::block_on(&mut handle).unwrap(), "still ours");
    assert_eq!(handle.status(), Status::Taken);
    assert_eq!(handle.cancel(), Cancel::TooLate);
    let again = catch_unwind(AssertUnwindSafe(|| future::block_on(&mut handle)));
    assert!(again.is_err(), "polled after it was ready");
}

#[test]
fn a_handle_that_was_polled_can_be_waited_for_by_a_thread() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let mut handle = pool.submit(|| 1);
    assert!(future::block_on(future::poll_once(&mut handle)).is_none());
    let waiter = thread::spawn(move || handle.result());
    drop(gate);
    assert_eq!(waiter.join().unwrap().unwrap(), 1);
}

#[test]
fn a_completion_set_is_a_stream() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let mut set = CompletionSet::new();
    for n in 0..1000 {
        set.insert(n, pool.submit(move || 2 * n));
    }
    let seen = future::block_on(async {
        let mut seen = HashSet::new();
        while let Some((n, result)) = set.next().await {
            assert_eq!(result.unwrap(), 2 * n);
            assert!(seen.insert(n));
        }
        seen
    });
    assert_eq!(seen.len(), 1000);
    assert!(set.is_empty());
}

#[test]
fn async_code_on_other_threads_awaits_while_workers_complete() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    thread::scope(|scope| {
        for thread in 0..3 {
            let pool = &pool;
            scope.spawn(move || {
                future::block_on(async {
                    for n in 0..1000 {
                        let pair = (pool.submit(move || n), pool.submit(move || thread));
                        assert_eq!(pair.0.await.unwrap(), n);
                        assert_eq!(pair.1.await.unwrap(), thread);
                    }
                });
            });
        }
    });
}

#[test]
fn as_completed_yields_what_is_done_first_and_each_once() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let done: Vec<_> = (0..3)
        .map(|n| {
            let mut handle = pool.submit(move || n);
            handle.wait();
            handle
        })
        .collect();
    let gate = occupy(&pool);
    let late = pool.submit(|| 9);
    let mut completed = as_completed(std::iter::once(late).chain(done));
    assert_eq!(completed.size_hint(), (4, Some(4)));
    for expected in 1..=3 {
        let (index, result) = completed.next().unwrap();
        assert_eq!((index, result.unwrap()), (expected, expected - 1));
    }
    drop(gate);
    let (index, result) = completed.next().unwrap();
    assert_eq!((index, result.unwrap()), (0, 9));
    assert!(completed.next().is_none());
    assert!(completed.next().is_none());
}

#[test]
fn as_completed_takes_handles_of_several_pools_and_kinds() {
    let pools = [1, 2].map(|workers| ThreadPoolExecutor::new(workers).unwrap());
    let handles: Vec<BoxedResult<'_, usize>> = (0..100)
        .map(|n| {
            let handle = pools[n % 2].submit(move || n);
            match n % 3 {
                0 => handle.boxed(),
                1 => handle.shared().boxed(),
                _ => handle.cancel_on_drop().boxed(),
            }
        })
        .collect();
    let mut seen: Vec<_> = as_completed(handles)
        .map(|(index, result)| {
            assert_eq!(result.unwrap(), index);
            index
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
}

#[test]
fn as_completed_ends_when_its_time_is_up_and_gives_back_the_rest() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let mut done = pool.submit(|| 1);
    done.wait();
    let gate = occupy(&pool);
    let mut completed = as_completed([pool.submit(|| 0), done]).timeout(Duration::ZERO);
    let (index, result) = completed.next().unwrap();
    assert_eq!((index, result.unwrap()), (1, 1));
    assert!(completed.next().is_none());
    assert_eq!(completed.pending(), 1);
    drop(gate);
    let rest: Vec<_> = completed.into_pending().collect();
    for (index, handle) in rest {
        assert_eq!((index, handle.result().unwrap()), (0, 0));
    }
}

#[test]
fn dropping_as_completed_detaches_and_everything_runs() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let runs = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..10)
        .map(|_| {
            let runs = Arc::clone(&runs);
            pool.submit(move || runs.fetch_add(1, Ordering::Relaxed))
        })
        .collect();
    drop(as_completed(handles));
    drop(gate);
    pool.shutdown().unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 10);
}

#[test]
fn wait_comes_back_at_the_first_completion_and_can_be_called_again() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let gates = [occupy(&pool), occupy(&pool)];
    let (go, wait_for_go) = channel::<()>();
    let mut handles = vec![
        pool.submit(move || wait_for_go.recv().is_err()),
        pool.submit(|| true),
    ];
    let now = wait(&mut handles, When::FirstCompleted, Some(Duration::ZERO));
    assert!(now.timed_out);
    assert_eq!(now.pending, [0, 1]);
    drop(gates);
    let first = wait(&mut handles, When::FirstCompleted, None);
    assert_eq!((first.done, first.pending), (vec![1], vec![0]));
    drop(go);
    let mut all = wait(&mut handles, When::All, Some(Duration::MAX));
    all.done.sort_unstable();
    assert_eq!((all.done, all.timed_out), (vec![0, 1], false));
    assert!(handles.into_iter().all(|handle| handle.result().unwrap()));
}

#[test]
fn wait_for_the_first_error_leaves_the_others_running() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let (go, wait_for_go) = channel::<()>();
    let mut handles = vec![
        pool.submit(move || wait_for_go.recv().is_err()),
        pool.submit(|| panic!("first error")),
    ];
    let waited = wait(&mut handles, When::FirstError, None);
    assert_eq!((waited.done, waited.pending), (vec![1], vec![0]));
    drop(go);
    let mut fine = [pool.submit(|| 1), pool.submit(|| 2)];
    let waited = wait(&mut fine, When::FirstError, None);
    assert_eq!(waited.done.len(), 2, "without an error, all");
}

#[test]
fn wait_for_nothing_comes_back() {
    for when in [When::All, When::FirstCompleted, When::FirstError] {
        let waited = wait(&mut [] as &mut [JoinHandle<()>], when, None);
        assert!(waited.done.is_empty() && waited.pending.is_empty() && !waited.timed_out);
    }
}

#[test]
fn on_done_runs_on_the_worker_before_the_waiter_can_take_the_value() {
    let builder = ThreadPoolExecutor::builder().workers(1).name("w");
    let pool = builder.build().unwrap();
    for _ in 0..200 {
        let gate = occupy(&pool);
        let seen = Arc::new(Mutex::new(None));
        let mut handle = pool.submit(|| 7);
        let sees = Arc::clone(&seen);
        handle.on_done(move |result| {
            let name = thread::current().name().map(str::to_owned);
            *sees.lock().unwrap() = Some((result.copied().unwrap(), name.unwrap()));
        });
        drop(gate);
        assert_eq!(handle.result().unwrap(), 7);
        let seen = seen.lock().unwrap().take();
        assert_eq!(seen, Some((7, "w-0".to_owned())));
    }
}

#[test]
fn on_done_runs_though_the_handle_was_dropped() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let (sender, receiver) = channel();
    let mut handle = pool.submit(|| 7);
    handle.on_done(move |result| sender.send(*result.unwrap()).unwrap());
    drop(handle);
    drop(gate);
    assert_eq!(receiver.recv().unwrap(), 7);
}

#[test]
fn on_done_of_what_is_done_runs_right_here() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let mut handle = pool.submit(|| 7);
    handle.wait();
    let (sender, receiver) = channel();
    handle.on_done(move |result| {
        let here = thread::current().id();
        sender.send((*result.unwrap(), here)).unwrap();
    });
    assert_eq!(receiver.try_recv().unwrap(), (7, thread::current().id()));
    let mut rejected = {
        pool.shutdown().unwrap();
        pool.submit(|| 7)
    };
    let (sender, receiver) = channel();
    rejected.on_done(move |result| sender.send(result.is_err()).unwrap());
    assert!(receiver.try_recv().unwrap());
}

#[test]
fn on_done_added_while_it_completes_runs_exactly_once() {
    let pool = ThreadPoolExecutor::new(2).unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    for round in 0..2000_usize {
        let mut handle = pool.submit(|| ());
        for _ in 0..round % 4 {
            thread::yield_now();
        }
        for _ in 0..2 {
            let calls = Arc::clone(&calls);
            handle.on_done(move |_| {
                calls.fetch_add(1, Ordering::Relaxed);
            });
        }
        if round % 2 == 0 {
            handle.result().unwrap();
        }
    }
    pool.shutdown().unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 4000);
    assert_eq!(Arc::strong_count(&calls), 1);
}

#[test]
fn a_callback_that_drops_its_own_handle_is_fine() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let value = Arc::new(());
    let in_job = Arc::clone(&value);
    let place = Arc::new(Mutex::new(None));
    let mut handle = pool.submit(move || in_job);
    let its_place = Arc::clone(&place);
    handle.on_done(move |result| {
        assert!(result.is_ok());
        drop(its_place.lock().unwrap().take());
    });
    *place.lock().unwrap() = Some(handle);
    drop(gate);
    pool.shutdown().unwrap();
    assert!(place.lock().unwrap().is_none());
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_callback_that_submits_more_work_is_fine() {
    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let (sender, receiver) = channel();
    let its_pool = Arc::clone(&pool);
    let mut handle = pool.submit(|| 1);
    handle.on_done(move |result| {
        let next = *result.unwrap() + 1;
        its_pool
            .execute(move || sender.send(next).unwrap())
            .unwrap();
    });
    assert_eq!(receiver.recv().unwrap(), 2);
    assert_eq!(handle.result().unwrap(), 1);
}

#[test]
fn a_callback_and_a_waiter_on_one_handle_are_both_told() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    let gate = occupy(&pool);
    let mut handle = pool.submit(|| 7);
    // First a waker, then a callback, then another waker.
    assert!(future::block_on(future::poll_once(&mut handle)).is_none());
    let (sender, receiver) = channel();
    let callback = sender.clone();
    handle.on_done(move |_| callback.send("callback").unwrap());
    let waker = Waker::from(Arc::new(Tell(Mutex::new(sender), "waker")));
    let mut context = Context::from_waker(&waker);
    assert!(handle.poll_done(&mut context).is_pending());
    drop(gate);
    assert_eq!(receiver.recv().unwrap(), "callback");
    assert_eq!(receiver.recv().unwrap(), "waker");
    assert_eq!(handle.result().unwrap(), 7);
}

#[test]
fn shared_takers_on_several_threads_each_get_the_value() {
    let pool = ThreadPoolExecutor::new(1).unwrap();
    for _ in 0..100 {
        let gate = occupy(&pool);
        let shared = pool.submit(|| vec![1, 2, 3]).shared();
        let takers = [0; 4].map(|_| {
            let shared = shared.clone();
            thread::spawn(move || shared.result().unwrap())
        });
        drop(gate);
        for taker in takers {
            assert_eq!(taker.join().unwrap(), [1, 2, 3]);
        }
        assert_eq!(shared.status(), Status::Succeeded);
    }
}
