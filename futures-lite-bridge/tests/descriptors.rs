//! Listeners that have no descriptor left for a connection. A separate program, since it uses up all of them.
#![cfg(all(feature = "green", not(pool_loom)))]
#![expect(clippy::unwrap_used, reason = "a failure of a test")]

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::net;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::{poll_once, yield_now};
use futures_lite::{Stream, StreamExt};
use futures_lite_bridge::Green;
use green_tasks::net::{TcpListener, UnixListener, UnixStream};
use green_tasks::{Runtime, now, sleep_async, spawn_future};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};

const PAUSE: Duration = Duration::from_millis(5);

/// Opens files until no descriptor is left.
fn use_up_descriptors() -> Vec<File> {
    let (current, maximum) = (Some(64), Some(64));
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

fn is_shortage<T>(accepted: Option<io::Result<T>>) -> bool {
    let error = accepted.and_then(Result::err);
    error.is_some_and(|error| Errno::from_io_error(&error) == Some(Errno::MFILE))
}

async fn accept_with_none_left<T>(mut connections: impl Stream<Item = io::Result<T>> + Unpin) {
    let files = Rc::new(Cell::new(use_up_descriptors()));
    let start = now();
    assert!(is_shortage(connections.next().await));
    assert_eq!(now() - start, PAUSE);

    // Neither giving up meanwhile nor polling more often shortens it.
    for _ in 0..3 {
        assert!(poll_once(connections.next()).await.is_none());
        yield_now().await;
    }
    assert!(is_shortage(connections.next().await));
    assert_eq!(now() - start, 2 * PAUSE);

    let same = Rc::clone(&files);
    let closing = spawn_future(async move {
        sleep_async(Duration::from_millis(52)).await;
        same.set(Vec::new());
    });
    let mut refused = 0;
    while is_shortage(connections.next().await) {
        refused += 1;
    }
    assert_eq!(refused, 10);
    closing.await.unwrap();
    drop(files);
    // There is no other connection, and the pause is over.
    assert!(poll_once(connections.next()).await.is_none());
}

#[test]
fn whoever_accepts_for_want_of_a_descriptor_again_and_again_leaves_the_others_their_time() {
    // The clock is virtual: a loop that never slept would keep it from advancing.
    let runtime = Runtime::builder().deterministic(1).build().unwrap();
    let path = std::env::temp_dir().join(format!("descriptors-{}", std::process::id()));
    let ran = runtime.block_on(async {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let _waiting = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        accept_with_none_left(Green::new(TcpListener::from_std(listener).unwrap())).await;

        let listener = UnixListener::bind(&path).unwrap();
        let _waiting = UnixStream::connect(&path).unwrap();
        accept_with_none_left(Green::new(listener)).await;
    });
    std::fs::remove_file(&path).unwrap();
    ran.unwrap();
}
