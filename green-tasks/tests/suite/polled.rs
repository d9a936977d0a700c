//! Sockets in async code: the last waker of each direction is woken, and no readiness is missed.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};

use future_result::sync::atomic::{AtomicU32, Ordering};
use futures_lite::future::poll_once;
use green_tasks::net::{Polled, TcpListener, TcpStream, UnixStream};
use green_tasks::sync::Event;
use green_tasks::{
    Cancel, FutureResult, Runtime, RuntimeError, TaskError, await_future, spawn_future,
    spawn_local, yield_now,
};

use crate::support::{CloneHook, run, try_run};

/// Counts its wake-ups.
#[derive(Default)]
struct Count(AtomicU32);

impl Count {
    fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (Arc::clone(&count), Waker::from(count))
    }

    fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll_read(stream: &UnixStream, waker: &Waker, buffer: &mut [u8]) -> Poll<usize> {
    let mut context = Context::from_waker(waker);
    let polled = stream.poll_read_with(&mut context, |mut socket| socket.read(buffer));
    polled.map(Result::unwrap)
}

async fn read(stream: &UnixStream, buffer: &mut [u8]) -> usize {
    poll_fn(|context| stream.poll_read_with(context, |mut socket| socket.read(buffer)))
        .await
        .unwrap()
}

async fn write(stream: &UnixStream, bytes: &[u8]) -> usize {
    poll_fn(|context| stream.poll_write_with(context, |mut socket| socket.write(bytes)))
        .await
        .unwrap()
}

/// Writes until there is no room: pending twice, since the first may only give others a turn.
fn fill(stream: &UnixStream) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let (mut bytes, mut pending) = (0, 0);
    while pending < 2 {
        match stream.poll_write_with(&mut context, |mut socket| socket.write(&[7; 4096])) {
            Poll::Ready(written) => (bytes, pending) = (bytes + written.unwrap(), 0),
            Poll::Pending => pending += 1,
        }
    }
    bytes
}

/// Lets the scheduler look at its sockets.
fn look() {
    for _ in 0..200 {
        yield_now();
    }
}

#[test]
fn futures_and_closures_on_both_ends_wait_for_each_other() {
    run(|| {
        let (here, there) = UnixStream::pair().unwrap();
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        let expected = bytes.clone();
        let writing = spawn_future(async move {
            let mut sent = 0;
            while sent < bytes.len() {
                sent += write(&here, &bytes[sent..]).await;
            }
            here.shutdown(Shutdown::Write).unwrap();
            read(&here, &mut [0; 8]).await
        });
        let reading = spawn_local(move || {
            let mut received = Vec::new();
            let mut buffer = [0; 5000];
            loop {
                match await_future(read(&there, &mut buffer)) {
                    0 => break,
                    len => received.extend_from_slice(&buffer[..len]),
                }
            }
            (&there).write_all(b"done").unwrap();
            received
        });
        assert!(reading.result().unwrap() == expected);
        assert_eq!(writing.result().unwrap(), 4);
    });
}

#[test]
fn a_runtime_of_futures_connects_accepts_and_reads() {
    let text = Runtime::new().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = spawn_future(async move {
            let accept =
                poll_fn(|context| listener.poll_read_with(context, |socket| socket.accept()));
            let (mut stream, _) = accept.await.unwrap();
            stream.write_all(b"welcome").unwrap();
        });
        let stream = TcpStream::connect_async(address).await.unwrap();
        accepting.await.unwrap();
        let mut text = [0; 7];
        poll_fn(|context| stream.poll_read_with(context, |mut socket| socket.read(&mut text)))
            .await
            .unwrap();
        text
    });
    assert_eq!(&text.unwrap(), b"welcome");
}

#[test]
fn a_connection_that_is_refused_is_an_error() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let refused = Runtime::new().block_on(TcpStream::connect_async(address));
    let error = refused.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn outside_of_a_runtime_it_is_an_error_even_if_nothing_has_to_wait() {
    let (here, mut there) = UnixStream::pair().unwrap();
    there.write_all(b"ready").unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let polled = here.poll_read_with(&mut context, |mut socket| socket.read(&mut [0; 8]));
    let Poll::Ready(Err(error)) = polled else {
        panic!("{polled:?}")
    };
    assert_eq!(error.kind(), ErrorKind::Other);
    assert!(error.to_string().contains("outside of a runtime"));
}

