//! A small HTTP/1.1 server on loopback that answers late on purpose, so that fetching is mostly waiting.
//!
//! Each connection has a thread, so all clients wait at the same time. Connections are kept alive. Dropping the
//! [`Server`] closes the port and all connections and joins all threads. It is written by hand for that reason:
//! `tiny_http` handles requests on threads that nobody can join, and would still need one more thread per
//! request to answer late.
//!
//! | path | answer |
//! |---|---|
//! | `/page/N` | after the latency: a page with the title `Page N` and a length that depends on `N` |
//! | `/status/N` | after the latency: the status `N`, from 400 to 599 |
//! | `/slow` | none, until the server ends |

mod message;

use std::convert::Infallible;
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use lab::listen::listen;

use message::{Request, message};

/// The server's threads need little stack, and there may be a thousand of them.
const STACK_SIZE: usize = 128 * 1024;
const RETRY: Duration = Duration::from_millis(10);

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// Nothing is ever sent: dropping it tells all threads at once to end.
    stop: Option<Sender<Infallible>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on a free port of loopback.
    ///
    /// # Errors
    /// If no port is free, or no thread can be started.
    pub fn start(latency: Duration) -> io::Result<Self> {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = listener.local_addr()?;
        let (stop, stopped) = bounded(0);
        let acceptor = thread::Builder::new()
            .name("server".to_owned())
            .spawn(move || accept(&listener, &Delay { latency, stopped }))?;
        Ok(Self {
            address,
            stop: Some(stop),
            acceptor: Some(acceptor),
        })
    }

    /// The full URL of a path, which starts with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        // It waits in `accept`: one more connection wakes it.
        while !acceptor.is_finished() && TcpStream::connect(self.address).is_err() {
            thread::sleep(RETRY);
        }
        let _panicked = acceptor.join();
    }
}

/// How a thread waits for the latency, or until the server stops.
#[derive(Clone)]
struct Delay {
    latency: Duration,
    stopped: Receiver<Infallible>,
}

impl Delay {
    /// Waits this long; whether the server is still running then.
    fn pass(&self, time: Duration) -> bool {
        matches!(
            self.stopped.recv_timeout(time),
            Err(RecvTimeoutError::Timeout)
        )
    }

    fn until_stopped(&self) {
        let Err(_stopped) = self.stopped.recv();
    }
}

fn accept(listener: &TcpListener, delay: &Delay) {
    let mut connections: Vec<Connection> = Vec::new();
    for stream in listener.incoming() {
        if !delay.pass(Duration::ZERO) {
            return;
        }
        connections.retain(|connection| !connection.is_finished());
        match stream.and_then(|stream| Connection::start(stream, delay.clone())) {
            Ok(connection) => connections.push(connection),
            // No descriptor or no thread is free until a connection ends.
            Err(_) => {
                delay.pass(RETRY);
            }
        }
    }
}

/// A client's connection and its thread; dropping it ends both.
struct Connection {
    stream: Arc<TcpStream>,
    thread: Option<JoinHandle<()>>,
}

impl Connection {
    fn start(stream: TcpStream, delay: Delay) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let stream = Arc::new(stream);
        let served = Arc::clone(&stream);
        let thread = thread::Builder::new()
            .name("connection".to_owned())
            .stack_size(STACK_SIZE)
            .spawn(move || {
                // A client that went away is not the server's fault.
                let _ = serve(&served, &delay);
                let _ = served.shutdown(Shutdown::Both);
            })?;
        Ok(Self {
            stream,
            thread: Some(thread),
        })
    }

    fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Answers the requests of one connection until the client, the server or a malformed request ends it.
fn serve(mut stream: &TcpStream, delay: &Delay) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader)? {
        let Some((status, body)) = request.answer() else {
            delay.until_stopped();
            break;
        };
        if !delay.pass(delay.latency) {
            break;
        }
        stream.write_all(message(status, &body, request.keep_alive).as_bytes())?;
        if !request.keep_alive {
            break;
        }
    }
    Ok(())
}
