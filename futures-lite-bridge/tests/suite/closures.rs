//! Proves what green tasks that are closures may do with async code. Separate, since sanitizers have to be told of
//! their stacks.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use async_io::{Async, Timer};
use future_result::Shared;
use futures_lite::future::yield_now;
use futures_lite::{AsyncRead, AsyncWrite, Stream};
use futures_lite_bridge::{BlockOn, UnblockIter, UnblockReader, UnblockWriter, block_on, spawn};
use green_tasks::{FutureResult, JoinHandle, TaskError, spawn_local};

use crate::common::{Counted, pool, stackful};
use crate::points::at_each_point;

/// Cancels the green task that uses it, in one of that task's polls.
struct Canceller {
    task: RefCell<Option<Shared<JoinHandle<()>>>>,
    polls_before: Cell<usize>,
    has_struck: Cell<bool>,
}

impl Canceller {
    fn poll(&self) {
        match self.polls_before.get().checked_sub(1) {
            Some(left) => self.polls_before.set(left),
            None if self.has_struck.replace(true) => {}
            None => {
                let task = self.task.borrow().clone();
                let _ = task.unwrap().cancel();
            }
        }
    }
}

/// Runs `body` as a green task that is cancelled in the poll after `polls`; true if there was none.
fn cancelled_after(polls: usize, body: impl FnOnce(&Canceller) + 'static) -> bool {
    let canceller = Rc::new(Canceller {
        task: RefCell::new(None),
        polls_before: Cell::new(polls),
        has_struck: Cell::new(false),
    });
    let same = Rc::clone(&canceller);
    stackful()
        .run(|| {
            let task = spawn_local(move || body(&same)).shared();
            canceller.task.replace(Some(task.clone()));
            match task.result() {
                Ok(()) | Err(TaskError::Cancelled) => {}
                Err(error) => panic!("{error}"),
            }
            canceller.task.take();
        })
        .unwrap();
    !canceller.has_struck.get()
}

/// Adapts something, whose polls go through the canceller.
struct Watched<'a, T>(&'a Canceller, T);

impl<F: Future + Unpin> Future for Watched<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.0.poll();
        Pin::new(&mut self.1).poll(context)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Watched<'_, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll();
        Pin::new(&mut self.1).poll_read(context, buffer)
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Watched<'_, W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll();
        Pin::new(&mut self.1).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll();
        Pin::new(&mut self.1).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll();
        Pin::new(&mut self.1).poll_close(context)
    }
}

impl<S: Stream + Unpin> Stream for Watched<'_, S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.0.poll();
        Pin::new(&mut self.1).poll_next(context)
    }
}

#[test]
fn block_on_in_a_green_task_that_is_cancelled_in_each_poll_drops_its_future_once() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let pool = Arc::new(pool(1));
    let points = at_each_point(|polls| {
        DROPS.store(0, Ordering::SeqCst);
        let made = Rc::new(Cell::new(0));
        let (same, pool) = (Rc::clone(&made), Arc::clone(&pool));
        let too_late = cancelled_after(polls, move |canceller| {
            for _ in 0..5 {
                same.set(same.get() + 1);
                let counted = Counted::new(&DROPS);
                let steps = async {
                    let _counted = counted;
                    yield_now().await;
                    let handle = spawn(&pool, async { 1 }).cancel_on_drop();
                    assert_eq!(handle.await.unwrap(), 1);
                };
                block_on(Watched(canceller, pin!(steps)));
            }
        });
        assert_eq!(DROPS.load(Ordering::SeqCst), made.get());
        assert!(!too_late || made.get() == 5);
        too_late
    });
    assert!(points >= 10, "{points}");
}

#[test]
fn a_reader_in_a_green_task_that_is_cancelled_in_each_poll_is_left_whole() {
    let pool = pool(1);
    let points = at_each_point(|polls| {
        let bytes: Vec<u8> = (0..100).collect();
        let reader = UnblockReader::with_capacity(10, &pool, io::Cursor::new(bytes));
        let reader = Rc::new(RefCell::new(reader));
        let received = Rc::new(RefCell::new(Vec::new()));
        let (same, received_by_it) = (Rc::clone(&reader), Rc::clone(&received));
        let too_late = cancelled_after(polls, move |canceller| {
            let mut reader = same.borrow_mut();
            let mut reader = BlockOn::new(Watched(canceller, &mut *reader));
            let mut buffer = [0; 10];
            loop {
                match reader.read(&mut buffer).unwrap() {
                    0 => return,
                    len => received_by_it
                        .borrow_mut()
                        .extend_from_slice(&buffer[..len]),
                }
            }
        });
        let mut received = received.take();
        BlockOn::new(&mut *reader.borrow_mut())
            .read_to_end(&mut received)
            .unwrap();
        assert!(received.into_iter().eq(0..100));
        too_late
    });
    assert!(points >= 10, "{points}");
}

