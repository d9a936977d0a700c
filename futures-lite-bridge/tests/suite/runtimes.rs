//! Proves that the pools serve async code of other runtimes, and the other way round, with real sockets and
//! timers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::future::or;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use futures_lite_bridge::{block_on, spawn};
use thread_pool::{FutureResult, TaskError, ThreadPoolExecutor};

use crate::common::pool;

const SOON: Duration = Duration::from_millis(1);

/// Echoes what one connection sends.
fn echo_server() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 16];
        loop {
            match stream.read(&mut buffer).unwrap() {
                0 => return,
                bytes => stream.write_all(&buffer[..bytes]).unwrap(),
            }
        }
    });
    (address, server)
}

/// Sends what a thread of the pool has made, and returns what comes back.
async fn echo_of_the_pool(pool: &ThreadPoolExecutor, address: SocketAddr) -> io::Result<String> {
    let mut stream = Async::<TcpStream>::connect(address).await?;
    let message = pool.submit(|| "made elsewhere".to_owned()).await;
    stream
        .write_all(message.map_err(io::Error::other)?.as_bytes())
        .await?;
    stream.get_ref().shutdown(std::net::Shutdown::Write)?;
    let mut echoed = String::new();
    stream.read_to_string(&mut echoed).await?;
    Ok(echoed)
}

#[test]
fn plain_block_on_with_sockets_and_timers() {
    let pool = pool(1);
    let (address, server) = echo_server();
    let echoed = block_on(async {
        Timer::after(SOON).await;
        echo_of_the_pool(&pool, address).await
    });
    assert_eq!(echoed.unwrap(), "made elsewhere");
    server.join().unwrap();
}

#[test]
fn on_a_pool_with_sockets_and_timers() {
    let pool = std::sync::Arc::new(pool(1));
    let (address, server) = echo_server();
    let same = std::sync::Arc::clone(&pool);
    let echoed = spawn(&pool, async move {
        Timer::after(SOON).await;
        echo_of_the_pool(&same, address).await
    });
    assert_eq!(echoed.result().unwrap().unwrap(), "made elsewhere");
    server.join().unwrap();
}

#[test]
fn a_timer_ends_a_wait_for_a_handle_and_the_handle_is_still_there() {
    let pool = pool(1);
    let (go, wait_for_go) = std::sync::mpsc::channel::<()>();
    let mut handle = pool.submit(move || wait_for_go.recv().is_err());
    let timed_out = block_on(or(async { Some((&mut handle).await) }, async {
        Timer::after(SOON).await;
        None
    }));
    assert!(timed_out.is_none());
    drop(go);
    assert!(handle.result().unwrap());
}

#[test]
fn inside_smol() {
    let pool = pool(1);
    let (address, server) = echo_server();
    let echoed = smol::block_on(async {
        Timer::after(SOON).await;
        let two = spawn(&pool, async {
            Timer::after(SOON).await;
            2
        });
        assert_eq!(smol::spawn(two).await.unwrap(), 2);
        echo_of_the_pool(&pool, address).await
    });
    assert_eq!(echoed.unwrap(), "made elsewhere");
    server.join().unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// Ready when one of tokio's timers is.
async fn tokio_timer() {
    let waited = tokio::time::timeout(SOON, std::future::pending::<()>()).await;
    assert!(waited.is_err());
}

#[test]
fn inside_tokio() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let pool = pool(1);
    let (address, server) = echo_server();
    let echoed = runtime().block_on(async {
        tokio_timer().await;
        let message = spawn(&pool, async { "from a pool" });
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let message = tokio::spawn(message).await.unwrap().unwrap();
        stream.write_all(message.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut echoed = String::new();
        stream.read_to_string(&mut echoed).await.unwrap();
        echoed
    });
    assert_eq!(echoed, "from a pool");
    server.join().unwrap();
}

#[cfg(feature = "tokio")]
mod with_tokio {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use futures_lite_bridge::in_tokio;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::runtime::Handle;

    use super::*;

    async fn echo(address: SocketAddr) -> io::Result<String> {
        tokio_timer().await;
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(b"through tokio").await?;
        stream.shutdown().await?;
        let mut echoed = String::new();
        stream.read_to_string(&mut echoed).await?;
        Ok(echoed)
    }

    #[test]
    fn its_sockets_and_timers_on_a_pool() {
        let (runtime, pool) = (runtime(), pool(1));
        let (address, server) = echo_server();
        let echoed = spawn(&pool, in_tokio(runtime.handle(), echo(address)));
        assert_eq!(echoed.result().unwrap().unwrap(), "through tokio");
        server.join().unwrap();
    }

    #[test]
    fn its_sockets_and_timers_on_a_plain_thread() {
        let runtime = runtime();
        let (address, server) = echo_server();
        let echoed = block_on(in_tokio(runtime.handle(), echo(address)));
        assert_eq!(echoed.unwrap(), "through tokio");
        server.join().unwrap();
    }

    /// Needs the runtime when it is dropped.
    struct Needy;

    impl Drop for Needy {
        fn drop(&mut self) {
            assert!(Handle::try_current().is_ok());
        }
    }

    #[test]
    fn it_is_entered_for_the_drop_and_left_after_it() {
        let runtime = runtime();
        let needy = Needy;
        drop(in_tokio(runtime.handle(), async move { drop(needy) }));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            block_on(in_tokio(runtime.handle(), async {
                panic!("left all the same")
            }))
        }));
        assert!(panicked.is_err());
        assert!(Handle::try_current().is_err());
    }

    #[test]
    fn a_future_that_is_cancelled_on_a_pool_is_dropped_inside_of_it() {
        let (runtime, pool) = (runtime(), pool(1));
        let needy = Needy;
        let (started, wait_for_start) = std::sync::mpsc::channel();
        let handle = spawn(
            &pool,
            in_tokio(runtime.handle(), async move {
                let _needy = needy;
                started.send(()).unwrap();
                std::future::pending::<()>().await;
            }),
        );
        wait_for_start.recv().unwrap();
        let _ = handle.cancel();
        assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    }

    #[test]
    fn what_needs_it_and_is_not_inside_panics_as_a_value() {
        let pool = pool(1);
        let handle = spawn(&pool, async { tokio_timer().await });
        assert!(matches!(handle.result(), Err(TaskError::Panicked(_))));
    }
}

#[test]
fn what_is_cancelled_forgets_its_timer() {
    let pool = pool(1);
    let handle = spawn(&pool, async {
        Timer::never().await;
    });
    let _ = handle.cancel();
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
}
