//! A blocking reader as an async one.

use std::fmt;
use std::future::Future;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use future_result::{CancelOnDrop, FutureResult, JoinHandle, TaskError};
use futures_io::{AsyncBufRead, AsyncRead};
use thread_pool::{Submitter, ThreadPoolExecutor};

use super::ahead::{AHEAD, Ahead, Chunk, Filled, Source};
use super::turn::Turn;
use super::{CAPACITY, READ_MAX, gone, lost, submit};

/// A blocking reader, such as a file, as an [`AsyncRead`] and [`AsyncBufRead`]: workers of a
/// thread pool read it, a buffer at a time, when somebody wants bytes and none are left.
///
/// As long as reads fill their buffers, it reads ahead, up to three buffers: so bytes may
/// be consumed from the reader, and a worker may wait for them, before anybody asks for them. It does not read
/// ahead after a read that brought less, so a terminal or a socket is usually read only when somebody
/// wants its bytes. While three buffers are ahead, no worker is occupied.
///
/// At its end, the next read tries again, as a file may have grown. As an `AsyncBufRead` it stays at its end until
/// `consume` is called, even with 0, as the methods for lines do.
///
/// # Errors
///
/// Those of the reader, after all bytes that came before. If it panics, or the pool is shut down, an error of kind
/// [`Other`](io::ErrorKind::Other) whose source is a [`TaskError`]; the reader
/// is then lost.
///
/// # Cancel safety
///
/// Dropping a future that reads loses nothing: what its job reads is there for the next. Dropping the
/// adapter itself loses what was read but not taken, and cancels a job that has not started; a running one ends
/// after its current read, and drops the reader.
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
    ahead: Arc<Ahead>,
    /// The chunk that is being taken.
    buffer: Vec<u8>,
    /// The part of it that is still to be taken.
    from: usize,
    to: usize,
    /// Whether that is the end, until it is consumed: the buffer may be polled for twice.
    is_end: bool,
}

enum State<R> {
    /// The reader is here.
    Idle(Source<R>),
    Reading(CancelOnDrop<JoinHandle<Filled<R>>>),
    /// Reported after what is ahead.
    Failed(TaskError),
    Gone,
}

// The reader is moved about, and never pinned.
impl<R> Unpin for UnblockReader<R> {}

impl<R: Read + Send + 'static> UnblockReader<R> {
    /// With four buffers of 64 KiB, which grow up to 256 KiB while reading fills them.
    #[must_use]
    pub fn new(pool: &ThreadPoolExecutor, reader: R) -> Self {
        Self::growing(CAPACITY, READ_MAX, pool, reader)
    }

    /// With four buffers of this many bytes; 0 counts as 1.
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
        Self::growing(bytes.max(1), bytes.max(1), pool, reader)
    }

    fn growing(capacity: usize, capacity_max: usize, pool: &ThreadPoolExecutor, reader: R) -> Self {
        let source = Source {
            reader,
            capacity,
            capacity_max,
            goes_on: false,
        };
        Self {
            submitter: pool.submitter(),
            state: State::Idle(source),
            ahead: Arc::default(),
            buffer: Vec::new(),
            from: 0,
            to: 0,
            is_end: false,
        }
    }

    /// Starts a job. The reader is here.
    fn start(&mut self) {
        if let State::Idle(source) = std::mem::replace(&mut self.state, State::Gone) {
            let ahead = Arc::clone(&self.ahead);
            let handle = submit(&self.submitter, move || {
                let turn = Turn::begin();
                ahead.fill(source, || turn.is_over())
            });
            self.state = State::Reading(handle.cancel_on_drop());
        }
    }

    /// Ready when no job has the reader. By then, what the last one has read is ahead.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let State::Reading(handle) = &mut self.state {
            self.state = match ready!(Pin::new(handle).poll(context)) {
                Ok(filled) => {
                    self.ahead.add(filled.last);
                    State::Idle(filled.source)
                }
                Err(error) => State::Failed(error),
            };
        }
        Poll::Ready(())
    }

    /// Takes a chunk. The one before has been consumed.
    fn arrive(&mut self, chunk: Chunk, context: &mut Context<'_>) -> io::Result<()> {
        self.buffer = chunk.buffer;
        (self.from, self.to) = (0, 0);
        if matches!(&self.state, State::Reading(handle) if handle.is_done()) {
            let _ = self.poll_idle(context);
        }
        // Not for each buffer, so that there are few jobs.
        if matches!(&self.state, State::Idle(source) if source.goes_on)
            && self.ahead.len() <= AHEAD / 2
        {
            self.start();
        }
        self.to = chunk.read?;
        self.is_end = self.to == 0;
        Ok(())
    }

    /// Ready when there are bytes in the buffer, or at the end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.from < self.to || self.is_end {
            return Poll::Ready(Ok(()));
        }
        loop {
            if let Some(chunk) = self.ahead.take(&mut self.buffer, context.waker()) {
                return Poll::Ready(self.arrive(chunk, context));
            }
            match &self.state {
                State::Idle(_) => self.start(),
                State::Reading(_) => ready!(self.poll_idle(context)),
                State::Failed(_) | State::Gone => {
                    let state = std::mem::replace(&mut self.state, State::Gone);
                    return Poll::Ready(Err(match state {
                        State::Failed(error) => lost(error),
                        _ => gone(),
                    }));
                }
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
        self.is_end = false;
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
