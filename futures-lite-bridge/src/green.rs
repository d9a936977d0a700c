//! Sockets of green tasks in async code.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use green_tasks::net::{Polled, TcpListener, TcpStream, UnixListener, UnixStream};
use rustix::net::{Shutdown, shutdown};

/// A green socket for async code: a [`TcpStream`] or a [`UnixStream`] as an [`AsyncRead`] and
/// [`AsyncWrite`], a [`TcpListener`] or a [`UnixListener`] as a [`Stream`] of connections, without end.
///
/// It is for async code on a runtime of green tasks: a future that is spawned there with
/// [`spawn_future`](green_tasks::spawn_future), or that a task waits for with
/// [`block_on`](crate::block_on()) or [`await_future`](green_tasks::await_future). So
/// libraries for async input and output run among green tasks, on the same sockets and the same reactor.
/// A future that has it stays on its thread, to which the reactor belongs.
///
/// For the other way, async input and output in a task that is a closure, use
/// [`BlockOn`](crate::BlockOn).
///
/// A reference is a reader, a writer and a stream, too, so one future can read while another writes. Only the last
/// reader that had to wait is woken, and the last writer. Time limits of the socket do not apply
/// here. Closing it shuts down the write direction.
///
/// The runtime needs its turns: another library's `block_on` stops its whole thread.
///
/// # Errors
///
/// Those of the socket. If there are too many open files, the connection waits, and whoever accepts is told
/// only if that has not changed after 5 ms, so that a loop does not use up the CPU of those who may close some.
/// Outside of a runtime of green tasks, even if nothing would have to wait, an
/// error of kind [`Other`](io::ErrorKind::Other) that says so.
///
/// # Cancel safety
///
/// Dropping a future that reads, writes or accepts loses nothing: while pending, it has done nothing. (Those that make
/// many calls, such as `read_exact` and `write_all`, may have done a part.)
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
/// use futures_lite_bridge::Green;
/// use green_tasks::net::{TcpListener, TcpStream};
/// use green_tasks::{spawn_future, Runtime};
///
/// let echoed = Runtime::new().block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let address = listener.local_addr()?;
///     let server = spawn_future(async move {
///         let mut connections = Green::new(listener);
///         let mut stream = connections.next().await.unwrap()?;
///         let mut buffer = [0; 5];
///         stream.read_exact(&mut buffer).await?;
///         stream.write_all(&buffer).await
///     });
///     let mut stream = Green::new(TcpStream::connect_async(address).await?);
///     stream.write_all(b"hello").await?;
///     let mut echoed = String::new();
///     stream.read_to_string(&mut echoed).await?;
///     server.await.unwrap()?;
///     Ok::<_, std::io::Error>(echoed)
/// })??;
/// assert_eq!(echoed, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It does not leave its thread:
///
/// ```compile_fail,E0277
/// use futures_lite_bridge::{Green, spawn};
/// # use green_tasks::net::UnixStream;
/// # let pool = thread_pool::ThreadPoolExecutor::new(1).unwrap();
/// let stream = Green::new(UnixStream::pair().unwrap().0);
/// spawn(&pool, async move { drop(stream) });
/// ```
#[derive(Debug)]
pub struct Green<T> {
    socket: T,
    /// Waiters are registered in one thread's reactor.
    _stays: PhantomData<Rc<()>>,
}

impl<T: Polled> Green<T> {
    /// Wraps a socket.
    pub const fn new(socket: T) -> Self {
        Self {
            socket,
            _stays: PhantomData,
        }
    }

    /// The socket.
    pub const fn get_ref(&self) -> &T {
        &self.socket
    }

    /// Gives the socket back. Nothing is lost, since nothing is buffered.
    pub fn into_inner(self) -> T {
        self.socket
    }
}

// The socket is never pinned.
impl<T> Unpin for Green<T> {}

impl<T> AsyncRead for &Green<T>
where
    T: Polled,
    for<'a> &'a T::Socket: Read,
{
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = |mut socket: &T::Socket| socket.read(buffer);
        self.socket.poll_read_with(context, read)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let read = |mut socket: &T::Socket| socket.read_vectored(buffers);
        self.socket.poll_read_with(context, read)
    }
}

impl<T> AsyncWrite for &Green<T>
where
    T: Polled,
    for<'a> &'a T::Socket: Write,
{
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = |mut socket: &T::Socket| socket.write(bytes);
        self.socket.poll_write_with(context, write)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = |mut socket: &T::Socket| socket.write_vectored(buffers);
        self.socket.poll_write_with(context, write)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let close = |socket: &T::Socket| Ok(shutdown(socket, Shutdown::Write)?);
        self.socket.poll_write_with(context, close)
    }
}

impl<T> AsyncRead for Green<T>
where
    T: Polled,
    for<'a> &'a T::Socket: Read,
{
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(context, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read_vectored(context, buffers)
    }
}

impl<T> AsyncWrite for Green<T>
where
    T: Polled,
    for<'a> &'a T::Socket: Write,
{
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(context, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_close(context)
    }
}

impl Stream for &Green<TcpListener> {
    type Item = io::Result<Green<TcpStream>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = self
            .socket
            .poll_read_with(context, |socket| TcpStream::from_std(socket.accept()?.0));
        accepted.map(|stream| Some(stream.map(Green::new)))
    }
}

impl Stream for &Green<UnixListener> {
    type Item = io::Result<Green<UnixStream>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = self
            .socket
            .poll_read_with(context, |socket| UnixStream::from_std(socket.accept()?.0));
        accepted.map(|stream| Some(stream.map(Green::new)))
    }
}

impl Stream for Green<TcpListener> {
    type Item = io::Result<Green<TcpStream>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut &*self).poll_next(context)
    }
}

impl Stream for Green<UnixListener> {
    type Item = io::Result<Green<UnixStream>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut &*self).poll_next(context)
    }
}
