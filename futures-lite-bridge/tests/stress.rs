//! Many futures are woken, cancelled and left waiting from several threads: each ends once, and is dropped once.
//! Readers, writers and iterators on a pool lose and reorder nothing. For the sanitizers: `./check.sh asan tsan`.
//!
//! `STRESS_TASKS` says how many; 100,000 unless set.
#![expect(
    clippy::disallowed_types,
    clippy::expect_used,
    reason = "the counters are not under test, and a failed expectation is a failed test"
)]

use std::future::{pending, poll_fn};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;

use future_result::pair;
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use futures_lite_bridge::{UnblockIter, UnblockReader, UnblockWriter, block_on, spawn};
use thread_pool::{FutureResult, TaskError, ThreadPoolExecutor};

fn main() {
    let tasks = std::env::var("STRESS_TASKS");
    let tasks: usize = tasks.map_or(100_000, |text| {
        text.parse().expect("STRESS_TASKS must be a number")
    });
    woken_and_cancelled_at_once(tasks / 2);
    pools_end_with_futures_that_wait(tasks / 1000);
    bytes_go_through_readers_and_writers(tasks / 10);
    println!("stress: {tasks} futures, each to its end once");
}

/// Counts its drop.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Each wakes itself once and waits for another thread, while a third may cancel it.
fn woken_and_cancelled_at_once(tasks: usize) {
    let pool = ThreadPoolExecutor::new(2).expect("threads can be started");
    let gone = Arc::new(AtomicUsize::new(0));
    let (mut completers, mut handles) = (Vec::new(), Vec::new());
    for _ in 0..tasks {
        let (completer, awaited) = pair();
        let guard = Guard(Arc::clone(&gone));
        completers.push(completer);
        handles.push(spawn(&pool, async move {
            let _guard = guard;
            let mut has_yielded = false;
            poll_fn(|context| {
                if std::mem::replace(&mut has_yielded, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            awaited.await
        }));
    }
    let completing = thread::spawn(move || {
        for (n, completer) in completers.into_iter().enumerate() {
            // Fails if the future is gone.
            let _ = completer.complete(n);
        }
    });
    let mut cancelled = 0;
    for (n, handle) in handles.into_iter().enumerate() {
        if n % 3 == 0 {
            let _ = handle.cancel();
        }
        match handle.result() {
            Ok(value) => assert_eq!(value.expect("it was completed"), n),
            Err(TaskError::Cancelled) => cancelled += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(cancelled <= tasks.div_ceil(3));
    completing.join().expect("it did not panic");
    pool.shutdown().expect("not a worker");
    assert_eq!(gone.load(Ordering::Relaxed), tasks);
}

/// Pools are shut down while other threads still spawn and wake.
fn pools_end_with_futures_that_wait(pools: usize) {
    for n in 0..pools {
        let pool = Arc::new(ThreadPoolExecutor::new(2).expect("threads can be started"));
        let gone = Arc::new(AtomicUsize::new(0));
        let (same, counter) = (Arc::clone(&pool), Arc::clone(&gone));
        let (completer, awaited) = pair::<()>();
        let guard = Guard(Arc::clone(&gone));
        let waiting = spawn(&pool, async move {
            let _guard = guard;
            let _ = awaited.await;
            pending::<()>().await;
        });
        let spawning = thread::spawn(move || {
            let handles: Vec<_> = (0..20)
                .map(|_| {
                    let guard = Guard(Arc::clone(&counter));
                    spawn(&same, async move {
                        let _guard = guard;
                        pending::<()>().await;
                    })
                })
                .collect();
            let _ = completer.complete(());
            handles
        });
        let ended = if n % 2 == 0 {
            pool.shutdown()
        } else {
            pool.shutdown_now()
        };
        ended.expect("not a worker");
        let handles = spawning.join().expect("it did not panic");
        for handle in handles.into_iter().chain([waiting]) {
            let error = handle.result().expect_err("it never ends by itself");
            assert!(matches!(
                error,
                TaskError::Cancelled | TaskError::Rejected(_)
            ));
        }
        assert_eq!(gone.load(Ordering::Relaxed), 21);
    }
}

/// Counts upwards, a byte each; now and then a read is short.
struct Counting {
    next: usize,
    end: usize,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = if self.next.is_multiple_of(5) {
            3
        } else {
            usize::MAX
        };
        let bytes = buffer.len().min(wanted).min(self.end - self.next);
        for byte in &mut buffer[..bytes] {
            *byte = self.next as u8;
            self.next += 1;
        }
        Ok(bytes)
    }
}

/// Expects those bytes.
struct Expecting(Counting);

impl Write for Expecting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut expected = vec![0; bytes.len()];
        let taken = self.0.read(&mut expected)?;
        assert_eq!(&bytes[..taken], &expected[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A reader, a writer and an iterator for each capacity, all small, so that there are many hand-overs.
fn bytes_go_through_readers_and_writers(bytes: usize) {
    let pool = ThreadPoolExecutor::new(2).expect("threads can be started");
    thread::scope(|scope| {
        for capacity in [1, 7, 100] {
            let pool = &pool;
            scope.spawn(move || {
                let all = || Counting {
                    next: 0,
                    end: bytes,
                };
                block_on(async {
                    let mut reader = UnblockReader::with_capacity(capacity, pool, all());
                    let expecting = Expecting(all());
                    let mut writer = UnblockWriter::with_capacity(capacity + 1, pool, expecting);
                    let mut buffer = [0; 10];
                    loop {
                        let read = reader.read(&mut buffer).await.expect("it does not fail");
                        if read == 0 {
                            break;
                        }
                        let written = writer.write_all(&buffer[..read]).await;
                        written.expect("all is as expected");
                    }
                    writer.close().await.expect("all is as expected");
                    let mut items = UnblockIter::with_capacity(capacity, pool, 0..bytes);
                    for n in 0..bytes {
                        let item = items.next().await.expect("it has not ended");
                        assert_eq!(item.expect("it does not panic"), n);
                    }
                });
            });
        }
    });
    pool.shutdown().expect("not a worker");
}
