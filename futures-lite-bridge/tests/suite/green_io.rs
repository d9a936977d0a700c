//! Proves that green sockets are async readers, writers and streams.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::task::{Context, Waker};

use async_io::Timer;
use futures_lite::future::{or, poll_once, yield_now, zip};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWriteExt, StreamExt};
use futures_lite_bridge::{Green, block_on, spawn};
use green_tasks::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use green_tasks::{FutureResult, Runtime, TaskError, spawn_future};

use crate::common::pool;

/// A server that echoes what each connection sends, until it is cancelled.
pub(crate) fn serve() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(spawn_future(async move {
        let mut connections = Green::new(listener);
        while let Some(stream) = connections.next().await {
            let stream = stream.unwrap();
            drop(spawn_future(async move {
                futures_lite::io::copy(&stream, &stream).await?;
                (&stream).close().await
            }));
        }
    }));
    address
}

pub(crate) async fn echo(address: std::net::SocketAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let stream = Green::new(TcpStream::connect_async(address).await?);
    let writing = async {
        (&stream).write_all(message).await?;
        (&stream).close().await
    };
    let mut echoed = Vec::new();
    let mut reader = &stream;
    let (written, read) = zip(writing, reader.read_to_end(&mut echoed)).await;
    written?;
    read?;
    Ok(echoed)
}

#[test]
fn a_runtime_of_futures_alone_serves_many_connections_that_read_while_they_write() {
    Runtime::new()
        .block_on(async {
            let address = serve();
            let message: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
            let message = Rc::new(message);
            let clients: Vec<_> = (0..20)
                .map(|_| {
                    let message = Rc::clone(&message);
                    spawn_future(async move { echo(address, &message).await.unwrap() == *message })
                })
                .collect();
            for client in clients {
                assert!(client.await.unwrap());
            }
        })
        .unwrap();
}

#[test]
fn unix_sockets_are_accepted_read_and_closed() {
    let folder = std::env::temp_dir().join(format!("bridge-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("listener");
    let text = Runtime::new().block_on(async {
        let mut listener = Green::new(UnixListener::bind(&path).unwrap());
        let connecting = spawn_future({
            let path = path.clone();
            async move {
                let mut stream = Green::new(UnixStream::connect(path).unwrap());
                stream.write_all(b"by path").await.unwrap();
                stream.close().await.unwrap();
                let mut back = Vec::new();
                stream.read_to_end(&mut back).await.unwrap();
                back
            }
        });
        let mut stream = listener.next().await.unwrap().unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        stream.into_inner().write_all(b"and back").unwrap();
        assert_eq!(connecting.await.unwrap(), b"and back");
        text
    });
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(text.unwrap(), "by path");
}

#[test]
fn outside_of_a_runtime_it_is_an_error_and_no_hang() {
    let (here, _there) = UnixStream::pair().unwrap();
    let mut here = Green::new(here);
    let error = block_on(here.read(&mut [0; 8])).unwrap_err();
    assert!(
        error.to_string().contains("outside of a runtime"),
        "{error}"
    );
    let error = block_on(here.write_all(b"no one looks")).unwrap_err();
    assert!(
        error.to_string().contains("outside of a runtime"),
        "{error}"
    );
    let mut context = Context::from_waker(Waker::noop());
    assert!(
        std::pin::pin!(here)
            .poll_read(&mut context, &mut [0; 8])
            .is_ready()
    );
}

#[test]
fn a_read_that_is_dropped_at_each_of_its_await_points_loses_nothing() {
    Runtime::new()
        .block_on(async {
            let (here, there) = UnixStream::pair().unwrap();
            let (mut here, mut there) = (Green::new(here), Green::new(there));
            let writing = spawn_future(async move {
                for byte in 0..100_u8 {
                    there.write_all(&[byte]).await.unwrap();
                    yield_now().await;
                }
            });
            let (mut received, mut dropped) = (Vec::new(), 0);
            while received.len() < 100 {
                let mut buffer = [0; 8];
                match poll_once(here.read(&mut buffer)).await {
                    Some(bytes) => received.extend_from_slice(&buffer[..bytes.unwrap()]),
                    None => {
                        dropped += 1;
                        yield_now().await;
                    }
                }
            }
            writing.await.unwrap();
            assert!(received.into_iter().eq(0..100) && dropped > 0);
        })
        .unwrap();
}

#[test]
fn a_write_that_is_dropped_at_each_of_its_await_points_writes_nothing_and_the_next_writes_it_once()
{
    Runtime::new()
        .block_on(async {
            let (here, there) = UnixStream::pair().unwrap();
            let (mut here, mut there) = (Green::new(here), Green::new(there));
            // Far more than fits into the buffers.
            let text: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
            let received = Rc::new(Cell::new(0));
            let reading = spawn_future({
                let received = Rc::clone(&received);
                async move {
                    let (mut read, mut buffer) = (Vec::new(), vec![0; 300_001]);
                    loop {
                        match there.read(&mut buffer).await.unwrap() {
                            0 => return read,
                            bytes => read.extend_from_slice(&buffer[..bytes]),
                        }
                        received.set(read.len());
                        yield_now().await;
                    }
                }
            });
            let (mut written, mut dropped) = (0, 0);
            while written < text.len() {
                let part = &text[written..text.len().min(written + 100_003)];
                match poll_once(here.write(part)).await {
                    Some(bytes) => written += bytes.unwrap(),
                    None => {
                        dropped += 1;
                        yield_now().await;
                    }
                }
                assert!(received.get() <= written);
            }
            // Closing waits for nothing, and comes after what was written.
            assert!(poll_once(here.close()).await.unwrap().is_ok());
            assert!(reading.await.unwrap() == text && dropped > 0);
        })
        .unwrap();
}

#[test]
fn an_accept_that_is_dropped_at_each_of_its_await_points_takes_no_connection_and_each_comes_once() {
    Runtime::new()
        .block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let mut connections = Green::new(listener);
            let connecting = spawn_future(async move {
                for byte in 0..20_u8 {
                    let mut stream = Green::new(TcpStream::connect_async(address).await.unwrap());
                    stream.write_all(&[byte]).await.unwrap();
                    for _ in 0..byte % 5 {
                        yield_now().await;
                    }
                }
            });
            let (mut received, mut dropped) = (Vec::new(), 0);
            while received.len() < 20 {
                match poll_once(connections.next()).await {
                    Some(stream) => {
                        let mut stream = stream.unwrap().unwrap();
                        stream.read_to_end(&mut received).await.unwrap();
                    }
                    None => {
                        dropped += 1;
                        yield_now().await;
                    }
                }
            }
            connecting.await.unwrap();
            assert!(received.into_iter().eq(0..20) && dropped > 0);
            assert!(poll_once(connections.next()).await.is_none());
        })
        .unwrap();
}

