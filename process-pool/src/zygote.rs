//! A zygote's side: runs the preload function once, and then forks a worker whenever it is asked to.
//!
//! It begins as a worker does, but for what is passed to it: a file with its [`Setup`], whose initializer is the
//! preload function, instead of pipes. The socket by which that came stays open. Until the preload function has ended
//! a thread looks whether the pool is still there; afterwards there is one thread, which waits for requests and for
//! the pool's end at once, and does nothing else.
//!
//! A worker that was forked off is the pool's own child, not the zygote's ([`fork`](crate::sys::fork)). So
//! whatever the pool does with workers holds for it, and the zygote's end changes nothing for it.
//!
//! [`protocol`](crate::protocol) says in which order what happens, and why no worker is lost by it.

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

/// Preloads, and forks until the pool is gone. In a worker that was forked off it does not return either.
pub(crate) fn serve(socket: Descriptor, setup: &Descriptor, pool: u32) -> ! {
    report::install();
    let Some(process) = pool_of_this_worker(pool) else {
        // It has ended before this process had begun.
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
            // Time is over, or a signal has come.
            Ok([false, false]) | Err(_) => continue,
        }
        // The pool has closed its end, or there are no descriptors left: another zygote may have more luck.
        let Ok(request) = sys::receive_request(&socket, pool) else {
            kill_own_group();
        };
        match sys::fork() {
            Ok(Fork::Child) => {
                drop(process);
                begin(socket, request);
            }
            // It says so itself, too: one of the two may be killed before.
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

/// Becomes a worker, in a process that was just forked off.
fn begin(socket: Descriptor, request: Request) -> ! {
    let pid = std::process::id();
    // Before it leaves the zygote's group, where the pool finds it if it does not get the message.
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

/// Runs the preload function, and looks whether this process can be forked then.
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

/// Of a text as much as fits into a message beside the rest of it.
fn cut(text: &str) -> String {
    let end = text.len().min(sys::MESSAGE_MAX / 2);
    let end = (0..=end)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}
