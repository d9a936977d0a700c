//! Proves that blocking iterators are streams for async code.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use futures_lite_bridge::{UnblockIter, block_on};
use thread_pool::{FutureResult, TaskError};

use crate::common::{Counted, pool};

#[test]
fn an_iterator_gives_all_items_in_order_whatever_its_capacity() {
    let pool = pool(1);
    for capacity in [0, 1, 2, 100, 3000] {
        let items = UnblockIter::with_capacity(capacity, &pool, 0..1000);
        let items: Vec<u32> = block_on(items.try_collect()).unwrap();
        assert!(items.into_iter().eq(0..1000));
    }
}

#[test]
fn an_iterator_is_at_most_its_capacity_ahead_and_holds_no_worker_then() {
    let pool = pool(1);
    let pulled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&pulled);
    let numbers = (0_usize..).inspect(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let mut items = UnblockIter::with_capacity(4, &pool, numbers);
    assert_eq!(block_on(items.next()).unwrap().unwrap(), 0);
    // Runs after the job, on the only worker.
    pool.submit(|| ()).result().unwrap();
    let ahead = pulled.load(Ordering::SeqCst);
    assert!((4..=5).contains(&ahead), "{ahead}");
    for n in 1..100 {
        assert_eq!(block_on(items.next()).unwrap().unwrap(), n);
        let taken = n + 1;
        assert!(pulled.load(Ordering::SeqCst) <= taken + 4);
    }
}

#[test]
fn an_item_is_there_before_the_next_is_asked_for() {
    let pool = pool(1);
    let (sender, receiver) = channel();
    sender.send(1).unwrap();
    let mut items = UnblockIter::with_capacity(8, &pool, receiver);
    assert_eq!(block_on(items.next()).unwrap().unwrap(), 1);
    for _ in 0..3 {
        assert!(block_on(poll_once(items.next())).is_none());
    }
    sender.send(2).unwrap();
    assert_eq!(block_on(items.next()).unwrap().unwrap(), 2);
    drop(sender);
    assert!(block_on(items.next()).is_none());
    assert!(block_on(items.next()).is_none());
}

#[test]
fn a_panic_of_an_iterator_comes_after_its_items_and_is_the_last() {
    let pool = pool(1);
    let items = (0..3).inspect(|n| assert!(*n < 2, "no more"));
    let mut items = UnblockIter::with_capacity(8, &pool, items);
    assert_eq!(block_on(items.next()).unwrap().unwrap(), 0);
    assert_eq!(block_on(items.next()).unwrap().unwrap(), 1);
    let last = block_on(items.next()).unwrap();
    assert!(matches!(last, Err(TaskError::Panicked(panic)) if panic.message() == "no more"));
    assert!(block_on(items.next()).is_none());
}

#[test]
fn dropping_a_stream_ends_its_job_and_drops_the_iterator() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(1);
    let counted = Counted::new(&DROPS);
    let endless = std::iter::repeat_with(move || {
        let _ = &counted;
    });
    let mut items = UnblockIter::with_capacity(usize::MAX, &pool, endless);
    assert!(block_on(items.next()).unwrap().is_ok());
    drop(items);
    pool.shutdown().unwrap();
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
}

#[test]
fn an_iterator_without_end_leaves_its_only_worker_to_others_and_goes_on_when_it_is_asked() {
    let pool = pool(1);
    let mut items = UnblockIter::with_capacity(usize::MAX, &pool, 0_u64..);
    for turn in 0..3 {
        assert_eq!(block_on(items.next()).unwrap().unwrap(), turn);
        // Runs after the job, of whose items few were taken.
        pool.submit(|| ()).result().unwrap();
    }
}
