//! How `ureq` fetches within green tasks: through sockets that suspend the task instead of blocking the thread.
//!
//! `ureq` knows nothing of tasks. It gets a [`Connector`] whose connections read and write a green
//! [`TcpStream`], and adds its own proxies and TLS to that. Resolving a name blocks, so a thread of a pool
//! does it: a task that waits for a pool's handle suspends as well.
//!
//! Threads may share an [`Agent`], and so its connections must be shareable too; a green socket belongs to
//! one thread. So a connection holds a number, and its thread keeps the socket.
#![expect(
    unsafe_code,
    reason = "promises that the tasks may run on stacks of their own"
)]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::rc::Rc;

use green_tasks::net::TcpStream;
use green_tasks::{Runtime, RuntimeError, Stackful, timeout};
use socket2::SockRef;
use thread_pool::{FutureResult, ThreadPoolExecutor};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout,
    RustlsConnector, Transport,
};
use ureq::{Agent, Error};

use crate::ways::WayError;

/// A runtime whose tasks may fetch.
///
/// # Errors
/// Never, with these settings.
pub fn runtime() -> Result<Runtime, RuntimeError> {
    // SAFETY: the tasks call `ureq`, `rustls`, std and this program. None of them waits in the initializer of a
    // thread-local, or keeps a pointer into its frame in one, and their only callbacks are those below.
    let token = unsafe { Stackful::assume() };
    Runtime::builder().stackful(token).build()
}

/// A client like this one, for tasks of the calling thread.
///
/// # Errors
/// If the thread that resolves names cannot be started.
pub fn agent(like: &Agent) -> Result<Agent, WayError> {
    let connector = ().chain(ConnectProxyConnector::default());
    let connector = connector.chain(Sockets).chain(RustlsConnector::default());
    let names = ThreadPoolExecutor::builder()
        .workers(1)
        .name("names")
        .build()?;
    Ok(Agent::with_parts(
        like.config().clone(),
        connector,
        Names { pool: names },
    ))
}

thread_local! {
    static STREAMS: RefCell<HashMap<u64, Rc<TcpStream>>> = RefCell::default();
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// Makes connections.
#[derive(Debug)]
struct Sockets;

impl<In: Transport> Connector<In> for Sockets {
    type Out = Either<In, Socket>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if chained.is_some() {
            return Ok(chained.map(Either::A));
        }
        let mut last = Error::ConnectionFailed;
        for &address in &details.addrs {
            match connect(address, details.timeout) {
                Ok(stream) => {
                    stream.set_nodelay(details.config.no_delay())?;
                    let config = details.config;
                    let buffers =
                        LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
                    return Ok(Some(Either::B(Socket::new(stream, buffers))));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn connect(address: SocketAddr, limit: NextTimeout) -> Result<TcpStream, Error> {
    let connected = match limit.not_zero() {
        Some(time) => timeout(*time, || TcpStream::connect(address)),
        None => Ok(TcpStream::connect(address)),
    };
    match connected {
        Ok(stream) => Ok(stream?),
        Err(_elapsed) => Err(Error::Timeout(limit.reason)),
    }
}

/// A connection, whose socket is kept by the thread that made it.
#[derive(Debug)]
struct Socket {
    number: u64,
    buffers: LazyBuffers,
}

impl Socket {
    fn new(stream: TcpStream, buffers: LazyBuffers) -> Self {
        let number = LAST.get() + 1;
        LAST.set(number);
        STREAMS.with_borrow_mut(|streams| streams.insert(number, Rc::new(stream)));
        Self { number, buffers }
    }

    /// A clone, not a borrow of the thread's sockets: other tasks need theirs while this one waits.
    fn stream(&self) -> io::Result<Rc<TcpStream>> {
        let stream = STREAMS.with_borrow(|streams| streams.get(&self.number).cloned());
        stream.ok_or_else(|| io::Error::other("the connection is another thread's"))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let stream = STREAMS.try_with(|streams| streams.borrow_mut().remove(&self.number));
        drop(stream);
    }
}

/// The outcome of waiting, as `ureq` expresses it.
fn waited<T>(result: io::Result<T>, limit: NextTimeout) -> Result<T, Error> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => Error::Timeout(limit.reason),
        _ => Error::Io(error),
    })
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, limit: NextTimeout) -> Result<(), Error> {
        let stream = self.stream()?;
        stream.set_write_timeout(limit.not_zero().map(|time| *time))?;
        let output = &self.buffers.output()[..amount];
        waited((&*stream).write_all(output), limit)
    }

    fn await_input(&mut self, limit: NextTimeout) -> Result<bool, Error> {
        let stream = self.stream()?;
        stream.set_read_timeout(limit.not_zero().map(|time| *time))?;
        let read = (&*stream).read(self.buffers.input_append_buf());
        let len = waited(read, limit)?;
        self.buffers.input_appended(len);
        Ok(len > 0)
    }

    /// Called under a lock of `ureq`'s, so this must not wait: an idle connection has nothing to read, not
    /// even its end.
    fn is_open(&mut self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        self.stream().is_ok_and(|stream| {
            let peeked = SockRef::from(&*stream).peek(&mut byte);
            matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
        })
    }
}

/// Resolves names on a thread.
#[derive(Debug)]
struct Names {
    pool: ThreadPoolExecutor,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        limit: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let default = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = uri.port_u16().unwrap_or(default);
        let mut resolved = self.empty();
        if let Ok(number) = host.parse::<IpAddr>() {
            resolved.push(SocketAddr::new(number, port));
            return Ok(resolved);
        }
        let name = host.to_owned();
        let handle = self.pool.submit(move || {
            let addresses = (name.as_str(), port).to_socket_addrs();
            addresses.map(|addresses| addresses.collect::<Vec<_>>())
        });
        let found = match limit.not_zero() {
            Some(time) => handle.result_timeout(*time),
            None => Ok(handle.result()),
        };
        let Ok(found) = found else {
            return Err(Error::Timeout(limit.reason));
        };
        let addresses = found.map_err(|error| io::Error::other(error.to_string()))??;
        for address in addresses.into_iter().take(16) {
            resolved.push(address);
        }
        if resolved.is_empty() {
            return Err(Error::HostNotFound);
        }
        Ok(resolved)
    }
}
