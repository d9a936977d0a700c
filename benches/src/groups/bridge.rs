//! Async code and the thread pool: what the bridge costs compared with executors, with `blocking`, and with
//! waiting without it.

use std::hint::black_box;
use std::io::{Read, Write, repeat, sink};
use std::time::Duration;

use blocking::Unblock;
use future_result::{FutureResult, JoinHandle, pair};
use futures_lite::{AsyncReadExt, AsyncWriteExt, Stream, StreamExt, future};
use futures_lite_bridge::{UnblockIter, UnblockReader, UnblockWriter, block_on};
use thread_pool::ThreadPoolExecutor;

use crate::Pin;
use crate::group::{Group, Workload, timed};
use crate::pools::{self, AsyncPool, Blocking, Pool, done, sum};

const FUTURES: u64 = 100_000;
const CALLS: u64 = 2_000;
const ITEMS: u64 = 100_000;
const WAITS: u64 = 100_000;
/// Bytes read or written in a run, and in one call.
const BYTES: u64 = 16 << 20;
const PART: usize = 16 << 10;

/// Futures that are ready at once, all spawned and awaited from outside.
fn spawn<P: AsyncPool>(start: fn() -> P) -> impl Fn() -> Workload {
    move || {
        let pool = start();
        Box::new(move || {
            timed(|| {
                let handles: Vec<_> = (0..FUTURES).map(|n| pool.spawn(async move { n })).collect();
                assert_eq!(pool.block_on(sum::<P>(handles)), (0..FUTURES).sum::<u64>());
            })
        })
    }
}

/// The same futures, each of which yields once.
fn spawn_yielding<P: AsyncPool>(start: fn() -> P) -> impl Fn() -> Workload {
    move || {
        let pool = start();
        Box::new(move || {
            timed(|| {
                let yielding = |n| async move {
                    future::yield_now().await;
                    n
                };
                let handles: Vec<_> = (0..FUTURES).map(|n| pool.spawn(yielding(n))).collect();
                assert_eq!(pool.block_on(sum::<P>(handles)), (0..FUTURES).sum::<u64>());
            })
        })
    }
}

/// Blocking calls, all started and then awaited in order.
async fn many_calls<P: Pool<Handle: Future>>(pool: &P) {
    let handles: Vec<_> = (0..FUTURES).map(|n| pool.submit(move || n)).collect();
    for handle in handles {
        black_box(handle.await);
    }
}

/// Blocking calls, each awaited before the next.
async fn calls<P: Pool<Handle: Future>>(pool: &P) {
    for n in 0..CALLS {
        black_box(pool.submit(move || black_box(n)).await);
    }
}

fn read(reader: impl Fn() -> Box<dyn futures_lite::AsyncRead + Unpin> + 'static) -> Workload {
    Box::new(move || {
        timed(|| {
            let mut reader = reader();
            let mut part = vec![0; PART];
            future::block_on(async {
                for _ in 0..BYTES / PART as u64 {
                    done(reader.read_exact(&mut part).await);
                }
            });
        })
    })
}

fn ours_reads() -> Workload {
    let pool = pools::ours();
    read(move || Box::new(UnblockReader::new(&pool, repeat(7).take(BYTES))))
}

fn blocking_reads() -> Workload {
    read(|| Box::new(Unblock::new(repeat(7).take(BYTES))))
}

fn write(writer: impl Fn() -> Box<dyn futures_lite::AsyncWrite + Unpin> + 'static) -> Workload {
    Box::new(move || {
        timed(|| {
            let mut writer = writer();
            let part = vec![7; PART];
            future::block_on(async {
                for _ in 0..BYTES / PART as u64 {
                    done(writer.write_all(&part).await);
                }
                done(writer.close().await);
            });
        })
    })
}

/// Copies what is written to it, as a file does.
struct Copying(Vec<u8>);

impl Write for Copying {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.clear();
        self.0.extend_from_slice(bytes);
        sink().write(black_box(&self.0))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn ours_writes() -> Workload {
    let pool = pools::ours();
    write(move || Box::new(UnblockWriter::new(&pool, Copying(Vec::new()))))
}

fn blocking_writes() -> Workload {
    write(|| Box::new(Unblock::new(Copying(Vec::new()))))
}

fn iterate<S: Stream<Item: 'static> + Unpin>(
    stream: impl Fn() -> S + 'static,
    value: fn(S::Item) -> u64,
) -> Workload {
    Box::new(move || {
        timed(|| {
            let items = stream().map(value);
            let sum = future::block_on(items.fold(0, u64::wrapping_add));
            assert_eq!(sum, (0..ITEMS).sum::<u64>());
        })
    })
}

/// As many items ahead as `blocking` allows by default.
const AHEAD: usize = 8 << 10;

fn ours_iterates() -> Workload {
    let pool = pools::ours();
    iterate(
        move || UnblockIter::with_capacity(AHEAD, &pool, 0..ITEMS),
        done,
    )
}

fn blocking_iterates() -> Workload {
    iterate(|| Unblock::new(0..ITEMS), |item| item)
}