#[test]
fn a_writer_in_a_green_task_that_is_cancelled_in_each_poll_has_written_what_it_was_told() {
    let pool = pool(1);
    let points = at_each_point(|polls| {
        let (mut input, output) = io::pipe().unwrap();
        let writer = UnblockWriter::with_capacity(2, &pool, output);
        let writer = Rc::new(RefCell::new(writer));
        let told = Rc::new(Cell::new(0));
        let (same, told_it) = (Rc::clone(&writer), Rc::clone(&told));
        let too_late = cancelled_after(polls, move |canceller| {
            let mut writer = same.borrow_mut();
            let mut writer = BlockOn::new(Watched(canceller, &mut *writer));
            while told_it.get() < 20 {
                let next = told_it.get();
                told_it.set(next + writer.write(&[next, next + 1][..]).unwrap() as u8);
            }
            writer.flush().unwrap();
        });
        BlockOn::new(&mut *writer.borrow_mut()).close().unwrap();
        let mut written = Vec::new();
        input.read_to_end(&mut written).unwrap();
        assert!(written.into_iter().eq(0..told.get()));
        too_late
    });
    assert!(points >= 5, "{points}");
}

#[test]
fn a_stream_in_a_green_task_that_is_cancelled_in_each_poll_loses_no_item() {
    let pool = pool(1);
    let points = at_each_point(|polls| {
        let items = Rc::new(RefCell::new(UnblockIter::with_capacity(2, &pool, 0..20)));
        let received = Rc::new(RefCell::new(Vec::new()));
        let (same, received_by_it) = (Rc::clone(&items), Rc::clone(&received));
        let too_late = cancelled_after(polls, move |canceller| {
            let mut items = same.borrow_mut();
            for item in BlockOn::new(Watched(canceller, &mut *items)) {
                received_by_it.borrow_mut().push(item.unwrap());
            }
        });
        let mut received = received.take();
        received.extend(BlockOn::new(&mut *items.borrow_mut()).map(Result::unwrap));
        assert!(received.into_iter().eq(0..20));
        too_late
    });
    assert!(points >= 5, "{points}");
}

#[test]
fn async_sockets_of_smol_suspend_the_green_task_that_reads_them_alone() {
    let listener = Async::<std::net::TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
    let address = listener.get_ref().local_addr().unwrap();
    stackful()
        .run(|| {
            // Both ends on one thread: if either blocked it, the other would never get a turn.
            let server = spawn_local(move || {
                let (stream, _) = block_on(listener.accept()).unwrap();
                let mut stream = BlockOn::new(stream);
                let mut buffer = [0; 14];
                stream.read_exact(&mut buffer).unwrap();
                stream.write_all(&buffer).unwrap();
            });
            let client = spawn_local(move || {
                let stream = block_on(Async::<std::net::TcpStream>::connect(address)).unwrap();
                let mut stream = BlockOn::new(stream);
                block_on(Timer::after(std::time::Duration::from_millis(1)));
                stream.write_all(b"made elsewhere").unwrap();
                stream
                    .get_ref()
                    .get_ref()
                    .shutdown(Shutdown::Write)
                    .unwrap();
                let mut echoed = String::new();
                stream.read_to_string(&mut echoed).unwrap();
                echoed
            });
            server.result().unwrap();
            assert_eq!(client.result().unwrap(), "made elsewhere");
        })
        .unwrap();
}

#[test]
fn a_green_task_that_reads_an_async_socket_is_cancelled_there_and_takes_no_byte() {
    let (here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
    let here = Rc::new(Async::new(here).unwrap());
    stackful()
        .run(|| {
            let same = Rc::clone(&here);
            let reading = spawn_local(move || {
                BlockOn::new(&*same).read_exact(&mut [0; 8]).unwrap();
            });
            green_tasks::yield_now();
            let _ = reading.cancel();
            assert!(matches!(reading.result(), Err(TaskError::Cancelled)));
            there.write_all(b"for the next").unwrap();
            let mut text = [0; 12];
            BlockOn::new(&*here).read_exact(&mut text).unwrap();
            assert_eq!(&text, b"for the next");
        })
        .unwrap();
}

#[cfg(feature = "green")]
#[test]
fn a_closure_awaits_a_socket_and_the_others_on_its_thread_go_on() {
    stackful()
        .run(|| {
            let address = crate::green_io::serve();
            let clients: Vec<_> = (0..10)
                .map(|_| {
                    spawn_local(move || {
                        block_on(crate::green_io::echo(address, b"from a closure")).unwrap()
                    })
                })
                .collect();
            for client in clients {
                assert_eq!(client.result().unwrap(), b"from a closure");
            }
        })
        .unwrap();
}
