//! The services: one HTTP/1.1 server on loopback that answers as the plan says.
//!
//! Each connection is a task of a pool that grows as needed, so that no request delays another. Dropping the
//! [`Server`] closes the port and all connections, and waits for them. It is written by hand because under a burst
//! of kept-alive connections `tiny_http` 0.12 left some waiting for a thread forever.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lab::listen::listen;
use thread_pool::{BuildError, ThreadPoolExecutor};

use crate::services::{Answer, Plan, Question};

/// The most connections at a time. Each occupies a thread, which needs little.
const CONNECTIONS: usize = 1024;
const STACK_SIZE: usize = 128 * 1024;
/// The longest head of a request, in bytes.
const HEAD_LIMIT: u64 = 16 * 1024;
const RETRY: Duration = Duration::from_millis(10);

/// The running services; dropping it stops them.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    is_closed: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts the services on a free port of loopback.
    ///
    /// # Errors
    /// If no port is free, or no thread can be started.
    pub fn start(plan: Plan) -> io::Result<Self> {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = listener.local_addr()?;
        let pool = pool().map_err(io::Error::other)?;
        let is_closed = Arc::new(AtomicBool::new(false));
        let seen_closed = Arc::clone(&is_closed);
        let acceptor = thread::Builder::new()
            .name("services".to_owned())
            .spawn(move || accept(&listener, plan, &pool, &seen_closed))?;
        Ok(Self {
            address,
            is_closed,
            acceptor: Some(acceptor),
        })
    }

    /// The services' URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // ORDERING: Relaxed, it publishes only itself; the connection below comes after it.
        self.is_closed.store(true, Ordering::Relaxed);
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

fn pool() -> Result<ThreadPoolExecutor, BuildError> {
    ThreadPoolExecutor::builder()
        .workers(CONNECTIONS)
        .min_workers(1)
        .stack_size(STACK_SIZE)
        .name("service")
        .build()
}

fn accept(listener: &TcpListener, plan: Plan, pool: &ThreadPoolExecutor, is_closed: &AtomicBool) {
    let mut connections: Vec<Weak<TcpStream>> = Vec::new();
    for stream in listener.incoming() {
        // ORDERING: Relaxed, see where it is stored.
        if is_closed.load(Ordering::Relaxed) {
            break;
        }
        connections.retain(|connection| connection.strong_count() > 0);
        let Ok(stream) = stream.map(Arc::new) else {
            // No descriptor is free until a connection ends.
            thread::sleep(RETRY);
            continue;
        };
        connections.push(Arc::downgrade(&stream));
        // A client that went away is not the service's fault.
        let serve = move || drop(serve(&stream, &plan));
        // Only a pool that is shut down refuses it.
        let _ = pool.execute(serve);
    }
    for connection in connections {
        if let Some(connection) = connection.upgrade() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
    // The pool's owner drops it now and so waits for the tasks, whose connections are closed.
}

/// Answers the requests of one connection until either side ends it.
fn serve(mut stream: &TcpStream, plan: &Plan) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(path) = read_path(&mut reader)? {
        let question = Question::parse(&path);
        let (status, body) = match question.map(|question| plan.answer(&question)) {
            Some(Answer::Never) => {
                // Until the client gives up, or the services stop.
                reader.fill_buf()?;
                return Ok(());
            }
            Some(Answer::Good(after)) => {
                thread::sleep(after);
                (200, format!("what was asked for at {path}"))
            }
            Some(Answer::Error(after)) => {
                thread::sleep(after);
                (503, "not now".to_owned())
            }
            None => (404, "no such service".to_owned()),
        };
        // In one write, so that it is sent in one packet.
        let length = body.len();
        let message = format!("HTTP/1.1 {status} -\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(message.as_bytes())?;
    }
    Ok(())
}

/// The path of the next request, which has no body; `None` when the client is done.
fn read_path(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = reader.by_ref().take(HEAD_LIMIT);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let Some(path) = line.split(' ').nth(1).map(str::to_owned) else {
        return Ok(None);
    };
    loop {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line.trim().is_empty() {
            return Ok(Some(path));
        }
    }
}
