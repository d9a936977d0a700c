//! Proves that `block_on` waits as its context waits, even nested in itself.
use std::future::poll_fn;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;

use future_result::pair;
use futures_lite::future::{or, pending, yield_now, zip};
use futures_lite_bridge::{BlockOn, block_on, spawn};
use thread_pool::FutureResult;

use crate::common::{Counted, pool};

#[test]
fn a_plain_thread_sleeps_until_it_is_woken() {
    let (completer, handle) = pair();
    let other = thread::spawn(move || completer.complete(1).unwrap());
    assert_eq!(block_on(handle).unwrap(), 1);
    other.join().unwrap();
}

#[test]
fn what_wakes_itself_is_polled_again() {
    assert_eq!(
        block_on(async {
            for _ in 0..100 {
                yield_now().await;
            }
            7
        }),
        7
    );
}

#[test]
fn nested_in_itself_neither_takes_the_wake_ups_of_the_other() {
    let (outer, wait_for_outer) = pair();
    let (inner, wait_for_inner) = pair();
    let mut wait_for_inner = Some(wait_for_inner);
    let other = thread::spawn(move || {
        outer.complete(1).unwrap();
        inner.complete(2).unwrap();
    });
    let nested = poll_fn(move |_| match wait_for_inner.take() {
        Some(inner) => Poll::Ready(block_on(inner).unwrap()),
        None => Poll::Pending,
    });
    let sum = block_on(async { zip(wait_for_outer, nested).await });
    assert_eq!((sum.0.unwrap(), sum.1), (1, 2));
    other.join().unwrap();
}

#[test]
fn on_the_only_worker_a_spare_one_goes_on_with_the_pool() {
    let pool = Arc::new(pool(1));
    let same = Arc::clone(&pool);
    let sum = pool.submit(move || {
        block_on(async {
            let one = spawn(&same, async {
                yield_now().await;
                1
            });
            let two = same.submit(|| 2);
            one.await.unwrap() + two.await.unwrap()
        })
    });
    assert_eq!(sum.result().unwrap(), 3);
}

#[test]
fn in_a_future_that_the_only_worker_polls_it_ends_too() {
    let pool = Arc::new(pool(1));
    let same = Arc::clone(&pool);
    let five = spawn(&pool, async move {
        let inner = spawn(&same, async {
            yield_now().await;
            5
        });
        block_on(inner).unwrap()
    });
    assert_eq!(five.result().unwrap(), 5);
}

#[test]
fn a_panic_of_the_future_comes_out_and_the_thread_can_wait_again() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let counted = Counted::new(&DROPS);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        block_on(async move {
            let _counted = counted;
            yield_now().await;
            panic!("no luck today");
        })
    }));
    let payload: Box<&str> = panicked.unwrap_err().downcast().unwrap();
    assert_eq!(*payload, "no luck today");
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
    a_plain_thread_sleeps_until_it_is_woken();
}

#[test]
fn combinators_of_futures_lite_take_handles_as_futures() {
    let pool = pool(1);
    let first = block_on(or(async { pool.submit(|| 1).await.unwrap() }, pending()));
    assert_eq!(first, 1);
    let both = block_on(zip(pool.submit(|| 1), spawn(&pool, async { 2 })));
    assert_eq!((both.0.unwrap(), both.1.unwrap()), (1, 2));
}

#[test]
fn async_sockets_are_read_and_written_by_synchronous_code() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 5];
        stream.read_exact(&mut buffer).unwrap();
        stream.write_all(&buffer).unwrap();
    });
    let stream = block_on(async_io::Async::<std::net::TcpStream>::connect(address)).unwrap();
    let mut stream = BlockOn::new(stream);
    stream.write_all(b"hello").unwrap();
    let mut echoed = String::new();
    stream.read_to_string(&mut echoed).unwrap();
    assert_eq!(echoed, "hello");
    server.join().unwrap();
}