fn repeat_waits(wait: impl Fn(u64) -> u64 + 'static) -> Workload {
    Box::new(move || {
        timed(|| {
            for n in 0..WAITS {
                black_box(wait(black_box(n)));
            }
        })
    })
}

/// A completed result, waited for with `wait`.
fn await_handle(wait: fn(JoinHandle<u64>) -> u64) -> impl Fn() -> Workload {
    move || {
        repeat_waits(move |n| {
            let (completer, handle) = pair();
            let _ = completer.complete(n);
            wait(handle)
        })
    }
}

fn unblock() -> Vec<Group> {
    // Each side blocks on the async code with its own `block_on`.
    let ours = |code: fn(&ThreadPoolExecutor)| {
        move || -> Workload {
            let pool = pools::ours();
            Box::new(move || timed(|| code(&pool)))
        }
    };
    let blocking =
        |code: fn(&Blocking)| move || -> Workload { Box::new(move || timed(|| code(&Blocking))) };
    let aimed = |name, tasks, runs| {
        Group::new(name, tasks, runs)
            .aim(Pin::Free, 0.7, Some("blocking"))
            .aim(Pin::One, 0.7, Some("blocking"))
    };
    vec![
        aimed("bridge/unblock", FUTURES, 2)
            .about("Blocking calls that do nothing, all started and awaited by one thread.")
            .ours("thread-pool", ours(|pool| block_on(many_calls(pool))))
            .peer("blocking", blocking(|pool| future::block_on(many_calls(pool)))),
        aimed("bridge/unblock_call", CALLS, 10)
            .about("Blocking calls that do nothing, each awaited before the next.")
            .ours("thread-pool", ours(|pool| block_on(calls(pool))))
            .peer("blocking", blocking(|pool| future::block_on(calls(pool)))),
        aimed("bridge/unblock_read", BYTES / PART as u64, 10)
            .about("A blocking reader of 16 MiB, read by async code 16 KiB at a time, its creation included.")
            .ours("futures-lite-bridge", ours_reads)
            .peer("blocking", blocking_reads),
        aimed("bridge/unblock_write", BYTES / PART as u64, 10)
            .about("A blocking writer, to which async code writes 16 MiB, 16 KiB at a time, and which it closes.")
            .ours("futures-lite-bridge", ours_writes)
            .peer("blocking", blocking_writes),
        aimed("bridge/unblock_iter", ITEMS, 10)
            .about("A blocking iterator over 100,000 numbers, as a stream that runs up to 8,192 items ahead.")
            .ours("futures-lite-bridge", ours_iterates)
            .peer("blocking", blocking_iterates),
    ]
}

pub(super) fn groups() -> Vec<Group> {
    let spawned = |name, runs| {
        Group::new(name, FUTURES, runs)
            .aim(Pin::Free, 0.8, Some("async-executor"))
            .aim(Pin::One, 0.8, Some("async-executor"))
            .aim(Pin::Free, 0.7, Some("tokio: spawn"))
            .aim(Pin::One, 0.7, Some("tokio: spawn"))
    };
    let mut groups = vec![
        spawned("bridge/spawn", 2)
            .about("Futures that are ready at once, all spawned and awaited by one thread outside the pool.")
            .ours("futures-lite-bridge", spawn(pools::bridge))
            .peer("async-executor", spawn(pools::async_executor))
            .peer("tokio: spawn", spawn(pools::tokio))
            .peer("futures: ThreadPool", spawn(pools::futures_pool)),
        spawned("bridge/spawn_yielding", 1)
            .about("The same, but each future yields once, so that it is woken and polled again.")
            .ours("futures-lite-bridge", spawn_yielding(pools::bridge))
            .peer("async-executor", spawn_yielding(pools::async_executor))
            .peer("tokio: spawn", spawn_yielding(pools::tokio))
            .peer("futures: ThreadPool", spawn_yielding(pools::futures_pool)),
    ];
    groups.extend(unblock());
    groups.extend([
        Group::new("bridge/block_on", WAITS, 200)
            .about("A future that is ready at once, waited for by synchronous code.")
            .aim(Pin::Free, 1.0, Some("futures-lite"))
            .aim(Pin::One, 1.0, Some("futures-lite"))
            .ours("futures-lite-bridge", || repeat_waits(|n| block_on(async move { black_box(n) })))
            .peer("futures-lite", || repeat_waits(|n| future::block_on(async move { black_box(n) })))
            .peer("futures", || {
                repeat_waits(|n| futures::executor::block_on(async move { black_box(n) }))
            }),
        Group::new("bridge/await", WAITS, 20)
            .about("A result created, completed and waited for by one thread, with the handle's wait and with the bridge's.")
            .aim_beyond(Duration::from_nanos(10), "without: the handle's result")
            .ours("futures-lite-bridge: block_on", await_handle(|handle| done(block_on(handle))))
            .reference("without: the handle's result", await_handle(|handle| done(handle.result())))
            .peer("futures-lite: block_on", await_handle(|handle| done(future::block_on(handle)))),
    ]);
    groups
}
