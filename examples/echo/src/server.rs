//! The server: a task accepts, and each connection gets one that reads and writes.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use green_tasks::net::{TcpListener, TcpStream};
use green_tasks::{sleep, spawn};
use socket2::{Domain, Socket, Type};

/// How long the server waits when it could not accept a connection, say for want of a descriptor.
const RETRY: Duration = Duration::from_millis(10);

/// Connections that may wait to be accepted. The 128 of std are too few when thousands come at once: those
/// turned away try again after a whole second.
const BACKLOG: i32 = 4096;

/// Listens at an address.
///
/// # Errors
/// What the system says, as when somebody else listens there.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections and serves them, until the task that this is called in is cancelled.
pub fn serve(listener: &TcpListener) {
    for stream in listener.incoming() {
        match stream {
            // A client that goes away is no fault of the server's.
            Ok(stream) => drop(spawn(move || echo(stream))),
            Err(_) => sleep(RETRY),
        }
    }
}

/// Sends back what comes, until nothing does.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            len => stream.write_all(&buffer[..len])?,
        }
    }
}
