//! Proves the cancel safety that each item states: what is awaited is dropped at each of its await points
//! in turn, and what a green task waits for is cancelled at each of its turns.

use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use future_result::{FutureResult, JoinHandle, TaskError};
use futures_lite::future::yield_now;
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt, stream};
use futures_lite_bridge::{
    UnblockIter, UnblockReader, UnblockWriter, block_on, completed, map_stream, spawn,
};
use green_tasks::{Runtime, spawn_future};

use crate::common::{Counted, pool};

/// Awaits `future` up to its `points`th await point, and drops it there; `None` if it was not ready before.
pub(crate) async fn up_to<F: Future>(points: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = points;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Calls `run` with 0, 1, 2 and so on, until what it awaits becomes ready.
pub(crate) fn at_each_point(mut run: impl FnMut(usize) -> bool) -> usize {
    (0..10_000).find(|&points| run(points)).unwrap()
}

/// Waits for every job that was queued before.
fn settle(pool: &thread_pool::ThreadPoolExecutor) {
    pool.submit(|| ()).result().unwrap();
}

#[test]
fn a_spawned_future_that_is_cancelled_in_each_of_its_polls_is_dropped_once_and_its_handle_done() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(1);
    for victim in 0..=6 {
        let place = Arc::new(Mutex::new(None::<future_result::Shared<JoinHandle<u32>>>));
        let (go, wait_for_go) = future_result::pair::<()>();
        let same = Arc::clone(&place);
        let counted = Counted::new(&DROPS);
        let handle = spawn(&pool, async move {
            let _counted = counted;
            wait_for_go.await.unwrap();
            for poll in 0..5 {
                if poll == victim {
                    let _ = same.lock().unwrap().as_ref().unwrap().cancel();
                }
                yield_now().await;
            }
            if victim == 5 {
                let _ = same.lock().unwrap().as_ref().unwrap().cancel();
            }
            7
        })
        .shared();
        *place.lock().unwrap() = Some(handle.clone());
        go.complete(()).unwrap();
        match handle.result() {
            Err(TaskError::Cancelled) => assert!(victim < 5),
            Ok(value) => assert!(victim >= 5 && value == 7),
            Err(error) => panic!("{error}"),
        }
        place.lock().unwrap().take();
        assert_eq!(DROPS.load(Ordering::SeqCst), victim + 1);
    }
}

#[test]
fn an_awaited_handle_of_a_future_is_dropped_at_each_point_and_loses_nothing_or_cancels() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(1);
    let mut made = 0;
    let points = at_each_point(|points| {
        made += 2;
        let (mut completers, handles): (Vec<_>, Vec<_>) =
            (0..5).map(|_| future_result::pair::<()>()).unzip();
        let steps = |counted: Counted, handles: Vec<JoinHandle<()>>| async move {
            let _counted = counted;
            for handle in handles {
                handle.await.unwrap();
            }
            7
        };
        let mut kept = spawn(&pool, steps(Counted::new(&DROPS), handles));
        let pending = spawn(&pool, async {
            let _counted = Counted::new(&DROPS);
            std::future::pending::<()>().await;
        });
        settle(&pool);
        let was_ready = block_on(up_to(points, async {
            while !completers.is_empty() {
                yield_now().await;
                completers.pop().unwrap().complete(()).unwrap();
            }
            (&mut kept).await
        }));
        if was_ready.is_none() {
            // What was dropped only borrowed its handle.
            completers
                .into_iter()
                .for_each(|completer| completer.complete(()).unwrap());
            assert_eq!(kept.result().unwrap(), 7);
        }
        let cancels = pending.cancel_on_drop();
        block_on(up_to(points % 2, cancels));
        while DROPS.load(Ordering::SeqCst) < made {
            settle(&pool);
        }
        was_ready.is_some()
    });
    assert!(points >= 5, "{points}");
    assert_eq!(DROPS.load(Ordering::SeqCst), made);
}

/// Gives one byte a call, and counts its drop.
struct Slow {
    left: usize,
    _counted: Counted,
}

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let some = usize::from(self.left > 0).min(buffer.len());
        buffer[..some].fill(7);
        self.left -= some;
        Ok(some)
    }
}

impl Iterator for Slow {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        Some(self.left)
    }
}

#[test]
fn a_reader_is_dropped_with_its_adapter_at_each_point_and_once() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(1);
    let mut made = 0;
    at_each_point(|points| {
        made += 1;
        let slow = Slow {
            left: 20,
            _counted: Counted::new(&DROPS),
        };
        let mut reader = UnblockReader::new(&pool, slow);
        let mut bytes = Vec::new();
        let read = block_on(up_to(points, reader.read_to_end(&mut bytes)));
        drop(reader);
        settle(&pool);
        assert_eq!(DROPS.load(Ordering::SeqCst), made);
        read.is_some_and(|read| read.unwrap() == 20)
    });
}

#[test]
fn an_iterator_and_what_is_ahead_of_its_consumer_are_dropped_at_each_point_and_once() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    static ITEMS: AtomicUsize = AtomicUsize::new(0);
    static PULLED: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(1);
    let mut made = 0;
    at_each_point(|points| {
        made += 1;
        let slow = Slow {
            left: 20,
            _counted: Counted::new(&DROPS),
        };
        let items = slow.inspect(|_| {
            PULLED.fetch_add(1, Ordering::SeqCst);
        });
        let mut items = UnblockIter::with_capacity(3, &pool, items.map(|_| Counted::new(&ITEMS)));
        let count = block_on(up_to(points, async {
            let mut count = 0;
            while let Some(item) = items.next().await {
                drop(item.unwrap());
                count += 1;
            }
            count
        }));
        drop(items);
        settle(&pool);
        assert_eq!(DROPS.load(Ordering::SeqCst), made);
        assert_eq!(ITEMS.load(Ordering::SeqCst), PULLED.load(Ordering::SeqCst));
        count == Some(20)
    });
}

