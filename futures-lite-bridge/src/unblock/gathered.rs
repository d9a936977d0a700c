//! Bytes for a writer, between the adapter and the job that writes.
//!
//! | who | does | under the lock |
//! |---|---|---|
//! | the adapter | adds bytes; if no job has the writer, takes both for a new one | |
//! | the adapter | leaves a waker if there is no room, or for the end of the writing | unless there is nothing to wait for |
//! | the job | exchanges what it has written for what was gathered meanwhile, and wakes a waiter for room | while its turn lasts |
//! | the job | gives the writer back and wakes the waiter | if nothing is left to do, its turn is over, or a call failed |
//!
//! The job gives the writer back in one step with its last look at what was gathered: either it sees the bytes that
//! the adapter adds, or the adapter finds the writer here and starts the next job. Otherwise the job has panicked,
//! or was refused; then its handle is done, which it never is before the writer is back.
//!
//! The writer is user code: it is never called, or dropped, under the lock.

use std::io::{self, Write};
use std::task::Waker;

use future_result::sync::Mutex;

use super::retry;

/// How much is copied under the lock at once.
const COPY_MAX: usize = 64 * 1024;

pub(super) struct Gathered<W>(Mutex<Inner<W>>);

struct Inner<W> {
    /// `None` while a job has it, and once closed.
    writer: Option<W>,
    /// Not given to a job yet.
    bytes: Vec<u8>,
    /// Empty: the buffer that was written last.
    spare: Vec<u8>,
    /// Of `bytes`.
    capacity: usize,
    /// How far that grows.
    capacity_max: usize,
    /// Whether something written is not flushed.
    is_dirty: bool,
    /// Whether the job must flush when nothing is left to write.
    wants_flush: bool,
    /// The last job's, until it is reported.
    error: Option<io::Error>,
    waiter: Option<(Waker, Event)>,
}

/// What somebody waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Room,
    /// The writer is back.
    End,
}

/// What a job starts with.
pub(super) struct Job<W> {
    writer: W,
    bytes: Vec<u8>,
}

/// What a look has led to.
pub(super) enum Look<W, T> {
    Done(T),
    /// Start a job; then it is done, or has to be looked at again.
    Start(Job<W>, Option<T>),
    /// The waker will be woken, or the job's handle is done.
    Wait,
    Failed(io::Error),
}

enum Step {
    Write,
    Flush,
}

impl<W> Gathered<W> {
    pub(super) fn new(capacity: usize, capacity_max: usize, writer: W) -> Self {
        Self(Mutex::new(Inner {
            writer: Some(writer),
            bytes: Vec::new(),
            spare: Vec::new(),
            capacity,
            capacity_max,
            is_dirty: false,
            wants_flush: false,
            error: None,
            waiter: None,
        }))
    }

    /// Adds as many bytes as there is room for. `is_done` says whether the job's handle was done before.
    pub(super) fn add(&self, bytes: &[u8], is_done: bool, waker: &Waker) -> Look<W, usize> {
        let waker = waker.clone();
        let mut inner = self.0.lock();
        if is_done && inner.writer.is_none() {
            return Look::Wait;
        }
        if let Some(error) = inner.error.take() {
            return Look::Failed(error);
        }
        // Left over from a turn that has ended, or from before an error.
        let mut job = inner.begin_if(|inner| inner.bytes.len() >= inner.capacity);
        if inner.bytes.len() >= inner.capacity {
            let larger = inner.capacity.saturating_mul(2);
            inner.capacity = larger.min(inner.capacity_max);
        }
        let room = inner.capacity - inner.bytes.len();
        if room == 0 && !bytes.is_empty() {
            let before = inner.waiter.replace((waker, Event::Room));
            drop(inner);
            drop(before);
            return Look::Wait;
        }
        let taken = bytes.len().min(room).min(COPY_MAX);
        inner.bytes.extend_from_slice(&bytes[..taken]);
        if job.is_none() {
            job = inner.begin_if(|inner| !inner.bytes.is_empty());
        }
        match job {
            Some(job) => Look::Start(job, Some(taken)),
            None => Look::Done(taken),
        }
    }

