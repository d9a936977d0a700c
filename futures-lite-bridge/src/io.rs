//! Async readers, writers and streams in code that is not async.

use std::future::poll_fn;
use std::io::{self, BufRead, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};

use crate::block_on;

/// An async reader, writer or stream as a [`Read`], a [`Write`] or an [`Iterator`], which waits as its
/// context waits; see [`block_on()`]. In a green task that suspends only the task, so libraries for async
/// input and output serve synchronous code there.
///
/// # Cancel safety
///
/// If the green task that waits is cancelled, it unwinds from the call; what the adapter holds stays as the
/// last poll left it.
///
/// # Examples
///
/// ```
/// use std::io::Read;
/// use futures_lite::{io::Cursor, stream};
/// use futures_lite_bridge::BlockOn;
///
/// let mut text = String::new();
/// BlockOn::new(Cursor::new("hello")).read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
///
/// assert!(BlockOn::new(stream::iter(1..=3)).eq(1..=3));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BlockOn<T>(T);

impl<T> BlockOn<T> {
    /// Wraps an async reader, writer or stream.
    pub const fn new(inner: T) -> Self {
        Self(inner)
    }

    /// What it wraps.
    pub const fn get_ref(&self) -> &T {
        &self.0
    }

    /// What it wraps, mutably.
    pub const fn get_mut(&mut self) -> &mut T {
        &mut self.0
    }

    /// Gives back what it wraps. Nothing is lost, since nothing is buffered.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: AsyncWrite + Unpin> BlockOn<T> {
    /// Flushes and closes a writer, which dropping it does not do.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    /// use futures_lite_bridge::BlockOn;
    ///
    /// let mut writer = BlockOn::new(Vec::new());
    /// writer.write_all(b"hello")?;
    /// writer.close()?;
    /// assert_eq!(writer.into_inner(), b"hello");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close(&mut self) -> io::Result<()> {
        block_on(poll_fn(|context| Pin::new(&mut self.0).poll_close(context)))
    }
}

impl<T: AsyncRead + Unpin> Read for BlockOn<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        block_on(poll_fn(|context| {
            Pin::new(&mut self.0).poll_read(context, buffer)
        }))
    }
}

impl<T: AsyncBufRead + Unpin> BufRead for BlockOn<T> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        block_on(poll_fn(|context| {
            Pin::new(&mut self.0).poll_fill_buf(context).map_ok(|_| ())
        }))?;
        // The closure cannot return what it borrows; the bytes are there now, without a wait.
        match Pin::new(&mut self.0).poll_fill_buf(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(filled) => filled,
            Poll::Pending => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    fn consume(&mut self, bytes: usize) {
        Pin::new(&mut self.0).consume(bytes);
    }
}

impl<T: AsyncWrite + Unpin> Write for BlockOn<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        block_on(poll_fn(|context| {
            Pin::new(&mut self.0).poll_write(context, bytes)
        }))
    }

    fn flush(&mut self) -> io::Result<()> {
        block_on(poll_fn(|context| Pin::new(&mut self.0).poll_flush(context)))
    }
}

impl<S: Stream + Unpin> Iterator for BlockOn<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        block_on(poll_fn(|context| Pin::new(&mut self.0).poll_next(context)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}
