//! The load: connects, and has each connection send, wait for the answer and check it.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use green_tasks::net::TcpStream;
use green_tasks::{FutureResult, GreenPool, JoinHandle, sleep, spawn_local, timeout};

use crate::latency::Latencies;

/// How many connections are made at a time.
const CONNECTING: usize = 100;
/// A server that takes longer to accept or to answer counts as gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often progress is reported.
const TICK: Duration = Duration::from_millis(100);

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many connections to hold.
    pub connections: usize,
    /// Bytes of a message.
    pub size: usize,
    /// How long to send, once all are connected.
    pub time: Duration,
    /// How long each connection pauses between an answer and its next message.
    pub interval: Duration,
}

/// The progress.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// How many connections there are now.
    pub open: usize,
    /// Messages that have come back.
    pub messages: u64,
    /// The time since all were connected; `None` before.
    pub elapsed: Option<Duration>,
}

/// The outcome.
#[derive(Debug)]
pub struct Outcome {
    /// Connections that lasted to the end.
    pub held: usize,
    /// Why the others did not.
    pub lost: Vec<io::Error>,
    /// How long it took to connect.
    pub connecting: Duration,
    /// From then to the last answer.
    pub elapsed: Duration,
    /// The round-trip times of all messages.
    pub latencies: Latencies,
}

/// What the tasks share.
#[derive(Default)]
struct Shared {
    open: Cell<usize>,
    latencies: RefCell<Latencies>,
    begun: Cell<Option<Instant>>,
}

impl Shared {
    fn progress(&self) -> Progress {
        Progress {
            open: self.open.get(),
            messages: self.latencies.borrow().count(),
            elapsed: self.begun.get().map(|begun| begun.elapsed()),
        }
    }
}

/// Runs the load against a server, within a runtime. Calls `tell` from time to time.
pub fn run(server: SocketAddr, load: &Load, tell: impl Fn(Progress) + 'static) -> Outcome {
    let load = *load;
    let shared = Rc::new(Shared::default());
    let telling = spawn_local({
        let shared = Rc::clone(&shared);
        move || {
            loop {
                tell(shared.progress());
                sleep(TICK);
            }
        }
    });

    let start = Instant::now();
    let counting = Rc::clone(&shared);
    let connect = move |_| {
        let stream = connect(server)?;
        counting.open.set(counting.open.get() + 1);
        io::Result::Ok(stream)
    };
    let pool = GreenPool::new(CONNECTING);
    let connected: Vec<_> = pool.map(connect, 0..load.connections).collect();
    let connecting = start.elapsed();

    let begun = Instant::now();
    shared.begun.set(Some(begun));
    let hold = |stream: TcpStream| {
        let shared = Rc::clone(&shared);
        spawn_local(move || {
            let held = hold(stream, &load, begun + load.time, &shared);
            if held.is_err() {
                shared.open.set(shared.open.get() - 1);
            }
            held
        })
    };
    let mut lost = Vec::new();
    let mut tasks: Vec<JoinHandle<io::Result<()>>> = Vec::new();
    for stream in connected {
        match stream {
            Ok(Ok(stream)) => tasks.push(hold(stream)),
            Ok(Err(error)) => lost.push(error),
            Err(error) => lost.push(io::Error::other(error)),
        }
    }
    for task in tasks {
        match task.result() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => lost.push(error),
            Err(error) => lost.push(io::Error::other(error)),
        }
    }
    let elapsed = begun.elapsed();
    let _ = telling.cancel();
    Outcome {
        held: load.connections - lost.len(),
        lost,
        connecting,
        elapsed,
        latencies: shared.latencies.take(),
    }
}

fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = timeout(PATIENCE, || TcpStream::connect(server))
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends messages on one connection until the time is over.
fn hold(mut stream: TcpStream, load: &Load, until: Instant, shared: &Shared) -> io::Result<()> {
    let mut answer = vec![0; load.size];
    let mut message = vec![0; load.size];
    for number in (0..=u8::MAX).cycle() {
        message.fill(number);
        let sent = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut answer)?;
        let back = Instant::now();
        if answer != message {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "what came back is not what was sent",
            ));
        }
        shared.latencies.borrow_mut().add(back - sent);
        if back + load.interval >= until {
            // Holds the connection to the end, though there is nothing more to send.
            sleep(until.saturating_duration_since(Instant::now()));
            break;
        }
        if !load.interval.is_zero() {
            sleep(load.interval);
        }
    }
    Ok(())
}
