//! A blocking writer as an async one.

use std::fmt;
use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use future_result::{FutureResult, JoinHandle};
use futures_io::AsyncWrite;
use thread_pool::{Submitter, ThreadPoolExecutor};

use super::{CAPACITY, WRITE_MAX, gone, lost, retry, submit};

/// A blocking writer, such as a file, as an [`AsyncWrite`]: it is written to on the workers of a thread
/// pool.
///
/// What is given to it goes into a buffer; a job writes that, while the next is gathered. A write waits
/// when the buffer is full.
///
/// # Errors
///
/// What the writer says, at the next call after it: so the last error is seen by a flush or a close
/// alone. After an error, what was in the buffer may have been written in part. If the writer panics, or the
/// pool is shut down, an error of kind [`Other`](io::ErrorKind::Other) whose source is a
/// [`TaskError`](future_result::TaskError); the writer is then lost.
///
/// # Cancel safety
///
/// Dropping a future that writes loses nothing that it was told was written; a flush or a close that was
/// dropped is taken up by the next. Dropping the adapter itself loses what is in the buffer; what a job has is
/// still written. So flush it, or close it, before that. Closing also drops the writer on the pool, which for
/// some is what ends the output.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
/// use futures_lite_bridge::{block_on, UnblockWriter};
/// use thread_pool::ThreadPoolExecutor;
///
/// let pool = ThreadPoolExecutor::new(1)?;
/// let (reader, writer) = std::io::pipe()?;
/// block_on(async {
///     let mut writer = UnblockWriter::new(&pool, writer);
///     writer.write_all(b"hello").await?;
///     writer.close().await
/// })?;
/// assert_eq!(std::io::read_to_string(reader)?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UnblockWriter<W> {
    submitter: Submitter,
    state: State<W>,
    /// Not yet with a job.
    buffer: Vec<u8>,
    /// Empty: the memory of what was written last.
    spare: Vec<u8>,
    capacity: usize,
    /// Up to which the capacity grows.
    capacity_max: usize,
    /// Whether something was written that was not flushed.
    is_dirty: bool,
}

enum State<W> {
    /// The writer is here.
    Idle(W),
    Writing(JoinHandle<Written<W>>),
    Closing(JoinHandle<()>),
    Closed,
    Gone,
}

/// What a job gives back.
struct Written<W> {
    writer: W,
    /// To be used again.
    buffer: Vec<u8>,
    result: io::Result<()>,
}

// The writer is moved about, and never pinned.
impl<W> Unpin for UnblockWriter<W> {}

impl<W: Write + Send + 'static> UnblockWriter<W> {
    /// With a buffer of 64 KiB, which grows up to 1 MiB while the writer does not keep up.
    #[must_use]
    pub fn new(pool: &ThreadPoolExecutor, writer: W) -> Self {
        Self {
            capacity_max: WRITE_MAX,
            ..Self::with_capacity(CAPACITY, pool, writer)
        }
    }

    /// With a buffer of so many bytes; 0 counts as 1. As many again may be with the job.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::AsyncWriteExt;
    /// use futures_lite_bridge::{block_on, UnblockWriter};
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(1)?;
    /// let mut writer = UnblockWriter::with_capacity(2, &pool, std::io::sink());
    /// block_on(writer.write_all(b"three"))?;
    /// block_on(writer.flush())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_capacity(bytes: usize, pool: &ThreadPoolExecutor, writer: W) -> Self {
        Self {
            submitter: pool.submitter(),
            state: State::Idle(writer),
            buffer: Vec::new(),
            spare: Vec::new(),
            capacity: bytes.max(1),
            capacity_max: bytes.max(1),
            is_dirty: false,
        }
    }

    /// Ready when no job has the writer.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let State::Writing(handle) = &mut self.state else {
            return Poll::Ready(Ok(()));
        };
        match ready!(Pin::new(handle).poll(context)) {
            Ok(written) => {
                self.state = State::Idle(written.writer);
                self.spare = written.buffer;
                // What was to be flushed then may have been kept back.
                self.is_dirty |= written.result.is_err();
                Poll::Ready(written.result)
            }
            Err(error) => {
                self.state = State::Gone;
                Poll::Ready(Err(lost(error)))
            }
        }
    }

    /// Has a job write what is in the buffer, and then flush. The writer is here.
    fn start(&mut self, flush: bool) -> io::Result<()> {
        let State::Idle(mut writer) = std::mem::replace(&mut self.state, State::Gone) else {
            return Err(gone());
        };
        let spare = std::mem::take(&mut self.spare);
        let mut buffer = std::mem::replace(&mut self.buffer, spare);
        self.is_dirty = !flush;
        let handle = submit(&self.submitter, move || {
            let mut result = writer.write_all(&buffer);
            buffer.clear();
            if flush && result.is_ok() {
                result = retry(|| writer.flush());
            }
            Written {
                writer,
                buffer,
                result,
            }
        });
        self.state = State::Writing(handle);
        Ok(())
    }
}

impl<W: Write + Send + 'static> AsyncWrite for UnblockWriter<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let is_done = matches!(&this.state, State::Writing(handle) if handle.is_done());
        let is_full = this.buffer.len() >= this.capacity;
        if is_done || is_full {
            ready!(this.poll_idle(context))?;
        }
        if matches!(this.state, State::Gone | State::Closed | State::Closing(_)) {
            return Poll::Ready(Err(gone()));
        }
        if is_full {
            this.start(false)?;
            this.capacity = this.capacity.saturating_mul(2).min(this.capacity_max);
        }
        let taken = bytes.len().min(this.capacity - this.buffer.len());
        this.buffer.extend_from_slice(&bytes[..taken]);
        if matches!(this.state, State::Idle(_)) && taken > 0 {
            this.start(false)?;
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_idle(context))?;
            match self.state {
                State::Idle(_) if self.is_dirty || !self.buffer.is_empty() => self.start(true)?,
                State::Gone => return Poll::Ready(Err(gone())),
                _ => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        let this = &mut *self;
        if matches!(this.state, State::Idle(_))
            && let State::Idle(writer) = std::mem::replace(&mut this.state, State::Gone)
        {
            this.state = State::Closing(submit(&this.submitter, move || drop(writer)));
        }
        if let State::Closing(handle) = &mut this.state {
            let dropped = ready!(Pin::new(handle).poll(context));
            this.state = State::Closed;
            dropped.map_err(lost)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<W> fmt::Debug for UnblockWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnblockWriter")
            .field("is_writing", &matches!(self.state, State::Writing(_)))
            .field("buffered", &self.buffer.len())
            .finish_non_exhaustive()
    }
}
