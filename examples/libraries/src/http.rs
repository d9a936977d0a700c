//! HTTP: pages that `ureq` fetches, over connections that are green sockets.
//!
//! `ureq` takes any transport that can be sent to another thread, which a green socket cannot: it belongs
//! to the runtime of its thread. So the socket stays in a table of its thread, and what `ureq` gets is
//! its number there. On another thread that number says nothing, and using it is an error.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::thread::{self, ThreadId};

use green_tasks::net::{TcpListener, TcpStream};
use green_tasks::spawn;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Error, Timeout};

use crate::{Failure, count};

thread_local! {
    /// The sockets that `ureq` has the numbers of.
    static SOCKETS: RefCell<HashMap<u64, Rc<TcpStream>>> = RefCell::default();
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// How many pages have come as they should.
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

/// The number of a socket.
#[derive(Debug)]
struct Connection {
    thread: ThreadId,
    number: u64,
    buffers: LazyBuffers,
}

impl Connection {
    fn new(stream: TcpStream, details: &ConnectionDetails<'_>) -> Self {
        let number = NEXT.replace(NEXT.get() + 1);
        SOCKETS.with_borrow_mut(|sockets| sockets.insert(number, Rc::new(stream)));
        let config = details.config;
        Self {
            thread: thread::current().id(),
            number,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
        }
    }

    /// The socket, which is not borrowed from the table: it is waited for while others use that.
    fn socket(&self) -> io::Result<Rc<TcpStream>> {
        let is_here = thread::current().id() == self.thread;
        let socket = SOCKETS.with_borrow(|sockets| sockets.get(&self.number).cloned());
        socket.filter(|_| is_here).ok_or_else(|| {
            io::Error::other("this connection belongs to another thread's runtime; use it there")
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if thread::current().id() == self.thread {
            let gone = SOCKETS.try_with(|sockets| sockets.borrow_mut().remove(&self.number));
            drop(gone);
        }
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let socket = self.socket()?;
        socket.set_write_timeout(timeout.not_zero().map(|limit| *limit))?;
        let output = &self.buffers.output()[..amount];
        (&*socket)
            .write_all(output)
            .map_err(|error| named(error, timeout.reason))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let socket = self.socket()?;
        socket.set_read_timeout(timeout.not_zero().map(|limit| *limit))?;
        let room = self.buffers.input_append_buf();
        let read = (&*socket)
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