/// What was written, flushed and dropped.
#[derive(Default)]
struct Log {
    bytes: Vec<u8>,
    flushed: usize,
    drops: usize,
}

struct Logged(Arc<Mutex<Log>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().bytes.extend_from_slice(&bytes[..1]);
        Ok(1)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut log = self.0.lock().unwrap();
        log.flushed = log.bytes.len();
        Ok(())
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        self.0.lock().unwrap().drops += 1;
    }
}

#[test]
fn a_close_that_is_dropped_at_each_point_is_taken_up_by_the_next_which_closes_once() {
    let pool = pool(1);
    at_each_point(|points| {
        let log = Arc::new(Mutex::new(Log::default()));
        let mut writer = UnblockWriter::with_capacity(4, &pool, Logged(Arc::clone(&log)));
        block_on(writer.write_all(b"twelve bytes")).unwrap();
        let closed = block_on(up_to(points, writer.close()));
        if closed.is_none() {
            block_on(writer.close()).unwrap();
        }
        {
            let log = log.lock().unwrap();
            assert_eq!(
                (&log.bytes[..], log.flushed, log.drops),
                (&b"twelve bytes"[..], 12, 1)
            );
        }
        block_on(writer.close()).unwrap();
        assert!(block_on(writer.write_all(b"more")).is_err());
        closed.is_some()
    });
}

#[test]
fn a_writer_that_is_dropped_in_a_flush_at_each_point_is_dropped_once_and_wrote_a_beginning() {
    let pool = pool(1);
    at_each_point(|points| {
        let log = Arc::new(Mutex::new(Log::default()));
        let mut writer = UnblockWriter::with_capacity(4, &pool, Logged(Arc::clone(&log)));
        let flushed = block_on(up_to(points, async {
            writer.write_all(b"twelve bytes").await?;
            writer.flush().await
        }));
        drop(writer);
        settle(&pool);
        let log = log.lock().unwrap();
        assert_eq!(log.drops, 1);
        assert!(b"twelve bytes".starts_with(&log.bytes));
        assert!(flushed.is_none() || log.flushed == 12);
        flushed.is_some()
    });
}

#[test]
fn completed_is_dropped_at_each_point_and_what_it_has_not_yielded_goes_on() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(1);
    let mut made = 0;
    at_each_point(|points| {
        made += 5;
        let steps = |_| {
            spawn(&pool, async {
                yield_now().await;
                ENDED.fetch_add(1, Ordering::SeqCst);
            })
        };
        let mut set = completed((0..5).map(steps));
        let all = block_on(up_to(points, async {
            while let Some((_, ended)) = set.next().await {
                ended.unwrap();
            }
        }));
        drop(set);
        while ENDED.load(Ordering::SeqCst) < made {
            settle(&pool);
        }
        assert_eq!(ENDED.load(Ordering::SeqCst), made);
        all.is_some()
    });
}

#[test]
fn a_mapped_stream_is_dropped_at_each_point_and_each_item_once() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(2);
    for is_ordered in [true, false] {
        at_each_point(|points| {
            let made = AtomicUsize::new(0);
            let before = DROPS.load(Ordering::SeqCst);
            let input = stream::iter(0..10).then(|_| async {
                yield_now().await;
                made.fetch_add(1, Ordering::SeqCst);
                Counted::new(&DROPS)
            });
            let mut mapped = map_stream(&pool, Box::pin(input), |item| item).buffer_size(3);
            if !is_ordered {
                mapped = mapped.unordered();
            }
            let all = block_on(up_to(points, async {
                while let Some(item) = mapped.next().await {
                    drop(item.unwrap());
                }
            }));
            drop(mapped);
            while DROPS.load(Ordering::SeqCst) < before + made.load(Ordering::SeqCst) {
                settle(&pool);
            }
            assert_eq!(
                DROPS.load(Ordering::SeqCst),
                before + made.load(Ordering::SeqCst)
            );
            all.is_some()
        });
    }
}

#[test]
fn a_future_of_a_green_runtime_that_is_cancelled_at_each_turn_cancels_what_it_awaits() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(1);
    let mut made = 0;
    Runtime::new()
        .run(|| {
            at_each_point(|turns| {
                made += 1;
                let (completer, by_hand) = future_result::pair();
                let counted = Counted::new(&DROPS);
                let on_the_pool = spawn(&pool, async move {
                    let _counted = counted;
                    by_hand.await.unwrap();
                });
                let on_the_pool = on_the_pool.cancel_on_drop();
                let task = spawn_future(async move {
                    for _ in 0..5 {
                        yield_now().await;
                    }
                    on_the_pool.await
                });
                for turn in 0..turns {
                    if turn == 8 {
                        completer.complete(()).unwrap();
                        settle(&pool);
                        let _ = task.result();
                        return true;
                    }
                    green_tasks::yield_now();
                }
                let _ = task.cancel();
                assert!(matches!(task.result(), Err(TaskError::Cancelled)));
                while DROPS.load(Ordering::SeqCst) < made {
                    settle(&pool);
                }
                drop(completer);
                false
            });
        })
        .unwrap();
    assert_eq!(DROPS.load(Ordering::SeqCst), made);
}
