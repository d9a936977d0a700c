//! The server: a task accepts, and each connection gets one that reads and writes.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use green_tasks::net::{TcpListener, TcpStream};
use green_tasks::{sleep, spawn};

/// How long the server waits when it could not accept a connection, say for want of a descriptor.
const RETRY: Duration = Duration::from_millis(10);

/// Listens at an address.
///
/// # Errors
/// What the system says, as when somebody else listens there.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::from_std(lab::listen::listen(address)?)
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
