//! What tasks wait for: a server on loopback that answers as late as it is asked to, all on one thread.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use green_tasks::net::{TcpListener, TcpStream};
use green_tasks::{FutureResult, RuntimeError, sleep, spawn_local, unblock};
use lab::listen::listen;

use crate::token;

const RETRY: Duration = Duration::from_millis(1);

/// A running server; dropping it stops it and all its connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// Nothing is ever sent: dropping it is the signal.
    stop: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<Result<(), RuntimeError>>>,
}

impl Server {
    /// Starts it on a free port of loopback.
    ///
    /// # Errors
    /// If no port is free, or no thread can be started.
    pub fn start() -> io::Result<Self> {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = listener.local_addr()?;
        let (stop, stopped) = channel();
        let thread = thread::Builder::new()
            .name("server".to_owned())
            .spawn(move || serve(listener, stopped))?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn serve(
    listener: std::net::TcpListener,
    stopped: Receiver<Infallible>,
) -> Result<(), RuntimeError> {
    token::runtime(1)?.run(move || {
        drop(spawn_local(move || accept(listener)));
        // Once this returns, the end of the run cancels all tasks.
        let _gone = unblock(move || stopped.recv()).result();
    })
}

fn accept(listener: std::net::TcpListener) -> io::Result<()> {
    for stream in TcpListener::from_std(listener)?.incoming() {
        match stream {
            // A client that goes away is not the server's fault.
            Ok(stream) => drop(spawn_local(move || answer(stream))),
            // No descriptor is free until a connection ends.
            Err(_) => sleep(RETRY),
        }
    }
    Ok(())
}

/// Answers one request, a number of microseconds, by sending it back after that time.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut question = [0; 4];
    stream.read_exact(&mut question)?;
    sleep(Duration::from_micros(u32::from_le_bytes(question).into()));
    stream.write_all(&question)
}
