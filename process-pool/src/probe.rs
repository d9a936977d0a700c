//! Whether an executable is a worker at all: it is started once, and has to say so in time.
//!
//! Otherwise a program that is no worker would fail tasks one after another, or never answer. This is
//! checked before there is a pool, so that `build` returns the error, and what to do.

use std::io;
use std::time::{Duration, Instant};

use future_result::sync::now;

use crate::child::{self, Child, Plan, Results};
use crate::codec;
use crate::frame::Decoder;
use crate::output::Flow;
use crate::protocol::{READY, REFUSED, Ready, VERSION};
use crate::state::Process;
use crate::store::{self, Store};
use crate::sys::{self, Image, Interest};

/// How long it may take to say that it is a worker.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Starts a worker, waits for it to be ready, and ends it.
///
/// # Errors
///
/// Text that says what is wrong with the executable.
pub(crate) fn probe(plan: &Plan, patience: Duration) -> Result<(), String> {
    let path = plan.executable.clone().unwrap_or_default();
    let path = path.display();
    let started = Store::create(store::ARGUMENTS)
        .and_then(|store| child::spawn(0, &child::Source::Program(plan), &store))
        .map_err(|error| format!("{path} cannot be started: {error}"));
    let (child, results) = started?;
    let asked = ask(&child, &results, &plan.setup, patience);
    let printed = child.abandon().stderr;
    asked.map_err(|text| match printed.as_str() {
        "" => format!("{path}: {text}"),
        printed => format!("{path}: {text}; it printed: {printed}"),
    })
}

fn ask(child: &Child, results: &Results, setup: &[u8], patience: Duration) -> Result<(), String> {
    let deadline = now().checked_add(patience);
    let mut decoder = Decoder::new();
    let mut rest = setup;
    let (mut prints, mut lines) = (true, Vec::new());
    loop {
        // Read what it prints, or it may wait for that.
        prints &= child.output().read_lines(&mut lines) != Flow::End;
        if !rest.is_empty() {
            match child.write(&[io::IoSlice::new(rest)]) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if is_to_be_tried_again(&error) => {}
                Err(error) => return Err(format!("it could not be written to: {error}")),
            }
        }
        let has_ended = wait(child, results, !rest.is_empty(), prints, deadline)?;
        let room = decoder.room().map_err(|error| error.to_string())?;
        let read = sys::read(&results.pipe, room);
        if let Some((header, body)) = decoder.next().map_err(|error| error.to_string())? {
            match header.kind {
                READY => {
                    let ready: Ready = codec::decode(decoder.body(body))?;
                    if (ready.version, ready.build) != (VERSION, Image::get().build()) {
                        return Err("it is a worker for another pool".to_owned());
                    }
                    return Ok(());
                }
                REFUSED => {
                    return Err(String::from_utf8_lossy(decoder.body(body)).into_owned());
                }
                kind => return Err(format!("it sent a message of unknown kind {kind}")),
            }
        }
        // The other end stays open until it closes the socket through which it should get it.
        if matches!(read, Ok(0)) || (has_ended && read.is_err()) {
            return Err(
                "it ended instead of being a worker; call `process_pool::init()` at the beginning of its \
                 `main`, and build it with the same version of process-pool"
                    .to_owned(),
            );
        }
    }
}

fn is_to_be_tried_again(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Waits until it writes or ends, or, if asked for, takes more. Returns whether it has ended.
///
/// # Errors
///
/// If the time is over, or the system cannot wait.
fn wait(
    child: &Child,
    results: &Results,
    is_full: bool,
    prints: bool,
    deadline: Option<Instant>,
) -> Result<bool, String> {
    let left = deadline.map_or(PATIENCE, |at| at.saturating_duration_since(now()));
    if left.is_zero() {
        return Err(
            "it did not report in time as a worker; call `process_pool::init()` at the beginning of \
             its `main`, and build it with the same version of process-pool"
                .to_owned(),
        );
    }
    let Some(process) = child.process_fd() else {
        return Ok(true);
    };
    let process = (process, Some(Interest::Read));
    let fds = [
        process,
        (&results.pipe, Some(Interest::Read)),
        (child.tasks(), is_full.then_some(Interest::Write)),
        if prints {
            (child.output().fd(), Some(Interest::Read))
        } else {
            process
        },
    ];
    match sys::wait_any(fds, left) {
        Ok([has_ended, ..]) => Ok(has_ended),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
#[cfg(not(any(pool_loom, pool_sim)))]
mod tests {
    use super::*;
    use crate::builder;
    use crate::protocol::Conduct;

    fn plan(executable: &str) -> Plan {
        Plan {
            executable: Some(executable.into()),
            setup: builder::start::setup(None, &[], true, Conduct::default()).unwrap(),
            ..Plan::default()
        }
    }

    #[test]
    fn a_program_that_ends_is_no_worker() {
        let text = probe(&plan("/bin/true"), PATIENCE).unwrap_err();
        assert!(text.contains("ended") && text.contains("init()"), "{text}");
    }

    #[test]
    fn what_a_program_has_printed_is_told_and_does_not_hold_it_up() {
        let text = probe(&plan("/bin/ls"), PATIENCE).unwrap_err();
        assert!(text.contains("it printed"), "{text}");
    }

    /// It never answers, and never stops printing.
    #[test]
    fn a_program_that_never_answers_is_given_up_in_time_and_ended() {
        let text = probe(&plan("/usr/bin/yes"), Duration::from_millis(100)).unwrap_err();
        assert!(
            text.contains("in time") && text.contains("init()"),
            "{text}"
        );
        assert!(text.contains("it printed: y"), "{text}");
    }

    #[test]
    fn a_program_that_is_not_there_cannot_be_started() {
        let text = probe(&plan("/nowhere/worker"), PATIENCE).unwrap_err();
        assert!(text.contains("/nowhere/worker cannot be started"), "{text}");
    }
}
