//! Proves how a future on a pool ends before it is ready: cancelled, or with its pool.
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::{Poll, Waker};
use std::thread;

use future_result::{Cancel, pair};
use futures_lite::future::yield_now;
use futures_lite_bridge::spawn;
use thread_pool::{FutureResult, JoinHandle, Rejection, TaskError};

use crate::common::{Counted, Gate, pool};

#[test]
fn cancelled_before_its_first_poll_it_is_never_polled_and_dropped_at_once() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(1);
    let gate = Gate::new();
    let open = gate.clone();
    pool.execute(move || gate.wait()).unwrap();
    let counted = Counted::new(&DROPS);
    let handle = spawn(&pool, async move {
        let _counted = counted;
        unreachable!("it was cancelled")
    });
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
    assert!(matches!(
        handle.result(),
        Err::<(), _>(TaskError::Cancelled)
    ));
    open.open();
    pool.shutdown().unwrap();
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
}

#[test]
fn cancelled_while_it_waits_it_is_dropped_before_its_handle_is_done() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(1);
    let (hand_over, started) = channel();
    let counted = Counted::new(&DROPS);
    let handle = spawn(&pool, async move {
        let _counted = counted;
        hand_over.send(()).unwrap();
        pending::<()>().await;
    });
    started.recv().unwrap();
    // Whether its first poll has ended or not.
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
}

#[test]
fn cancelled_in_the_very_poll_that_makes_it_ready_it_gives_its_value() {
    let pool = pool(1);
    let (hand_over, receiver) = channel::<JoinHandle<u32>>();
    let (cancelled, wait) = channel();
    let handle = spawn(&pool, async move {
        let handle = receiver.recv().unwrap();
        assert_eq!(handle.cancel(), Cancel::Requested);
        cancelled.send(handle).unwrap();
        9
    });
    hand_over.send(handle).unwrap();
    assert_eq!(wait.recv().unwrap().result().unwrap(), 9);
}

#[test]
fn cancelled_when_its_handle_is_dropped_if_asked_for() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(1);
    let (hand_over, started) = channel();
    let (gone, wait_until_gone) = channel::<()>();
    let counted = Counted::new(&DROPS);
    let handle = spawn(&pool, async move {
        let _kept = (counted, gone);
        hand_over.send(()).unwrap();
        pending::<()>().await;
    });
    started.recv().unwrap();
    drop(handle.cancel_on_drop());
    assert!(wait_until_gone.recv().is_err());
    pool.shutdown().unwrap();
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
}

#[test]
fn detached_it_goes_on() {
    let pool = pool(1);
    let (sender, receiver) = channel();
    drop(spawn(&pool, async move {
        yield_now().await;
        sender.send(3).unwrap();
    }));
    assert_eq!(receiver.recv().unwrap(), 3);
}

#[test]
fn what_waits_when_the_pool_has_drained_is_dropped_and_its_handle_done() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(2);
    let handles: Vec<_> = (0..100)
        .map(|_| {
            let counted = Counted::new(&DROPS);
            spawn(&pool, async move {
                let _counted = counted;
                pending::<()>().await;
            })
        })
        .collect();
    pool.shutdown().unwrap();
    assert_eq!(DROPS.load(Ordering::SeqCst), 100);
    for handle in handles {
        assert!(handle.is_done());
        assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    }
}

#[test]
fn what_its_own_pool_wakes_goes_on_while_it_drains() {
    let pool = pool(1);
    let gate = Gate::new();
    let open = gate.clone();
    let (completer, awaited) = pair();
    pool.execute(move || {
        gate.wait();
        completer.complete(1).unwrap();
    })
    .unwrap();
    let handle = spawn(&pool, async move {
        let mut sum = 0;
        for _ in 0..100 {
            sum += 1;
            yield_now().await;
        }
        sum + awaited.await.unwrap()
    });
    assert!(pool.shutdown_timeout(std::time::Duration::ZERO).is_err());
    open.open();
    drop(pool);
    assert_eq!(handle.result().unwrap(), 101);
}

#[test]
fn what_another_thread_wakes_while_the_pool_drains_is_dropped_with_the_pool_and_not_there() {
    let pool = pool(1);
    let gate = Gate::new();
    let open = gate.clone();
    let (hand_over, wakers) = channel();
    let (name, dropped_by) = channel();
    let dropper = SaysWhoDropsIt(name);
    let mut handle = spawn(
        &pool,
        poll_fn(move |context| {
            let _ = &dropper;
            let _ = hand_over.send(context.waker().clone());
            Poll::<()>::Pending
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
    assert!(pool.shutdown_timeout(std::time::Duration::ZERO).is_err());
    waker.wake_by_ref();
    assert!(!handle.wait_timeout(std::time::Duration::ZERO));
    open.open();
    pool.shutdown().unwrap();
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    assert_eq!(dropped_by.recv().unwrap().as_deref(), Some("bridge-0"));
    waker.wake();
}

struct SaysWhoDropsIt(std::sync::mpsc::Sender<Option<String>>);

impl Drop for SaysWhoDropsIt {
    fn drop(&mut self) {
        self.0
            .send(thread::current().name().map(str::to_owned))
            .unwrap();
    }
}

#[test]
fn a_cancelling_shutdown_polls_nothing_more() {
    let pool = pool(1);
    let (hand_over, started) = channel();
    let forever = spawn(&pool, async move {
        hand_over.send(()).unwrap();
        loop {
            yield_now().await;
        }
    });
    started.recv().unwrap();
    pool.shutdown_now().unwrap();
    assert!(matches!(
        forever.result(),
        Err::<(), _>(TaskError::Cancelled)
    ));
}

#[test]
fn a_pool_that_is_shut_down_rejects_and_drops_the_future() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(1);
    drop(spawn(&pool, async {}));
    pool.shutdown().unwrap();
    let counted = Counted::new(&DROPS);
    let handle = spawn(&pool, async move { drop(counted) });
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
    assert!(matches!(
        handle.result(),
        Err(TaskError::Rejected(Rejection::ShutDown))
    ));
}

#[test]
fn the_last_poll_of_a_detached_pool_ends_those_that_wait() {
    let pool = pool(1);
    let handle = spawn(&pool, pending::<()>());
    pool.detach();
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
}

#[test]
fn a_waker_that_is_left_of_a_pool_that_is_gone_wakes_nobody() {
    let pool = pool(1);
    let (hand_over, wakers) = channel();
    let handle = spawn(
        &pool,
        poll_fn(move |context| {
            let _ = hand_over.send(context.waker().clone());
            Poll::<()>::Pending
        }),
    );
    let waker: Waker = wakers.recv().unwrap();
    drop(pool);
    assert!(wakers.recv().is_err());
    waker.wake();
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
}

#[test]
fn a_panicking_destructor_of_one_that_waits_does_not_stop_the_end_of_the_others() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("while the pool ends")
        }
    }
    let pool = pool(1);
    let handles: Vec<_> = (0..10)
        .map(|_| {
            let bad = Bad;
            spawn(&pool, async move {
                let _bad = bad;
                pending::<()>().await;
            })
        })
        .collect();
    pool.shutdown().unwrap();
    for handle in handles {
        assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    }
    assert!(catch_unwind(AssertUnwindSafe(|| ())).is_ok());
}
