//! HTTP: pages that `ureq` fetches, over connections that are green sockets.
//!
//! `ureq` takes any transport that is `Send` and `Sync`. A green socket is `Send`. A lock that is never locked
//! makes it `Sync`: `ureq` only uses a transport through exclusive access.

use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};

use green_tasks::net::{TcpListener, TcpStream};
use green_tasks::spawn;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Error, Timeout};

use crate::{Failure, count};

/// How many pages arrived as expected.
pub(crate) fn fetch(clients: u32) -> Result<usize, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    drop(spawn(move || {
        for stream in listener.incoming() {
            drop(spawn(move || answer(stream?)));
        }
    }));
    let config = Agent::config_builder().proxy(None).build();
    let agent = Agent::with_parts(config, Green, DefaultResolver::default());
    let ask = move |number: u32, agent: Agent| {
        let mut response = agent
            .get(format!("http://{address}/page/{number}"))
            .call()?;
        let text = response.body_mut().read_to_string()?;
        if text == format!("this is /page/{number}") {
            Ok(())
        } else {
            Err(format!("another page came: {text}").into())
        }
    };
    let tasks = (0..clients).map(|n| {
        let agent = agent.clone();
        spawn(move || ask(n, agent))
    });
    count(tasks.collect())
}

/// Answers one request with its own path.
fn answer(mut stream: TcpStream) -> Result<(), Failure> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let request = String::from_utf8(request)?;
    let path = request.split(' ').nth(1).unwrap_or_default();
    let page = format!("this is {path}");
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    )?;
    Ok(())
}

/// Makes connections that are green sockets.
#[derive(Debug)]
struct Green;

impl Connector for Green {
    type Out = Connection;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<Connection>, Error> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in &details.addrs {
            match TcpStream::connect(*address) {
                Ok(stream) => return Ok(Some(Connection::new(stream, details))),
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }
}

/// A socket, and the buffers that `ureq` reads and writes through.
#[derive(Debug)]
struct Connection {
    socket: Mutex<TcpStream>,
    buffers: LazyBuffers,
}

impl Connection {
    fn new(socket: TcpStream, details: &ConnectionDetails<'_>) -> Self {
        let config = details.config;
        Self {
            socket: Mutex::new(socket),
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        }
    }
}

/// The socket of an exclusive connection.
fn own(socket: &mut Mutex<TcpStream>) -> &mut TcpStream {
    socket.get_mut().unwrap_or_else(PoisonError::into_inner)
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let limit = timeout.not_zero().map(|limit| *limit);
        let socket = own(&mut self.socket);
        socket.set_write_timeout(limit)?;
        let output = &self.buffers.output()[..amount];
        socket
            .write_all(output)
            .map_err(|error| named(error, timeout.reason))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let limit = timeout.not_zero().map(|limit| *limit);
        let socket = own(&mut self.socket);
        socket.set_read_timeout(limit)?;
        let room = self.buffers.input_append_buf();
        let read = socket
            .read(room)
            .map_err(|error| named(error, timeout.reason))?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    /// Each connection is used once.
    fn is_open(&mut self) -> bool {
        false
    }
}

fn named(error: io::Error, reason: Timeout) -> Error {
    match error.kind() {
        io::ErrorKind::TimedOut => Error::Timeout(reason),
        _ => error.into(),
    }
}
