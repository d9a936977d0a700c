//! Proves who polls a future on a pool, and when.
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use future_result::{Cancel, CompletionSet, pair};
use futures_lite::future::yield_now;
use futures_lite_bridge::{block_on, spawn};
use thread_pool::{FutureResult, Rejection, TaskError, ThreadPoolExecutor, WhenFull};

use crate::common::{Counted, Gate, pool};

#[test]
fn ready_at_once_gives_its_value() {
    assert_eq!(spawn(&pool(1), async { 7 }).result().unwrap(), 7);
}

#[test]
fn woken_from_another_thread_it_goes_on_where_it_was() {
    let pool = pool(2);
    let (completer, handle) = pair();
    let sum = spawn(&pool, async move { handle.await.unwrap() + 1 });
    thread::spawn(move || completer.complete(41).unwrap());
    assert_eq!(sum.result().unwrap(), 42);
}

#[test]
fn spawned_by_a_spawned_one_and_awaited_it_needs_one_worker_alone() {
    let pool = Arc::new(pool(1));
    let inner = Arc::clone(&pool);
    let sum = spawn(&pool, async move {
        let mut sum = 0;
        for n in 1..=10 {
            sum += spawn(&inner, async move {
                yield_now().await;
                n
            })
            .await
            .unwrap();
        }
        sum
    });
    assert_eq!(sum.result().unwrap(), 55);
}

#[test]
fn awaits_closures_of_its_own_pool_with_one_worker() {
    let pool = Arc::new(pool(1));
    let inner = Arc::clone(&pool);
    let sum = spawn(&pool, async move {
        inner.submit(|| 1).await.unwrap() + inner.submit(|| 2).await.unwrap()
    });
    assert_eq!(sum.result().unwrap(), 3);
}

#[test]
fn awaited_by_a_closure_that_blocks_the_only_worker_it_is_polled_by_another() {
    let pool = Arc::new(pool(1));
    let inner = Arc::clone(&pool);
    let outer = pool.submit(move || {
        spawn(&inner, async {
            yield_now().await;
            5
        })
        .result()
    });
    assert_eq!(outer.result().unwrap().unwrap(), 5);
}

#[test]
fn collected_by_a_closure_that_blocks_the_only_worker_they_are_polled_by_another() {
    let pool = Arc::new(pool(1));
    let inner = Arc::clone(&pool);
    let outer = pool.submit(move || {
        let mut set = CompletionSet::new();
        for n in 0..5 {
            set.insert(
                n,
                spawn(&inner, async move {
                    yield_now().await;
                    n
                }),
            );
        }
        set.into_iter()
            .map(|(_, result)| result.unwrap())
            .sum::<u32>()
    });
    assert_eq!(outer.result().unwrap(), 10);
}

#[test]
fn several_wake_ups_before_its_turn_are_one_poll() {
    let pool = pool(1);
    let (hand_over, wakers) = channel();
    let polls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&polls);
    let gate = Gate::new();
    let open = gate.clone();
    let handle = spawn(
        &pool,
        poll_fn(move |context| {
            let _ = hand_over.send(context.waker().clone());
            match counter.fetch_add(1, Ordering::SeqCst) {
                0 => Poll::Pending,
                _ => Poll::Ready(()),
            }
        }),
    );
    let waker: Waker = wakers.recv().unwrap();
    let (started, wait_for_start) = channel();
    pool.execute(move || {
        started.send(()).unwrap();
        gate.wait();
    })
    .unwrap();
    wait_for_start.recv().unwrap();
    for _ in 0..100 {
        waker.wake_by_ref();
    }
    open.open();
    handle.result().unwrap();
    pool.shutdown().unwrap();
    assert_eq!(polls.load(Ordering::SeqCst), 2);
}

#[test]
fn woken_while_it_is_polled_it_is_polled_again() {
    let pool = pool(2);
    let mut polls = 0;
    let handle = spawn(
        &pool,
        poll_fn(move |context| {
            polls += 1;
            if polls == 100 {
                return Poll::Ready(polls);
            }
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake()).join().unwrap();
            Poll::Pending
        }),
    );
    assert_eq!(handle.result().unwrap(), 100);
}

