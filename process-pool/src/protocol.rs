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
//! | the *page* of shared memory | both | which task begins next, and how many are done; see [`claims`](crate::claims) |
//! | the *stores* | one each way | long parts of arguments and results, which messages name; see [`store`](crate::store) |
//!
//! Descriptors 1 and 2 of a worker are a pipe whose content the pool [forwards](crate::forwarder) to the
//! standard error of its own process, 0 is `/dev/null` once the worker has begun. So nothing that a task prints or
//! reads can get between messages.
//!
//! # Messages
//!
//! A message is a [frame](crate::frame). Tasks of one worker are numbered from 0 up by the frame's
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
//! A worker answers in the order of the numbers, and leaves out those that the pool has taken back.
//! Everything else breaks the protocol: the worker is killed, and its running task fails.
//!
//! # Death
//!
//! *The worker's.* The pool is told by the worker's pidfd. It reads what is still in the result pipe; what
//! has an answer is done. Then the page tells which of the others had begun: such a task fails, with all
//! that is known about the worker's end. What had not begun is queued again, before everything else, and
//! nobody learns of it. The page cannot change any more at that point, so no task is run twice.
//!
//! *The pool's.* A thread of the worker sees the end of the pool's process by its pidfd, or that the task
//! pipe has no writer left, and kills the worker's process group: the worker, whatever it is busy with,
//! and what it has started.
//!
//! # Workers that are forked off
//!
//! With [`preload`](crate::Builder::preload) there is one process more, the *zygote*, which is started as a worker is.
//! Its bootstrap socket carries one descriptor alone, a file with its [`Setup`], and stays open:
//!
//! ```text
//! pool                                        zygote
//!  │ spawn, bootstrap ──────────────────────►  runs the preload function (if it fails: Refused)
//!  │ ◄─────────────────────────────── Ready
//!  │ request 7, descriptors of a worker ────►  forks                      worker
//!  │ ◄───────────── Born 7, with its process id
//!  │ ◄───────────────────────────────────────────────────────── Born 7, again
//!  │ Setup, and all that follows, by the worker's pipes ──────────────►
//! ```
//!
//! The pool waits for none of this, but for the first `Ready`: the pipes are there before the worker is. It may be
//! asked for [ahead of time](crate::spare): then its Setup comes when it is wanted, and it watches the pool meanwhile.
//! The numbers are those of the requests, not of the workers. [`nursery`](crate::nursery) says what the pool takes an
//! expected worker for, and why none is lost. A forked worker does not agree upon executable and names again. The zygote
//! ends when its socket does, or the pool's process.
//!
//! # Another executable
//!
//! The [`Setup`] may say that the worker is of another executable than the pool. Nothing of the pool's
//! addresses means anything there, so it is sent calls by [name](crate::names) alone, and refuses others.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::call::{CALL, Call};

/// Changes with every change of what this module describes.
pub(crate) const VERSION: u32 = 7;

/// To the worker: a [`Setup`].
pub(crate) const SETUP: u32 = 1;
/// To the worker: a task; the body is a call and its argument.
pub(crate) const TASK: u32 = 2;
/// To the worker: exit when everything before this is done.
pub(crate) const LEAVE: u32 = 3;
/// To the worker, before everything else: the numbers of the CPUs that it is to run on.
pub(crate) const PLACE: u32 = 4;

/// Besides the kind of a task or a value: parts of it are in a store, and a table tells which.
pub(crate) const STORED: u32 = 1 << 31;

/// From the worker: a [`Ready`].
pub(crate) const READY: u32 = 16;
/// From the worker: it does not start; the body is text that says why.
pub(crate) const REFUSED: u32 = 17;
/// From the worker: the task's value.
pub(crate) const DONE: u32 = 18;
/// From the worker: the task has panicked, with a [`PanicReport`].
pub(crate) const PANICKED: u32 = 19;
/// From the worker: argument or result did not travel; the body is text that says why.
pub(crate) const FAILED: u32 = 20;

/// The first message to a worker, but for the one that gives it a place.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup<'a> {
    pub(crate) version: u32,
    /// Of the pool's executable. As long in every build, so that a simulated program is the same in each.
    #[serde(with = "postcard::fixint::le")]
    pub(crate) build: u64,
    /// The worker need not be of that executable. It says `build` again if it agrees, and is sent no
    /// calls but those by name.
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
    /// Text, if the bytes are none.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        postcard::from_bytes(bytes).map_err(|error| error.to_string())
    }
}

/// What a zygote says; and what a worker that was forked off says first of all, which is the third of these.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// It has preloaded.
    Ready,
    /// It does not fork; the text says why.
    Refused(String),
    /// What was asked for by the number `id` is the process `pid`.
    Born { id: u64, pid: u32 },
    /// What was asked for by this number could not be forked; the text says why.
    Unborn { id: u64, text: String },
}

/// What a worker keeps to by itself.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Conduct {
    /// It leaves if it has more memory resident after a task, in bytes.
    pub(crate) max_rss: Option<u64>,
    /// The system gives it no more memory than this, in bytes.
    pub(crate) memory_limit: Option<u64>,
    /// It is nicer than the pool by this.
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
    /// File, line and column, if the panic hook was ours.
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
