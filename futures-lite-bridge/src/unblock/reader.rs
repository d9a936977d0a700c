//! A blocking reader as an async one.

use std::fmt;
use std::future::Future;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use future_result::{CancelOnDrop, FutureResult, JoinHandle};
use futures_io::{AsyncBufRead, AsyncRead};
use thread_pool::{Submitter, ThreadPoolExecutor};

use super::{CAPACITY, READ_MAX, gone, lost, retry, submit};

/// A blocking reader, such as a file, as an [`AsyncRead`] and [`AsyncBufRead`]: it is read on the workers of
/// a thread pool, a buffer at a time, when somebody wants bytes and none are left.
///
/// As long as reading fills the buffer, the next one is read while that is taken: so bytes of the reader may
/// be used up, and a worker may wait for them, though nobody has asked for them yet; but never for more than one
/// buffer, and not after a read that has brought less. A terminal or a socket is mostly asked when somebody
/// wants its bytes.
///
/// # Errors
///
/// What the reader says, after all bytes that it has given before. If it panics, or the pool is shut down, an error of kind
/// [`Other`](io::ErrorKind::Other) whose source is a [`TaskError`](future_result::TaskError); the reader
/// is then lost.
///
/// # Cancel safety
///
/// Dropping a future that reads loses nothing: what its job brings is there for the next. Dropping the
/// adapter itself loses what was read and not taken, cancels a job that has not started; one that is running ends, and drops the reader.
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
    /// What the last job has read.
    buffer: Vec<u8>,
    /// Which part of that is still to be taken.
    from: usize,
    to: usize,
    /// For the next job, unless one has it.
    spare: Vec<u8>,
    /// Of that.
    capacity: usize,
    /// Up to which the capacity grows.
    capacity_max: usize,
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
    /// With two buffers of 64 KiB, which grow up to 256 KiB while reading fills them.
    #[must_use]
    pub fn new(pool: &ThreadPoolExecutor, reader: R) -> Self {
        Self {
            capacity_max: READ_MAX,
            ..Self::with_capacity(CAPACITY, pool, reader)
        }
    }

    /// With two buffers of so many bytes; 0 counts as 1.
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
            buffer: Vec::new(),
            from: 0,
            to: 0,
            spare: Vec::new(),
            capacity: bytes.max(1),
            capacity_max: bytes.max(1),
        }
    }

    /// Has a job fill the spare buffer. The reader is here.
    fn start(&mut self) -> io::Result<()> {
        let State::Idle(mut reader) = std::mem::replace(&mut self.state, State::Gone) else {
            return Err(gone());
        };
        let mut buffer = std::mem::take(&mut self.spare);
        if buffer.len() != self.capacity {
            // Not resized, which would copy what is of no use any more.
            buffer = vec![0; self.capacity];
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
        Ok(())
    }

    /// Takes what a job has read. What was there before has been taken.
    fn arrive(&mut self, chunk: Chunk<R>) -> io::Result<()> {
        self.state = State::Idle(chunk.reader);
        self.spare = std::mem::replace(&mut self.buffer, chunk.buffer);
        (self.from, self.to) = (0, 0);
        // A reader that claims too much is at fault, but not to be believed.
        self.to = chunk.read?.min(self.buffer.len());
        if self.to == self.buffer.len() {
            self.capacity = self.capacity.saturating_mul(2).min(self.capacity_max);
            self.start()?;
        }
        Ok(())
    }

    /// Ready when there are bytes in the buffer, or at the end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.from < self.to {
            return Poll::Ready(Ok(()));
        }
        loop {
            match &mut self.state {
                State::Idle(_) => self.start()?,
                State::Reading(handle) => {
                    let read = ready!(Pin::new(handle).poll(context));
                    return Poll::Ready(match read {
                        Ok(chunk) => self.arrive(chunk),
                        Err(error) => {
                            self.state = State::Gone;
                            Err(lost(error))
                        }
                    });
                }
                State::Gone => return Poll::Ready(Err(gone())),
            }
        }
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
