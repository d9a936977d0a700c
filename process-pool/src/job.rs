//! A task as the pool holds it: the bytes to send, and whom to give the answer.

use std::fmt;
use std::time::Duration;

use future_result::{Cause, Completer, Panic, TaskError};

use crate::call::{CALL, Call};
use crate::protocol::{DONE, FAILED, PANICKED, PanicReport, STORED, TASK};
use crate::retry::Retries;
use crate::store::Block;
use crate::{codec, frame, report};

/// A task that was submitted and has not ended.
pub(crate) struct Job {
    /// The whole message, kept until there is an answer: if the worker dies before it has begun, the
    /// task is sent to another.
    frame: Vec<u8>,
    /// The parts of the argument that are not in the message.
    parts: Vec<Block>,
    terms: Terms,
    /// How often a worker began it and died.
    deaths: u32,
    reply: Box<dyn Reply>,
}

/// The options of one task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How long it may take.
    pub(crate) limit: Option<Duration>,
    pub(crate) retries: Retries,
}

/// The handle's other end, whatever its type. It runs user code on an answer.
trait Reply: Send {
    fn start(&mut self) -> bool;
    fn is_cancelled(&self) -> bool;
    fn done(self: Box<Self>, body: &[u8]);
    fn fail(self: Box<Self>, error: TaskError);
}

struct Typed<T> {
    completer: Completer<T>,
    decode: fn(&[u8]) -> Result<T, String>,
}

impl Job {
    /// `message` is from [`message`].
    pub(crate) fn new<T: Send + 'static>(
        message: Vec<u8>,
        terms: Terms,
        completer: Completer<T>,
        decode: fn(&[u8]) -> Result<T, String>,
    ) -> Self {
        Self {
            frame: message,
            parts: Vec::new(),
            terms,
            deaths: 0,
            reply: Box::new(Typed { completer, decode }),
        }
    }

    /// Adds the parts of the argument that are in the pool's store, as the message's table says.
    pub(crate) fn with_parts(mut self, parts: Vec<Block>) -> Self {
        self.parts = parts;
        self
    }

    pub(crate) const fn limit(&self) -> Option<Duration> {
        self.terms.limit
    }

    /// Its worker has died. Returns how many have by now.
    pub(crate) const fn count_death(&mut self) -> u32 {
        self.deaths = self.deaths.saturating_add(1);
        self.deaths
    }

    /// The pause after which it is retried; `None` if it is not.
    pub(crate) fn try_again(&mut self, random: u64) -> Option<Duration> {
        self.terms.retries.left = self.terms.retries.left.checked_sub(1)?;
        Some(self.terms.retries.pause_after(self.deaths, random))
    }

    /// The size of the argument, in bytes.
    pub(crate) fn argument_size(&self) -> usize {
        let parts = self.parts.iter().map(|it| it.place().length as usize);
        self.frame.len().saturating_sub(frame::HEADER + CALL) + parts.sum::<usize>()
    }

    /// The message, ready to send.
    pub(crate) fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// Gives the message its number. False if it is too long.
    pub(crate) fn seal(&mut self, sequence: u64) -> bool {
        let stored = if self.parts.is_empty() { 0 } else { STORED };
        frame::seal(&mut self.frame, TASK | stored, sequence).is_ok()
    }

    /// From now on it can only be asked to stop. False if it was cancelled before.
    pub(crate) fn start(&mut self) -> bool {
        self.reply.start()
    }

    /// Whether the handle has cancelled, or wants it to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.reply.is_cancelled()
    }

    /// Ends it with a worker's answer.
    pub(crate) fn answer(self, kind: u32, body: &[u8]) {
        match kind {
            DONE => self.reply.done(body),
            PANICKED => {
                let report: PanicReport = codec::decode(body).unwrap_or_default();
                self.reply.fail(panicked(&report));
            }
            FAILED => {
                let text = String::from_utf8_lossy(body).into_owned();
                self.reply.fail(TaskError::Codec(Cause::new(text)));
            }
            _ => {
                let text = format!("the worker's answer is of the unknown kind {kind}");
                self.reply.fail(TaskError::Lost(Cause::new(text)));
            }
        }
    }

    /// Ends it without an answer.
    pub(crate) fn fail(self, error: TaskError) {
        self.reply.fail(error);
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("argument_size", &self.argument_size())
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

/// The panic of another process, for waiters in this one.
pub(crate) fn panicked(report: &PanicReport) -> TaskError {
    let location = report.location.as_deref();
    TaskError::Panicked(Panic::from_elsewhere(&*report.message, location))
}

impl<T: Send> Reply for Typed<T> {
    fn start(&mut self) -> bool {
        self.completer.start()
    }

    fn is_cancelled(&self) -> bool {
        self.completer.is_cancelled()
    }

    fn done(self: Box<Self>, body: &[u8]) {
        match report::catch(|| (self.decode)(body)) {
            Ok(Ok(value)) => {
                if let Err(unwanted) = self.completer.complete(value) {
                    future_result::contain(|| drop(unwanted));
                }
            }
            Ok(Err(text)) => {
                let text = format!("the result could not be read: {text}");
                self.completer.fail(TaskError::Codec(Cause::new(text)));
            }
            Err(report) => self.completer.fail(panicked(&report)),
        }
    }

    fn fail(self: Box<Self>, error: TaskError) {
        self.completer.fail(error);
    }
}

/// A task's message without its number. `write` appends the argument; it is user code, whose panics
/// the caller has to catch.
///
/// # Errors
///
/// The error of `write`.
pub(crate) fn message(
    call: Call,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>,
) -> Result<Vec<u8>, String> {
    let mut message = Vec::new();
    frame::begin(&mut message);
    message.extend_from_slice(&call.to_bytes());
    write(&mut message)?;
    Ok(message)
}
