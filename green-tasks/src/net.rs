//! Sockets that suspend their task where std's would block the thread.
//!
//! They have std's names, and are `Read` and `Write`, so code that knows nothing of tasks works with
//! them: parsers, TLS, HTTP clients. Outside of a runtime they block the calling thread.
//!
//! A socket may move to another thread, say into a task that [`spawn`](crate::spawn) starts there; one thread
//! uses it at a time. Tasks of several threads can share one through `try_clone`, for instance to
//! accept connections from one listener. After a few dozen uses that did not have to wait, the other
//! tasks get a turn.
//!
//! Async code on a runtime uses them through [`Polled`].
//!
//! # Cancel safety
//!
//! A task is only unwound while it waits, before that call has read or written anything, so a call always
//! reports what it transferred. (`write_all` and `read_exact` are many calls.)

mod address;
mod io;
mod polled;
mod tcp;
mod udp;
mod unix;

pub use self::address::Address;
pub use self::polled::Polled;
pub use self::tcp::{Incoming, TcpListener, TcpStream};
pub use self::udp::UdpSocket;
pub use self::unix::{UnixDatagram, UnixListener, UnixStream};
