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

/// A blocking writer, such as a file, as an [`AsyncWrite`]: workers of a thread
/// pool write to it.
///
/// Bytes go into a buffer; a job writes it while the next one fills, and goes on with that. A write waits
/// if the buffer is full. No worker is occupied while there is nothing to write.
///
/// # Errors
///
/// Those of the writer, at the next call: so only a flush or a close sees the last
/// error. After an error, the buffer may have been written in part. If the writer panics, or the
/// pool is shut down, an error of kind [`Other`](io::ErrorKind::Other) whose source is a
/// [`TaskError`](future_result::TaskError); the writer is then lost.
///
/// # Cancel safety
///
/// Dropping a future that writes loses nothing that was reported as written; the next flush or close continues
/// a dropped one. Dropping the adapter itself may lose what is in the buffer; what a job already has is
/// still written. So flush or close it first. Closing also drops the writer on the pool, which ends the output
/// of some writers.
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
    /// The last one, until its outcome is known.
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

    /// With a buffer of this many bytes; 0 counts as 1. The job may hold as many again.
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
