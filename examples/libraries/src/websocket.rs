//! WebSockets: a server that sends each message back, and its clients.

use green_tasks::net::{TcpListener, TcpStream};
use green_tasks::spawn;
use tungstenite::Message;

use crate::{Failure, count};

/// How many clients got back what they sent.
pub(crate) fn echo(clients: u32) -> Result<usize, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    // Accepts until the runtime ends.
    drop(spawn(move || {
        for stream in listener.incoming() {
            drop(spawn(move || answer(stream?)));
        }
    }));
    let ask = move |number: u32| {
        let stream = TcpStream::connect(address)?;
        // A handshake error contains the socket, so only its text is passed on.
        let (mut socket, _) = tungstenite::client(format!("ws://{address}/"), stream)
            .map_err(|error| error.to_string())?;
        let text = format!("message of client {number}");
        socket.send(Message::text(text.clone()))?;
        let back = socket.read()?;
        socket.close(None)?;
        // The server closes, too.
        while socket.read().is_ok() {}
        if back.into_text()?.as_str() == text {
            Ok(())
        } else {
            Err("another message came back".into())
        }
    };
    count((0..clients).map(|n| spawn(move || ask(n))).collect())
}

fn answer(stream: TcpStream) -> Result<(), Failure> {
    let mut socket = tungstenite::accept(stream).map_err(|error| error.to_string())?;
    loop {
        let message = socket.read()?;
        if message.is_text() {
            socket.send(message)?;
        }
    }
}
