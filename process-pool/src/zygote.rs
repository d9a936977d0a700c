//! A zygote's side: runs the preload function once, and then forks a worker on each request.
//!
//! It begins like a worker, except that it is passed a file with its [`Setup`], whose initializer is the
//! preload function, instead of pipes. The socket through which that came stays open. Until the preload function has
//! ended, a thread watches the pool; afterwards there is one thread, which waits for requests and for
//! the pool's end at once, and does nothing else.
//!
//! A forked worker is the pool's own child, not the zygote's ([`fork`](crate::sys::fork)). So
//! the pool treats it like any other, and the zygote's end changes nothing for it.
//!
//! [`protocol`](crate::protocol) says in which order what happens, and [`nursery`](crate::nursery) why no worker is
//! lost.

use std::process::exit;
use std::time::Duration;

use crate::frame::Decoder;
use crate::protocol::{SETUP, Setup, Word, split_task};
use crate::run::Outcome;
use crate::sys::{self, Descriptor, Fork, Interest, Request, kill_own_group, pool_of_this_worker};
use crate::worker::{self, Origin};
use crate::{codec, lifeline, report};

/// How long to wait for a request at a time.
const WAIT: Duration = Duration::from_secs(3600);

/// Preloads, and forks until the pool is gone. It does not return in a forked worker either.
pub(crate) fn serve(socket: Descriptor, setup: &Descriptor, pool: u32) -> ! {
    report::install();
    let Some(process) = pool_of_this_worker(pool) else {
        // It ended before this process began.
        kill_own_group()
    };
    if let Err(text) = prepare(setup) {
        let _ = say(&socket, &Word::Refused(cut(&text)));
        worker::complain(&text, 1);
    }
    if say(&socket, &Word::Ready).is_err() {
        kill_own_group();
    }
    loop {
        let fds = [
            (&socket, Some(Interest::Read)),
            (&process, Some(Interest::Read)),
        ];
        match sys::wait_any(fds, WAIT) {
            Ok([_, true]) => kill_own_group(),
            Ok([true, false]) => {}
            // The time is over, or a signal came.
            Ok([false, false]) | Err(_) => continue,
        }
        // The pool closed its end, or no descriptors are left: another zygote may have more luck.
        let Ok(request) = sys::receive_request(&socket, pool) else {
            kill_own_group();
        };
        match sys::fork() {
            Ok(Fork::Child) => {
                drop(process);
                begin(socket, request);
            }
            // The worker reports it, too: one of the two may be killed before.
            Ok(Fork::Parent(pid)) => {
                let _ = say(
                    &socket,
                    &Word::Born {
                        id: request.id,
                        pid,
                    },
                );
            }
            Err(error) => {
                let text = cut(&error.to_string());
                let _ = say(
                    &socket,
                    &Word::Unborn {
                        id: request.id,
                        text,
                    },
                );
            }
        }
    }
}

/// Becomes a worker, in a process that was just forked.
fn begin(socket: Descriptor, request: Request) -> ! {
    let pid = std::process::id();
    // Before it leaves the zygote's group, where the pool finds it without the message.
    let is_begun = say(
        &socket,
        &Word::Born {
            id: request.id,
            pid,
        },
    )
    .and_then(|()| sys::lead_group())
    .and_then(|()| sys::print_to(&request.printer));
    if is_begun.is_err() {
        exit(worker::BROKEN);
    }
    drop((socket, request.printer));
    worker::serve(request.passed.into_private(), Origin::Zygote)
}

/// Runs the preload function, then checks that this process can be forked.
fn prepare(setup: &Descriptor) -> Result<(), String> {
    let mut decoder = Decoder::new();
    let (header, place) = loop {
        let room = decoder.room().map_err(|error| error.to_string())?;
        let read = sys::read(setup, room).map_err(|error| error.to_string())?;
        match decoder.next().map_err(|error| error.to_string())? {
            Some(message) => break message,
            None if read == 0 => return Err("it was not told what to preload".to_owned()),
            None => {}
        }
    };
    if header.kind != SETUP {
        return Err(format!("a message of the unknown kind {}", header.kind));
    }
    let setup = Setup::read(decoder.body(place))?;
    worker::agree(&setup)?;
    let (call, argument) = split_task(setup.initializer.unwrap_or_default())?;
    let ran = lifeline::during(|| call.run(argument, &mut Vec::new()));
    match ran.map_err(|error| format!("it has no room for a thread: {error}"))?? {
        Outcome::Done => {}
        Outcome::Panicked(panic) => return Err(format!("it {panic}")),
        Outcome::NotTravelled(text) => return Err(text),
    }
    sys::flush_output();
    sys::obstacle().map_or(Ok(()), Err)
}

fn say(socket: &Descriptor, word: &Word) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    codec::encode(word, &mut bytes).map_err(std::io::Error::other)?;
    sys::send_and_wait(socket, &bytes)
}

/// As much of a text as fits into a message with the rest.
fn cut(text: &str) -> String {
    let end = text.len().min(sys::MESSAGE_MAX / 2);
    let end = (0..=end)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}