#[test]
fn who_wakes_itself_goes_to_the_back() {
    let pool = pool(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    let gate = Gate::new();
    let open = gate.clone();
    pool.execute(move || gate.wait()).unwrap();
    let handles: Vec<_> = ["a", "b", "c"]
        .map(|name| {
            let order = Arc::clone(&order);
            spawn(&pool, async move {
                for _ in 0..3 {
                    order.lock().unwrap().push(name);
                    yield_now().await;
                }
            })
        })
        .into();
    open.open();
    for handle in handles {
        handle.result().unwrap();
    }
    let order = order.lock().unwrap();
    // Outside work is taken late, but these do not overtake each other.
    for name in ["a", "b", "c"] {
        assert_eq!(order.iter().filter(|next| **next == name).count(), 3);
    }
    let of = |name| order.iter().rposition(|next| *next == name);
    assert!(of("a") < of("b") && of("b") < of("c"), "{order:?}");
}

#[test]
fn one_that_wakes_itself_for_ever_does_not_shut_others_out() {
    let pool = pool(1);
    let forever = spawn(&pool, async {
        loop {
            yield_now().await;
        }
    });
    assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
    assert_eq!(spawn(&pool, async { 2 }).result().unwrap(), 2);
    let _ = forever.cancel();
    assert!(matches!(
        forever.result(),
        Err::<(), _>(TaskError::Cancelled)
    ));
}

#[test]
fn a_panic_is_a_value_and_the_worker_lives_on() {
    let pool = pool(1);
    let handle = spawn(&pool, async {
        yield_now().await;
        panic!("no luck today")
    });
    match handle.result() {
        Err::<(), _>(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "no luck today"),
        other => panic!("{other:?}"),
    }
    assert_eq!(spawn(&pool, async { 1 }).result().unwrap(), 1);
}

/// Ready at once, and panics when dropped.
struct BadToDrop;

impl Future for BadToDrop {
    type Output = Counted;

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Counted> {
        Poll::Ready(Counted::new(&DROPS_OF_BAD))
    }
}

static DROPS_OF_BAD: AtomicUsize = AtomicUsize::new(0);

impl Drop for BadToDrop {
    fn drop(&mut self) {
        panic!("not in the best of ways")
    }
}

#[test]
fn a_panic_of_its_destructor_is_a_value_and_its_result_is_dropped_once() {
    let pool = pool(1);
    let handle = spawn(&pool, BadToDrop);
    match handle.result() {
        Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "not in the best of ways"),
        other => panic!("{:?}", other.map(|_| ())),
    }
    assert_eq!(DROPS_OF_BAD.load(Ordering::SeqCst), 1);
    pool.shutdown().unwrap();
}

#[test]
fn a_full_queue_that_rejects_says_so_in_the_handle() {
    let pool = ThreadPoolExecutor::builder()
        .workers(1)
        .queue_bound(1)
        .when_full(WhenFull::Reject)
        .build()
        .unwrap();
    let gate = Gate::new();
    let open = gate.clone();
    let (started, wait_for_start) = channel();
    pool.execute(move || {
        started.send(()).unwrap();
        gate.wait();
    })
    .unwrap();
    wait_for_start.recv().unwrap();
    let queued = spawn(&pool, async {
        // Wake-ups are not counted.
        for _ in 0..10 {
            yield_now().await;
        }
        1
    });
    let refused = spawn(&pool, async { 2 });
    assert!(matches!(
        refused.result(),
        Err(TaskError::Rejected(Rejection::Full))
    ));
    open.open();
    assert_eq!(queued.result().unwrap(), 1);
}

#[test]
fn a_full_queue_whose_callers_run_polls_here_first_and_there_later() {
    let pool = ThreadPoolExecutor::builder()
        .workers(1)
        .queue_bound(1)
        .when_full(WhenFull::CallerRuns)
        .build()
        .unwrap();
    let gate = Gate::new();
    let open = gate.clone();
    let (started, wait_for_start) = channel();
    pool.execute(move || {
        started.send(()).unwrap();
        gate.wait();
    })
    .unwrap();
    wait_for_start.recv().unwrap();
    pool.execute(|| ()).unwrap();
    let here = thread::current().id();
    let handle = spawn(&pool, async move {
        assert_eq!(thread::current().id(), here);
        yield_now().await;
        thread::current().id()
    });
    open.open();
    assert_ne!(handle.result().unwrap(), here);
}

#[test]
fn each_of_many_pools_is_found_by_who_wakes_from_outside_whichever_had_its_first_future_earlier() {
    let mut pools: Vec<_> = (0..9).map(|_| pool(1)).collect();
    // The youngest first, then those in between.
    for step in [8, 1, 3] {
        let waiting: Vec<_> = (0..pools.len())
            .rev()
            .step_by(step)
            .map(|n| {
                let (completer, handle) = pair();
                let future = spawn(&pools[n], async move { handle.await.unwrap() });
                // Ends after its first poll.
                pools[n].submit(|| ()).result().unwrap();
                (n, completer, future)
            })
            .collect();
        for (n, completer, future) in waiting {
            let _ = completer.complete(n);
            assert_eq!(future.result().unwrap(), n);
        }
        pools.remove(pools.len() / 2);
    }
}

#[test]
fn of_two_pools_each_wakes_and_cancels_its_own() {
    let pools = [pool(1), pool(1)];
    let (hand_over, wakers) = channel();
    let spawned = [0, 1].map(|n| {
        let hand_over = hand_over.clone();
        spawn(&pools[n], async move {
            let mut is_woken = false;
            poll_fn(|context| {
                if std::mem::replace(&mut is_woken, true) {
                    return Poll::Ready(());
                }
                hand_over.send((n, context.waker().clone())).unwrap();
                Poll::Pending
            })
            .await;
            thread::current().id()
        })
    });
    let mut wakers: Vec<(usize, Waker)> = wakers.iter().take(2).collect();
    wakers.sort_by_key(|(n, _)| *n);
    let [first, second] = spawned;
    let workers = [0, 1].map(|n| pools[n].submit(|| thread::current().id()).result().unwrap());
    // Woken, and below cancelled, by the other pool's worker.
    let (_, waker) = wakers.pop().unwrap();
    pools[0].submit(move || waker.wake()).result().unwrap();
    assert_eq!(second.result().unwrap(), workers[1]);
    assert_eq!(
        pools[1].submit(move || first.cancel()).result().unwrap(),
        Cancel::Requested
    );
}

#[test]
fn its_handle_is_awaited_by_async_code_as_by_threads() {
    let pool = pool(1);
    let handle = spawn(&pool, async { "there" });
    assert_eq!(block_on(handle).unwrap(), "there");
}