#[test]
fn of_two_wakers_of_one_direction_the_last_is_woken_once_and_the_other_direction_keeps_its_own() {
    run(|| {
        let (here, there) = UnixStream::pair().unwrap();
        let room = fill(&here);
        let (first, first_waker) = Count::new();
        let (second, second_waker) = Count::new();
        let (writer, writer_waker) = Count::new();
        assert!(poll_read(&here, &first_waker, &mut [0; 8]).is_pending());
        assert!(poll_read(&here, &second_waker, &mut [0; 8]).is_pending());
        let mut context = Context::from_waker(&writer_waker);
        let written = here.poll_write_with(&mut context, |mut socket| socket.write(&[7]));
        assert!(written.is_pending());
        look();
        assert_eq!((first.get(), second.get(), writer.get()), (0, 0, 0));

        assert_eq!(await_future(write(&there, b"one")), 3);
        look();
        assert_eq!((first.get(), second.get(), writer.get()), (0, 1, 0));
        assert_eq!(await_future(write(&there, b"more")), 4);
        look();
        assert_eq!(second.get(), 1, "woken without having polled again");

        let mut left = room;
        let mut buffer = vec![0; room];
        while left > 0 {
            left -= await_future(read(&there, &mut buffer));
        }
        look();
        assert_eq!(writer.get(), 1);
        assert_eq!(await_future(read(&here, &mut buffer)), 7);
    });
}

#[test]
fn what_becomes_ready_while_the_waker_is_cloned_is_not_missed() {
    run(|| {
        let (here, there) = UnixStream::pair().unwrap();
        let there = Rc::new(there);
        // Registers the socket, so that an arrival is reported once.
        assert!(poll_read(&here, Waker::noop(), &mut [0; 8]).is_pending());
        look();
        let same = Rc::clone(&there);
        let hook = CloneHook::new(move || {
            (&*same).write_all(b"meanwhile").unwrap();
            look();
        });
        assert!(poll_read(&here, &hook.waker(), &mut [0; 16]).is_pending());
        look();
        assert!(hook.is_woken());
        let mut buffer = [0; 16];
        assert_eq!(poll_read(&here, Waker::noop(), &mut buffer), Poll::Ready(9));
    });
}

#[test]
fn a_reader_that_is_dropped_or_cancelled_where_it_waits_takes_no_byte() {
    run(|| {
        let (here, mut there) = UnixStream::pair().unwrap();
        let here = Rc::new(here);
        let mut buffer = [0; 16];
        assert!(await_future(poll_once(read(&here, &mut buffer))).is_none());
        let reading = spawn_future({
            let here = Rc::clone(&here);
            async move { read(&here, &mut [0; 16]).await }
        });
        yield_now();
        there.write_all(b"for whoever is left").unwrap();
        assert_eq!(reading.cancel(), Cancel::Requested);
        assert!(matches!(reading.result(), Err(TaskError::Cancelled)));
        look();
        assert_eq!(await_future(read(&here, &mut buffer)), 16);
    });
}

#[test]
fn a_closure_and_a_future_that_wait_for_one_socket_are_both_told() {
    run(|| {
        let (here, mut there) = UnixStream::pair().unwrap();
        let here = Rc::new(here);
        let read_one = {
            let here = Rc::clone(&here);
            move || (&*here).read(&mut [0; 1]).unwrap()
        };
        let closure = spawn_local(read_one);
        let future = spawn_future(async move { read(&here, &mut [0; 1]).await });
        look();
        there.write_all(b"12").unwrap();
        assert_eq!(closure.result().unwrap() + future.result().unwrap(), 2);
    });
}

#[test]
fn whoever_always_has_something_to_read_lets_the_others_run() {
    run(|| {
        let (here, mut there) = UnixStream::pair().unwrap();
        there.write_all(&[1; 10_000]).unwrap();
        let bytes = spawn_future(async move {
            let other = spawn_future(async {});
            let mut bytes = 0;
            while !other.is_done() {
                bytes += read(&here, &mut [0]).await;
            }
            bytes
        });
        let bytes = bytes.result().unwrap();
        assert!((1..200).contains(&bytes), "{bytes}");
    });
}

