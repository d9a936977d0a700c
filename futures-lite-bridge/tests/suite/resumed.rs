//! Proves that nothing is lost if the future of one step is dropped at any of its await points, and another one
//! takes over: every byte, item and result comes once, in order.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

use futures_lite::future::yield_now;
use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, StreamExt};
use futures_lite_bridge::{
    UnblockIter, UnblockReader, UnblockWriter, block_on, completed, map_stream, spawn,
};

use crate::common::pool;
use crate::points::up_to;

/// Awaits each attempt up to its `points`th await point, where it drops it, until one is ready.
async fn resumed<T>(points: usize, mut attempt: impl AsyncFnMut() -> T) -> T {
    loop {
        if let Some(value) = up_to(points, attempt()).await {
            return value;
        }
        yield_now().await;
    }
}

/// No step that is tested here waits more often.
const POINTS: std::ops::Range<usize> = 0..4;

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8).collect()
}

/// Fills every third buffer in part.
struct Uneven<R>(R, usize);

impl<R: Read> Read for Uneven<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        let len = if self.1.is_multiple_of(3) {
            1
        } else {
            buffer.len()
        };
        self.0.read(&mut buffer[..len])
    }
}

#[test]
fn reads_that_are_dropped_at_each_point_give_every_byte_once() {
    let pool = pool(1);
    for points in POINTS {
        let input = Uneven(io::Cursor::new(text(1000)), 0);
        let mut reader = UnblockReader::with_capacity(4, &pool, input);
        let mut all = Vec::new();
        block_on(async {
            let mut buffer = [0; 3];
            loop {
                match resumed(points, async || reader.read(&mut buffer).await.unwrap()).await {
                    0 => return,
                    bytes => all.extend_from_slice(&buffer[..bytes]),
                }
            }
        });
        assert_eq!(all, text(1000));
    }
}

#[test]
fn fill_buf_that_is_dropped_at_each_point_gives_every_byte_once() {
    let pool = pool(1);
    for points in POINTS {
        let input = Uneven(io::Cursor::new(text(1000)), 0);
        let mut reader = UnblockReader::with_capacity(4, &pool, input);
        let mut all = Vec::new();
        block_on(async {
            loop {
                resumed(points, async || reader.fill_buf().await.map(drop))
                    .await
                    .unwrap();
                let there = reader.fill_buf().await.unwrap();
                let Some(&first) = there.first() else {
                    return;
                };
                all.push(first);
                reader.consume(1);
            }
        });
        assert_eq!(all, text(1000));
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(2)];
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn writes_flushes_and_closes_that_are_dropped_at_each_point_write_every_byte_once() {
    let pool = pool(1);
    for points in POINTS {
        let log = Log::default();
        let mut writer = UnblockWriter::with_capacity(4, &pool, log.clone());
        block_on(async {
            let (text, mut at) = (text(1000), 0);
            while at < text.len() {
                let part = &text[at..text.len().min(at + 3)];
                at += resumed(points, async || writer.write(part).await.unwrap()).await;
                if at.is_multiple_of(7) {
                    resumed(points, async || writer.flush().await.unwrap()).await;
                    assert_eq!(log.0.lock().unwrap().len(), at);
                }
            }
            resumed(points, async || writer.close().await.unwrap()).await;
        });
        assert_eq!(*log.0.lock().unwrap(), text(1000));
    }
}

#[test]
fn items_of_every_stream_come_once_though_each_wait_for_one_is_dropped_at_each_point() {
    let pool = pool(1);
    for points in POINTS {
        block_on(async {
            let mut items = UnblockIter::with_capacity(3, &pool, 0..500);
            for n in 0..500 {
                let item = resumed(points, async || items.next().await).await;
                assert_eq!(item.unwrap().unwrap(), n);
            }
            assert!(resumed(points, async || items.next().await).await.is_none());

            let mut mapped = map_stream(&pool, futures_lite::stream::iter(0..100), |n| n);
            for n in 0..100 {
                let item = resumed(points, async || mapped.next().await).await;
                assert_eq!(item.unwrap().unwrap(), n);
            }
            assert!(
                resumed(points, async || mapped.next().await)
                    .await
                    .is_none()
            );

            let mut set = completed((0..50).map(|n| {
                spawn(&pool, async move {
                    yield_now().await;
                    n
                })
            }));
            let mut seen = Vec::new();
            while let Some((key, n)) = resumed(points, async || set.next().await).await {
                assert_eq!(n.unwrap(), key);
                seen.push(key);
            }
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..50));
        });
    }
}

#[cfg(feature = "tokio")]
#[test]
fn a_future_in_tokio_is_dropped_at_each_point_inside_of_its_runtime() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_lite_bridge::in_tokio;
    use tokio::runtime::{Builder, Handle};

    use crate::points::at_each_point;

    struct Needy<'a>(&'a AtomicUsize);

    impl Drop for Needy<'_> {
        fn drop(&mut self) {
            assert!(Handle::try_current().is_ok());
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let drops = AtomicUsize::new(0);
    let mut made = 0;
    let points = at_each_point(|points| {
        made += 1;
        let needy = Needy(&drops);
        let steps = in_tokio(runtime.handle(), async move {
            let _needy = needy;
            for _ in 0..3 {
                let soon = Duration::from_millis(1);
                let waited = tokio::time::timeout(soon, std::future::pending::<()>()).await;
                assert!(waited.is_err());
                yield_now().await;
            }
        });
        let ended = block_on(up_to(points, steps));
        assert_eq!(drops.load(Ordering::SeqCst), made);
        assert!(Handle::try_current().is_err());
        ended.is_some()
    });
    assert!(points >= 6, "{points}");
}
