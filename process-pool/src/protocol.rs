//! What the pool and a worker say to each other.
//!
//! # Channels
//!
//! Each worker has channels of its own, and shares none with another worker:
//!
//! | channel | direction | carries |
//! |---|---|---|
//! | the *bootstrap* socket, the worker's descriptor 0 at its start | → worker | the descriptors of the others, and the pool's process id; then it is closed |
//! | the *task* pipe | → worker | [`Setup`], then tasks, at last [`LEAVE`] |
//! | the *result* pipe | ← worker | [`Ready`], then an answer to each task |
//! | the *page* of shared memory | both | which task begins next, how many are done; see [`claims`](crate::claims) |
//! | the *stores* | one each way | long parts of arguments and results, which messages name; see [`store`](crate::store) |
//!
//! Descriptors 1 and 2 of a worker are a pipe whose content the pool [forwards](crate::forwarder) to the
//! standard error of its own process; 0 is `/dev/null` once the worker has begun. So nothing that a task prints or
//! reads can mix with messages.
//!
//! # Messages
//!
//! A message is a [frame](crate::frame). Tasks of one worker are numbered from 0 up in the frame's
//! sequence number, and an answer has the number of its task.
//!
//! ```text
//! pool                                        worker
//!  │ spawn, bootstrap, Setup ───────────────►  checks that it is the right program (else REFUSED)
//!  │                                           runs the initializer (if it panics: REFUSED)
//!  │ ◄─────────────────────────────── READY
//!  │ TASK 0 ────────────────────────────────►  claims 0 in the page, runs it
//!  │ ◄────────────────────── DONE 0 │ PANICKED 0 │ FAILED 0
//!  │ TASK 1, TASK 2, … ─────────────────────►
//!  │ LEAVE ─────────────────────────────────►  exits with status 0
//! ```
//!
//! A worker answers in the order of the numbers, without those that the pool has taken back.
//! Anything else breaks the protocol: the worker is killed, and its running task fails.
//!
//! # Death
//!
//! *The worker's.* The worker's pidfd tells the pool. It reads what is still in the result pipe; tasks
//! with an answer are done. Then the page says which of the others had begun: such a task fails, with all
//! that is known about the worker's end. What had not begun is requeued, before everything else, and
//! nobody notices. The page cannot change any more at that point, so no task runs twice.
//!
//! *The pool's.* A thread of the worker notices by pidfd that the pool's process has ended, or that the task
//! pipe has no writer left, and kills the worker's process group: the worker, however busy it is,
//! and what it started.
//!
//! # Forked workers
//!
//! With [`preload`](crate::Builder::preload) there is one more process, the *zygote*, which is started like a worker.
//! Its bootstrap socket carries a single descriptor, a file with its [`Setup`], and stays open:
//!
//! ```text
//! pool                                        zygote
//!  │ spawn, bootstrap ──────────────────────►  runs the preload function (if it fails: Refused)
//!  │ ◄─────────────────────────────── Ready
//!  │ request 7, descriptors of a worker ────►  forks                      worker
//!  │ ◄───────────── Born 7, with its process id
//!  │ ◄───────────────────────────────────────────────────────── Born 7, again
//!  │ Setup, and all that follows, in the worker's pipes ──────────────►
//! ```
//!
//! The pool waits only for the first `Ready`: the pipes are there before the worker is. A worker may be
//! asked for [ahead of time](crate::spare): then its Setup comes when it is wanted, and it watches the pool meanwhile.
//! The numbers are those of the requests, not of the workers. [`nursery`](crate::nursery) says how the pool treats an
//! expected worker, and why none is lost. A forked worker does not check executable and names again. The zygote
//! ends when its socket does, or the pool's process.
//!
//! # Another executable
//!
//! The [`Setup`] may say that the worker is of another executable than the pool. The pool's
//! addresses mean nothing there, so it is only sent calls by [name](crate::names), and refuses others.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::call::{CALL, Call};

/// Changes whenever something that this module describes does.
pub(crate) const VERSION: u32 = 7;

/// To the worker: a [`Setup`].
pub(crate) const SETUP: u32 = 1;
/// To the worker: a task; the body is a call and its argument.
pub(crate) const TASK: u32 = 2;
/// To the worker: exit when everything before this is done.
pub(crate) const LEAVE: u32 = 3;
/// To the worker, before everything else: the numbers of its CPUs.
pub(crate) const PLACE: u32 = 4;

/// A flag of a task's or value's kind: parts of it are in a store, and a table says which.
pub(crate) const STORED: u32 = 1 << 31;

/// From the worker: a [`Ready`].
pub(crate) const READY: u32 = 16;
/// From the worker: it does not start; the body is text that says why.
pub(crate) const REFUSED: u32 = 17;
/// From the worker: the task's value.
pub(crate) const DONE: u32 = 18;
/// From the worker: the task has panicked, with a [`PanicReport`].
pub(crate) const PANICKED: u32 = 19;
/// From the worker: the argument or the result did not travel; the body is text that says why.
pub(crate) const FAILED: u32 = 20;

/// The first message to a worker, except the one that gives it a place.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup<'a> {
    pub(crate) version: u32,
    /// The pool's build. Of the same length in each, so that a simulated program is the same in all.
    #[serde(with = "postcard::fixint::le")]
    pub(crate) build: u64,
    /// The worker need not be of that executable. It answers with this `build` if it agrees, and is only
    /// sent calls by name.
    pub(crate) is_elsewhere: bool,
    /// The names and types of the pool's functions. A call by name has the number of its name.
    #[serde(borrow)]
    pub(crate) names: Vec<(&'a str, &'a str)>,
    /// A call and its argument, as in a task.
    #[serde(borrow)]
    pub(crate) initializer: Option<&'a [u8]>,
    pub(crate) conduct: Conduct,
}

impl<'a> Setup<'a> {
    /// # Errors
    ///
    /// Text, if the bytes are no Setup.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        postcard::from_bytes(bytes).map_err(|error| error.to_string())
    }
}

/// What a zygote reports. A forked worker first reports itself `Born`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// It has preloaded.
    Ready,
    /// It cannot fork; the text says why.
    Refused(String),
    /// The request with the number `id` led to the process `pid`.
    Born { id: u64, pid: u32 },
    /// The request with this number led to no fork; the text says why.
    Unborn { id: u64, text: String },
}

/// What a worker enforces itself.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Conduct {
    /// It leaves if its resident memory exceeds this after a task, in bytes.
    pub(crate) max_rss: Option<u64>,
    /// The system gives it no more memory than this, in bytes.
    pub(crate) memory_limit: Option<u64>,
    /// How much nicer than the pool it is.
    pub(crate) nice: i32,
}

/// The first message of a worker that can work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) version: u32,
    /// As in the [`Setup`].
    #[serde(with = "postcard::fixint::le")]
    pub(crate) build: u64,
    pub(crate) pid: u32,
}

/// A panic, as text.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PanicReport {
    pub(crate) message: String,
    /// File, line and column, if our panic hook ran.
    pub(crate) location: Option<String>,
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("panicked")?;
        if let Some(place) = &self.location {
            write!(f, " at {place}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Takes the body of a task apart.
///
/// # Errors
///
/// Text, if it is too short to be one.
pub(crate) fn split_task(body: &[u8]) -> Result<(Call, &[u8]), String> {
    match body.split_first_chunk::<CALL>() {
        Some((call, argument)) => Ok((Call::from_bytes(call), argument)),
        None => Err(format!("a task of {} bytes is no task", body.len())),
    }
}

#[cfg(test)]
#[cfg(not(any(pool_loom, pool_sim)))]
mod tests;
