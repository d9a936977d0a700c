//! Proves that waiting in a green task suspends that task alone.

use futures_lite::future::yield_now;
use futures_lite::stream;
use futures_lite_bridge::{BlockOn, block_on, spawn};
use green_tasks::{FutureResult, Runtime, spawn_future};

use crate::common::pool;

#[test]
fn others_on_its_thread_go_on_while_the_main_task_waits_for_a_future_of_a_pool() {
    let pool = pool(1);
    Runtime::new()
        .run(|| {
            let (completer, handle) = future_result::pair();
            let on_the_pool = spawn(&pool, async move { handle.await.unwrap() });
            // Only comes to its turn if the wait below lets it.
            let other = spawn_future(async move {
                yield_now().await;
                completer.complete(7).unwrap();
            });
            assert_eq!(block_on(on_the_pool).unwrap(), 7);
            other.result().unwrap();
        })
        .unwrap();
}

#[test]
fn in_a_runtime_on_the_only_worker_of_a_pool_block_on_is_stood_in_for() {
    let pool = std::sync::Arc::new(pool(1));
    let same = std::sync::Arc::clone(&pool);
    let sum = pool.submit(move || {
        Runtime::new()
            .run(|| {
                block_on(spawn(&same, async {
                    yield_now().await;
                    3
                }))
            })
            .unwrap()
    });
    assert_eq!(sum.result().unwrap().unwrap(), 3);
}

#[test]
fn an_async_stream_is_an_iterator_there() {
    let sum = Runtime::new().run(|| BlockOn::new(stream::iter(1..=4)).sum::<u32>());
    assert_eq!(sum.unwrap(), 10);
}
