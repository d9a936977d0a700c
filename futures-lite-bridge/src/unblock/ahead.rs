//! Chunks that were read ahead, between the job that reads and the adapter.
//!
//! | who | does | under the lock |
//! |---|---|---|
//! | the job, after a read that filled its buffer | offers the chunk, then wakes the waiter, and reads the next | if there is room |
//! | the job, after any other read, or when its turn is over or no room is left | ends with the chunk, which its handle carries | |
//! | the adapter | takes the first chunk and leaves its empty buffer; or leaves a waker, then polls the handle | |
//! | the adapter, when the handle is ready | adds the job's last chunk | |
//!
//! The adapter polls the handle after it has left its waker here. So a later offer wakes it, as does the job's end;
//! and everything offered before that end is here before the last chunk. Buffers are reused, and never copied.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::task::Waker;

use future_result::sync::Mutex;

use super::retry;

/// How many buffers may be ahead of the one being taken, including the one being filled.
pub(super) const AHEAD: usize = 3;

#[derive(Default)]
pub(super) struct Ahead(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    chunks: VecDeque<Chunk>,
    /// To be filled again.
    spare: Vec<Vec<u8>>,
    /// The adapter's, while it waits for a chunk.
    waker: Option<Waker>,
}

/// The outcome of one read.
pub(super) struct Chunk {
    pub(super) buffer: Vec<u8>,
    pub(super) read: io::Result<usize>,
}

/// A reader, and the size of its buffers.
pub(super) struct Source<R> {
    pub(super) reader: R,
    /// The size of the next buffer, in bytes.
    pub(super) capacity: usize,
    /// How far that grows while reads fill their buffers.
    pub(super) capacity_max: usize,
    /// Whether the last read did, so that the next is made ahead.
    pub(super) goes_on: bool,
}

/// What a job returns.
pub(super) struct Filled<R> {
    pub(super) source: Source<R>,
    pub(super) last: Chunk,
}

impl Ahead {
    /// The job.
    pub(super) fn fill<R: Read>(
        &self,
        mut source: Source<R>,
        is_over: impl Fn() -> bool,
    ) -> Filled<R> {
        loop {
            let mut buffer = self.empty(source.capacity);
            let read = retry(|| source.reader.read(&mut buffer));
            // A reader may claim too much; it must not be believed.
            let read = read.map(|bytes| bytes.min(buffer.len()));
            source.goes_on = matches!(read, Ok(bytes) if bytes == buffer.len());
            let mut last = Chunk { buffer, read };
            if source.goes_on {
                let larger = source.capacity.saturating_mul(2);
                source.capacity = larger.min(source.capacity_max);
                if !is_over() {
                    match self.offer(last) {
                        Ok(()) => continue,
                        Err(back) => last = back,
                    }
                }
            }
            return Filled { source, last };
        }
    }

    /// A buffer of `capacity` bytes.
    fn empty(&self, capacity: usize) -> Vec<u8> {
        let spare = self.0.lock().spare.pop();
        // A smaller one is not resized, which would copy stale bytes.
        spare
            .filter(|buffer| buffer.len() == capacity)
            .unwrap_or_else(|| vec![0; capacity])
    }

    /// Adds the chunk and wakes the waiter; or gives it back if there is no room for another one after it.
    fn offer(&self, chunk: Chunk) -> Result<(), Chunk> {
        let mut inner = self.0.lock();
        if inner.chunks.len() + 1 >= AHEAD {
            return Err(chunk);
        }
        inner.chunks.push_back(chunk);
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Adds the last chunk of a job that has ended.
    pub(super) fn add(&self, chunk: Chunk) {
        self.0.lock().chunks.push_back(chunk);
    }

    /// The first chunk, in exchange for the last one's buffer. If there is none, the next offer wakes the waker.
    pub(super) fn take(&self, taken: &mut Vec<u8>, waker: &Waker) -> Option<Chunk> {
        let waker = waker.clone();
        let mut inner = self.0.lock();
        let chunk = inner.chunks.pop_front();
        let before = match chunk {
            Some(_) => {
                if !taken.is_empty() {
                    inner.spare.push(std::mem::take(taken));
                }
                inner.waker.take()
            }
            None => inner.waker.replace(waker),
        };
        drop(inner);
        drop(before);
        chunk
    }

    /// How many chunks there are.
    pub(super) fn len(&self) -> usize {
        self.0.lock().chunks.len()
    }
}
