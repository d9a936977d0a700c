//! The server: one task accepts, and each connection has a task that reads and writes.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use green_tasks::net::{TcpListener, TcpStream};
use green_tasks::{sleep, spawn};

/// How long the server pauses when it cannot accept a connection, for example for lack of a descriptor.
const RETRY: Duration = Duration::from_millis(10);

/// Listens at an address.
///
/// # Errors
/// The system's error, for example if the address is in use.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::from_std(lab::listen::listen(address)?)
}

/// Accepts connections and serves them, until the calling task is cancelled.
pub fn serve(listener: &TcpListener) {
    for stream in listener.incoming() {
        match stream {
            // A client that goes away is not the server's fault.
            Ok(stream) => drop(spawn(move || echo(stream))),
            Err(_) => sleep(RETRY),
        }
    }
}

/// Sends back what arrives, until the end.
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