#[test]
fn a_conversation_that_is_cancelled_at_each_of_its_turns_closes_its_socket_and_hurts_no_other() {
    Runtime::new()
        .block_on(async {
            let address = serve();
            let ended_before = Rc::new(Cell::new(false));
            for turns in 0.. {
                let same = Rc::clone(&ended_before);
                let (here, there) = UnixStream::pair().unwrap();
                let task = spawn_future(async move {
                    let _here = here;
                    assert_eq!(echo(address, b"hello").await.unwrap(), b"hello");
                    same.set(true);
                });
                for _ in 0..turns {
                    yield_now().await;
                }
                let _ = task.cancel();
                assert!(matches!(task.await, Ok(()) | Err(TaskError::Cancelled)));
                // Both of its sockets are closed.
                assert_eq!(Green::new(there).read(&mut [0; 8]).await.unwrap(), 0);
                assert_eq!(echo(address, b"still there").await.unwrap(), b"still there");
                if ended_before.get() {
                    return;
                }
            }
        })
        .unwrap();
}

#[test]
fn a_timer_ends_a_read_and_the_socket_is_still_there() {
    Runtime::new()
        .block_on(async {
            let (here, there) = UnixStream::pair().unwrap();
            let (mut here, mut there) = (Green::new(here), Green::new(there));
            let mut buffer = [0; 8];
            let over = or(async { Some(here.read(&mut buffer).await) }, async {
                green_tasks::sleep_async(std::time::Duration::from_millis(1)).await;
                None
            });
            assert!(over.await.is_none());
            there.write_all(b"late").await.unwrap();
            assert_eq!(here.read(&mut buffer).await.unwrap(), 4);
        })
        .unwrap();
}

#[test]
fn a_green_socket_and_futures_of_a_pool_and_of_smol_are_awaited_together() {
    let pool = pool(1);
    Runtime::new()
        .block_on(async {
            let address = serve();
            let message = spawn(&pool, async {
                Timer::after(std::time::Duration::from_millis(1)).await;
                "from a pool"
            });
            let (message, from_smol) = zip(message, smol::spawn(async { " and smol" })).await;
            let message = message.unwrap().to_owned() + from_smol;
            let echoed = echo(address, message.as_bytes()).await.unwrap();
            assert_eq!(echoed, b"from a pool and smol");
        })
        .unwrap();
}

#[cfg(feature = "tokio")]
#[test]
fn sockets_of_tokio_and_green_ones_are_read_by_one_green_task() {
    use futures_lite_bridge::in_tokio;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let text = io::read_to_string(&mut stream).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
    });
    Runtime::new()
        .block_on(async {
            let here = serve();
            let through_tokio = in_tokio(runtime.handle(), async {
                let mut stream = tokio::net::TcpStream::connect(address).await?;
                stream.write_all(b"through tokio").await?;
                stream.shutdown().await?;
                let mut echoed = Vec::new();
                stream.read_to_end(&mut echoed).await?;
                Ok::<_, io::Error>(echoed)
            });
            let (tokio, green) = zip(through_tokio, echo(here, b"and green")).await;
            assert_eq!(tokio.unwrap(), b"through tokio");
            assert_eq!(green.unwrap(), b"and green");
        })
        .unwrap();
    server.join().unwrap();
}
