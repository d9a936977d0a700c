//! A blocking reader as an async one.

use std::fmt;
use std::future::Future;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use future_result::{CancelOnDrop, FutureResult, JoinHandle};
use futures_io::{AsyncBufRead, AsyncRead};
use thread_pool::{Submitter, ThreadPoolExecutor};

use super::{CAPACITY, CAPACITY_MAX, gone, lost, retry, submit};

/// A blocking reader, such as a file, as an [`AsyncRead`] and [`AsyncBufRead`]: it is read on the workers of
/// a thread pool, a buffer at a time, when somebody wants bytes and none are left.
///
/// # Errors
///
/// What the reader says. If it panics, or the pool is shut down, an error of kind
/// [`Other`](io::ErrorKind::Other) whose source is a [`TaskError`](future_result::TaskError); the reader
/// is then lost.
///
/// # Cancel safety
///
/// Dropping a future that reads loses nothing: what its job brings is there for the next. Dropping the
/// adapter itself cancels a job that has not started; one that is running ends, and drops the reader.
///
/// # Examples
///
/// ```
/// use futures_lite::{io::AsyncBufReadExt, StreamExt};
/// use futures_lite_bridge::{block_on, UnblockReader};
/// use thread_pool::ThreadPoolExecutor;
///
/// let pool = ThreadPoolExecutor::new(1)?;
/// let file = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))?;
/// let lines = UnblockReader::new(&pool, file).lines();
/// let packages = lines.filter(|line| matches!(line, Ok(line) if line == "[package]"));
/// assert_eq!(block_on(packages.count()), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UnblockReader<R> {
    submitter: Submitter,
    state: State<R>,
    buffer: Vec<u8>,
    /// Up to which the buffer grows.
    capacity_max: usize,
    /// Which part of the buffer is still to be taken.
    from: usize,
    to: usize,
}

enum State<R> {
    /// The reader is here.
    Idle(R),
    Reading(CancelOnDrop<JoinHandle<Chunk<R>>>),
    Gone,
}

/// What a job gives back.
struct Chunk<R> {
    reader: R,
    buffer: Vec<u8>,
    read: io::Result<usize>,
}

// The reader is moved about, and never pinned.
impl<R> Unpin for UnblockReader<R> {}

impl<R: Read + Send + 'static> UnblockReader<R> {
    /// With a buffer of 64 KiB, which grows up to 1 MiB while reading fills it.
    #[must_use]
    pub fn new(pool: &ThreadPoolExecutor, reader: R) -> Self {
        Self {
            capacity_max: CAPACITY_MAX,
            ..Self::with_capacity(CAPACITY, pool, reader)
        }
    }

    /// With a buffer of so many bytes; 0 counts as 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::AsyncReadExt;
    /// use futures_lite_bridge::{block_on, UnblockReader};
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let mut reader = UnblockReader::with_capacity(2, &pool, &b"three"[..]);
    /// let mut text = String::new();
    /// block_on(reader.read_to_string(&mut text))?;
    /// assert_eq!(text, "three");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_capacity(bytes: usize, pool: &ThreadPoolExecutor, reader: R) -> Self {
        Self {
            submitter: pool.submitter(),
            state: State::Idle(reader),
            buffer: vec![0; bytes.max(1)],
            capacity_max: bytes.max(1),
            from: 0,
            to: 0,
        }
    }

    /// Whether the last job has filled the buffer, which may still grow.
    fn is_small(&self, capacity: usize) -> bool {
        self.to == capacity && capacity < self.capacity_max
    }

    /// Ready when there are bytes in the buffer, or at the end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.from == self.to {
            if let State::Reading(handle) = &mut self.state {
                let chunk = match ready!(Pin::new(handle).poll(context)) {
                    Ok(chunk) => chunk,
                    Err(error) => {
                        self.state = State::Gone;
                        return Poll::Ready(Err(lost(error)));
                    }
                };
                self.state = State::Idle(chunk.reader);
                self.buffer = chunk.buffer;
                let bytes = chunk.read?;
                // A reader that claims too much is at fault, but not to be believed.
                (self.from, self.to) = (0, bytes.min(self.buffer.len()));
                if bytes == 0 {
                    break;
                }
                continue;
            }
            let State::Idle(mut reader) = std::mem::replace(&mut self.state, State::Gone) else {
                return Poll::Ready(Err(gone()));
            };
            let mut buffer = std::mem::take(&mut self.buffer);
            if self.is_small(buffer.len()) {
                buffer.resize((2 * buffer.len()).min(self.capacity_max), 0);
            }
            let handle = submit(&self.submitter, move || {
                let read = retry(|| reader.read(&mut buffer));
                Chunk {
                    reader,
                    buffer,
                    read,
                }
            });
            self.state = State::Reading(handle.cancel_on_drop());
        }
        Poll::Ready(Ok(()))
    }
}

impl<R: Read + Send + 'static> AsyncBufRead for UnblockReader<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_fill(context))?;
        Poll::Ready(Ok(&this.buffer[this.from..this.to]))
    }

    fn consume(mut self: Pin<&mut Self>, bytes: usize) {
        self.from = self.from.saturating_add(bytes).min(self.to);
    }
}

impl<R: Read + Send + 'static> AsyncRead for UnblockReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut there = ready!(self.as_mut().poll_fill_buf(context))?;
        let bytes = there.read(buffer)?;
        self.consume(bytes);
        Poll::Ready(Ok(bytes))
    }
}

impl<R> fmt::Debug for UnblockReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnblockReader")
            .field("is_reading", &matches!(self.state, State::Reading(_)))
            .field("buffered", &(self.to - self.from))
            .finish_non_exhaustive()
    }
}