    /// Asks for a flush of everything that was added, unless it is flushed.
    pub(super) fn flush(&self, waker: &Waker) -> Look<W, ()> {
        let waker = waker.clone();
        let mut inner = self.0.lock();
        if let Some(error) = inner.error.take() {
            return Look::Failed(error);
        }
        if inner.writer.is_some() && inner.bytes.is_empty() && !inner.is_dirty {
            return Look::Done(());
        }
        inner.wants_flush = true;
        if let Some(job) = inner.begin_if(|_| true) {
            return Look::Start(job, None);
        }
        let before = inner.waiter.replace((waker, Event::End));
        drop(inner);
        drop(before);
        Look::Wait
    }

    /// The writer, unless a job has it.
    pub(super) fn take_writer(&self) -> Option<W> {
        self.0.lock().writer.take()
    }

    /// How many bytes no job has yet, and whether a job has the writer.
    pub(super) fn state(&self) -> (usize, bool) {
        let inner = self.0.lock();
        (inner.bytes.len(), inner.writer.is_none())
    }
}

impl<W: Write> Gathered<W> {
    /// The job.
    pub(super) fn write_out(&self, job: Job<W>, is_over: impl Fn() -> bool) {
        let Job { writer, mut bytes } = job;
        let mut slot = Some(writer);
        let mut step = Step::Write;
        while let Some(writer) = &mut slot {
            let result = match step {
                Step::Write => writer.write_all(&bytes),
                Step::Flush => retry(|| writer.flush()),
            };
            bytes.clear();
            match self.next(&step, result, &mut bytes, &mut slot, is_over()) {
                Some(next) => step = next,
                None => return,
            }
        }
    }

    /// The next step, with its bytes; or gives the writer back.
    fn next(
        &self,
        last: &Step,
        result: io::Result<()>,
        bytes: &mut Vec<u8>,
        writer: &mut Option<W>,
        is_over: bool,
    ) -> Option<Step> {
        let mut inner = self.0.lock();
        let next = match (result, last) {
            (Err(error), _) => {
                inner.error = Some(error);
                // The writer may still hold unflushed bytes.
                inner.is_dirty = true;
                inner.wants_flush = false;
                None
            }
            (Ok(()), Step::Flush) => {
                inner.is_dirty = false;
                inner.wants_flush = false;
                inner.go_on(bytes, is_over)
            }
            (Ok(()), Step::Write) => inner.go_on(bytes, is_over),
        };
        let is_awaited = match (&inner.waiter, &next) {
            (Some((_, event)), Some(Step::Write)) => *event == Event::Room,
            (Some(_), None) => true,
            _ => false,
        };
        let waiter = inner.waiter.take_if(|_| is_awaited);
        if next.is_none() {
            inner.spare = std::mem::take(bytes);
            inner.writer = writer.take();
        }
        drop(inner);
        if let Some((waker, _)) = waiter {
            waker.wake();
        }
        next
    }
}

impl<W> Inner<W> {
    /// A job for what was gathered, if it is wanted and the writer is here.
    fn begin_if(&mut self, is_wanted: impl FnOnce(&Self) -> bool) -> Option<Job<W>> {
        if !is_wanted(self) {
            return None;
        }
        let writer = self.writer.take()?;
        let spare = std::mem::take(&mut self.spare);
        let bytes = std::mem::replace(&mut self.bytes, spare);
        self.is_dirty = true;
        Some(Job { writer, bytes })
    }

    /// The next step of a job that has written all its bytes.
    fn go_on(&mut self, bytes: &mut Vec<u8>, is_over: bool) -> Option<Step> {
        if self.bytes.is_empty() {
            self.wants_flush.then_some(Step::Flush)
        } else if is_over {
            None
        } else {
            std::mem::swap(bytes, &mut self.bytes);
            self.is_dirty = true;
            Some(Step::Write)
        }
    }
}
