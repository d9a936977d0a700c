//! Proves that waiting in a green task suspends that task alone.
#![expect(unsafe_code, reason = "the token is a promise")]

use std::rc::Rc;
use std::sync::Arc;

use futures_lite::future::yield_now;
use futures_lite::stream;
use futures_lite_bridge::{BlockOn, block_on, spawn};
use green_tasks::{FutureResult, JoinHandle, Runtime, Stackful, spawn_future, spawn_local};

use crate::common::pool;

#[test]
fn others_on_its_thread_go_on_while_the_main_task_waits_for_a_future_of_a_pool() {
    let pool = pool(1);
    Runtime::new()
        .run(|| {
            let (completer, handle) = future_result::pair();
            let on_the_pool = spawn(&pool, async move { handle.await.unwrap() });
            // Gets a turn only if the wait below lets it.
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
    let pool = Arc::new(pool(1));
    let same = Arc::clone(&pool);
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

/// A runtime whose tasks have stacks.
fn with_stacks() -> Runtime {
    // SAFETY: the tasks here wait for handles and futures, and do nothing on `Stackful::assume`'s list.
    let token = unsafe { Stackful::assume() };
    Runtime::builder().stackful(token).build().unwrap()
}

#[test]
fn in_a_runtime_on_the_only_worker_a_handle_of_its_pool_is_waited_for_and_stood_in_for() {
    let pool = Arc::new(pool(1));
    let same = Arc::clone(&pool);
    let sum = pool.submit(move || {
        let waits = || spawn(&same, async { 3 }).result().unwrap();
        Runtime::new().run(waits).unwrap()
    });
    assert_eq!(sum.result().unwrap(), 3);
}

#[test]
fn two_tasks_wait_on_the_only_worker_and_the_first_to_return_leaves_it_stood_in_for() {
    for by_block_on in [true, false] {
        let pool = Arc::new(pool(1));
        let same = Arc::clone(&pool);
        let (completer, first) = future_result::pair();
        let sum = pool.submit(move || {
            let wait = move |handle: JoinHandle<u32>| match by_block_on {
                true => block_on(handle).unwrap(),
                false => handle.result().unwrap(),
            };
            let main = || {
                let same = Rc::new(same);
                let (begins, queue) = (Rc::clone(&same), same);
                let first =
                    spawn_local(move || wait(spawn(&begins, async { first.await.unwrap() })));
                let second = spawn_local(move || {
                    let (later, handle) = future_result::pair();
                    let second = spawn(&queue, async { handle.await.unwrap() });
                    completer.complete(1).unwrap();
                    let more = Rc::clone(&queue);
                    drop(spawn_local(move || {
                        assert_eq!(first.result().unwrap(), 1);
                        // The first has returned from its wait, and the second is in its own.
                        drop(spawn(&more, async { later.complete(2).unwrap() }));
                    }));
                    wait(second)
                });
                1 + second.result().unwrap()
            };
            with_stacks().run(main).unwrap()
        });
        assert_eq!(sum.result().unwrap(), 3);
    }
}
