//! Proves the order, the back-pressure and the cancel safety of the streams.
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll};

use future_result::pair;
use futures_lite::future::{poll_once, yield_now};
use futures_lite::{Stream, StreamExt, stream};
use futures_lite_bridge::{block_on, completed, map_stream, spawn};
use process_pool::ProcessPoolExecutor;
use thread_pool::{FutureResult, TaskError};

use crate::common::{Counted, Gate, pool};

#[test]
fn completed_gives_handles_of_all_pools_in_the_order_of_their_completion() {
    let pool = pool(1);
    let processes = ProcessPoolExecutor::new(1).unwrap();
    let (completer, by_hand) = pair();
    let mut set = completed([
        by_hand,
        processes.submit(|n: u32| n + 1, 1),
        spawn(&pool, async { 3 }),
    ]);
    block_on(async {
        let mut first = [set.next().await.unwrap().0, set.next().await.unwrap().0];
        first.sort_unstable();
        assert_eq!(first, [1, 2]);
        assert!(poll_once(set.next()).await.is_none());
        completer.complete(1).unwrap();
        assert!(matches!(set.next().await, Some((0, Ok(1)))));
        assert!(set.next().await.is_none());
    });
}

#[test]
fn calls_of_processes_are_awaited_as_those_of_threads() {
    let processes = ProcessPoolExecutor::new(1).unwrap();
    let sum = block_on(async {
        processes.submit(|n: u32| n + 1, 1).await.unwrap()
            + processes.submit(|n: u32| n * 2, 2).await.unwrap()
    });
    assert_eq!(sum, 6);
}

#[test]
fn buffered_of_futures_util_serves_any_handles() {
    let pool = pool(2);
    let handles = stream::iter(["one", "three"]).map(|word| pool.submit(move || word.len()));
    let lengths = futures_util::StreamExt::buffered(handles, 2);
    let lengths: Vec<_> = block_on(lengths.collect());
    let lengths: Result<Vec<_>, _> = lengths.into_iter().collect();
    assert_eq!(lengths.unwrap(), [3, 5]);
}

#[test]
fn results_come_in_the_order_of_the_input_though_the_first_takes_longest() {
    let pool = pool(2);
    let gate = Gate::new();
    let open = gate.clone();
    let mapped = map_stream(&pool, stream::iter(0..10), move |n| {
        match n {
            0 => gate.wait(),
            9 => open.open(),
            _ => {}
        }
        n
    });
    let mapped: Vec<u32> = block_on(mapped.try_collect()).unwrap();
    assert!(mapped.into_iter().eq(0..10));
}

#[test]
fn unordered_what_is_ready_comes_first() {
    let pool = pool(2);
    let gate = Gate::new();
    let open = gate.clone();
    let mut mapped = map_stream(&pool, stream::iter(0..10), move |n| {
        if n == 0 {
            gate.wait();
        }
        n
    })
    .unordered();
    block_on(async {
        let mut nine = Vec::new();
        for _ in 0..9 {
            nine.push(mapped.next().await.unwrap().unwrap());
        }
        nine.sort_unstable();
        assert!(nine.into_iter().eq(1..10));
        open.open();
        assert_eq!(mapped.next().await.unwrap().unwrap(), 0);
        assert!(mapped.next().await.is_none());
    });
}

#[test]
fn a_panic_stays_with_its_item() {
    let pool = pool(1);
    let mapped = map_stream(&pool, stream::iter(0..3), |n| {
        assert!(n != 1, "no luck");
        n
    });
    let mapped: Vec<_> = block_on(mapped.collect());
    assert!(matches!(
        mapped[..],
        [Ok(0), Err(TaskError::Panicked(_)), Ok(2)]
    ));
}

/// A stream that must not be polled after its end, and counts what was pulled.
struct Strict {
    left: u32,
    pulled: Arc<AtomicUsize>,
    yields: bool,
}

impl Stream for Strict {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<u32>> {
        self.yields = !self.yields;
        if self.yields {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.left = self.left.checked_sub(1).expect("polled after its end");
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.pulled.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Some(self.left))
    }
}

#[test]
fn the_input_is_pulled_only_so_far_ahead_and_not_after_its_end() {
    let pool = pool(1);
    let pulled = Arc::new(AtomicUsize::new(0));
    let input = Strict {
        left: 21,
        pulled: Arc::clone(&pulled),
        yields: false,
    };
    let mut mapped = map_stream(&pool, input, |n| n).buffer_size(3);
    block_on(async {
        for taken in 1..=20 {
            assert!(mapped.next().await.unwrap().is_ok());
            assert!(pulled.load(Ordering::SeqCst) <= taken + 2);
        }
        assert!(mapped.next().await.is_none());
        assert!(mapped.next().await.is_none());
    });
}

#[test]
fn dropping_a_future_of_the_next_item_at_any_point_loses_nothing() {
    let pool = pool(2);
    for is_ordered in [true, false] {
        let pulled = Arc::new(AtomicUsize::new(0));
        let input = Strict {
            left: 101,
            pulled,
            yields: false,
        };
        let mut mapped = map_stream(&pool, input, |n| n).buffer_size(2);
        if !is_ordered {
            mapped = mapped.unordered();
        }
        let mut sum = 0;
        block_on(async {
            loop {
                match poll_once(mapped.next()).await {
                    Some(Some(n)) => sum += n.unwrap(),
                    Some(None) => break,
                    None => yield_now().await,
                }
            }
        });
        assert_eq!(sum, 5050);
    }
}

#[test]
fn dropping_the_stream_cancels_what_has_not_started_and_drops_its_items() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(1);
    let (both, same) = {
        let both = Arc::new(Barrier::new(2));
        (Arc::clone(&both), both)
    };
    let items = stream::iter((0..10).map(|_| Counted::new(&DROPS)));
    let mut mapped = map_stream(&pool, items, move |_counted| {
        if RUNS.fetch_add(1, Ordering::SeqCst) == 0 {
            both.wait();
            both.wait();
        }
    });
    assert!(block_on(poll_once(mapped.next())).is_none());
    same.wait();
    drop(mapped);
    let dropped = DROPS.load(Ordering::SeqCst);
    same.wait();
    pool.shutdown().unwrap();
    // 8 were pulled for the worker, which had begun one.
    assert_eq!((dropped, DROPS.load(Ordering::SeqCst)), (7, 8));
    assert_eq!(RUNS.load(Ordering::SeqCst), 1);
}

#[test]
fn a_stream_that_waits_for_its_input_and_its_tasks_is_woken_by_either() {
    let pool = pool(1);
    let (completer, handle) = pair::<u32>();
    let mut handle = Some(handle);
    let input = stream::poll_fn(move |context| {
        let Some(waits) = &mut handle else {
            return Poll::Ready(None);
        };
        match Pin::new(waits).poll(context) {
            Poll::Ready(item) => {
                handle = None;
                Poll::Ready(item.ok())
            }
            Poll::Pending => Poll::Pending,
        }
    });
    let mut mapped = map_stream(&pool, input, |n| n + 1);
    let (waits, is_waiting) = channel();
    let waiter = std::thread::spawn(move || {
        block_on(poll_fn(|context| {
            let polled = Pin::new(&mut mapped).poll_next(context);
            let _ = waits.send(());
            polled
        }))
    });
    is_waiting.recv().unwrap();
    completer.complete(6).unwrap();
    assert_eq!(waiter.join().unwrap().unwrap().unwrap(), 7);
    let _ = pool.submit(|| ()).result();
}