#[test]
fn a_socket_that_is_polled_on_another_thread_is_entered_there() {
    let (here, mut there) = UnixStream::pair().unwrap();
    let here = run(|| {
        assert!(poll_read(&here, Waker::noop(), &mut [0; 8]).is_pending());
        here
    });
    let (waits, is_waiting) = channel();
    let other = std::thread::spawn(move || {
        run(|| {
            let reading = spawn_future(async move { read(&here, &mut [0; 8]).await });
            yield_now();
            waits.send(()).unwrap();
            reading.result().unwrap()
        })
    });
    is_waiting.recv().unwrap();
    there.write_all(b"there").unwrap();
    assert_eq!(other.join().unwrap(), 5);
}

thread_local! {
    static EVENT: RefCell<Option<Rc<Event>>> = const { RefCell::new(None) };
}

/// Sets its thread's event when woken.
struct Sets;

impl Wake for Sets {
    fn wake(self: Arc<Self>) {
        let event = EVENT.with(|event| event.borrow().clone());
        event.unwrap().set();
    }
}

#[test]
fn while_a_waker_waits_for_a_socket_nothing_is_a_deadlock() {
    let (waits, is_waiting) = channel::<()>();
    let (here, mut there) = UnixStream::pair().unwrap();
    let other = std::thread::spawn(move || {
        is_waiting.recv().unwrap();
        there.write_all(b"hope").unwrap();
    });
    run(|| {
        let event = Rc::new(Event::new());
        EVENT.with(|place| place.replace(Some(Rc::clone(&event))));
        assert!(poll_read(&here, &Arc::new(Sets).into(), &mut [0; 8]).is_pending());
        waits.send(()).unwrap();
        event.wait();
        EVENT.with(RefCell::take);
    });
    other.join().unwrap();
}

#[test]
fn a_waker_whose_socket_is_gone_hides_no_deadlock_and_is_dropped() {
    let (count, waker) = Count::new();
    let alone = Rc::new(Cell::new(0));
    let ended = try_run(|| {
        let (here, _there) = UnixStream::pair().unwrap();
        assert!(poll_read(&here, &waker, &mut [0; 8]).is_pending());
        drop((here, waker));
        let alone = Rc::clone(&alone);
        let count = Arc::clone(&count);
        drop(spawn_local(move || {
            look();
            let event = Event::new();
            let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| event.wait()));
            alone.set(Arc::strong_count(&count));
            assert!(waited.is_err());
        }));
        Event::new().wait();
    });
    assert!(matches!(ended, Err(RuntimeError::Deadlock(_))));
    // The test's and the task's.
    assert_eq!(alone.get(), 2);
    assert_eq!(count.get(), 0);
}

thread_local! {
    static SOCKET: RefCell<Option<Rc<UnixStream>>> = const { RefCell::new(None) };
    static USED: Cell<bool> = const { Cell::new(false) };
}

/// Polls its thread's socket when dropped.
struct Uses;

impl Wake for Uses {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Uses {
    fn drop(&mut self) {
        let socket = SOCKET.with(|socket| socket.borrow().clone()).unwrap();
        let polled = poll_read(&socket, Waker::noop(), &mut [0; 8]);
        USED.set(polled.is_pending());
    }
}

#[test]
fn a_waker_that_is_dropped_while_a_socket_is_entered_may_use_that_socket() {
    run(|| {
        let (gone, _there) = UnixStream::pair().unwrap();
        assert!(poll_read(&gone, &Arc::new(Uses).into(), &mut [0; 8]).is_pending());
        let (here, mut there) = UnixStream::pair().unwrap();
        let here = Rc::new(here);
        SOCKET.with(|socket| socket.replace(Some(Rc::clone(&here))));
        drop(gone);
        let (count, waker) = Count::new();
        assert!(poll_read(&here, &waker, &mut [0; 8]).is_pending());
        assert!(USED.get());
        there.write_all(b"told").unwrap();
        look();
        assert_eq!(count.get(), 1);
        SOCKET.with(RefCell::take);
    });
}
