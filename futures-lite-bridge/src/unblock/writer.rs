//! A blocking writer as an async one.

use std::fmt;
use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use future_result::{FutureResult, JoinHandle};
use futures_io::AsyncWrite;
use thread_pool::{Submitter, ThreadPoolExecutor};

use super::gathered::{Gathered, Job, Look};
use super::turn::Turn;
use super::{CAPACITY, WRITE_MAX, gone, lost, submit};

/// A blocking writer, such as a file, as an [`AsyncWrite`]: it is written to on the workers of a thread
/// pool.
///
/// What is given to it goes into a buffer; a job writes that, while the next is gathered, and goes on with it. A write waits
/// when the buffer is full. No worker is held while there is nothing to write.
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
/// dropped is taken up by the next. Dropping the adapter itself may lose what is in the buffer; what a job has is
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
    gathered: Arc<Gathered<W>>,
    /// The last one, unless it is known how it has ended.
    job: Option<JoinHandle<()>>,
    state: State,
}

enum State {
    Open,
    Closing(JoinHandle<()>),
    Closed,
    /// Lost with a job.
    Gone,
}

impl<W: Write + Send + 'static> UnblockWriter<W> {
    /// With a buffer of 64 KiB, which grows up to 512 KiB while the writer does not keep up.
    #[must_use]
    pub fn new(pool: &ThreadPoolExecutor, writer: W) -> Self {
        Self::growing(CAPACITY, WRITE_MAX, pool, writer)
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
        Self::growing(bytes.max(1), bytes.max(1), pool, writer)
    }

    fn growing(capacity: usize, capacity_max: usize, pool: &ThreadPoolExecutor, writer: W) -> Self {
        Self {
            submitter: pool.submitter(),
            gathered: Arc::new(Gathered::new(capacity, capacity_max, writer)),
            job: None,
            state: State::Open,
        }
    }

    fn is_done(&self) -> bool {
        self.job.as_ref().is_some_and(FutureResult::is_done)
    }

    fn start(&mut self, job: Job<W>) {
        let gathered = Arc::clone(&self.gathered);
        self.job = Some(submit(&self.submitter, move || {
            let turn = Turn::begin();
            gathered.write_out(job, || turn.is_over());
        }));
    }

    /// Ready when the last job has ended.
    fn poll_job(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(handle) = &mut self.job else {
            return Poll::Ready(Err(gone()));
        };
        let ended = ready!(Pin::new(handle).poll(context));
        self.job = None;
        Poll::Ready(ended.map_err(|error| {
            self.state = State::Gone;
            lost(error)
        }))
    }
}

impl<W: Write + Send + 'static> AsyncWrite for UnblockWriter<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !matches!(self.state, State::Open) {
            return Poll::Ready(Err(gone()));
        }
        loop {
            let is_done = self.is_done();
            match self.gathered.add(bytes, is_done, context.waker()) {
                Look::Done(taken) => return Poll::Ready(Ok(taken)),
                Look::Start(job, taken) => {
                    self.start(job);
                    if let Some(taken) = taken {
                        return Poll::Ready(Ok(taken));
                    }
                }
                Look::Wait => ready!(self.poll_job(context))?,
                Look::Failed(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.state {
            State::Open => {}
            State::Closing(_) | State::Closed => return Poll::Ready(Ok(())),
            State::Gone => return Poll::Ready(Err(gone())),
        }
        loop {
            match self.gathered.flush(context.waker()) {
                Look::Done(()) => return Poll::Ready(Ok(())),
                Look::Start(job, _) => self.start(job),
                Look::Wait => ready!(self.poll_job(context))?,
                Look::Failed(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        if matches!(self.state, State::Open)
            && let Some(writer) = self.gathered.take_writer()
        {
            self.state = State::Closing(submit(&self.submitter, move || drop(writer)));
        }
        if let State::Closing(handle) = &mut self.state {
            let dropped = ready!(Pin::new(handle).poll(context));
            self.state = State::Closed;
            dropped.map_err(lost)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<W> fmt::Debug for UnblockWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (buffered, is_writing) = self.gathered.state();
        f.debug_struct("UnblockWriter")
            .field("is_writing", &is_writing)
            .field("buffered", &buffered)
            .finish_non_exhaustive()
    }
}
